"""What the lecture's listings do, written against whichever module stands for TensorFlow.

Every function takes `tf`: cnnexplain here, TensorFlow in the live comparison. The calls, their argument names
and their order are the lecture's, because those are what must work.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import scipy as sp

FILTERS = (16, 32, 64, 128)


def lecture_network(tf: ModuleType, dtype: str | None = None) -> Any:
    """Four convolutions, three poolings, global average pooling and one Dense layer."""
    Sequential, layers = tf.keras.models.Sequential, tf.keras.layers
    model = Sequential()
    model.add(
        layers.Conv2D(
            FILTERS[0], (3, 3), input_shape=(28, 28, 1), activation="relu", padding="same", dtype=dtype
        )
    )
    model.add(layers.MaxPooling2D(pool_size=(2, 2), dtype=dtype))
    for filters in FILTERS[1:3]:
        model.add(layers.Conv2D(filters, (3, 3), activation="relu", padding="same", dtype=dtype))
        model.add(layers.MaxPooling2D(pool_size=(2, 2), dtype=dtype))
    model.add(layers.Conv2D(FILTERS[3], (3, 3), activation="relu", padding="same", dtype=dtype))
    model.add(layers.GlobalAveragePooling2D(dtype=dtype))
    model.add(layers.Dense(10, activation="softmax", dtype=dtype))
    return model


def vgg16_layers(tf: ModuleType, classes: int = 1000, size: int = 224, dtype: str | None = None) -> Any:
    """VGG16 built from layers, with the names that its authors' blocks have in Keras."""
    layers = tf.keras.layers
    inputs = tf.keras.Input(shape=(size, size, 3), dtype=dtype)
    x = inputs
    for block, (repeats, filters) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for conv in range(1, repeats + 1):
            name = f"block{block}_conv{conv}"
            x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=name, dtype=dtype)(x)
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool", dtype=dtype)(x)
    x = layers.Flatten(name="flatten", dtype=dtype)(x)
    x = layers.Dense(4096, activation="relu", name="fc1", dtype=dtype)(x)
    x = layers.Dense(4096, activation="relu", name="fc2", dtype=dtype)(x)
    outputs = layers.Dense(classes, activation="softmax", name="predictions", dtype=dtype)(x)
    return tf.keras.models.Model(inputs=inputs, outputs=outputs)


def class_activation_maps(
    tf: ModuleType, model: Any, images: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The original CAM: features of the last convolution, weighted by the predicted class's Dense column."""
    Model = tf.keras.models.Model
    dense_weights = model.layers[-1].get_weights()[0]
    cam_model = Model(inputs=model.input, outputs=(model.layers[-3].output, model.layers[-1].output))
    features, results = cam_model.predict(images)
    maps = []
    for image_index in range(len(images)):
        features_of_image = features[image_index, :, :, :]
        prediction = np.argmax(results[image_index])
        class_weights = dense_weights[:, prediction]
        enlarged = sp.ndimage.zoom(features_of_image, (28 / 3, 28 / 3, 1), order=2)
        maps.append(np.dot(enlarged, class_weights))
    return maps, results


def saliency(
    tf: ModuleType, model: Any, images: np.ndarray, class_index: int, num_classes: int
) -> tuple[Any, Any]:
    """The gradient of the cross-entropy with respect to the pixels, and its grey picture."""
    target = tf.one_hot([class_index] * images.shape[0], num_classes)
    with tf.GradientTape() as tape:
        inputs = tf.cast(images, tf.float32)
        tape.watch(inputs)
        predictions = model(inputs)
        loss = tf.keras.losses.categorical_crossentropy(target, predictions)
    gradients = tape.gradient(loss, inputs)

    strength = tf.reduce_sum(tf.abs(gradients), axis=-1)
    low, high = tf.reduce_min(strength), tf.reduce_max(strength)
    grey = tf.cast(255 * (strength - low) / (high - low), tf.uint8)
    return gradients, tf.squeeze(grey)


def grad_cam(
    tf: ModuleType, model: Any, image: Any, label: int, layer_name: str = "block5_conv3"
) -> np.ndarray:
    """Grad-CAM of one image: both outputs of one call, the gradient of one with respect to the other."""
    Model, K = tf.keras.models.Model, tf.keras.backend
    both = Model([model.inputs], [model.get_layer(layer_name).output, model.output])
    with tf.GradientTape() as tape:
        maps, predictions = both(image)
        loss = predictions[:, label]
    weights = tape.gradient(loss, maps)
    weights = K.mean(weights, axis=(0, 1, 2))

    maps = np.squeeze(maps.numpy())
    weights = weights.numpy()
    for i in range(maps.shape[-1]):
        maps[:, :, i] *= weights[i]
    heatmap = np.mean(maps, axis=-1)
    heatmap = np.maximum(heatmap, 0)
    heatmap /= heatmap.max()
    del both, maps, weights, loss
    return heatmap
