"""What a layer expects of its inputs."""

from __future__ import annotations

import math
from typing import Any

from .. import config, tree


class InputSpec:
    """Rank, shape and dtype that an input must have; None leaves a point open.

    Args:
        dtype: Expected dtype.
        shape: Expected shape, None for any size.
        ndim: Expected rank.
        max_ndim: Largest rank.
        min_ndim: Smallest rank.
        axes: {axis: size}.
        allow_last_axis_squeeze: Accept a missing or extra last axis of size 1.
        name: Name of the input.
        optional: Whether it may be None.

    >>> from cnnexplain import keras
    >>> keras.layers.InputSpec(ndim=4, axes={-1: 3})
    InputSpec(ndim=4, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = None if dtype is None else config.standardize_dtype(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def __repr__(self) -> str:
        parts = [f"{key}={value}" for key, value in vars(self).items() if value not in (None, {}, False)]
        return f"InputSpec({', '.join(parts)})"

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> InputSpec:
        """The spec that `get_config` described."""
        return cls(**config)


def fits(shape: tuple, wanted: tuple) -> bool:
    """Whether the sizes agree where both are known."""
    return len(shape) == len(wanted) and all(
        a == b or a is None or b is None for a, b in zip(shape, wanted, strict=True)
    )


def advice(shape: tuple, wanted: tuple) -> str:
    """What would make an input of this shape fit, as a sentence; nothing where no guess is likely."""
    rank, ndim = len(shape), len(wanted)
    missing = fits((None, *shape), wanted) or (wanted[-1:] == (1,) and fits((None, *shape, 1), wanted))
    if missing and (ndim != 4 or None not in wanted[1:] or rank == ndim - 1):
        single = "image" if ndim == 4 else "example"
        return f" The batch axis is missing: pass `{single}[None]` for a single {single}."
    if rank == ndim + 1 and fits(shape[1:], wanted):
        return " There is an axis too many in front: pass `x[0]`."
    flat = math.prod(size or 0 for size in wanted[1:])
    if rank == 2 and ndim > 2 and flat and shape[1] == flat:
        return f" Give the rows their shape: `x.reshape({', '.join(map(str, (-1, *wanted[1:])))})`."
    if ndim == 2 and rank > 2 and wanted[1] and math.prod(size or 0 for size in shape[1:]) == wanted[1]:
        return " Flatten the examples: `x.reshape(len(x), -1)`, or begin the model with a `Flatten` layer."
    if rank != 4 or ndim != 4:
        return ""
    if fits((shape[0], *shape[2:], shape[1]), wanted):
        return " Its channels come first: pass `np.moveaxis(x, 1, -1)`."
    if fits((shape[0], shape[3], *shape[1:3]), wanted):
        return " Its channels come last: pass `np.moveaxis(x, -1, 1)`."
    if fits(shape[:3], wanted[:3]):
        return {
            (3, 1): " Make color images gray: `tf.image.rgb_to_grayscale(x)`.",
            (1, 3): " Make three channels of one: `np.repeat(x, 3, axis=-1)`.",
            (4, 3): " Leave the transparency out: `x[..., :3]`.",
        }.get((shape[3], wanted[3]), "")
    if fits(shape[3:], wanted[3:]) and None not in wanted[1:3]:
        return f" Resize the images: `tf.image.resize(x, {wanted[1:3]})`."
    return ""


def _wanted(spec: InputSpec, rank: int) -> tuple:
    """The shape that a spec asks for, None where it leaves a size open."""
    if spec.shape is not None:
        return spec.shape
    ndim = spec.ndim or max(spec.min_ndim or 0, min(rank, spec.max_ndim or rank))
    sizes: list = [None] * ndim
    for axis, size in spec.axes.items():
        if -ndim <= axis < ndim:
            sizes[axis] = size
    return tuple(sizes)


def shown(value: Any) -> str:
    """A tensor by its shape, anything else by its type."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return type(value).__name__


NO_TENSOR = {
    "NoneType": " It is None: was the file not found? `cv2.imread` returns None where it cannot read.",
    "str": " It is text: load the picture first, for example by `keras.utils.load_img`.",
}


def check(spec: Any, inputs: Any, name: str) -> None:
    """Raises ValueError, naming the layer and the input, where the inputs do not meet the spec."""
    specs = tree.flatten(spec)
    tensors = tree.flatten(inputs)
    if len(specs) != len(tensors):
        raise ValueError(
            f'Layer "{name}" expects {len(specs)} input(s), but it received {len(tensors)} input tensors. '
            f"Inputs received: {[shown(tensor) for tensor in tensors]}"
        )
    for place, (one, tensor) in enumerate(zip(specs, tensors, strict=True)):
        if one is None or (tensor is None and one.optional):
            continue
        if not hasattr(tensor, "shape"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got '{tensor}' (of type {type(tensor)}) as input for "
                f"layer '{name}'.{NO_TENSOR.get(type(tensor).__name__, '')}"
            )
        shape = tuple(tensor.shape)
        start = f'Input {place} of layer "{name}" is incompatible with the layer: '
        rank = len(shape)
        if one.ndim is not None and not one.allow_last_axis_squeeze and rank != one.ndim:
            raise ValueError(
                f"{start}expected ndim={one.ndim}, found ndim={rank}. Full shape received: "
                f"{shape}.{advice(shape, _wanted(one, rank))}"
            )
        if one.max_ndim is not None and rank > one.max_ndim:
            raise ValueError(
                f"{start}expected max_ndim={one.max_ndim}, found ndim={rank}. Full shape received: "
                f"{shape}.{advice(shape, _wanted(one, rank))}"
            )
        if one.min_ndim is not None and rank < one.min_ndim:
            raise ValueError(
                f"{start}expected min_ndim={one.min_ndim}, found ndim={rank}. Full shape received: "
                f"{shape}.{advice(shape, _wanted(one, rank))}"
            )
        if one.dtype is not None and tensor.dtype.name != one.dtype:
            raise ValueError(f"{start}expected dtype={one.dtype}, found dtype={tensor.dtype.name}.")
        for axis, size in one.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"{start}expected axis {axis} of input shape to have value {size}, but received input "
                    f"with shape {shape}.{advice(shape, _wanted(one, rank))}"
                )
        if one.shape is not None:
            for expected, found in zip(one.shape, shape, strict=False):
                if expected is not None and found is not None and expected != found:
                    raise ValueError(
                        f"{start}expected shape={one.shape}, found shape={shape}.{advice(shape, one.shape)}"
                    )
