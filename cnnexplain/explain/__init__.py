"""Explanations of a network's decisions.

`explain.grad_cam(model, images, ...)` and its neighbours, or `explain(model, images, method="grad_cam", ...)`
by name; `explain.methods()` lists them. Every method runs the model in inference mode, leaves weights, modes
and tapes as they were, and returns an `Explanation`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from .cam import cam
from .explanation import Explanation
from .grad_cam import grad_cam
from .gradients import guided_backprop, saliency

__all__ = ["Explanation", "by_name", "cam", "grad_cam", "guided_backprop", "methods", "saliency"]

_METHODS: dict[str, Callable[..., Explanation]] = {
    "cam": cam,
    "grad_cam": grad_cam,
    "saliency": saliency,
    "guided_backprop": guided_backprop,
}


def methods() -> list[str]:
    """The names that `explain(..., method=)` accepts.

    >>> import cnnexplain as cx
    >>> cx.explain.methods()
    ['cam', 'grad_cam', 'saliency', 'guided_backprop']
    """
    return list(_METHODS)


def by_name(
    model: Any, images: Any, class_index: Any = None, *, method: str = "grad_cam", **options: Any
) -> Explanation:
    """Explains images by the method of this name: what `explain(model, images, method=...)` calls.

    Args:
        model, images, class_index: as for every method.
        method: one of `methods()`.
        options: the method's own.

    Returns:
        An Explanation.

    Raises:
        ValueError: there is no such method; the message lists those that exist.
    """
    if method not in _METHODS:
        raise ValueError(f"`method` must be one of {', '.join(_METHODS)}. Received: method={method!r}")
    return _METHODS[method](model, images, class_index, **options)


class _Explain(types.ModuleType):
    """A module that can be called."""

    def __call__(self, *args: Any, **options: Any) -> Explanation:
        return by_name(*args, **options)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"cnnexplain.explain has no {name!r}. Methods: {', '.join(_METHODS)}")


sys.modules[__name__].__class__ = _Explain
