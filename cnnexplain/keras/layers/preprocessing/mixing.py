"""Pictures with parts taken away or mixed with one another, and the labels that go with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import cut, reshape_to

from ...convert import as_real, as_tensor
from ...ops.image.layout import channels_last, host, laid_out, size_of
from .base import RandomImageLayer, overlapping, per_image


def _line(size: Any, like: Any, axis: int) -> Any:
    """0, 1, 2, ... along an axis of the batch, of rank 4."""
    shape = [-1 if k == axis else 1 for k in range(4)]
    if isinstance(size, int):
        return _core.tensor(np.arange(size, dtype=like.dtype.name).reshape(shape))
    ones = _core.slice(like, begin=[0] * 4, size=shape)
    ones = _core.cast(_core.logical_or(_core.equal(ones, ones), _core.not_equal(ones, ones)), dtype="float32")
    return _core.cumsum(ones, axis=axis) - 1.0


class BoxLayer(RandomImageLayer):
    """A layer that draws a rectangle for each image."""

    def box(self, x: Any, shares: tuple[Any, Any], seed: Any) -> tuple[Any, Any]:
        """(n, h, w, 1) booleans inside of rectangles in the batch x with channels last, which have the given
        shares (n,) of its width and height; and the shares (n,) of their areas.
        """
        inside, area = None, None
        for axis, share in ((2, shares[0]), (1, shares[1])):
            size = size_of(x, axis)
            length = _core.multiply(share, size)
            start = _core.multiply(
                self.uniform(x, 0.0, 1.0, seed, dtype=share.dtype.name), _core.subtract(size, length)
            )
            begin, end = (
                reshape_to(edge, [edge.shape[0], 1, 1, 1]) for edge in (start, _core.add(start, length))
            )
            line = _core.cast(_line(size, x, axis), dtype=share.dtype.name)
            here = _core.logical_and(_core.greater_equal(line, begin), _core.less(line, end))
            inside = here if inside is None else _core.logical_and(inside, here)
            area = share if area is None else _core.multiply(area, share)
        return inside, area


class RandomErasing(BoxLayer):
    """In training fills a rectangle of each image (Zhong et al., AAAI 2020).

    Args:
        factor: The probability, f for a probability drawn from (0, f).
        scale: The rectangle's share of the image, drawn from (lower, upper) for width and height alike.
        fill_value: A number, or three for the channels; None fills with normal noise.
        value_range: Where the filling is cut off; noise has its greatest value as standard deviation.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.RandomErasing(factor=1.0)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.scale = overlapping("scale", scale, 0, 1)
        if isinstance(fill_value, (list, tuple)) and len(fill_value) != 3:
            raise ValueError(
                "The `fill_value` argument should be a number (or a list of three numbers). Received: "
                f"fill_value={fill_value}"
            )
        self.fill_value = fill_value
        self.value_range = value_range

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        x = channels_last(data, self.data_format)
        both = _core.sqrt(self.uniform(data, *self.scale, seed, (2,)))
        shares = [reshape_to(cut(both, 1, k, 1), [both.shape[0]]) for k in range(2)]
        inside, _ = self.box(x, (shares[0], shares[1]), seed)
        low, high = (float(value) for value in self.value_range)
        if self.fill_value is None:
            filling = _core.random_normal(self.draw(seed), x, shape=[-1] * 4, stddev=high, dtype=self.dtype)
        else:
            filling = _core.tensor(np.asarray(self.fill_value, self.dtype).reshape(1, 1, 1, -1))
        return {
            "apply_erasing": self.chosen(data, self.factor, seed),
            "batch_masks": laid_out(inside, self.data_format),
            "fill_value": laid_out(_core.clip(filling, low=low, high=high), self.data_format),
        }

    def apply(self, x: Any, transformation: Any) -> Any:
        inside, filling = (
            channels_last(as_tensor(transformation[key]), self.data_format)
            for key in ("batch_masks", "fill_value")
        )
        erased = _core.where(_core.cast(filling, dtype=x.dtype.name), x, inside)
        return _core.where(erased, x, per_image(transformation["apply_erasing"], x))


def mixed_labels(labels: Any, transformation: Any) -> Any:
    """weight * labels + (1 - weight) * labels of the partner."""
    labels = as_real(labels)
    weight = as_tensor(transformation["mix_weight"])
    weight = _core.cast(reshape_to(weight, [weight.shape[0], 1]), dtype=labels.dtype.name)
    partner = _core.gather(labels, as_tensor(transformation["permutation_order"]), axis=0)
    return _core.add(_core.multiply(weight, labels), _core.multiply(_core.subtract(1.0, weight), partner))


def beta(images: Any, alpha: Any, layer: RandomImageLayer, seed: Any) -> Any:
    """(n,) numbers of the beta distribution with both parameters alpha, a number or a tensor (1,)."""
    keys = layer.uniform(images, 0.0, 1.0, seed)

    def now(like: Any, drawn: Any, level: Any) -> Any:
        pair = [int(number) % 2**64 for number in np.asarray(drawn)]
        size = float(np.asarray(level).ravel()[0])
        found = np.random.default_rng(pair).beta(size, size, like.shape[0])
        return _core.tensor(found.astype(np.float32))

    level = alpha if not isinstance(alpha, (int, float)) else _core.tensor(np.array([alpha], np.float32))
    return host(now, keys, layer.draw(seed), level, shape=(keys.shape[0],), dtype="float32")


class MixUp(RandomImageLayer):
    """In training mixes each image, and its label, with another one (Zhang et al., ICLR 2018).

    weight * x + (1 - weight) * partner, the weight drawn from the beta distribution.

    Args:
        alpha: Both parameters of the beta distribution.
        data_format: "channels_last" or "channels_first".
        seed: An integer for repeatable draws.

    >>> from cnnexplain import keras
    >>> batch = {"images": keras.ops.ones((2, 4, 4, 1)), "labels": keras.ops.eye(2)}
    >>> keras.layers.MixUp()(batch, training=True)["labels"].numpy().sum(axis=1).tolist()
    [1.0, 1.0]
    """

    moves_masks = True

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not alpha > 0:
            raise ValueError(f"`alpha` must be positive. Received: alpha={alpha}")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {
            "permutation_order": self.shuffled(data, seed),
            "mix_weight": beta(data, float(self.alpha), self, seed),
        }

    def apply(self, x: Any, transformation: Any) -> Any:
        weight = per_image(transformation["mix_weight"], x)
        partner = _core.gather(x, as_tensor(transformation["permutation_order"]), axis=0)
        return _core.add(_core.multiply(weight, x), _core.multiply(_core.subtract(1.0, weight), partner))

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        return mixed_labels(labels, transformation) if training else labels


class CutMix(BoxLayer):
    """In training fills a rectangle of each image with that of another one (Yun et al., ICCV 2019).

    Labels are mixed by the rectangle's share of the area.

    Args:
        factor: Parameter of the beta distribution that the share is drawn from, f for a parameter drawn
            from (0, f), one for the batch.
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((2, 4, 4, 3))
    >>> mixed = keras.layers.CutMix()({"images": x, "labels": keras.ops.array([[1.0, 0.0], [0.0, 1.0]])})
    >>> mixed["labels"].numpy().sum(axis=1)
    array([1., 1.], dtype=float32)
    """

    moves_masks = True

    def __init__(
        self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = overlapping("factor", factor, 0, 1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        low, high = (float(value) for value in self.factor)
        alpha = _core.add(_core.random_uniform(self.draw(seed), shape=[1], low=low, high=high), 1e-6)
        share = _core.sqrt(_core.subtract(1.0, beta(data, alpha, self, seed)))
        inside, area = self.box(channels_last(data, self.data_format), (share, share), seed)
        return {
            "permutation_order": self.shuffled(data, seed),
            "batch_masks": laid_out(inside, self.data_format),
            "mix_weight": _core.subtract(1.0, area),
        }

    def apply(self, x: Any, transformation: Any) -> Any:
        partner = _core.gather(x, as_tensor(transformation["permutation_order"]), axis=0)
        inside = channels_last(as_tensor(transformation["batch_masks"]), self.data_format)
        return _core.where(partner, x, inside)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        return mixed_labels(labels, transformation) if training else labels
