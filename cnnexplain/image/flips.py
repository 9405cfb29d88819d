"""Pictures mirrored and turned by right angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core, _names
from ..random import draw, fixed
from .pixels import pictures

if TYPE_CHECKING:
    from ..tensor import Tensor


def flip_left_right(image: Any) -> Tensor:
    """Mirrored: the first column becomes the last."""
    return _core.reverse(pictures(image), axis=[-2])


def flip_up_down(image: Any) -> Tensor:
    """Upside down: the first row becomes the last."""
    return _core.reverse(pictures(image), axis=[-3])


def transpose(image: Any, name: str | None = None) -> Tensor:
    """Rows become columns."""
    x = pictures(image)
    return _core.transpose(x, perm=[1, 0, 2] if len(x.shape) == 3 else [0, 2, 1, 3])


def rot90(image: Any, k: int = 1, name: str | None = None) -> Tensor:
    """Turned counter-clockwise k times by 90 degrees."""
    x = pictures(image)
    for _ in range(k % 4):
        x = flip_up_down(transpose(x))
    return x


def _sometimes(image: Any, seed: Any, axis: int) -> Any:
    """Each picture reversed along an axis with probability 1/2."""
    x = pictures(image)
    one = _core.slice(x, begin=[0] * len(x.shape), size=[-1] * (len(x.shape) - 3) + [1, 1, 1])
    ones = _core.cast(_core.equal(one, one), dtype="float32")
    kept = _core.dropout(ones, draw(seed), rate=0.5)  # 0 or 2, one for each picture
    return _core.where(_core.reverse(x, axis=[axis]), x, _core.greater(kept, 0.0))


def random_flip_left_right(image: Any, seed: Any = None) -> Tensor:
    """Each picture mirrored with probability 1/2."""
    return _sometimes(image, seed, -2)


def random_flip_up_down(image: Any, seed: Any = None) -> Tensor:
    """Each picture upside down with probability 1/2."""
    return _sometimes(image, seed, -3)


def stateless_random_flip_left_right(image: Any, seed: Any) -> Tensor:
    """`random_flip_left_right` that depends on its seed of two numbers alone.

    >>> import cnnexplain as tf
    >>> flip, x = tf.image.stateless_random_flip_left_right, tf.reshape(tf.range(6), (1, 3, 2))
    >>> bool(tf.reduce_all(flip(x, seed=(1, 2)) == flip(x, seed=(1, 2))))
    True
    """
    with fixed(seed):
        return random_flip_left_right(image)


def stateless_random_flip_up_down(image: Any, seed: Any) -> Tensor:
    """`random_flip_up_down` that depends on its seed of two numbers alone."""
    with fixed(seed):
        return random_flip_up_down(image)


_names.publish(__name__)
