"""What a layer expects of its inputs."""

from __future__ import annotations

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


def _advice(spec: InputSpec, shape: tuple) -> str:
    wanted = spec.ndim if spec.ndim is not None else spec.min_ndim
    if wanted is not None and len(shape) == wanted - 1:
        return " The batch axis is missing? Pass `image[None]` for a single image."
    return ""


def check(spec: Any, inputs: Any, name: str) -> None:
    """Raises ValueError, naming the layer and the input, where the inputs do not meet the spec."""
    specs = tree.flatten(spec)
    tensors = tree.flatten(inputs)
    if len(specs) != len(tensors):
        raise ValueError(
            f'Layer "{name}" expects {len(specs)} input(s), but it received {len(tensors)} input tensors. '
            f"Inputs received: {inputs}"
        )
    for place, (one, tensor) in enumerate(zip(specs, tensors, strict=True)):
        if one is None or (tensor is None and one.optional):
            continue
        if not hasattr(tensor, "shape"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got '{tensor}' (of type {type(tensor)}) as input for "
                f"layer '{name}'."
            )
        shape = tuple(tensor.shape)
        start = f'Input {place} of layer "{name}" is incompatible with the layer: '
        rank = len(shape)
        if one.ndim is not None and not one.allow_last_axis_squeeze and rank != one.ndim:
            raise ValueError(
                f"{start}expected ndim={one.ndim}, found ndim={rank}. Full shape received: "
                f"{shape}.{_advice(one, shape)}"
            )
        if one.max_ndim is not None and rank > one.max_ndim:
            raise ValueError(
                f"{start}expected max_ndim={one.max_ndim}, found ndim={rank}. Full shape received: {shape}."
            )
        if one.min_ndim is not None and rank < one.min_ndim:
            raise ValueError(
                f"{start}expected min_ndim={one.min_ndim}, found ndim={rank}. Full shape received: "
                f"{shape}.{_advice(one, shape)}"
            )
        if one.dtype is not None and tensor.dtype.name != one.dtype:
            raise ValueError(f"{start}expected dtype={one.dtype}, found dtype={tensor.dtype.name}.")
        for axis, size in one.axes.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"{start}expected axis {axis} of input shape to have value {size}, but received input "
                    f"with shape {shape}."
                )
        if one.shape is not None:
            for expected, found in zip(one.shape, shape, strict=False):
                if expected is not None and found is not None and expected != found:
                    raise ValueError(f"{start}expected shape={one.shape}, found shape={shape}.")
