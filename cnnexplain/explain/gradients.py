"""Gradients of the score with respect to the pixels: saliency maps and guided backpropagation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import ops

from .explanation import Explanation
from .layers import places
from .session import Collector, Progress, Session
from .target import Score

_REDUCTIONS = ("sum", "max")
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


def saliency(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    score: Score = "logit",
    input: Any = None,
    output: Any = None,
    preprocess: Any = None,
    class_names: Sequence[str] | None = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> Explanation:
    """Saliency: the sum (or maximum) over channels of |dy/dx|, x the image and y the score.

    The finished map is divided by its maximum if that is positive. Simonyan, Vedaldi, Zisserman, arXiv
    1312.6034 (maximum, of the logit); with score="loss" the gradient is the one of the cross-entropy.

    Args:
        model: a keras Model or Sequential.
        images: (n,H,W,C), (H,W,C), for one-channel models also (n,H,W) and (H,W), used as they are; or paths
            and PIL images, resized and preprocessed.
        class_index: None (each image's own arg max), an integer or one per image.
        reduce: "sum" or "max", over channels.
        score: "logit" (also when softmax is fused into the last layer), "probability", "log_probability",
            "loss" (the cross-entropy) or a callable of the output tensor.
        input, output: name or index, when the model has several.
        preprocess: "caffe", "tf", "torch", "lite", "none" or a callable of (n,H,W,C) in 0..255; for paths and
            PIL images. None: what the model remembers, as the networks of keras.applications do.
        class_names: one for each class.
        dtype: "float32" or "float64"; default the model's.
        batch_size: images that run at once.
        progress: True for a bar, or a callable of (done, total).

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
    session = Session(
        model,
        images,
        class_index,
        score=score,
        input=input,
        output=output,
        preprocess=preprocess,
        class_names=class_names,
        dtype=dtype,
        batch_size=batch_size,
        progress=progress,
    )
    return _explain(session, "saliency", reduce, formula=f"{reduce} over channels of |dy/dx|")


def guided_backprop(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    reduce: str = "sum",
    fallback: str | None = None,
    score: Score = "logit",
    input: Any = None,
    output: Any = None,
    preprocess: Any = None,
    class_names: Sequence[str] | None = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> Explanation:
    """Guided backpropagation: dy/dx with relu(dout) * [z > 0] at every ReLU, from 1 at the score.

    The rule lies in the operation: it holds for ReLU layers, for ReLU inside other layers and nested models,
    clipped and leaky ones, and for maximum(x, 0). Springenberg et al., arXiv 1412.6806.

    Args:
        model: a keras Model or Sequential.
        images: (n,H,W,C), (H,W,C), for one-channel models also (n,H,W) and (H,W), used as they are; or paths
            and PIL images, resized and preprocessed.
        class_index: None (each image's own arg max), an integer or one per image.
        reduce: "sum" or "max", over the channels' absolute values, for the finished map.
        fallback: what to do at activations that are no ReLU (silu, gelu, elu, tanh, ...), for which the
            method is not defined: None refuses the model, "gradient" takes their true gradient.
        score: "logit" (also when softmax is fused into the last layer), "probability", "log_probability",
            "loss" (the cross-entropy) or a callable of the output tensor.
        input, output: name or index, when the model has several.
        preprocess: "caffe", "tf", "torch", "lite", "none" or a callable of (n,H,W,C) in 0..255; for paths and
            PIL images. None: what the model remembers, as the networks of keras.applications do.
        class_names: one for each class.
        dtype: "float32" or "float64"; default the model's.
        batch_size: images that run at once.
        progress: True for a bar, or a callable of (done, total).

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
    if fallback not in (None, "gradient"):
        raise ValueError(f"`fallback` must be None or 'gradient'. Received: fallback={fallback!r}")
    session = Session(
        model,
        images,
        class_index,
        score=score,
        input=input,
        output=output,
        preprocess=preprocess,
        class_names=class_names,
        dtype=dtype,
        batch_size=batch_size,
        progress=progress,
    )
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


def _explain(
    session: Session, method: str, reduce: str, gate: str = "true", **parameters: Any
) -> Explanation:
    if reduce not in _REDUCTIONS:
        raise ValueError(f"`reduce` must be one of {', '.join(_REDUCTIONS)}. Received: reduce={reduce!r}")
    got = Collector()
    image = session.image
    for _, instance, scored in session.batches():
        seeds = [(scored.symbol, scored.seed.astype(scored.symbol.dtype.as_numpy_dtype))]
        (gradient,) = instance.backward(seeds, [image], gate=gate)
        if gradient is None:
            raise ValueError(
                "the score does not depend on the image, or only through whole numbers: it has no gradient"
            )
        raw = np.asarray(gradient)
        got.add(scored, raw=raw, grey=ops.saliency(raw, reduce=reduce))
    maps = session.finish(got["grey"], got.scored.class_index, "the gradient of {} is zero at every pixel")
    return session.explanation(
        got.scored,
        maps,
        got["raw"],
        method=method,
        layer=None,
        steps={"gradients": got["raw"], f"{reduce} over channels": got["grey"]},
        reduce=reduce,
        **parameters,
    )


def check_activations(session: Session, fallback: str | None) -> None:
    """Looks at everything between the image and the score for activations the rule does not know."""
    start = session.target.output if callable(session.target.score) else session.target.logits
    above = _between(start, session.image)
    names = {place.symbol.id: place.path for place in reversed(places(session.model, session.trace))}
    bent = {s.id: s.maker.op for s in above if s.maker.op in _BENT}
    if bent:
        listed = ", ".join(f"{op} ({names[i]})" if i in names else op for i, op in sorted(bent.items()))
        if fallback is None:
            raise ValueError(
                f"guided_backprop is defined for ReLU only; this model also has {listed}. "
                'Pass fallback="gradient" to take the true gradient there, or use saliency'
            )
        session.notes.append((f"the true gradient was taken at {listed}", None))
    if any(s.maker.op == "python" for s in above):
        session.notes.append(
            ("the model calls Python functions: other activations inside them are not checked", None)
        )
    if not any(s.maker.op in ("relu", "maximum", "python") for s in above):
        session.notes.append(("there is no ReLU on the way: this is the plain gradient", None))


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
