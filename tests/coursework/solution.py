"""Where does the network look? The solution."""

import numpy as np

import cnnexplain as tf
from cnnexplain import keras


def without_softmax(model):
    """A model that gives logits, and has the same weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.layers[-1].activation = None
    return copy


def chosen(scores, class_index):
    """The score of each image's own class."""
    return tf.reduce_sum(scores * tf.one_hot(class_index, scores.shape[-1]), axis=-1)


def feature_gradients(model, images, class_index, layer):
    """Feature maps of a layer, and the gradients of the logits by them."""
    model = without_softmax(model)
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        features, scores = both(images)
        score = chosen(scores, class_index)
    return features, tape.gradient(score, features)


def normalise(maps):
    """Each map divided by its own maximum, if that is positive."""
    top = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(top > 0, top, 1)


def channel_weights(gradients):
    return np.mean(gradients, axis=(1, 2))


def weighted_sum(features, weights):
    return np.sum(features * weights[:, None, None, :], axis=-1)


def enlarge(maps, images):
    return tf.image.resize(maps[..., None], images.shape[1:3])[..., 0].numpy()


def grad_cam(model, images, class_index, layer):
    features, gradients = feature_gradients(model, images, class_index, layer)
    maps = weighted_sum(features, channel_weights(gradients))
    return normalise(enlarge(np.maximum(maps, 0), images))


def image_gradients(model, images, class_index):
    model = without_softmax(model)
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = chosen(model(images), class_index)
    return tape.gradient(score, images).numpy()


def saliency(model, images, class_index):
    return normalise(np.abs(image_gradients(model, images, class_index)).sum(axis=-1))
