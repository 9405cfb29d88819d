"""Pictures recoloured at random: contrast, brightness, hue, saturation, grey."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain.image.hue import colours_of, hue_of, turned

from ... import config
from ...ops.image.color import grey
from .base import RandomImageLayer, numbers_between, overlapping, per_image, rescaled, value_span


def clipped(x: Any, value_range: Any) -> Any:
    """x cut off at the least and the greatest value of pictures."""
    return _core.clip(x, low=float(value_range[0]), high=float(value_range[1]))


class RandomContrast(RandomImageLayer):
    """In training (x - m) * f + m with m the mean of each channel of each image, f drawn for each image.

    Args:
        factor: Largest change of f from 1, c for (c, c): f lies in [1 - lower, 1 + upper).
        value_range: Where the result is cut off.
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.reshape([1.0, 3.0], (1, 2, 1))
    >>> y = keras.layers.RandomContrast((0.0, 0.0))(x, training=True)
    >>> y.numpy().ravel().tolist()
    [1.0, 3.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return {"contrast_factor": self.uniform(data, low, high, seed, (1, 1, 1), self.dtype)}

    def apply(self, x: Any, transformation: Any) -> Any:
        mean = _core.reduce_mean(x, axis=[1, 2], keepdims=True)
        factor = per_image(transformation["contrast_factor"], x)
        return clipped(_core.add(_core.multiply(_core.subtract(x, mean), factor), mean), self.value_range)


class RandomBrightness(RandomImageLayer):
    """In training adds a number, drawn for each image.

    Args:
        factor: Largest number as a share of `value_range`, f for (-f, f).
        value_range: The least and the greatest value; the result is cut off there.
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> brighter = keras.layers.RandomBrightness((0.2, 0.2), value_range=(0.0, 1.0))
    >>> brighter([[[0.5], [0.9]]], training=True).numpy().round(2).ravel().tolist()
    [0.699999988079071, 1.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any):
        super().__init__(seed=seed, **kwargs)
        self.factor = overlapping("factor", factor, -1, 1)
        self.value_range = value_span(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        draws = self.uniform(data, *self.factor, seed, (1, 1, 1))
        return {"rgb_delta": _core.multiply(draws, float(self.value_range[1] - self.value_range[0]))}

    def apply(self, x: Any, transformation: Any) -> Any:
        return clipped(_core.add(x, per_image(transformation["rgb_delta"], x)), self.value_range)


class RandomHue(RandomImageLayer):
    """In training turns the hue of each image, in either direction.

    Args:
        factor: Largest turn as a share of half the colour circle, f for (0, f).
        value_range: The least and the greatest value.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomHue(0.2)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        back = _core.greater(self.uniform(data, 0.0, 1.0, seed), 0.5)
        turn = _core.multiply(self.uniform(data, *self.factor, seed), 0.5)
        return {"factor": _core.where(_core.negative(turn), turn, back)}

    def apply(self, x: Any, transformation: Any) -> Any:
        turn = per_image(transformation["factor"], x)
        colours = turned(rescaled(x, self.value_range, (0, 1)), turn)
        return rescaled(clipped(colours, (0, 1)), (0, 1), self.value_range)


class RandomSaturation(RandomImageLayer):
    """In training multiplies the saturation of each image by f / (1 - f).

    Args:
        factor: f, or (lower, upper) that f is drawn from: 0 makes grey, 0.5 changes nothing. One number g
            stands for (-g, g).
        value_range: Where the saturation is cut off.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> keras.layers.RandomSaturation(0.5)(x, training=True).numpy()[0, 0, 0].round(3)
    array([100., 100., 100.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, -1, 1)
        self.value_range = value_span(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        share = self.uniform(data, *self.factor, seed)
        return {"factor": _core.divide(share, _core.add(_core.subtract(1.0, share), config.epsilon()))}

    def apply(self, x: Any, transformation: Any) -> Any:
        hue, saturation, value = hue_of(x)
        saturation = _core.multiply(saturation, per_image(transformation["factor"], x))
        return colours_of(hue, clipped(saturation, self.value_range), value)


class RandomGrayscale(RandomImageLayer):
    """In training makes images grey, three equal channels, with probability `factor`.

    Args:
        factor: The probability.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.array([[[[100.0, 0.0, 50.0]]]])
    >>> y = keras.layers.RandomGrayscale(factor=1.0)(x, training=True).numpy()[0, 0, 0]
    >>> bool(y[0] == y[1] == y[2])
    True
    """

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = numbers_between("factor", factor, 0, 1)[0]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return _core.less(self.uniform(data, 0.0, 1.0, seed, (1, 1, 1)), float(self.factor))

    def apply(self, x: Any, transformation: Any) -> Any:
        return _core.where(x if x.shape[3] == 1 else grey(x), x, per_image(transformation, x))


class RandomColorDegeneration(RandomImageLayer):
    """In training mixes each image with its grey version.

    Args:
        factor: Share of the grey version, f for (-f, f).
        value_range: Where the result is cut off.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomColorDegeneration(0.5)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, -1, 1)
        self.value_range = value_span(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {"factor": self.uniform(data, *self.factor, seed, (1, 1, 1))}

    def apply(self, x: Any, transformation: Any) -> Any:
        plain = x if x.shape[3] == 1 else grey(x)
        mixed = _core.add(x, _core.multiply(_core.subtract(plain, x), per_image(transformation["factor"], x)))
        return clipped(mixed, self.value_range)


class RandomColorJitter(RandomImageLayer):
    """In training brightness, contrast, saturation and hue, one after the other.

    Args:
        value_range: The least and the greatest value.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: As for `RandomBrightness`,
            `RandomContrast`, `RandomSaturation` and `RandomHue`; None leaves it out.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        self._steps = [
            kind(factor, value_range=value_range, seed=seed, dtype=self.dtype, data_format="channels_last")
            for kind, factor in (
                (RandomBrightness, brightness_factor),
                (RandomContrast, contrast_factor),
                (RandomSaturation, saturation_factor),
                (RandomHue, hue_factor),
            )
            if factor is not None
        ]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        use = self.generator if seed is None else seed
        return [step.get_random_transformation(data, training, use) for step in self._steps]

    def apply(self, x: Any, transformation: Any) -> Any:
        for step, how in zip(self._steps, transformation, strict=True):
            x = step.apply(x, how)
        return x


class RandomInvert(RandomImageLayer):
    """In training turns images into their negatives: greatest value - x.

    Args:
        factor: The probability, f for a probability drawn from (0, f).
        value_range: The least and the greatest value.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> keras.layers.RandomInvert(factor=(1.0, 1.0))(x, training=True).numpy()[0, 0, 0]
    array([155., 155., 155.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"apply_inversion": self.chosen(data, self.factor, seed)} if training else None

    def apply(self, x: Any, transformation: Any) -> Any:
        negative = _core.subtract(float(self.value_range[1]), x)
        return _core.where(negative, x, per_image(transformation["apply_inversion"], x))


class RandomPosterization(RandomImageLayer):
    """In training keeps only the highest bits of the 8 of each value.

    Args:
        factor: How many bits, from 1 to 8: (lower, upper) for a number drawn from [lower, upper), f for
            (1, f).
        value_range: The least and the greatest value.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> keras.layers.RandomPosterization((3, 3))(x, training=True).numpy()[0, 0, 0]
    array([96., 96., 96.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 1, 8)
        self.value_range = value_span(value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        low, high = (float(int(bits)) for bits in self.factor)
        return {"shift_factor": _core.subtract(8.0, _core.floor(self.uniform(data, low, high, seed)))}

    def apply(self, x: Any, transformation: Any) -> Any:
        bytes_ = _core.cast(
            _core.cast(rescaled(x, self.value_range, (0, 255)), dtype="uint8"), dtype=x.dtype.name
        )
        step = _core.pow(
            _core.tensor(np.array(2.0, x.dtype.name)), per_image(transformation["shift_factor"], x)
        )
        kept = _core.multiply(_core.floor(_core.divide(bytes_, step)), step)
        return rescaled(kept, (0, 255), self.value_range)


class Solarization(RandomImageLayer):
    """In training adds a number to each image and turns values from a threshold on into their negatives.

    Args:
        addition_factor: Largest number added, as a share of the values' range, f for (0, f).
        threshold_factor: The threshold, likewise.
        value_range: The least and the greatest value.
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> x = keras.ops.array([[[[100.0, 200.0, 50.0]]]])
    >>> keras.layers.Solarization()(x, training=True).numpy()[0, 0, 0]
    array([155.,  55., 205.], dtype=float32)
    """

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = self._share("addition_factor", addition_factor)
        self.threshold_factor = self._share("threshold_factor", threshold_factor)
        self.value_range = value_span(value_range)

    @staticmethod
    def _share(name: str, value: Any) -> tuple[float, float]:
        given = numbers_between(name, value, 0, 1)
        return (0, given[0]) if len(given) == 1 else (min(given), max(given))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        factors = (("additions", self.addition_factor), ("thresholds", self.threshold_factor))
        return {
            name: self.uniform(data, low, high * 255, seed, (1, 1, 1), self.dtype)
            for name, (low, high) in factors
        }

    def apply(self, x: Any, transformation: Any) -> Any:
        if transformation is None:
            return x
        added, threshold = (per_image(transformation[key], x) for key in ("additions", "thresholds"))
        moved = clipped(_core.add(rescaled(x, self.value_range, (0, 255)), added), (0, 255))
        turned = _core.where(moved, _core.subtract(255.0, moved), _core.less(moved, threshold))
        return rescaled(turned, (0, 255), self.value_range)
