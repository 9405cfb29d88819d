"""CAM and its family from their steps, with the mistakes people make at each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnexplain import ops

from .finishing import plain_values
from .recipes import Make, Mistake, Stage, Values

Steps = Mapping[str, np.ndarray]
_EARLY = (
    "The ReLU comes too early: negative weights, or negative weighted feature maps, were set to 0 before the "
    "sum, so what speaks against the class is never subtracted. Sum over the channels first."
)


def sum_stages(steps: Steps, raw: np.ndarray, sign: int = 1) -> list[Stage]:
    """The stages that the steps allow, from the activations to the raw map (n,h,w).

    Args:
        steps: of the explanation.
        raw: (n,h,w), the weighted sum.
        sign: -1 where the explanation is of what speaks against a class.
    """
    activations, gradients = steps.get("activations"), steps.get("gradients")
    weights = steps.get("channel weights")
    if activations is None or activations.ndim != 4:
        return [Stage("weighted sum", lambda v: raw)]
    stages = [Stage("activations", lambda v: activations)]
    if weights is None:
        mistakes = [] if gradients is None else _by_element(activations, sign * gradients)
        return [*stages, Stage("weighted sum", lambda v: raw, mistakes)]
    mistakes = _weights(weights)
    if gradients is not None:
        mistakes += _from_gradients(sign * gradients)
    stages.append(Stage("channel weights", lambda v: weights, mistakes))
    stages.append(Stage("weighted sum", lambda v: _products(v).sum(-1), _sums()))
    return stages


def raw_stage() -> Stage:
    """The end of a raw map: nothing more is done to it."""
    both = Mistake(
        "normalised",
        "The map went through the ReLU and is divided by its maximum. Asked is the weighted sum as it is.",
        lambda v: np.maximum(v.last, 0) / np.maximum(v.last, 0).max((1, 2), keepdims=True),
    )
    return Stage("weighted sum as it is", lambda v: v.last, [*plain_values(), both])


def _products(v: Values) -> np.ndarray:
    """Each map times its weight: (n,K), or (n,h,w) for each position, or with all axes."""
    weights = v["channel weights"]
    if weights.ndim == 2:
        weights = weights[:, None, None]
    return v["activations"] * (weights[..., None] if weights.ndim == 3 else weights)


def _from_gradients(g: np.ndarray) -> list[Mistake]:
    """Weights from the gradients g (n,h,w,K) in a wrong way."""
    return [
        Mistake(
            "weights-averaged-over-the-batch",
            "The weights are averaged over the images too: `mean(gradients, axis=(0, 1, 2))` is right for "
            "one image only. Each image has its own weights: `axis=(1, 2)`, height and width.",
            lambda v: np.broadcast_to(g.mean((0, 1, 2)), (len(g), g.shape[-1])) if len(g) > 1 else None,
        ),
        Mistake(
            "weights-averaged-over-channels",
            "The gradients are averaged over the wrong axis, the channels: one weight for each position. "
            "Grad-CAM has one weight for each feature map: average over height and width, `axis=(1, 2)`.",
            lambda v: g.mean(-1),
        ),
        Mistake(
            "weights-averaged-over-one-axis",
            "The gradients are averaged over one axis only, the rows. Average over both, `axis=(1, 2)`.",
            lambda v: g.mean(1, keepdims=True),
        ),
        Mistake(
            "weights-averaged-over-one-axis",
            "The gradients are averaged over one axis only, the columns. Average over both, `axis=(1, 2)`.",
            lambda v: g.mean(2, keepdims=True),
        ),
        Mistake(
            "gradients-not-averaged",
            "Activations and gradients are multiplied position by position. That is HiResCAM; Grad-CAM first "
            "averages the gradients of each feature map to one weight.",
            lambda v: g,
        ),
        Mistake(
            "gradients-rectified",
            "The ReLU comes too early: negative gradients were removed before the mean, so feature maps that "
            "speak against the class do not count against it. Only the finished sum goes through the ReLU.",
            lambda v: np.maximum(g, 0).mean((1, 2)),
        ),
        Mistake(
            "gradients-absolute",
            "The weights are means of absolute gradients, as in saliency. The sign matters: a negative "
            "weight is a feature map that speaks against the class.",
            lambda v: np.abs(g).mean((1, 2)),
        ),
        Mistake(
            "gradients-maximum",
            "The weights are the largest gradients. Grad-CAM takes the mean over height and width.",
            lambda v: g.max((1, 2)),
        ),
        Mistake(
            "gradients-averaged",
            "The weights are plain means of the gradients, as in Grad-CAM. This method weighs differently: "
            "see its formula.",
            lambda v: g.mean((1, 2)),
        ),
    ]


def _weights(right: np.ndarray) -> list[Mistake]:
    """Mistakes with weights (n,K) that are right themselves."""
    return [
        Mistake(
            "weights-missing",
            "The feature maps are added without weights, so the map does not depend on the class. Multiply "
            "each by its weight first.",
            lambda v: np.ones_like(right),
        ),
        Mistake(
            "weights-absolute",
            "The weights have lost their sign: feature maps that speak against the class count for it.",
            lambda v: np.abs(right),
        ),
        Mistake(
            "relu-before-the-sum",
            _EARLY,
            lambda v: np.maximum(right, 0),
        ),
        Mistake(
            "weights-of-the-first-image",
            "All images have the weights of the first one. Take each image's own class: "
            "`weights[:, class_index].T`, or one image after the other.",
            lambda v: np.broadcast_to(right[:1], right.shape) if len(right) > 1 else None,
        ),
    ]


def _sums() -> list[Mistake]:
    return [
        Mistake(
            "relu-before-the-sum",
            _EARLY,
            lambda v: np.maximum(_products(v), 0).sum(-1),
        ),
        Mistake(
            "maximum-over-channels",
            "The largest of the weighted feature maps is taken at each position. Add them: `sum(axis=-1)`.",
            lambda v: _products(v).max(-1),
        ),
        Mistake(
            "one-feature-map",
            "Only the first feature map is there. Add all of them, each times its weight.",
            lambda v: _products(v)[..., 0],
        ),
        Mistake(
            "one-feature-map",
            "Only the last feature map is there: it may be that a loop overwrites its result. Add all of "
            "them, each times its weight.",
            lambda v: _products(v)[..., -1],
        ),
    ]


def _by_element(a: np.ndarray, g: np.ndarray) -> list[Mistake]:
    """For methods that multiply position by position."""
    return [
        Mistake(
            "gradients-averaged",
            "The gradients are averaged to one weight for each feature map, as in Grad-CAM. This method "
            "multiplies position by position.",
            lambda v: (a * g.mean((1, 2), keepdims=True)).sum(-1),
        ),
        Mistake(
            "gradients-not-rectified",
            "Negative gradients are still there: that is HiResCAM. LayerCAM takes relu(gradients) first.",
            lambda v: (a * g).sum(-1),
        ),
        Mistake(
            "gradients-rectified",
            "Negative gradients were removed: that is LayerCAM. HiResCAM keeps their sign.",
            lambda v: (a * np.maximum(g, 0)).sum(-1),
        ),
    ]


def relu() -> Stage:
    """Only what speaks for the class stays."""
    mistakes = [
        Mistake(
            "relu-missing",
            "The ReLU is missing: negative values, which speak against the class, are still in the map. "
            "Remove them after the sum over the channels: `np.maximum(heatmap, 0)`.",
            lambda v: v.last,
        ),
        Mistake(
            "absolute-instead-of-relu",
            "The absolute value is taken in place of the ReLU, so what speaks against the class lights up as "
            "if it spoke for it. Set negative values to 0: `np.maximum(heatmap, 0)`.",
            lambda v: np.abs(v.last),
        ),
        Mistake(
            "sign-turned",
            "The map shows what speaks against the class: the sign is turned before the ReLU. Was it the "
            "gradient of the loss, which falls where the score rises? Differentiate the score itself.",
            lambda v: np.maximum(-v.last, 0),
        ),
        Mistake(
            "minimum-subtracted",
            "The minimum is subtracted in place of the ReLU. That makes the strongest evidence against the "
            "class the zero; `np.maximum(heatmap, 0)` keeps zero where it is.",
            lambda v: v.last - v.last.min((1, 2), keepdims=True),
        ),
    ]
    return Stage("ReLU", lambda v: np.maximum(v.last, 0), mistakes)


def enlarging(size: tuple[int, int]) -> Stage:
    """Bilinear with half-pixel centres, to the size of the image."""

    def by(method: str) -> Make:
        return lambda v: ops.resize(v.last, size, method=method) if v.last.shape[1:3] != size else None

    def lowest(v: Values) -> np.ndarray:
        """min-max on the enlarged map, whose minimum is another than the small map's."""
        big = ops.resize(v["weighted sum"], size)
        return big - big.min((1, 2), keepdims=True)

    centres = "Enlarge with half-pixel centres, as `tf.image.resize` does"
    mistakes = [
        Mistake(
            "not-enlarged",
            "The map has the size of the layer. Enlarge it to the size of the image, so that it can be laid "
            "over it.",
            lambda v: v.last if v.last.shape[1:3] != size else None,
        ),
        Mistake(
            "nearest-instead-of-bilinear",
            "The map is enlarged by repeating pixels (nearest neighbour): it has steps. Enlarge bilinearly.",
            by("nearest"),
        ),
        Mistake(
            "corners-aligned",
            "The map is enlarged with its corners on the image's corners (`scipy.ndimage.zoom` with order=1, "
            f"align_corners=True): shifted by up to half a pixel of the layer. {centres}.",
            by("zoom1"),
        ),
        Mistake(
            "half-a-pixel-off",
            "The map is shifted: it is enlarged from the pixels' corners and not from their centres, so it "
            f"lies half a pixel of the layer too far down and right. {centres}.",
            lambda v: _from_corners(v.last, size) if v.last.shape[1:3] != size else None,
        ),
        Mistake(
            "cubic-enlarging",
            "The map is enlarged by a cubic spline (`scipy.ndimage.zoom` with its default order=3), which "
            f"overshoots. {centres}, bilinearly.",
            by("zoom3"),
        ),
        Mistake(
            "cubic-enlarging",
            "The map is enlarged bicubically, which overshoots. Enlarge bilinearly.",
            by("bicubic"),
        ),
        Mistake(
            "enlarged-before-the-relu",
            "The ReLU comes after the enlarging: negative neighbours were mixed into positive ones. ReLU "
            "first, then enlarge.",
            lambda v: np.maximum(ops.resize(v["weighted sum"], size), 0),
        ),
        Mistake(
            "minimum-subtracted",
            "The minimum is subtracted in place of the ReLU. That makes the strongest evidence against the "
            "class the zero; `np.maximum(heatmap, 0)` before the enlarging keeps zero where it is.",
            lowest,
        ),
        Mistake(
            "size-swapped",
            "The map is enlarged to (width, height) in place of (height, width). NumPy and TensorFlow count "
            "height first; PIL and OpenCV count width first.",
            lambda v: ops.resize(v.last, size[::-1]) if size[0] != size[1] else None,
        ),
        Mistake(
            "size-swapped",
            "The map is enlarged to (width, height) and transposed afterwards: its pixels lie in wrong "
            "places. Give (height, width), and do not transpose.",
            lambda v: np.swapaxes(ops.resize(v.last, size[::-1]), 1, 2) if size[0] != size[1] else None,
        ),
    ]
    return Stage("upsampled", lambda v: ops.resize(v.last, size), mistakes)


def _from_corners(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with the place of pixel i at i * h / H, not at its centre."""
    for axis, target in zip((1, 2), size, strict=True):
        source = maps.shape[axis]
        at = np.arange(target) * source / target
        low = at.astype(int)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        maps = maps.take(low, axis) * (1 - part) + maps.take(np.minimum(low + 1, source - 1), axis) * part
    return maps
