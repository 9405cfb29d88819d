"""`keras.name_scope` and `keras.device`."""

from __future__ import annotations

from typing import Any

from . import naming


class name_scope:
    """Within it the paths of new variables begin with a name.

    Args:
        name: Must not contain "/".

    >>> from cnnexplain import keras
    >>> with keras.name_scope("block"):
    ...     keras.Variable(1.0, name="scale").path
    'block/scale'
    """

    def __init__(self, name: str, **kwargs: Any):
        kwargs.pop("caller", None)
        kwargs.pop("deduplicate", None)
        kwargs.pop("override_parent", None)
        if kwargs:
            raise TypeError(f"name_scope() got an unexpected keyword argument {next(iter(kwargs))!r}")
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name}"
            )
        self.name = name

    def __enter__(self) -> name_scope:
        naming.scopes.names = (*naming.scopes.names, self.name)
        return self

    def __exit__(self, *error: Any) -> None:
        naming.scopes.names = naming.scopes.names[:-1]


class device:
    """A context without effect: the one device is the CPU.

    Args:
        device_name: "cpu:0", or another name, that is kept.
    """

    def __init__(self, device_name: str):
        if not isinstance(device_name, str):
            raise ValueError(
                f"`device_name` must be a string such as 'cpu:0'. Received: device_name={device_name!r}"
            )
        self.device_name = device_name

    def __enter__(self) -> device:
        return self

    def __exit__(self, *error: Any) -> None:
        return None
