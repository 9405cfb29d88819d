"""Pictures moved at random: mirrored, turned, zoomed, shifted, sheared, seen from aside, bent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import cut, reshape_to
from cnnexplain.arrays import concat

from ...convert import as_tensor
from ...ops import image
from ...ops.image.layout import channels_last, laid_out, size_of
from ...ops.image.warping import FILL_MODES, INTERPOLATIONS, homography, warp
from ..base import real_input
from .base import RandomImageLayer, overlapping, per_image, span


class RandomFlip(RandomImageLayer):
    """In training mirrors each image with probability 1/2.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical", where, as in Keras, one decision mirrors
            an image both ways.
        seed: An integer for repeatable flips.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.reshape(keras.ops.arange(3.0), (1, 1, 3, 1))
    >>> y = keras.layers.RandomFlip("horizontal")(x, training=True)
    >>> y.numpy().ravel().tolist() in ([0.0, 1.0, 2.0], [2.0, 1.0, 0.0])
    True
    """

    moves_masks = True

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"`mode` must be 'horizontal', 'vertical' or 'horizontal_and_vertical'. Received: mode={mode}"
            )
        self.mode = mode

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        draws = self.uniform(data, 0.0, 1.0, seed, (1, 1, 1))
        return {"flips": _core.less_equal(draws, 0.5)}

    def apply(self, x: Any, transformation: Any) -> Any:
        axes = [axis for word, axis in (("vertical", 1), ("horizontal", 2)) if word in self.mode]
        return _core.where(_core.reverse(x, axis=axes), x, per_image(transformation["flips"], x))


def _same(like: Any, value: float) -> Any:
    """One value in the shape of drawn numbers."""
    return _core.add(_core.multiply(like, 0.0), value)


def _rows(*numbers: Any) -> Any:
    """(n, 8) of a0, a1, a2, b0, b1, b2, each (n, 1); the map is affine."""
    none = _same(numbers[0], 0.0)
    return concat([*numbers, none, none], 1)


class WarpLayer(RandomImageLayer):
    """A random map of the pixels: subclasses give its `matrix`, (n, 8) of `affine_transform`."""

    def __init__(
        self,
        fill_mode: str = "constant",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value, allowed in (
            ("fill_mode", fill_mode, FILL_MODES),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if value not in allowed:
                raise NotImplementedError(f"Unknown `{name}` {value}. Expected of one {allowed}.")
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value

    def matrix(self, x: Any, transformation: Any) -> Any:
        """The map of each image of the batch x (n, h, w, c)."""
        raise NotImplementedError(f"{type(self).__name__} must define `matrix`")

    def warped(self, x: Any, transformation: Any, interpolation: str) -> Any:
        """The batch x (n, h, w, c) moved."""
        return warp(x, self.matrix(x, transformation), interpolation, self.fill_mode, self.fill_value)

    def apply(self, x: Any, transformation: Any) -> Any:
        return self.warped(x, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        x = channels_last(real_input(as_tensor(segmentation_masks), self.dtype), self.data_format)
        return laid_out(self.warped(x, transformation, "nearest"), self.data_format)


class RandomRotation(WarpLayer):
    """In training turns each image around its middle.

    Args:
        factor: Largest angle as a share of a full turn, f for (-f, f); positive turns counter-clockwise.
        fill_mode: What lies beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        interpolation: "bilinear" or "nearest".
        seed: An integer for repeatable draws.
        fill_value: Beyond the edges for "constant".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> quarter = keras.layers.RandomRotation((0.25, 0.25), interpolation="nearest")
    >>> x = keras.ops.reshape([1.0, 2.0, 3.0, 4.0], (2, 2, 1))
    >>> quarter(x, training=True).numpy()[..., 0].tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, -1, 1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        h, w = self.sides(data)
        degrees = self.uniform(data, self.factor[0] * 360.0, self.factor[1] * 360.0, seed)
        angle = _core.multiply(reshape_to(degrees, [degrees.shape[0], 1]), math.pi / 180)
        cos, sin = _core.cos(angle), _core.sin(angle)
        cx, cy = (w - 1) * 0.5, (h - 1) * 0.5
        turned = _core.negative(sin)
        a2 = cx - _core.multiply(cos, cx) - _core.multiply(turned, cy)
        b2 = cy - _core.multiply(sin, cx) - _core.multiply(cos, cy)
        return {"angle": degrees, "rotation_matrix": _rows(cos, turned, a2, sin, cos, b2)}

    def matrix(self, x: Any, transformation: Any) -> Any:
        return transformation["rotation_matrix"]


class RandomZoom(WarpLayer):
    """In training scales each image around its middle.

    Args:
        height_factor: Change of the visible height, f for (-f, f): 0.2 shows 20% more, so that things get
            smaller, -0.2 less.
        width_factor: The same for the width; None keeps the proportions.
        fill_mode: What lies beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        interpolation: "bilinear" or "nearest".
        seed: An integer for repeatable draws.
        fill_value: Beyond the edges for "constant".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> half = keras.layers.RandomZoom((-0.5, -0.5), interpolation="nearest")
    >>> x = keras.ops.reshape(keras.ops.arange(5.0), (1, 5, 1))
    >>> half(x, training=True).numpy().ravel().tolist()
    [1.0, 2.0, 2.0, 3.0, 3.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        least = math.nextafter(-1.0, 0.0)  # a zoom of 0 shows nothing
        self._spans = [
            span(name, value, least, 1.0)
            for name, value in (("height_factor", height_factor), ("width_factor", width_factor))
            if value is not None
        ]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        zooms = [self.uniform(data, 1.0 + low, 1.0 + high, seed, (1,)) for low, high in self._spans]
        return {"height_zoom": zooms[0], "width_zoom": zooms[-1]}

    def matrix(self, x: Any, transformation: Any) -> Any:
        down, along = (as_tensor(transformation[key], "float32") for key in ("height_zoom", "width_zoom"))
        h, w = size_of(x, 1), size_of(x, 2)
        none = _same(down, 0.0)
        left = _core.multiply(_core.subtract(1.0, along), (w - 1.0) / 2.0)
        top = _core.multiply(_core.subtract(1.0, down), (h - 1.0) / 2.0)
        return _rows(along, none, left, none, down, top)


class RandomTranslation(WarpLayer):
    """In training shifts each image.

    Args:
        height_factor: Largest shift as a share of the height, f for (-f, f); positive shifts down.
        width_factor: The same for the width; positive shifts to the right.
        fill_mode: What lies beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        interpolation: "bilinear" or "nearest".
        seed: An integer for repeatable draws.
        fill_value: Beyond the edges for "constant".
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> right = keras.layers.RandomTranslation(0.0, (0.25, 0.25), fill_mode="constant")
    >>> x = keras.ops.reshape([1.0, 2.0, 3.0, 4.0], (1, 4, 1))
    >>> right(x, training=True).numpy().ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._spans = [
            span("height_factor", height_factor, -1.0, 1.0),
            span("width_factor", width_factor, -1.0, 1.0),
        ]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        down, across = (
            _core.multiply(self.uniform(data, low, high, seed, (1,)), size)
            for (low, high), size in zip(self._spans, self.sides(data), strict=True)
        )
        return {"translations": _core.concat(across, down, axis=1)}

    def matrix(self, x: Any, transformation: Any) -> Any:
        shifts = _core.negative(as_tensor(transformation["translations"], "float32"))
        across, down = cut(shifts, 1, 0, 1), cut(shifts, 1, 1, 1)
        one, none = _same(down, 1.0), _same(down, 0.0)
        return _rows(one, none, across, none, one, down)


class RandomShear(WarpLayer):
    """In training slants each image, to either side with probability 1/2.

    Args:
        x_factor: Largest shift of a row for each row further down, f for (-f, f).
        y_factor: Largest shift of a column for each column further right.
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        fill_value: Beyond the edges for "constant".
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomShear(x_factor=0.2)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.x_factor = span("x_factor", x_factor, 0.0, 1.0, least=-1.0)
        self.y_factor = span("y_factor", y_factor, 0.0, 1.0, least=-1.0)

    @classmethod
    def from_config(cls, config: dict) -> Any:
        settings = dict(config)
        for key in ("x_factor", "y_factor"):
            low, high = settings[key]
            if low < 0:  # a number f was written as (-f, f)
                settings[key] = high
        return super().from_config(settings)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        side = self.uniform(data, 0.0, 1.0, seed, (1,))
        sign = _core.subtract(1.0, _core.multiply(_core.cast(_core.greater(side, 0.5), dtype="float32"), 2.0))
        along, down = (self.uniform(data, *factor, seed, (1,)) for factor in (self.x_factor, self.y_factor))
        return {"shear_factor": _core.multiply(_core.concat(along, down, axis=1), sign)}

    def matrix(self, x: Any, transformation: Any) -> Any:
        factors = as_tensor(transformation["shear_factor"], "float32")
        along, down = cut(factors, 1, 0, 1), cut(factors, 1, 1, 1)
        one, none = _same(down, 1.0), _same(down, 0.0)
        return _rows(one, along, none, down, one, none)


class RandomPerspective(WarpLayer):
    """In training shows each image as if seen from aside: its corners, but the first, move.

    Args:
        factor: The probability, f for a probability drawn from (0, f).
        scale: Largest change of a corner's coordinate, as a share of twice the coordinate.
        interpolation: "bilinear" or "nearest".
        fill_value: What lies beyond the edges.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomPerspective()(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__("constant", interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        if not 0.0 <= scale <= 1.0:
            raise ValueError(
                f"The `scale` argument should be a number in the range [0,1]. Received: scale={scale}"
            )
        self.scale = scale

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        h, w = self.sides(data)
        apply = self.chosen(data, self.factor, seed)
        moves = self.uniform(data, -0.5 * self.scale, 0.5 * self.scale, seed, (4, 2))
        across = _core.tensor(np.array([[0, 0], [1, 0], [0, 0], [1, 0]], np.float32))
        down = _core.tensor(np.array([[0, 0], [0, 0], [0, 1], [0, 1]], np.float32))
        corners = _core.add(_core.multiply(across, w - 1.0), _core.multiply(down, h - 1.0))
        start = _core.add(_core.multiply(moves, 0.0), corners)
        end = _core.add(start, _core.multiply(start, moves))
        return {"apply_perspective": apply, "start_points": start, "end_points": end}

    def matrix(self, x: Any, transformation: Any) -> Any:
        points = (as_tensor(transformation[key], "float32") for key in ("start_points", "end_points"))
        return homography(*points)

    def warped(self, x: Any, transformation: Any, interpolation: str) -> Any:
        seen = super().warped(x, transformation, interpolation)
        return _core.where(seen, x, per_image(transformation["apply_perspective"], x))


class RandomElasticTransform(WarpLayer):
    """In training bends each image by smooth random waves (Simard et al., ICDAR 2003).

    Args:
        factor: The probability, f for a probability drawn from (0, f).
        scale: Strength, f for a strength drawn from (0, f), one for the batch.
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies beyond the edges: "reflect", "wrap", "nearest" or "constant" (`fill_value`).
        fill_value: Beyond the edges for "constant".
        value_range: Where the result is cut off.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomElasticTransform()(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        known = "reflect" if fill_mode == "mirror" else fill_mode
        super().__init__(known, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.fill_mode = fill_mode
        self.factor = overlapping("factor", factor, 0, 1)
        self.scale = overlapping("scale", scale, 0, 1)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        strength = _core.random_uniform(
            self.draw(seed), shape=[1], low=float(self.scale[0]), high=float(self.scale[1])
        )
        return {
            "apply_transform": self.chosen(data, self.factor, seed),
            "distortion_factor": strength,
            "seed": self.draw(seed),
        }

    def warped(self, x: Any, transformation: Any, interpolation: str) -> Any:
        if transformation is None:
            return x

        def bent(batch: Any, factor: Any, generator: Any) -> Any:
            h, w = batch.shape[1:3]
            strength = float(np.asarray(factor).ravel()[0])
            return image.elastic_transform(
                batch,
                alpha=max(h, w) * 0.1 * strength,
                sigma=min(h, w) * 0.05 * strength,
                interpolation=interpolation,
                fill_mode=self.fill_mode,
                fill_value=self.fill_value,
                seed=generator,
                data_format="channels_last",
            )

        moved = self.at_run_time(bent, transformation["seed"], x, transformation["distortion_factor"])
        found = _core.where(moved, x, per_image(transformation["apply_transform"], x))
        return _core.clip(found, low=float(self.value_range[0]), high=float(self.value_range[1]))
