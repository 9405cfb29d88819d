"""CAM methods that weigh feature maps by gradients of the score: g = dy/dA at a layer's output A."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core

from .arguments import Shared, method, open_session
from .cams import Arrays, Gathered, find_places, finish_layers, slopes, weighted_sum
from .explanation import Explanation
from .sampling import Noise, first_look, number, variants
from .session import Collector

if TYPE_CHECKING:
    from typing_extensions import Unpack

Rule = Callable[[np.ndarray, np.ndarray], Arrays]


def by_mean(activations: np.ndarray, gradients: np.ndarray) -> Arrays:
    """Grad-CAM."""
    return _weighed(
        activations, gradients, _core.explain_channel_weights(activations, gradients, "mean", 0.0)
    )


def by_plus_plus(activations: np.ndarray, gradients: np.ndarray, epsilon: float = 0.0) -> Arrays:
    """Grad-CAM++."""
    weights = _core.explain_channel_weights(activations, gradients, "plus_plus", epsilon)
    return _weighed(activations, gradients, weights)


def by_share(activations: np.ndarray, gradients: np.ndarray, epsilon: float = 0.0) -> Arrays:
    """XGrad-CAM."""
    weights = _core.explain_channel_weights(activations, gradients, "share", epsilon)
    return _weighed(activations, gradients, weights)


def by_element(activations: np.ndarray, gradients: np.ndarray) -> Arrays:
    """HiResCAM."""
    raw = _core.explain_product_map(activations, gradients, False)
    return {"activations": activations, "gradients": gradients, "raw": raw}


def by_positive_element(activations: np.ndarray, gradients: np.ndarray) -> Arrays:
    """LayerCAM."""
    raw = _core.explain_product_map(activations, gradients, True)
    return {"activations": activations, "gradients": gradients, "raw": raw}


def _weighed(activations: np.ndarray, gradients: np.ndarray, weights: np.ndarray) -> Arrays:
    return {
        "activations": activations,
        "gradients": gradients,
        "channel weights": weights,
        "raw": weighted_sum(activations, weights),
    }


RULES: dict[str, tuple[Rule, str]] = {
    "grad_cam": (by_mean, "relu(sum_k mean_ij(dy/dA_k) A_k)"),
    "grad_cam_plus_plus": (
        by_plus_plus,
        "relu(sum_k w_k A_k), w_k = sum_ij alpha relu(g), alpha = g^2 / (2 g^2 + sum_ij(A_k) g^3)",
    ),
    "hires_cam": (by_element, "relu(sum_k dy/dA_k * A_k)"),
    "layer_cam": (by_positive_element, "relu(sum_k relu(dy/dA_k) * A_k)"),
    "xgrad_cam": (by_share, "relu(sum_k w_k A_k), w_k = sum_ij(g A_k) / sum_ij(A_k)"),
}


def explain_by(
    name: str,
    model: Any,
    images: Any,
    class_index: Any,
    layer: Any,
    fuse: str,
    shared: Shared,
    rule: Rule | None = None,
    **parameters: Any,
) -> Explanation:
    """One forward pass, one backward pass to the lowest of the layers, and the rule at each."""
    usual, formula = RULES[name]
    parameters = {"formula": formula} | parameters
    session = open_session(name, model, images, class_index, shared)
    places = find_places(session, layer, fuse)
    gathered, got = Gathered(len(places)), Collector()
    for _, instance, scored in session.batches([place.symbol for place in places]):
        for i, pair in enumerate(slopes(instance, scored, places)):
            gathered.add(i, (rule or usual)(*pair))
        got.add(scored)
    return finish_layers(session, got.scored, places, gathered.layers(), fuse, method=name, **parameters)


@method
def grad_cam_plus_plus(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    fuse: str = "mean",
    epsilon: float = 0.0,
    **shared: Unpack[Shared],
) -> Explanation:
    """Grad-CAM++: relu(sum_k w_k A_k), w_k = sum_ij alpha relu(g), alpha = g^2 / (2 g^2 + sum_ij(A_k) g^3).

    A (n,h,w,K) is the output of the layer, y the score and g = dy/dA; alpha is 0 where g is 0. The paper
    derives it for exp(y), whose factor the scaling removes. The finished map is enlarged bilinearly
    (half-pixel centres) to the size of the image and divided by its maximum if that is positive.
    Chattopadhay et al., arXiv 1710.11063.

    Args:
        epsilon: added to the denominator of alpha; 0 in the paper, 1e-6 in pytorch-grad-cam.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.grad_cam_plus_plus(network, np.ones((28, 28, 1)), class_index=0, layer="conv2d_2")
    >>> e.map.shape, e.raw.shape
    ((1, 28, 28), (1, 7, 7))
    """
    epsilon = number("epsilon", epsilon)
    return explain_by(
        "grad_cam_plus_plus",
        model,
        images,
        class_index,
        layer,
        fuse,
        shared,
        lambda a, g: by_plus_plus(a, g, epsilon),
        epsilon=epsilon,
    )


@method
def hires_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """HiResCAM: relu(sum_k g_k * A_k), element by element, g = dy/dA.

    A (n,h,w,K) is the output of the layer and y the score. For a network that ends in one Dense layer on the
    flattened maps, the products add up to the score without its bias. The finished map is enlarged bilinearly
    (half-pixel centres) to the size of the image and divided by its maximum if that is positive. Draelos and
    Carin, arXiv 2011.08891.

    Returns:
        An Explanation; `raw` is the sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.hires_cam(network, np.ones((28, 28, 1)), class_index=0, layer="conv2d_2").raw.shape
    (1, 7, 7)
    """
    return explain_by("hires_cam", model, images, class_index, layer, fuse, shared)


@method
def layer_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    fuse: str = "max",
    **shared: Unpack[Shared],
) -> Explanation:
    """LayerCAM: relu(sum_k relu(g_k) * A_k), element by element, g = dy/dA.

    A (n,h,w,K) is the output of the layer and y the score. Made for early layers too: a list of layers fuses
    their maps by the maximum, as the paper does. The finished map is enlarged bilinearly (half-pixel centres)
    to the size of the image and divided by its maximum if that is positive. Jiang et al., LayerCAM, IEEE
    Transactions on Image Processing 30, 2021.

    Returns:
        An Explanation; `raw` is the sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.layer_cam(network, np.ones((28, 28, 1)), class_index=0, layer=["conv2d_1", "conv2d_2"])
    >>> e.layer, e.raw.shape
    ('conv2d_1, conv2d_2', (1, 28, 28))
    """
    return explain_by("layer_cam", model, images, class_index, layer, fuse, shared)


@method
def xgrad_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    fuse: str = "mean",
    epsilon: float = 0.0,
    **shared: Unpack[Shared],
) -> Explanation:
    """XGrad-CAM: relu(sum_k w_k A_k), w_k = sum_ij(g A_k) / sum_ij(A_k), g = dy/dA.

    A (n,h,w,K) is the output of the layer and y the score; w_k is 0 where the denominator is. The finished
    map is enlarged bilinearly (half-pixel centres) to the size of the image and divided by its maximum if
    that is positive. Fu et al., arXiv 2008.02312.

    Args:
        epsilon: added to the denominator of the weights; 0 in the paper, 1e-7 in pytorch-grad-cam.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.xgrad_cam(network, np.ones((28, 28, 1)), class_index=0, layer="conv2d_2").raw.shape
    (1, 7, 7)
    """
    epsilon = number("epsilon", epsilon)
    return explain_by(
        "xgrad_cam",
        model,
        images,
        class_index,
        layer,
        fuse,
        shared,
        lambda a, g: by_share(a, g, epsilon),
        epsilon=epsilon,
    )


@method
def smooth_grad_cam_plus_plus(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    fuse: str = "mean",
    **shared: Unpack[Shared],
) -> Explanation:
    """Smooth Grad-CAM++: Grad-CAM++ with the means over noisy copies of g, g^2 and g^3 in their places.

    relu(sum_k w_k A_k), w_k = sum_ij alpha relu(D1), alpha = D2 / (2 D2 + sum_ij(A_k) D3), D1, D2 and D3
    the means of the powers of g = dy/dA at x + noise; A is that of the image without noise, and so is the
    class. Omeiza et al., arXiv 1908.01224.

    Returns:
        An Explanation; `raw` is the weighted sum (n,h,w) before the ReLU.

    Raises:
        ValueError: no such layer, class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> image = np.linspace(0, 1, 784).reshape(28, 28)
    >>> e = cx.explain.smooth_grad_cam_plus_plus(network, image, class_index=0, layer="conv2d_2", samples=4)
    >>> e.raw.shape
    (1, 7, 7)
    """
    session = open_session("smooth_grad_cam_plus_plus", model, images, class_index, shared)
    places = find_places(session, layer, fuse)
    draw = Noise(session, samples, noise, seed)
    look = first_look(session, [(str(i), place.symbol) for i, place in enumerate(places)])
    scored = look.scored
    gathered = Gathered(len(places))
    sums: list[Any] = [0.0] * len(places)
    for rows in variants(session, scored.class_index, draw.samples, draw, [p.symbol for p in places]):
        found = slopes(rows.instance, rows.scored, places)
        for row, (image, sample) in enumerate(zip(rows.image, rows.variant, strict=True)):
            for i, (_, gradients) in enumerate(found):
                g = gradients[row].astype(np.float64)
                sums[i] = sums[i] + np.stack([g, g * g, g * g * g])
                if sample == draw.samples - 1:
                    activations = look[str(i)][image]
                    first, second, third = sums[i] / draw.samples
                    below = 2 * second + activations.sum((0, 1), np.float64) * third
                    alpha = np.divide(second, below, out=np.zeros_like(below), where=below != 0)
                    weights = (alpha * np.maximum(first, 0)).sum((0, 1))[None]
                    arrays = _weighed(activations[None], first[None], weights)
                    gathered.add(i, {k: v.astype(activations.dtype) for k, v in arrays.items()})
                    sums[i] = 0.0
    return finish_layers(
        session,
        scored,
        places,
        gathered.layers(),
        fuse,
        method="smooth_grad_cam_plus_plus",
        formula="Grad-CAM++ with means over noise of g, g^2 and g^3",
        samples=draw.samples,
        noise=float(noise),
        seed=draw.seed,
    )
