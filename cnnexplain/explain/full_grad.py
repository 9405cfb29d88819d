"""FullGrad: the score of a network of ReLUs, taken apart into what its input and its biases contribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnexplain import _core, ops
from cnnexplain.tape import GradientTape

from .arguments import Shared, method, open_session
from .explanation import Explanation
from .gradients import _BENT, _between
from .layers import places
from .sampling import _NO_GRADIENT, note_infinite, values_of
from .session import Collector, Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

# y = W x + b in the one value that comes from the image, b their third input, if any
_LINEAR = ("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense")
# y = a x + b with a and b from weights: b is what 0 gives
_AFFINE = ("batch_norm", "add", "subtract")
# element by element, or at least of one shape: y less its derivative times x
_BENDING = (
    *_BENT,
    *("maximum", "minimum", "multiply", "divide", "pow", "squared_difference", "clip"),
    *("square", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "softmax", "log_softmax"),
    "local_response_normalization",
)
# a scaled image gives a scaled result
_HOMOGENEOUS = (
    *("add", "subtract", "max_pool2d", "average_pool2d", "global_average_pool2d", "resize", "cast"),
    *("identity", "reshape", "transpose", "concat", "slice", "reverse", "tile", "gather", "broadcast_to"),
    *("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "negative", "abs"),
)


@method
def full_grad(
    model: Any,
    images: Any,
    class_index: Any = None,
    **shared: Unpack[Shared],
) -> Explanation:
    """FullGrad: f(x * dy/dx) + sum over layers and channels of f(b * dy/dz), f = |.|, scaled and enlarged.

    b are the biases of a layer and z what it puts out: those of convolutions, the ones that batch
    normalisation implies, b = beta - gamma mean / deviation, and those of activations that bend,
    act(z) - z act'(z). f scales the absolute values of a layer, all channels together, from their minimum
    and maximum to 0 and 1, and enlarges them bilinearly (half-pixel centres). Layers without pixels have no
    place in the map. Srinivas and Fleuret, arXiv 1905.00780.

    The parts before f, those of layers without pixels too, add up to the logit (of other scores: to the
    logits times the score's derivatives by them). `steps["completeness gap"]` (n,) is what rounding leaves.

    Returns:
        An Explanation; `raw` is the sum (n,H,W), 0 or more.

    Raises:
        ValueError: an operation between image and score that is no sum of a linear part and biases; the
            message names it and the methods that do not mind; or no such class, input or output.

    >>> import numpy as np
    >>> import cnnexplain as cx
    >>> network = cx.demo.load_network()
    >>> e = cx.explain.full_grad(network, np.ones((28, 28, 1)), class_index=0)
    >>> e.raw.shape, bool(abs(e.steps["completeness gap"][0]) < 1e-3)
    ((1, 28, 28), True)
    """
    session = open_session("full_grad", model, images, class_index, shared)
    parts = _parts(session)
    symbols = [symbol for symbol, _, _ in parts]
    read = [symbol.maker.inputs[i] for symbol, way, own in parts if way == "bent" for i in own]
    x = values_of(session)
    got = Collector()
    image, size = session.image, session.inputs.size
    for part, instance, scored in session.batches(read):
        seeds = [(scored.symbol, scored.seed)]
        gradient, *others = instance.backward(seeds, [image, *symbols])
        if gradient is None:
            raise ValueError(_NO_GRADIENT)
        products = np.asarray(gradient, np.float64) * x[part]
        total = products.sum((1, 2, 3))
        from_input = _enlarged(products, size)
        from_biases = np.zeros_like(from_input)
        for (symbol, way, own), slope in zip(parts, others, strict=True):
            if slope is None:
                continue
            one = _contribution(instance, symbol, way, own, np.asarray(slope, np.float64))
            total += one.reshape(len(one), -1).sum(1)
            if one.ndim == 4 and max(one.shape[1:3]) > 1:
                from_biases += _enlarged(one, size)
        raw = (from_input + from_biases).astype(x.dtype)
        start = np.asarray(instance.value(scored.symbol), np.float64)
        gap = total - (scored.seed * start).reshape(len(start), -1).sum(1)
        got.add(scored, input=from_input, biases=from_biases, gap=gap, raw=raw)
    scored = got.scored
    note_infinite(session, got["raw"], "the result")
    maps = session.finish(got["raw"], scored.class_index, "neither the image nor a bias contributes to {}")
    return session.explanation(
        scored,
        maps,
        got["raw"],
        method="full_grad",
        layer=None,
        steps={
            "from the input": got["input"].astype(x.dtype),
            "from the biases": got["biases"].astype(x.dtype),
            "sum": got["raw"],
            "completeness gap": got["gap"],
        },
        formula="f(x * dy/dx) + sum over layers and channels of f(b * dy/dz)",
        upsampling="bilinear",
    )


def _parts(session: Session) -> list[tuple[Any, str, list[int]]]:
    """The values between image and score whose operation adds something, how to find what, and which of its
    inputs come from the image.
    """
    target = session.target
    path = _between(target.output if callable(target.score) else target.logits, session.image)
    inside = {session.image.id, *(symbol.id for symbol in path)}
    names = {place.symbol.id: place.path for place in reversed(places(session.model, session.trace))}
    found = []
    for symbol in path:
        op, values, attributes = symbol.maker.op, symbol.maker.inputs, symbol.maker.attributes
        own = [i for i, value in enumerate(values) if getattr(value, "id", None) in inside]
        alone = len(own) == 1
        way = ""
        if op in _LINEAR and own == [0]:
            way = "third" if len(values) > 2 and values[2] is not None else "none"
        elif op == "relu":
            bends = attributes["max_value"] not in (None, float("inf")) or attributes["threshold"]
            way = "bent" if bends else "none"
        elif op == "pad":
            way = "zero" if attributes["value"] else "none"
        elif op in _AFFINE and alone:
            way = "zero"
        elif (op in ("multiply", "matmul") and alone) or (op == "divide" and own == [0]):
            way = "none"
        elif op in ("maximum", "minimum") and not alone:
            way = "none"
        elif op in _BENDING:
            way = "bent"
        elif op in _HOMOGENEOUS:
            way = "none"
        if not way:
            where = f" ({names[symbol.id]})" if symbol.id in names else ""
            raise ValueError(
                f"full_grad takes a network apart into linear parts and biases, which {op}{where} is not. "
                "Use integrated_gradients, or grad_cam and its kin"
            )
        if way != "none":
            found.append((symbol, way, own))
    return found


def _contribution(instance: Any, symbol: Any, way: str, own: list[int], slope: np.ndarray) -> np.ndarray:
    """dy/dz times what the operation adds to z, of the shape of z."""
    values = [
        instance.value(value) if i not in own and getattr(value, "maker", None) is not None else value
        for i, value in enumerate(symbol.maker.inputs)
    ]
    if way == "third":
        return slope * np.asarray(values[2], np.float64)
    if way == "zero":
        (source,) = own
        shape = tuple(values[source].shape)[1:]
        if symbol.maker.op == "batch_norm":
            shape = (1,) * (len(shape) - 1) + shape[-1:]
        elif None in shape:
            shape = np.asarray(instance.value(values[source])).shape[1:]
        values[source] = _core.tensor(np.zeros((1, *shape), values[source].dtype.as_numpy_dtype))
        (added,) = symbol.maker.replay(tuple(values))
        return slope * np.asarray(added, np.float64)
    sources = [np.broadcast_to(np.asarray(instance.value(values[i])), slope.shape) for i in own]
    tensors = [_core.tensor(np.ascontiguousarray(source)) for source in sources]
    for i, tensor in zip(own, tensors, strict=True):
        values[i] = tensor
    with GradientTape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        (after,) = symbol.maker.replay(tuple(values))
    seed = _core.tensor(slope.astype(symbol.dtype.as_numpy_dtype))
    local = tape.gradient(after, tensors, output_gradients=seed)
    result = slope * np.asarray(after, np.float64)
    for value, gradient in zip(sources, local, strict=True):
        if gradient is not None:
            result -= np.asarray(gradient, np.float64) * value
    return result


def _enlarged(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """sum over channels of |values|, scaled to 0..1 over the whole image: (n,h,w,K) to (n,H,W)."""
    values = np.abs(values)
    low, high = (getattr(values, way)((1, 2, 3), keepdims=True) for way in ("min", "max"))
    scaled = np.divide(values - low, high - low, out=np.zeros_like(values), where=high > low)
    return ops.resize(scaled.sum(3), size, method="bilinear")
