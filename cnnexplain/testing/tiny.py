"""Networks and images that are small, always the same, and telling: mistakes show on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import keras

_FEATURES = 6


def tiny_model(
    seed: int = 0,
    *,
    input_shape: tuple[int, int, int] = (12, 10, 3),
    classes: int = 4,
    pooling: bool = False,
    softmax: bool = True,
) -> Any:
    """A network of two convolutions that computes at once and that wrong formulas do not get past.

    Height and width differ, weights have both signs, maps have negative and positive values, and the
    probabilities are far from 0 and 1. The layers are named "first", "pool", "last", "scores". The same seed
    gives the same weights everywhere, whatever other random numbers were drawn.

    Args:
        seed: of the weights.
        input_shape: (height, width, channels), each side 4 or more.
        classes: units of the last layer.
        pooling: True ends in global average pooling, for which `cam` is defined; False in Flatten, where the
            gradient differs from pixel to pixel.
        softmax: whether the last layer has it.

    Returns:
        A keras Sequential, not compiled.

    >>> from cnnexplain.testing import tiny_model
    >>> tiny_model(pooling=True).get_layer("last").output.shape
    TensorShape([None, 6, 5, 6])
    """
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Conv2D(_FEATURES, 3, padding="same", activation="relu", name="last"),
            layers.GlobalAveragePooling2D(name="mean") if pooling else layers.Flatten(name="flat"),
            layers.Dense(classes, activation="softmax" if softmax else None, name="scores"),
        ],
        name="tiny",
    )
    model.set_weights(_weights([array.shape for array in model.get_weights()], seed))
    return model


def _weights(shapes: list[tuple[int, ...]], seed: int) -> list[np.ndarray]:
    """Normal numbers; each second half of the last feature maps speaks against what the first speaks for.

    The filters of the second half are those of the first turned by 180 degrees, so both halves are as strong
    and their difference, the map of a class, has both signs.
    """
    generator = np.random.default_rng([seed, 5])
    deviations = [0.1 if len(s) == 1 else (2 / int(np.prod(s[:-1]))) ** 0.5 for s in shapes]
    weights = [generator.normal(0, d, s) for d, s in zip(deviations, shapes, strict=True)]
    filters, biases, scores = weights[2], weights[3], weights[4]
    half = _FEATURES // 2
    filters[..., half:] = filters[::-1, ::-1, :, :half]
    biases[half:] = biases[:half]
    by_map = scores.reshape(-1, _FEATURES, scores.shape[-1])  # positions, feature maps, classes
    by_map += generator.normal(0, 0.3, by_map.shape[1:])
    by_map[:, half:] = -by_map[:, :half] * generator.uniform(0.8, 1.2, (len(by_map), half, 1))
    return weights


def tiny_images(n: int = 3, shape: tuple[int, int, int] = (12, 10, 3), seed: int = 0) -> np.ndarray:
    """Images (n,height,width,channels) float32 in [0,1]: smooth, each with a bright spot, none symmetric.

    Args:
        n: how many.
        shape: (height, width, channels).
        seed: of the places and colours.

    >>> from cnnexplain.testing import tiny_images
    >>> tiny_images(2).shape
    (2, 12, 10, 3)
    """
    return tiny_dataset(n, shape, seed=seed)[0]


def tiny_dataset(
    n: int = 32, shape: tuple[int, int, int] = (12, 10, 3), *, classes: int = 4, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images with labels and the boxes that an explanation should point at.

    A bright spot lies on a dim pattern; the label is the part of the image, in reading order, where it is.

    Args:
        n: how many.
        shape: (height, width, channels).
        classes: 2 (left, right) or 4 (upper left, upper right, lower left, lower right).
        seed: of everything.

    Returns:
        images (n,height,width,channels) float32 in [0,1], labels (n,) int64, boxes (n,4) int64: top, left,
        bottom, right of the spot, the last two exclusive.

    >>> from cnnexplain.testing import tiny_dataset
    >>> images, labels, boxes = tiny_dataset(8)
    >>> images.shape, labels.shape, boxes.shape
    ((8, 12, 10, 3), (8,), (8, 4))
    """
    if classes not in (2, 4):
        raise ValueError(f"`classes` must be 2 or 4. Received: classes={classes}")
    height, width, channels = shape
    if height < 4 or width < 4:
        raise ValueError(f"`shape` must have sides of 4 or more. Received: shape={shape}")
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    spot = max(1, height // 6), max(1, width // 5)
    images = np.empty((n, *shape), np.float32)
    labels = generator.integers(0, classes, n)
    boxes = np.empty((n, 4), np.int64)
    for i, label in enumerate(labels):
        waves = generator.uniform(0.2, 0.9, (channels, 3))
        for c, (a, b, phase) in enumerate(waves):
            images[i, :, :, c] = 0.25 + 0.2 * np.sin(a * rows + b * columns + 6 * phase)
        half = height // 2 if classes == 4 else height
        down, right = (int(label) // 2, int(label) % 2) if classes == 4 else (0, int(label))
        top = down * half + int(generator.integers(0, max(half - spot[0], 0) + 1))
        left = right * (width // 2) + int(generator.integers(0, max(width // 2 - spot[1], 0) + 1))
        boxes[i] = top, left, top + spot[0], left + spot[1]
        images[i, top : top + spot[0], left : left + spot[1]] = generator.uniform(0.7, 1, channels)
    return images, labels, boxes
