"""Dtype policies: the dtype of a layer's variables and of its computation, which are one here."""

from __future__ import annotations

from typing import Any

from . import config

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]


class DTypePolicy:
    """The dtype of variables and computation: "float32" or "float64".

    Args:
        name: A float dtype; None: the one of `keras.config.dtype_policy()`.

    Raises:
        ValueError: mixed precision, which is not offered: nothing is computed in 16 bits.

    >>> from cnnexplain import keras
    >>> keras.DTypePolicy("float64").compute_dtype
    'float64'
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = config.floatx()
        if not isinstance(name, str):
            raise TypeError(
                f"'name' must be a string, such as 'float32'. Received: name={name} (of type {type(name)})"
            )
        self._name = config.standardize_dtype(name)

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The dtype of variables."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation."""
        return self._name

    @property
    def quantization_mode(self) -> None:
        """None: weights are not quantized."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """x as a tensor, in `dtype` if it holds real numbers and `autocast` says so."""
        if not hasattr(x, "dtype") and not hasattr(x, "__array__"):
            return x
        from .convert import as_tensor

        x = as_tensor(x)
        return as_tensor(x, config.standardize_dtype(dtype)) if autocast and x.dtype.is_floating else x

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> DTypePolicy:
        """The policy that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class FloatDTypePolicy(DTypePolicy):
    """`DTypePolicy` by its other name."""


def serialize(dtype_policy: DTypePolicy) -> dict:
    """The description of a policy."""
    return {
        "module": "keras",
        "class_name": type(dtype_policy).__name__,
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict, custom_objects: dict | None = None) -> DTypePolicy:
    """The policy that `serialize` described."""
    kinds = {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": FloatDTypePolicy, **(custom_objects or {})}
    if config.get("class_name") not in kinds:
        raise ValueError(
            f"`config` must describe a DTypePolicy; quantization is not offered. Received: {config}"
        )
    return kinds[config["class_name"]].from_config(config["config"])


def get(identifier: Any) -> DTypePolicy:
    """The policy for a dtype, a description, a policy (returned as it is) or None (the global one)."""
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return DTypePolicy(None if identifier is None else config.standardize_dtype(identifier))
