"""`rearrange`: axes split, moved and joined by a pattern of names."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from cnnexplain import _core

from ._base import reshape_to, tensor

if TYPE_CHECKING:
    from cnnexplain.tensor import Tensor

__all__ = ["rearrange"]


def _groups(side: str, pattern: str) -> list[list[str]]:
    """The names on one side, one list for each axis."""
    tokens = re.findall(r"\(([^()]*)\)|(\w+)", side)
    groups = [inside.split() if not name else [name] for inside, name in tokens]
    written = "".join(name for group in groups for name in group)
    if written != re.sub(r"[\s()]", "", side):
        raise ValueError(
            f"`pattern` must hold names and groups in parentheses. Received: pattern={pattern!r}"
        )
    return groups


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes split, moved and joined by a pattern such as "b (h p) w c -> b h w (p c)".

    Args:
        pattern: Names of the axes before and after the arrow; names in parentheses share one axis.
        axes_lengths: The lengths of axes that are split; one of each group may be left out.

    >>> from cnnexplain import keras
    >>> tuple(keras.ops.rearrange(keras.ops.zeros((2, 4, 6, 3)), "b (h p) w c -> b h w (p c)", p=2).shape)
    (2, 2, 6, 6)
    """
    x = _tensor(tensor)
    before, arrow, after = pattern.partition("->")
    left, right = _groups(before, pattern), _groups(after, pattern)
    names, wanted = [n for group in left for n in group], [n for group in right for n in group]
    if not arrow or len(set(names)) != len(names) or sorted(names) != sorted(wanted):
        raise ValueError(
            f"`pattern` must name the same axes on both sides, each once. Received: pattern={pattern!r}"
        )
    if len(left) != len(x.shape):
        raise ValueError(
            f"`pattern` must name each axis. Received: pattern={pattern!r}, tensor.shape={tuple(x.shape)}"
        )
    lengths: dict[str, int | None] = {}
    for group, size in zip(left, x.shape, strict=True):
        known = [axes_lengths[name] for name in group if name in axes_lengths]
        open_names = [name for name in group if name not in axes_lengths]
        if len(open_names) > 1:
            raise ValueError(f"The lengths of all of {group} but one must be given. Received: {axes_lengths}")
        lengths.update({name: axes_lengths[name] for name in group if name in axes_lengths})
        product = math.prod(known)
        if size is not None and (size % product or (not open_names and size != product)):
            raise ValueError(f"An axis of length {size} cannot be split into {group} with {axes_lengths}")
        for name in open_names:
            lengths[name] = None if size is None else size // product
    x = reshape_to(x, [lengths[name] for name in names])
    x = _core.transpose(x, perm=[names.index(name) for name in wanted])
    sizes = [[lengths[name] for name in group] for group in right]
    return reshape_to(x, [None if None in group else math.prod(group) for group in sizes])  # type: ignore[arg-type]


_tensor = tensor
