"""Grad-CAM: feature maps weighted by their mean gradients (Selvaraju et al., arXiv 1610.02391)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import ops

from .cam import finish
from .explanation import Explanation
from .session import Collector, Progress, Session
from .target import Score


def grad_cam(
    model: Any,
    images: Any,
    class_index: Any = None,
    *,
    layer: Any = None,
    score: Score = "logit",
    input: Any = None,
    output: Any = None,
    preprocess: Any = None,
    class_names: Sequence[str] | None = None,
    dtype: Any = None,
    batch_size: int = 32,
    progress: Progress = None,
) -> Explanation:
    """Grad-CAM: relu(sum_k mean_ij(g_k) A_k), g = dy/dA.

    A (n,h,w,K) is the output of the layer and y the score. The finished map is enlarged bilinearly
    (half-pixel centres) to the size of the image and divided by its maximum if that is positive. For a
    network that ends in global average pooling and one Dense layer this is `cam` up to a positive factor.

    Args:
        model: a keras Model or Sequential.
        images: (n,H,W,C), (H,W,C), for one-channel models also (n,H,W) and (H,W), used as they are; or paths
            and PIL images, resized and preprocessed.
        class_index: None (each image's own arg max), an integer or one per image.
        layer: None (the last layer whose output is 4-D with more than one pixel and not the pooling of an
            earlier layer's; `layer` of the result says which), a name, "outer/inner" inside a nested model,
            an index or a layer.
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
    place = session.place(layer)
    got = Collector()
    for _, instance, scored in session.batches([place.symbol]):
        activations = np.asarray(instance.value(place.symbol))
        (gradient,) = instance.backward(
            [(scored.symbol, scored.seed.astype(activations.dtype))], [place.symbol]
        )
        gradients = np.zeros_like(activations) if gradient is None else np.asarray(gradient)
        weights = gradients.mean((1, 2), dtype=np.float64).astype(activations.dtype)
        raw = ops.cam(activations, np.ascontiguousarray(weights.T), np.arange(len(weights)))
        got.add(scored, activations=activations, gradients=gradients, weights=weights, raw=raw)
    steps = {
        "activations": got["activations"],
        "gradients": got["gradients"],
        "channel weights": got["weights"],
    }
    maps = finish(session, got["raw"], got.scored.class_index, place.path, steps)
    return session.explanation(
        got.scored,
        maps,
        got["raw"],
        method="grad_cam",
        layer=place.path,
        steps=steps,
        formula="relu(sum_k mean_ij(dy/dA_k) A_k)",
        upsampling="bilinear",
    )
