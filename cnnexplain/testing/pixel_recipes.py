"""Gradient methods from their steps, with the mistakes people make at each."""

from __future__ import annotations

import numpy as np

from .finishing import plain_values
from .recipes import Mistake, Stage


def raw_pixels(raw: np.ndarray) -> Stage:
    """What the formula gives for every pixel and channel, (n,H,W,C)."""
    return Stage("gradients", lambda v: raw)


def raw_end() -> Stage:
    """The end where every channel is asked with its sign."""
    added = Mistake(
        "channels-added",
        "The channels are added up. Asked are the gradients of every channel, (n, height, width, channels).",
        lambda v: np.abs(v.last).sum(-1),
    )
    return Stage("gradients as they are", lambda v: v.last, [added, *plain_values()])


def over_channels(reduce: str) -> Stage:
    """From (n,H,W,C) to (n,H,W) by the "sum" or the "max" of absolute values."""
    maximum = Mistake(
        "maximum-over-channels",
        "The largest absolute value of the channels is taken. Asked is their sum: "
        "`np.abs(gradients).sum(axis=-1)`.",
        lambda v: np.abs(v.last).max(-1),
    )
    total = Mistake(
        "sum-over-channels",
        "The absolute values of the channels are added. Asked is the largest: "
        "`np.abs(gradients).max(axis=-1)`.",
        lambda v: np.abs(v.last).sum(-1),
    )
    others = [
        Mistake(
            "absolute-value-missing",
            "The channels are added with their signs: the absolute value is missing. Take it first, "
            "`np.abs(gradients)`: a pixel matters, whichever way it pulls.",
            lambda v: v.last.sum(-1),
        ),
        Mistake(
            "absolute-value-missing",
            "The largest gradient of the channels is taken without its absolute value: strong negative ones "
            "are lost. Take `np.abs(gradients)` first: a pixel matters, whichever way it pulls.",
            lambda v: v.last.max(-1),
        ),
        Mistake(
            "absolute-value-after-the-sum",
            "The absolute value is taken after the sum over channels: positive and negative gradients have "
            "cancelled by then. Take it first.",
            lambda v: np.abs(v.last.sum(-1)),
        ),
        Mistake(
            "relu-instead-of-absolute-value",
            "A ReLU is taken in place of the absolute value: pixels with a negative gradient are black, "
            "though the score depends on them as much. Take `np.abs(gradients)`.",
            lambda v: np.maximum(v.last, 0).sum(-1),
        ),
        Mistake(
            "relu-instead-of-absolute-value",
            "A ReLU is taken in place of the absolute value, after the sum over channels. Take "
            "`np.abs(gradients)` first: a pixel matters, whichever way it pulls.",
            lambda v: np.maximum(v.last.sum(-1), 0),
        ),
        Mistake(
            "relu-instead-of-absolute-value",
            "A ReLU is taken in place of the absolute value: strong negative gradients are lost. Take "
            "`np.abs(gradients)`: a pixel matters, whichever way it pulls.",
            lambda v: np.maximum(v.last, 0).max(-1),
        ),
        Mistake(
            "length-over-channels",
            "The length of the gradient over the channels is taken, the square root of the sum of squares. "
            f"Asked is the {'sum' if reduce == 'sum' else 'largest'} of absolute values.",
            lambda v: np.sqrt((v.last**2).sum(-1)),
        ),
        Mistake(
            "one-channel",
            "Only the first channel is there: look for an index [..., 0].",
            lambda v: np.abs(v.last[..., 0]),
        ),
        Mistake(
            "one-channel",
            "Only the last channel is there: look for an index [..., -1].",
            lambda v: np.abs(v.last[..., -1]),
        ),
    ]
    function = np.sum if reduce == "sum" else np.max
    return Stage(
        f"{reduce} over channels",
        lambda v: function(np.abs(v.last), axis=-1),
        [maximum if reduce == "sum" else total, *others],
    )
