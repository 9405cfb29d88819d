"""Gradients times what is already there: the image, a Grad-CAM map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import ops

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .gradients import check_activations
from .sampling import check_reduce, finish_pixels, image_gradient, values_of
from .session import Collector

if TYPE_CHECKING:
    from typing_extensions import Unpack


@method
def input_x_gradient(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    **shared: Unpack[Shared],
) -> Explanation:
    """Input times gradient: x * dy/dx, element by element, x in the values that the model takes.

    For a network of ReLUs, poolings and linear layers without biases the products add up to the score.
    Shrikumar et al., arXiv 1605.01713.

    Returns:
        An Explanation; `raw` is the product (n,H,W,C) with its sign.

    Raises:
        ValueError: no such class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.input_x_gradient(network, np.ones((28, 28)), class_index=7).raw.shape
    (1, 28, 28, 1)
    """
    check_reduce(reduce)
    session = open_session("input_x_gradient", model, images, class_index, shared)
    got = Collector()
    x = values_of(session)
    for part, instance, scored in session.batches():
        gradients = image_gradient(session, instance, scored)
        got.add(scored, gradients=gradients, raw=gradients * x[part])
    return finish_pixels(
        session,
        got.scored,
        got["raw"],
        reduce,
        method="input_x_gradient",
        reason="x * dy/dx of {} is zero at every pixel",
        steps={"gradients": got["gradients"], "products": got["raw"]},
        formula="x * dy/dx",
    )


@method
def guided_grad_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    upsampling: str = "bilinear",
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Guided Grad-CAM: Grad-CAM's map, enlarged to the image, times the guided gradient of every channel.

    One forward pass serves both factors. Selvaraju et al., arXiv 1610.02391.

    Args:
        upsampling: how the map is enlarged: "bilinear" (half-pixel centres; the paper), "nearest" (the
            default of captum) or "bicubic".

    Returns:
        An Explanation; `raw` is the product (n,H,W,C) with the guided gradient's sign.

    Raises:
        ValueError: the model has other activations than ReLU and `fallback` is None, or no such layer,
            class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.guided_grad_cam(network, np.ones((28, 28)), class_index=7, layer="conv2d_2").raw.shape
    (1, 28, 28, 1)
    """
    check_reduce(reduce)
    if upsampling not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"`upsampling` must be one of bilinear, nearest, bicubic. Received: upsampling={upsampling!r}"
        )
    session = open_session("guided_grad_cam", model, images, class_index, shared)
    place = session.place(layer)
    check_activations(session, fallback, "guided_grad_cam")
    got = Collector()
    for _, instance, scored in session.batches([place.symbol]):
        activations = np.asarray(instance.value(place.symbol))
        seeds = [(scored.symbol, scored.seed)]
        (slope,) = instance.backward(seeds, [place.symbol])
        gradients = np.zeros_like(activations) if slope is None else np.asarray(slope)
        maps = ops.grad_cam(activations, gradients)
        enlarged = ops.resize(maps, session.inputs.size, method=upsampling)
        guided = image_gradient(session, instance, scored, "guided")
        got.add(
            scored,
            cam=maps,
            enlarged=enlarged,
            guided=guided,
            raw=enlarged[..., None].astype(guided.dtype) * guided,
        )
    return finish_pixels(
        session,
        got.scored,
        got["raw"],
        reduce,
        method="guided_grad_cam",
        layer=place.path,
        reason=f"no positive evidence for {{}} at layer {place.path}, or a guided gradient of zero",
        steps={
            "Grad-CAM": got["cam"],
            "upsampled": got["enlarged"],
            "guided gradients": got["guided"],
            "products": got["raw"],
        },
        formula="Grad-CAM, enlarged, times the guided gradient",
        upsampling=upsampling,
        fallback=fallback,
    )
