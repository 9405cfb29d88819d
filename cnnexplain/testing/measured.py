"""Mistakes that are measured on what was handed in: a factor, a shift."""

from __future__ import annotations

import numpy as np

from .finishing import each
from .recipes import Found, difference

_FARTHEST = 8  # pixels that a shift is looked for


def measure(
    student: np.ndarray, expected: np.ndarray, near: float, finished: bool, shape: tuple[int, ...] | None
) -> list[Found]:
    """What fits of: a constant factor, a factor of each image, a shift.

    Args:
        student, expected: arrays of one shape with a batch axis.
        near: how near the numbers must come.
        finished: whether the maximum of each map should be 1.
        shape: (n,h,w,K) of the activations, if there are any, to say where a factor may be from.
    """
    if student.shape != expected.shape or not expected.any() or not student.any():
        return []
    if scaled := _factor(student, expected, near, finished, shape):
        return [scaled]
    shifted = _shift(student, expected, near)
    return [shifted] if shifted else []


def _factor(
    student: np.ndarray, expected: np.ndarray, near: float, finished: bool, shape: tuple[int, ...] | None
) -> Found | None:
    factor = float(np.vdot(expected, student) / np.vdot(expected, expected))
    if factor and difference(student, factor * expected) <= near:
        if finished and factor > 0 and (reason := _reason(factor, len(expected), None)) is None:
            return _not_normalised(student)
        reason = _reason(factor, len(expected), shape)
        reason = reason or "look for a sum in place of a mean, or a constant that does not belong."
        return Found("scale", "factor", f"The numbers are {factor:.4g} times what is expected: {reason}")
    if len(expected) < 2 or expected.ndim < 3:
        return None
    squares = each(np.sum, expected * expected)
    factors = each(np.sum, expected * student) / np.where(squares > 0, squares, 1)
    if (factors < 0).any() or difference(student, factors * expected) > near:
        return None
    if finished:
        return _not_normalised(student)
    return Found(
        "scale",
        "factor-of-each-image",
        "Each image's numbers are a factor of their own times what is expected: they were scaled image by "
        "image. Return what the formula gives, without scaling.",
    )


def _not_normalised(student: np.ndarray) -> Found:
    tops = each(np.max, student).ravel()
    shown = ", ".join(f"{top:.3g}" for top in tops[:4]) + (", ..." if len(tops) > 4 else "")
    return Found(
        "map",
        "not-normalised",
        f"The form is right and the scale is not: the maximum is {shown} and not 1. Divide each map by its "
        "own maximum, `heatmap / heatmap.max()`, as the last step.",
    )


def _reason(factor: float, images: int, shape: tuple[int, ...] | None) -> str | None:
    known: list[tuple[float, str]] = [
        (-1, "the sign is turned. Was it the gradient of the loss, which falls where the score rises?"),
        (255, "that is the scale of uint8 pictures."),
        (1 / 255, "that is the scale of uint8 pictures."),
    ]
    if shape is not None:
        _, h, w, k = shape
        known += [
            (h * w, f"that is {h} x {w}: a sum over the positions in place of their mean?"),
            (1 / (h * w), f"that is 1 / ({h} x {w}): a mean over the positions in place of their sum?"),
            (1 / k, f"that is 1 / {k}: a mean over the channels in place of their sum?"),
            (k, f"that is {k}: a sum over the channels in place of their mean?"),
        ]
    if images > 1:
        known += [
            (1 / images, f"that is 1 / {images}: a mean over the images of the batch?"),
            (images, f"that is {images}, the number of images in the batch: a sum over them?"),
        ]
    fits = [reason for value, reason in known if abs(factor / value - 1) < 1e-3]
    return " Or: ".join(fits) or None


def _shift(student: np.ndarray, expected: np.ndarray, near: float) -> Found | None:
    """A few pixels aside; what a border has lost or gained does not count."""
    if expected.ndim < 3:
        return None
    height, width = expected.shape[1:3]
    top = np.abs(expected).max()
    fits: list[tuple[int, int, int]] = []
    down, right = min(_FARTHEST, height // 3), min(_FARTHEST, width // 3)
    for dy in range(-down, down + 1):
        for dx in range(-right, right + 1):
            theirs = student[:, max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
            ours = expected[:, max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
            telling = ours.std() > 0 and np.abs(ours).max() >= top / 2
            if (dy or dx) and telling and difference(theirs, ours) <= near:
                fits.append((abs(dy) + abs(dx), dy, dx))
    if not fits:
        return None
    least = min(fits)[0]
    where = " or ".join(_direction(dy, dx) for far, dy, dx in fits if far == least)
    return Found(
        "place",
        "shifted",
        f"The map is shifted: it lies {where} of where it should be. Look for padding or a slice that "
        "belongs to one side only, for `np.roll`, and for an index that starts at 1.",
    )


def _direction(dy: int, dx: int) -> str:
    parts = [(dy, "down", "up"), (dx, "to the right", "to the left")]
    return " and ".join(
        f"{abs(d)} pixel{'s' if abs(d) > 1 else ''} {plus if d > 0 else minus}"
        for d, plus, minus in parts
        if d
    )
