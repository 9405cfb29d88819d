"""Images as an optimiser sees them: unbounded numbers behind bounded pixels, with colours that vary apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from .baselines import NAMES, baselines
from .session import Session

# Square root of the covariance of the colours (red, green, blue) of ImageNet's photographs, as published with
# Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, 10.23915/distill.00007 (package lucid).
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])


class Space:
    """Pixels x = low + (high - low) s, s = 1 / (1 + exp(-u)), u = M z at every pixel.

    Args:
        low, high: (1,H,W,C) bounds of the pixels.
        decorrelate: M is COLOURS divided by the length of its longest column; else the identity.
        bgr: the channels are blue, green, red.
    """

    def __init__(self, low: np.ndarray, high: np.ndarray, decorrelate: bool, bgr: bool = False):
        if not (high > low).all():
            raise ValueError(
                f"`high` must be above `low`. Received: low up to {low.max():g}, high from {high.min():g}"
            )
        self.low, self.range = low.astype(np.float64), (high - low).astype(np.float64)
        mixing = COLOURS / np.linalg.norm(COLOURS, axis=0).max() if decorrelate else np.eye(low.shape[3])
        self.mixing = mixing[::-1] if decorrelate and bgr else mixing

    def unit(self, z: np.ndarray) -> np.ndarray:
        """s of z, both (n,H,W,C) float64."""
        return 0.5 * (1 + np.tanh(0.5 * (z @ self.mixing.T)))

    def pixels(self, s: np.ndarray) -> np.ndarray:
        """x of s."""
        return self.low + self.range * s

    def back(self, s: np.ndarray, dx: np.ndarray, ds: np.ndarray | float = 0.0) -> np.ndarray:
        """The gradient at z, of gradients at x and at s."""
        return ((dx * self.range + ds) * s * (1 - s)) @ self.mixing

    def inverse(self, x: np.ndarray, margin: float = 1e-2) -> np.ndarray:
        """z of x, which is kept a little inside its bounds."""
        s = np.clip((x - self.low) / self.range, margin, 1 - margin)
        return np.log(s / (1 - s)) @ np.linalg.inv(self.mixing).T


def bound(session: Session, name: str, value: Any, preprocess: Any) -> np.ndarray:
    """A bound of the images as (1 or n,H,W,C): a number, an array (C,) or (H,W,C), "black" or "white"."""
    shape = (*session.inputs.size, session.image.shape[3])
    if value is None or (isinstance(value, str) and value not in NAMES):
        raise ValueError(
            f"`{name}` must be a number, an array, 'black' or 'white'. Received: {name}={value!r}"
        )
    if not isinstance(value, str) and np.shape(value) == shape[2:]:
        value = np.broadcast_to(value, shape)
    elif isinstance(value, list):
        value = np.asarray(value)
    try:
        return baselines(session, value, preprocess)[0][0]
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("baseline", name)) from None


def total_variation(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) sums of squared differences between neighbours below and beside, and the gradient (n,H,W,C)."""
    total, slope = np.zeros(len(s)), np.zeros_like(s)
    for axis in (1, 2):
        difference = np.diff(s, axis=axis)
        total += (difference**2).reshape(len(s), -1).sum(1)
        ends: Any = [(0, 0)] * 4
        ends[axis] = (1, 1)
        slope -= 2 * np.diff(np.pad(difference, ends), axis=axis)
    return total, slope


def blurred(z: np.ndarray, deviation: float) -> np.ndarray:
    """Through a normal distribution of this standard deviation in pixels, cut at 3 of it; edges repeat."""
    radius = int(np.ceil(3 * deviation))
    if not radius:
        return z
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        ends = [(0, 0)] * 4
        ends[axis] = (radius, radius)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(z, ends, mode="edge"), len(weights), axis)
        z = windows @ weights
    return z
