"""The original class activation map: the last feature maps, weighted by the classifier (arXiv 1512.04150)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import ops

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .layers import Place, places
from .session import Collector, Session
from .target import Target

if TYPE_CHECKING:
    from typing_extensions import Unpack

_PASSING = ("identity", "reshape", "stop_gradient")


@method
def cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """Class activation maps: sum_k W[k,c] A_k, for networks that end in global average pooling and Dense.

    A (n,h,w,K) are the maps that are pooled and W (K,classes) the weights of the Dense layer, so that the
    logit of class c is the mean of the map over its pixels, plus a bias. A convolution that gives one map for
    each class before the pooling works too: then the map is that channel. The finished map is max(raw, 0),
    enlarged bilinearly (half-pixel centres) to the size of the image and divided by its maximum if that is
    positive.

    Args:
        layer: None, or the layer that gives A; any other is refused.
        score: only "logit"; the formula knows no other.

    Returns:
        An Explanation; `raw` is (n,h,w).

    Raises:
        ValueError: the network has another ending; the message says which, and that grad_cam works.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.cam(network, np.zeros((28, 28, 1)), class_index=3)
    >>> e.map.shape, e.raw.shape, e.layer
    ((1, 28, 28), (1, 3, 3), 'conv2d_3')
    """
    score = shared.get("score", "logit")
    if score != "logit":
        raise ValueError(
            f"`score` must be 'logit' for cam; grad_cam explains other scores. Received: score={score!r}"
        )
    session = open_session("cam", model, images, class_index, shared)
    features, weights = read_ending(session.target, places(session.model, session.trace))
    place = _place(session, features, layer)
    got = Collector()
    for _, instance, scored in session.batches([features]):
        activations = np.asarray(instance.value(features))
        matrix = np.eye(activations.shape[-1]) if weights is None else weights
        raw = ops.cam(
            activations,
            np.ascontiguousarray(matrix, activations.dtype),
            *_column(session, scored.class_index),
        )
        got.add(scored, activations=activations, raw=raw)
    if session.target.units == 1:
        got_raw = (
            got["raw"] * np.where(got.scored.class_index == 1, 1, -1).astype(got["raw"].dtype)[:, None, None]
        )
    else:
        got_raw = got["raw"]
    chosen = got.scored.class_index
    if weights is None:
        used = np.eye(got["activations"].shape[-1])[chosen]
    else:
        used = (
            weights.T[chosen]
            if session.target.units != 1
            else np.where(chosen == 1, 1, -1)[:, None] * weights.T[0]
        )
    steps = {"activations": got["activations"], "channel weights": used.astype(got_raw.dtype)}
    maps = finish(session, got_raw, chosen, place.path, steps)
    return session.explanation(
        got.scored,
        maps,
        got_raw,
        method="cam",
        layer=place.path,
        steps=steps,
        formula="sum_k W[k,c] A_k",
        upsampling="bilinear",
    )


def _column(session: Session, class_index: np.ndarray) -> tuple[np.ndarray]:
    return (np.zeros_like(class_index) if session.target.units == 1 else class_index,)


def finish(
    session: Session, raw: np.ndarray, class_index: np.ndarray, path: str, steps: dict[str, np.ndarray]
) -> np.ndarray:
    """raw (n,h,w) to maps (n,H,W) in [0,1]: ReLU, enlarge, divide by the maximum; adds these steps."""
    positive = np.maximum(raw, 0)
    enlarged = ops.resize(positive, session.inputs.size, method="bilinear")
    steps |= {"weighted sum": raw, "ReLU": positive, "upsampled": enlarged}
    return session.finish(enlarged, class_index, f"no positive evidence for {{}} at layer {path}")


def read_ending(target: Target, named: Sequence[Place] = ()) -> tuple[Any, np.ndarray | None]:
    """The pooled maps A and the weights W (K, classes) on their means; None: A has one map per class.

    Args:
        target: what is explained.
        named: the model's layers, for the message.

    Raises:
        ValueError: the logits are not computed in this way.
    """
    symbol = _pass(target.logits)
    weights = None
    maker = symbol.maker
    if maker is not None and maker.op == "add" and _constant(maker.inputs):
        symbol = _pass(next(value for value in maker.inputs if value is not None and _made(value)))
        maker = symbol.maker
    if maker is not None and maker.op in ("dense", "matmul", "conv2d") and not _made(maker.inputs[1]):
        kernel = np.asarray(maker.inputs[1])
        if maker.attributes.get("transpose_b"):
            kernel = kernel.T
        pooled = _pass(maker.inputs[0])
        sides = tuple(maker.inputs[0].shape)[1:3]
        if maker.op != "conv2d" or (
            kernel.shape[:2] == (1, 1) and sides == (1, 1) and maker.attributes["groups"] == 1
        ):
            weights = kernel.reshape(-1, kernel.shape[-1])
            symbol = pooled
    features = _pooled(symbol)
    if features is None:
        raise ValueError(
            "cam needs convolutions -> global average pooling -> Dense at the end; "
            f"{_why(symbol, named)}. Use grad_cam"
        )
    channels = features.shape[-1]
    if weights is not None and weights.shape[0] != channels:
        raise ValueError(
            f"cam needs one Dense weight for each of the {channels} pooled maps. Received: {weights.shape[0]}"
        )
    return features, weights


def _made(value: Any) -> bool:
    """Computed from the image: a symbol that an op made. Weights are no symbols."""
    return getattr(value, "maker", None) is not None


def _constant(values: Sequence[Any]) -> bool:
    return sum(1 for value in values if value is not None and _made(value)) == 1


def _pass(symbol: Any) -> Any:
    """Back over ops that do not change values, except a reshape that flattens pixels into channels."""
    while symbol.maker is not None and symbol.maker.op in _PASSING:
        before = symbol.maker.inputs[0]
        if symbol.maker.op == "reshape" and tuple(before.shape)[-1] != tuple(symbol.shape)[-1]:
            break
        symbol = before
    return symbol


def _pooled(symbol: Any) -> Any | None:
    """The maps whose mean over all pixels `symbol` is."""
    maker = symbol.maker
    if maker is None:
        return None
    source = maker.inputs[0]
    if source is None or len(source.shape) != 4:
        return None
    attributes = maker.attributes
    if maker.op == "global_average_pool2d":
        return source
    if maker.op == "reduce_mean" and attributes["axis"] is not None:
        axes = {int(axis) % 4 for axis in np.atleast_1d(attributes["axis"])}
        return source if axes == {1, 2} else None
    if maker.op == "average_pool2d":
        sides = tuple(source.shape)[1:3]
        window = tuple(np.broadcast_to(attributes["pool_size"], (2,)).tolist())
        return source if window == sides and attributes["padding"] == "valid" else None
    return None


def _why(symbol: Any, named: Sequence[Place]) -> str:
    maker = symbol.maker
    if maker is None:
        return "this classifier reads the input directly"
    if maker.op == "reshape":
        shape = tuple(maker.inputs[0].shape)
        return (
            f"here a map of shape {shape[1:]} is flattened, so that a weight belongs to a pixel, not to a map"
        )
    if maker.op == "reduce_max":
        return "here the pooling takes the maximum"
    own = [f"layer {place.path!r}" for place in named if place.symbol.id == symbol.id]
    return f"here the classifier reads the result of {own[-1] if own else repr(maker.op)}"


def _place(session: Session, features: Any, layer: Any) -> Place:
    """The layer that gives the pooled maps, by name; `layer`, when given, must be it."""
    own = [place for place in places(session.model, session.trace) if place.symbol.id == features.id]
    found = own[-1] if own else Place(features.maker.op if features.maker is not None else "input", features)
    if layer is not None:
        asked = session.place(layer)
        if asked.symbol.id != features.id:
            raise ValueError(
                f"cam explains the maps that are pooled, those of layer {found.path!r}; grad_cam takes any "
                f"layer. Received: layer={asked.path!r}"
            )
    return found
