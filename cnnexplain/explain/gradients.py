"""Gradients of the score with respect to the pixels: the true one, and by the rules for ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .layers import places
from .sampling import check_reduce, finish_pixels, image_gradient
from .session import Collector, Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

# what bends without being a ReLU: there guided backpropagation is not defined
_BENT = (
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "hard_sigmoid",
    "hard_silu",
    "tanh",
    "softplus",
    "softsign",
    "erf",
)
_POOLED = ("max_pool2d", "max_pool_with_argmax", "reduce_max")


@method
def saliency(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    **shared: Unpack[Shared],
) -> Explanation:
    """Saliency: the sum (or maximum) over channels of |dy/dx|, x the image and y the score.

    The finished map is divided by its maximum if that is positive. Simonyan, Vedaldi, Zisserman, arXiv
    1312.6034 (maximum, of the logit); with score="loss" the gradient is the one of the cross-entropy.

    Args:
        reduce: "sum" or "max", over channels.

    Returns:
        An Explanation; `raw` is the gradient (n,H,W,C) with its sign.

    Raises:
        ValueError: no such class, input or output; the message lists what there is.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.saliency(network, np.ones((28, 28)), class_index=7)
    >>> e.map.shape, e.raw.shape, e.class_name[0]
    ((1, 28, 28), (1, 28, 28, 1), 'Sneaker')
    """
    session = open_session("saliency", model, images, class_index, shared)
    return _explain(session, "saliency", reduce, formula=f"{reduce} over channels of |dy/dx|")


@method
def guided_backprop(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Guided backpropagation: dy/dx with relu(dout) * [z > 0] at every ReLU, from 1 at the score.

    The rule lies in the operation: it holds for ReLU layers, for ReLU inside other layers and nested models,
    clipped and leaky ones, and for maximum(x, 0). Springenberg et al., arXiv 1412.6806.

    Returns:
        An Explanation; `raw` is the guided gradient (n,H,W,C) with its sign.

    Raises:
        ValueError: the model has other activations and `fallback` is None, or no such class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.guided_backprop(network, np.ones((28, 28)), class_index=7).raw.shape
    (1, 28, 28, 1)
    """
    session = open_session("guided_backprop", model, images, class_index, shared)
    check_activations(session, fallback)
    return _explain(
        session,
        "guided_backprop",
        reduce,
        gate="guided",
        formula="dy/dx with relu(dout) * [z > 0] at every ReLU",
        start="1 at the score",
        fallback=fallback,
    )


@method
def rectified_gradient(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    fallback: str | None = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """The deconvnet's ReLU rule in a gradient: dy/dx with relu(dout) at every ReLU, from 1 at the score.

    Where guided backpropagation also closes ReLUs that were closed on the way up, this rule looks at the
    gradient alone. Only max pooling then looks at the image; without it the map of a class is the same for
    every image (Springenberg et al., arXiv 1412.6806, section 3.4), and `warnings` say so. It is what other
    packages call "deconvnet"; the procedure of Zeiler and Fergus (arXiv 1311.2901) keeps one activation of
    one feature map and has more to it. Nor is it the RectGrad of Kim et al. (arXiv 1902.04893).

    Returns:
        An Explanation; `raw` is the rectified gradient (n,H,W,C) with its sign.

    Raises:
        ValueError: the model has other activations and `fallback` is None, or no such class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> cx.explain.rectified_gradient(network, np.ones((28, 28)), class_index=7).raw.shape
    (1, 28, 28, 1)
    """
    session = open_session("rectified_gradient", model, images, class_index, shared)
    check_activations(session, fallback, "rectified_gradient", "rectified")
    return _explain(
        session,
        "rectified_gradient",
        reduce,
        gate="rectified",
        formula="dy/dx with relu(dout) at every ReLU",
        start="1 at the score",
        fallback=fallback,
    )


def _explain(session: Session, name: str, reduce: str, gate: str = "true", **parameters: Any) -> Explanation:
    check_reduce(reduce)
    got = Collector()
    for _, instance, scored in session.batches():
        got.add(scored, raw=image_gradient(session, instance, scored, gate))
    return finish_pixels(
        session,
        got.scored,
        got["raw"],
        reduce,
        method=name,
        reason="the gradient of {} is zero at every pixel",
        steps={"gradients": got["raw"]},
        **parameters,
    )


def check_activations(
    session: Session, fallback: str | None, method: str = "guided_backprop", rule: str = "guided"
) -> None:
    """Looks at everything between the image and the score for activations the rule does not know.

    Without them and without max pooling, "rectified" never looks at the image: then a warning says so.
    """
    if fallback not in (None, "gradient"):
        raise ValueError(f"`fallback` must be None or 'gradient'. Received: fallback={fallback!r}")
    start = session.target.output if callable(session.target.score) else session.target.logits
    above = _between(start, session.image)
    names = {place.symbol.id: place.path for place in reversed(places(session.model, session.trace))}
    bent = {s.id: s.maker.op for s in above if s.maker.op in _BENT}
    if bent:
        listed = ", ".join(f"{op} ({names[i]})" if i in names else op for i, op in sorted(bent.items()))
        if fallback is None:
            raise ValueError(
                f"{method} is defined for ReLU only; this model also has {listed}. "
                'Pass fallback="gradient" to take the true gradient there, or use saliency'
            )
        session.notes.append((f"the true gradient was taken at {listed}", None))
    if any(s.maker.op == "python" for s in above):
        session.notes.append(
            ("the model calls Python functions: other activations inside them are not checked", None)
        )
    if not any(s.maker.op in ("relu", "maximum", "python") for s in above):
        session.notes.append(("there is no ReLU on the way: this is the plain gradient", None))
    elif rule == "rectified" and not any(s.maker.op in (*_POOLED, *_BENT, "python") for s in above):
        session.notes.append(
            (
                "without max pooling this rule does not look at the image: of a logit it gives the same for "
                "every image (arXiv 1412.6806, section 3.4); guided_backprop does look",
                None,
            )
        )


def _between(score: Any, image: Any) -> list[Any]:
    """Symbols made by ops that depend on the image and that the score is computed from."""
    reached: dict[int, bool] = {image.id: True}
    found = []
    stack = [score]
    while stack:
        symbol = stack[-1]
        if symbol.id in reached:
            stack.pop()
            continue
        maker = symbol.maker
        parents = (
            [v for v in maker.inputs if v is not None and hasattr(v, "maker")] if maker is not None else []
        )
        waiting = [v for v in parents if v.id not in reached]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        reached[symbol.id] = any(reached[v.id] for v in parents)
        if reached[symbol.id]:
            found.append(symbol)
    return found
