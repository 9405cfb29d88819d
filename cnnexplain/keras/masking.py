"""Masks: bool tensors (n, t), true where a step of a sequence counts. Tensors carry them as `_keras_mask`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnexplain import _core

from . import tree

_TENSORS = (_core.Tensor, _core.Variable)


def of(value: Any) -> Any:
    """The mask of a tensor, or those of the tensors in a structure; None where none of them has one."""
    if isinstance(value, _core.Tensor):
        return value._keras_mask
    if not tree.is_nested(value):
        return None
    masks = tree.map_structure(of, value)
    return masks if any(mask is not None for mask in tree.flatten(masks)) else None


def attach(tensor: Any, mask: Any) -> Any:
    """The tensor, with the mask on it."""
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


def expand(x: Any, axis: int) -> Any:
    """x with an axis of size 1 at `axis`, counted in the result."""
    place = axis % (len(x.shape) + 1)
    sizes = [-1 if size is None else int(size) for size in x.shape]
    if sizes.count(-1) > 1:  # -2 keeps the size of the input's axis at that place
        sizes = [-2 if size == -1 and k < place else size for k, size in enumerate(sizes)]
    if sizes.count(-1) > 1:
        raise ValueError(f"One axis behind the new one may be unknown. Received: shape {tuple(x.shape)}")
    return _core.reshape(x, shape=[*sizes[:place], 1, *sizes[place:]])


def choose(mask: Any, a: Any, b: Any) -> Any:
    """a where the mask (n, t) is True, else b, a tensor or a number."""
    if not isinstance(b, _TENSORS):
        b = _core.tensor(np.asarray(b, a.dtype.name))
    while len(mask.shape) < len(a.shape):
        mask = expand(mask, -1)
    return _core.where(a, b, mask)


def as_bool(mask: Any) -> Any:
    """The mask as a bool tensor."""
    if not isinstance(mask, _TENSORS):
        mask = _core.tensor(mask)
    return mask if mask.dtype.name == "bool" else _core.cast(mask, dtype="bool")


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, _TENSORS):
        return True
    leaves = tree.flatten(value) if tree.is_nested(value) and len(value) else []
    return bool(leaves) and all(leaf is None or isinstance(leaf, _TENSORS) for leaf in leaves)


def fill_in(spec: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a call with the masks that the tensors carry: `mask` where one argument holds
    tensors, and `query_mask` for `query` where several do."""
    given = {**dict(zip(spec.names, args, strict=False)), **kwargs}
    holders = [name for name, value in given.items() if _holds_tensors(value)]
    if len(holders) == 1:
        pairs = [(holders[0], "mask")] if spec.mask else []
    else:
        pairs = [pair for pair in spec.partners if pair[0] in holders]
    for name, partner in pairs:
        mask = of(given[name])
        if mask is None or given.get(partner) is not None:
            continue
        if partner in spec.names[: len(args)]:
            place = spec.names.index(partner)
            args = (*args[:place], mask, *args[place + 1 :])
        else:
            kwargs = {**kwargs, partner: mask}
    return args, kwargs


def pass_on(layer: Any, inputs: Any, outputs: Any, given: Any, carried: Any) -> None:
    """Puts `layer.compute_mask` on the outputs that have no mask yet.

    Args:
        layer: The layer that was called.
        inputs, outputs: Its first argument and what it returned.
        given: The `mask` that its call had, or None.
        carried: The masks of the inputs.
    """
    previous = carried if given is None else given
    if not layer.supports_masking:
        if carried is not None and not hasattr(layer, "_graph"):
            warnings.warn(
                f"Layer '{layer.name}' (of type {type(layer).__name__}) was passed an input with a mask "
                "attached to it. It does not support masking: the layers behind it will not see the mask.",
                stacklevel=4,
            )
        return
    leaves = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, _core.Tensor)]
    if all(leaf._keras_mask is not None for leaf in leaves):
        return
    masks = layer.compute_mask(inputs, previous)
    if masks is None:
        return
    for leaf, mask in zip(leaves, tree.flatten(masks), strict=False):
        if leaf._keras_mask is None and mask is not None:
            leaf._keras_mask = mask
