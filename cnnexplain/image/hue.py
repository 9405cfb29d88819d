"""Hue, saturation and value, the hexagonal cone of Smith 1978, and back."""

from __future__ import annotations

from typing import Any

from .. import _core
from .._convert import cut


def channels_of(x: Any) -> list[Any]:
    """The three channels (..., 1) of a picture."""
    if not x.shape or x.shape[-1] != 3:
        raise ValueError(f"`images` must have 3 channels. Received: images.shape={tuple(x.shape)}")
    return [cut(x, len(x.shape) - 1, i, 1) for i in range(3)]


def hue_of(x: Any) -> tuple[Any, Any, Any]:
    """Hue, saturation and value (..., 1), all in [0,1], of red, green and blue in [0,1]."""
    r, g, b = channels_of(x)
    top, bottom = _core.maximum(_core.maximum(r, g), b), _core.minimum(_core.minimum(r, g), b)
    spread = _core.subtract(top, bottom)
    coloured, bright = _core.greater(spread, 0.0), _core.greater(top, 0.0)
    saturation = _core.where(_core.divide(spread, _core.where(top, 1.0, bright)), 0.0, bright)
    hue = _angle(r, g, b, top, spread, coloured)
    return _core.where(_core.add(hue, 1.0), hue, _core.less(hue, 0.0)), saturation, top


def _angle(r: Any, g: Any, b: Any, top: Any, spread: Any, coloured: Any) -> Any:
    """The hue as a share of the circle, red in the middle of [-1/6, 5/6]; 0 for grey."""
    step = _core.multiply(_core.where(spread, 1.0, coloured), 6.0)

    def sector(one: Any, other: Any, start: float) -> Any:
        return _core.add(_core.divide(_core.subtract(one, other), step), start)

    hue = _core.where(sector(b, r, 2 / 6), sector(r, g, 4 / 6), _core.equal(g, top))
    hue = _core.where(sector(g, b, 0.0), hue, _core.equal(r, top))
    return _core.where(hue, 0.0, coloured)


def colours_of(hue: Any, saturation: Any, value: Any) -> Any:
    """Red, green and blue (..., 3) of hue, saturation and value (..., 1)."""
    rest = _core.subtract(1.0, saturation)
    full = (_core.multiply(saturation, share) for share in _shares(hue))
    return _core.concat(*(_core.multiply(_core.add(rest, part), value) for part in full), axis=-1)


def _shares(hue: Any) -> list[Any]:
    """How much of red, green and blue, in [0,1], the full colour of a hue in [0,1] has."""
    around = _core.multiply(hue, 6.0)

    def distance(place: float) -> Any:
        return _core.abs(_core.subtract(around, place))

    shares = [
        _core.subtract(distance(3.0), 1.0),
        _core.subtract(2.0, distance(2.0)),
        _core.subtract(2.0, distance(4.0)),
    ]
    return [_core.clip(share, low=0.0, high=1.0) for share in shares]


def turned(x: Any, turn: Any) -> Any:
    """Red, green and blue in [0,1] with the hue moved on by a share of the circle (..., 1)."""
    r, g, b = channels_of(x)
    top, bottom = _core.maximum(_core.maximum(r, g), b), _core.minimum(_core.minimum(r, g), b)
    spread = _core.subtract(top, bottom)
    hue = _core.add(_angle(r, g, b, top, spread, _core.greater(spread, 0.0)), turn)
    shares = _shares(_core.subtract(hue, _core.floor(hue)))
    return _core.concat(*(_core.add(bottom, _core.multiply(spread, share)) for share in shares), axis=-1)
