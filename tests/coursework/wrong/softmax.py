"""The gradient is taken of the probability: the softmax was left on the model."""

import numpy as np
from solution import channel_weights, chosen, enlarge, normalise, saliency, weighted_sum  # noqa: F401

import cnnexplain as tf
from cnnexplain import keras


def grad_cam(model, images, class_index, layer):
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        features, predictions = both(images)
        score = chosen(predictions, class_index)
    gradients = tape.gradient(score, features)
    heatmap = weighted_sum(features, channel_weights(gradients))
    return normalise(enlarge(np.maximum(heatmap, 0), images))
