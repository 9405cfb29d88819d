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

from . import metrics
from .activation_maximization import Maximized, activation_maximization
from .cam import cam
from .classes import compare_classes
from .compare import Comparison, compare
from .deconvnet import deconvnet
from .eigen_cam import eigen_cam
from .explanation import Explanation
from .from_arrays import from_arrays
from .full_grad import full_grad
from .grad_cam import grad_cam
from .gradient_cams import grad_cam_plus_plus, hires_cam, layer_cam, smooth_grad_cam_plus_plus, xgrad_cam
from .gradients import guided_backprop, rectified_gradient, saliency
from .integrated import integrated_gradients
from .interactive import interactive
from .map_dataset import Mapped, map_dataset
from .noise import smooth_grad, square_grad, var_grad
from .occlusion import occlusion
from .pictures import picture
from .products import guided_grad_cam, input_x_gradient
from .receptive_field import receptive_field
from .reconstruction import Reconstruction
from .relevance import deep_taylor, lrp
from .rise import rise
from .score_cams import ablation_cam, score_cam
from .switches import Switches, switches
from .top_activations import TopActivations, top_activations

_METHODS: dict[str, Callable[..., Explanation]] = {
    "cam": cam,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "smooth_grad_cam_plus_plus": smooth_grad_cam_plus_plus,
    "hires_cam": hires_cam,
    "layer_cam": layer_cam,
    "xgrad_cam": xgrad_cam,
    "score_cam": score_cam,
    "ablation_cam": ablation_cam,
    "eigen_cam": eigen_cam,
    "full_grad": full_grad,
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "square_grad": square_grad,
    "var_grad": var_grad,
    "guided_backprop": guided_backprop,
    "rectified_gradient": rectified_gradient,
    "guided_grad_cam": guided_grad_cam,
    "occlusion": occlusion,
    "rise": rise,
    "lrp": lrp,
    "deep_taylor": deep_taylor,
}

__all__ = [
    "Comparison",
    "Explanation",
    "Mapped",
    "Maximized",
    "Reconstruction",
    "Switches",
    "TopActivations",
    "ablation_cam",
    "activation_maximization",
    "by_name",
    "cam",
    "compare",
    "compare_classes",
    "deconvnet",
    "deep_taylor",
    "eigen_cam",
    "from_arrays",
    "full_grad",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backprop",
    "guided_grad_cam",
    "hires_cam",
    "input_x_gradient",
    "integrated_gradients",
    "interactive",
    "layer_cam",
    "lrp",
    "map_dataset",
    "methods",
    "metrics",
    "occlusion",
    "picture",
    "receptive_field",
    "rectified_gradient",
    "rise",
    "saliency",
    "score_cam",
    "smooth_grad",
    "smooth_grad_cam_plus_plus",
    "square_grad",
    "switches",
    "top_activations",
    "var_grad",
    "xgrad_cam",
]


def methods() -> list[str]:
    """The names that `explain(..., method=)` accepts, of the methods that explain a class.

    >>> import cnnexplain as cx
    >>> cx.explain.methods()[:3]
    ['cam', 'grad_cam', 'grad_cam_plus_plus']
    """
    return list(_METHODS)


def by_name(
    model: Any, images: Any, class_index: Any = None, *, method: str = "grad_cam", **options: Any
) -> Explanation:
    """Explains images by the method of this name: what `explain(model, images, method=...)` calls.

    Args:
        model, images, class_index: as for every method.
        method: one of `methods()`, or "deconvnet", which takes no class.
        options: the method's own.

    Returns:
        An Explanation.

    Raises:
        ValueError: there is no such method; the message lists those that exist.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> cx.explain(cx.demo.load_network(), np.ones((28, 28)), 7, method="saliency")
    <Explanation saliency of 1 image 28x28, Sneaker>
    """
    if method == "deconvnet":
        if class_index is not None:
            raise ValueError(
                "`class_index` has no meaning for deconvnet, which explains a feature: choose `layer` and "
                f"`feature_map`. Received: class_index={class_index!r}"
            )
        return deconvnet(model, images, **options)
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
