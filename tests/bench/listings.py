"""The lecture's saliency and Grad-CAM code, the same on TensorFlow and here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def saliency_listing(tf: Any, keras: Any, model: Any, x: np.ndarray, layer: str) -> Callable[[], np.ndarray]:
    """The gradient of the class score at the pixels."""

    def run() -> np.ndarray:
        image = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(image)
            score = model(image)[:, 7]
        gradient = tape.gradient(score, image)
        return tf.reduce_sum(tf.abs(gradient), axis=-1).numpy()

    return run


def grad_cam_listing(tf: Any, keras: Any, model: Any, x: np.ndarray, layer: str) -> Callable[[], np.ndarray]:
    """The maps of the layer, weighted by their mean gradients."""
    inner = keras.Model([model.inputs], [model.get_layer(layer).output, model.output])

    def run() -> np.ndarray:
        with tf.GradientTape() as tape:
            maps, predictions = inner(x)
            score = predictions[:, 7]
        gradients = tape.gradient(score, maps)
        weights = tf.reduce_mean(gradients, axis=(1, 2))
        heat = tf.nn.relu(tf.reduce_sum(maps * weights[:, None, None, :], axis=-1))
        return heat.numpy()

    return run
