"""Grad-CAM: feature maps weighted by their mean gradients (Selvaraju et al., arXiv 1610.02391)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Shared, method
from .explanation import Explanation
from .gradient_cams import by_mean, explain_by

if TYPE_CHECKING:
    from typing_extensions import Unpack


@method
def grad_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    counterfactual: bool = False,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """Grad-CAM: relu(sum_k mean_ij(g_k) A_k), g = dy/dA.

    A (n,h,w,K) is the output of the layer and y the score. The finished map is enlarged bilinearly
    (half-pixel centres) to the size of the image and divided by its maximum if that is positive. For a
    network that ends in global average pooling and one Dense layer this is `cam` up to a positive factor.
    Selvaraju et al., arXiv 1610.02391.

    Args:
        counterfactual: True explains what speaks against the class: -g in place of g, the paper's
            counterfactual explanations.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.grad_cam(network, np.ones((2, 28, 28, 1)), class_index=[0, 9], layer="conv2d_2")
    >>> e.map.shape, e.raw.shape, list(e.class_name)
    ((2, 28, 28), (2, 7, 7), ['T-shirt/top', 'Ankle boot'])
    """
    if not counterfactual:
        return explain_by("grad_cam", model, images, class_index, layer, fuse, shared)

    def against(activations: np.ndarray, gradients: np.ndarray) -> dict[str, np.ndarray]:
        arrays = by_mean(activations, -gradients)
        return arrays | {"gradients": gradients}

    return explain_by(
        "grad_cam",
        model,
        images,
        class_index,
        layer,
        fuse,
        shared,
        against,
        formula="relu(sum_k mean_ij(-dy/dA_k) A_k)",
        blank="no evidence against {} at layer ",
        counterfactual=True,
    )
