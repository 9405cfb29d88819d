"""A small network with odd sides, in cnnexplain and in NumPy (float64): four deep, ending in a mean."""

from __future__ import annotations

from typing import Any

import numpy as np

HEIGHT, WIDTH, CHANNELS, CLASSES = 11, 14, 3, 4
FILTERS = (5, 6, 7)


def weights(seed: int = 0, classes: int = CLASSES, channels: int = CHANNELS) -> list[np.ndarray]:
    """Kernels and biases in the model's order; He's scale, so that no layer dies."""
    rng = np.random.default_rng(seed)
    made = []
    before = channels
    for filters in FILTERS:
        made += [
            rng.normal(0, np.sqrt(2 / (9 * before)), (3, 3, before, filters)),
            rng.normal(0, 0.1, filters),
        ]
        before = filters
    return [*made, rng.normal(0, 1, (before, classes)), rng.normal(0, 0.1, classes)]


def images(n: int = 3, seed: int = 1, channels: int = CHANNELS) -> np.ndarray:
    """Images in 0..1."""
    return np.random.default_rng(seed).random((n, HEIGHT, WIDTH, channels))


def layers_of(keras: Any, activation: str | None = "softmax", classes: int = CLASSES) -> list[Any]:
    """Fresh layers, named."""
    L = keras.layers
    return [
        L.Conv2D(FILTERS[0], 3, padding="same", activation="relu", name="first"),
        L.MaxPooling2D(2, name="pool"),
        L.Conv2D(FILTERS[1], 3, padding="same", activation="relu", name="second"),
        L.Conv2D(FILTERS[2], 3, padding="same", activation="relu", name="third"),
        L.GlobalAveragePooling2D(name="mean"),
        L.Dense(classes, activation=activation, name="head"),
    ]


def sequential(keras: Any, activation: str | None = "softmax", classes: int = CLASSES, seed: int = 0) -> Any:
    """The network as a Sequential with `weights(seed)`."""
    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, CHANNELS)), *layers_of(keras, activation, classes)])
    model.set_weights(weights(seed, classes))
    return model


def functional(keras: Any, activation: str | None = "softmax") -> Any:
    """The same as a functional model."""
    x = inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    for layer in layers_of(keras, activation):
        x = layer(x)
    model = keras.Model(inputs, x)
    model.set_weights(weights())
    return model


def nested(keras: Any) -> Any:
    """The same with the convolutions in a model of their own, "base"."""
    *body, mean, head = layers_of(keras)
    x = inputs = keras.Input((HEIGHT, WIDTH, CHANNELS))
    for layer in body:
        x = layer(x)
    base = keras.Model(inputs, x, name="base")
    outer = keras.Input((HEIGHT, WIDTH, CHANNELS))
    model = keras.Model(outer, head(mean(base(outer))))
    model.set_weights(weights())
    return model


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | float = 0.0) -> np.ndarray:
    """3x3, stride 1, same."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + bias


def pool(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2x2 valid: maxima, and a mask of where each came from (the first of equals)."""
    n, h, w, c = x.shape
    h, w = h // 2, w // 2
    cells = (
        x[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h, w, c, 4)
    )
    first = np.eye(4)[cells.argmax(-1)].reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    mask = np.zeros_like(x)
    mask[:, : 2 * h, : 2 * w] = first.reshape(n, 2 * h, 2 * w, c)
    return cells.max(-1), mask


def unpool(d: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The gradient of `pool`."""
    big = np.zeros_like(mask)
    spread = d.repeat(2, 1).repeat(2, 2)
    big[:, : spread.shape[1], : spread.shape[2]] = spread
    return big * mask


class Twin:
    """The network in NumPy: values on the way, and the gradient of the logits under a ReLU rule."""

    def __init__(self, x: np.ndarray, w: list[np.ndarray] | None = None):
        self.w = w = weights() if w is None else w
        self.z1 = convolve(np.asarray(x, np.float64), w[0], w[1])
        self.first = np.maximum(self.z1, 0)
        self.pooled, self.mask = pool(self.first)
        self.z2 = convolve(self.pooled, w[2], w[3])
        self.second = np.maximum(self.z2, 0)
        self.third, self.logits = self.tail(self.second)
        e = np.exp(self.logits - self.logits.max(1, keepdims=True))
        self.probabilities = e / e.sum(1, keepdims=True)

    def tail(self, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the second convolution's output to the third's and the logits."""
        third = np.maximum(convolve(second, self.w[4], self.w[5]), 0)
        return third, third.mean((1, 2)) @ self.w[6] + self.w[7]

    def gradient(
        self, dlogits: np.ndarray, guided: bool = False, rectified: bool = False
    ) -> dict[str, np.ndarray]:
        """Gradients at third, second, first and image for a gradient (n, classes) at the logits."""

        def gate(d: np.ndarray, value: np.ndarray) -> np.ndarray:
            if rectified:
                return np.maximum(d, 0)
            return (np.maximum(d, 0) if guided else d) * (value > 0)

        def back(d: np.ndarray, kernel: np.ndarray) -> np.ndarray:
            return convolve(d, kernel[::-1, ::-1].transpose(0, 1, 3, 2))

        n, h, w, k = self.third.shape
        third = np.broadcast_to((dlogits @ self.w[6].T)[:, None, None, :] / (h * w), (n, h, w, k))
        second = back(gate(third, self.third), self.w[4])
        first = unpool(back(gate(second, self.second), self.w[2]), self.mask)
        return {
            "third": third,
            "second": second,
            "first": first,
            "image": back(gate(first, self.first), self.w[0]),
        }


def enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with half-pixel centres, edges repeated."""
    for axis, target in ((1, size[0]), (2, size[1])):
        source = maps.shape[axis]
        at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, source - 1)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        maps = np.take(maps, low, axis) * (1 - part) + np.take(maps, high, axis) * part
    return maps


def normalize(maps: np.ndarray) -> np.ndarray:
    """Divided by each map's maximum where that is positive."""
    top = maps.max((1, 2), keepdims=True)
    return np.where(top > 0, np.maximum(maps, 0) / np.where(top > 0, top, 1), 0)
