"""NASNet-A: cells that a search found, repeated (Zoph, Vasudevan, Shlens and Le, 2017)."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Cropping2D,
    GlobalAveragePooling2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
    add,
    concatenate,
)
from ..models import Model
from . import imagenet_utils
from .family import Request, build, needs_channels_last, pooled, predictions
from .imagenet_utils import decode_predictions
from .pixels import preprocess_tf as preprocess_input


def _normalized(x: Any, name: str) -> Any:
    return BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _projected(x: Any, filters: int, name: str) -> Any:
    return Conv2D(filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _average(x: Any, stride: int, padding: str, name: str) -> Any:
    return AveragePooling2D(3, strides=stride, padding=padding, name=name)(x)


def _separable(x: Any, filters: int, kernel: int, block: str, stride: int = 1) -> Any:
    """Twice ReLU, a separable convolution and batch normalization; the first convolution strides."""
    for place, step in ((1, stride), (2, 1)):
        x = Activation("relu")(x)
        if step == 2:
            x = ZeroPadding2D(
                imagenet_utils.correct_pad(x, kernel), name=f"separable_conv_{place}_pad_{block}"
            )(x)
        x = SeparableConv2D(
            filters,
            kernel,
            strides=step,
            padding="valid" if step == 2 else "same",
            use_bias=False,
            name=f"separable_conv_{place}_{block}",
        )(x)
        x = _normalized(x, f"separable_conv_{place}_bn_{block}")
    return x


def _adjusted(before: Any, x: Any, filters: int, block: str) -> Any:
    """The output of the cell before the last one, in the resolution of the last one's and with `filters`."""
    if before is None:
        return x
    if before.shape[1] != x.shape[1]:
        before = Activation("relu", name=f"adjust_relu_1_{block}")(before)
        halves = []
        for place in (1, 2):  # every second pixel, and those one row and column further
            part = before
            if place == 2:
                part = Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(before))
            part = AveragePooling2D(1, strides=2, padding="valid", name=f"adjust_avg_pool_{place}_{block}")(
                part
            )
            halves.append(_projected(part, filters // 2, f"adjust_conv_{place}_{block}"))
        return _normalized(concatenate(halves), f"adjust_bn_{block}")
    if before.shape[-1] != filters:
        before = _projected(Activation("relu")(before), filters, f"adjust_conv_projection_{block}")
        return _normalized(before, f"adjust_bn_{block}")
    return before


def _normal(x: Any, before: Any, filters: int, block: str) -> Any:
    """The cell that keeps the resolution."""
    p = _adjusted(before, x, filters, block)
    h = _projected(Activation("relu")(x), filters, f"normal_conv_1_{block}")
    h = _normalized(h, f"normal_bn_1_{block}")

    def name(part: str) -> str:
        return f"normal_{part}_{block}"

    one = [_separable(h, filters, 5, name("left1")), _separable(p, filters, 3, name("right1"))]
    one = add(one, name=name("add_1"))
    two = [_separable(p, filters, 5, name("left2")), _separable(p, filters, 3, name("right2"))]
    two = add(two, name=name("add_2"))
    three = add([_average(h, 1, "same", name("left3")), p], name=name("add_3"))
    four = [_average(p, 1, "same", name(side)) for side in ("left4", "right4")]
    four = add(four, name=name("add_4"))
    five = add([_separable(h, filters, 3, name("left5")), h], name=name("add_5"))
    return concatenate([p, one, two, three, four, five], name=name("concat"))


def _reduction(x: Any, before: Any, filters: int, block: str) -> Any:
    """The cell that halves the resolution."""
    p = _adjusted(before, x, filters, block)
    h = _projected(Activation("relu")(x), filters, f"reduction_conv_1_{block}")
    h = _normalized(h, f"reduction_bn_1_{block}")

    def name(part: str) -> str:
        return f"reduction_{part}_{block}"

    def largest(part: str) -> Any:
        return MaxPooling2D(3, strides=2, padding="valid", name=name(part))(padded)

    padded = ZeroPadding2D(imagenet_utils.correct_pad(h, 3), name=name("pad_1"))(h)
    one = [_separable(h, filters, 5, name("left1"), 2), _separable(p, filters, 7, name("right1"), 2)]
    one = add(one, name=name("add_1"))
    two = add([largest("left2"), _separable(p, filters, 7, name("right2"), 2)], name=name("add_2"))
    three = [_average(padded, 2, "valid", name("left3")), _separable(p, filters, 5, name("right3"), 2)]
    three = add(three, name=name("add3"))
    four = add([two, _average(one, 1, "same", name("left4"))])
    five = add([_separable(one, filters, 3, name("left4")), largest("right5")], name=name("add4"))
    return concatenate([two, three, four, five], name=name("concat"))


def _network(x: Any, ask: Request, stem: int, blocks: int, last: int, through: bool) -> Any:
    """Two reductions, then three times `blocks` normal cells with reductions between.

    Args:
        x: The input.
        ask: The arguments.
        stem: Filters of the first convolution.
        blocks: Cells of each resolution.
        last: Channels of the last map.
        through: Whether the cell after a reduction reads what the reduction read, too.
    """
    if None in tuple(x.shape)[1:3]:
        raise ValueError(
            "NASNet's cells depend on the size of their maps: the input must have a known height and width. "
            f"Received: input shape {tuple(x.shape)}"
        )
    x = Conv2D(
        stem, 3, strides=2, padding="valid", use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
    )(x)
    x = _normalized(x, "stem_bn1")
    filters = last // 24
    x, before = _reduction(x, None, filters // 4, "stem_1"), x
    x, before = _reduction(x, before, filters // 2, "stem_2"), x
    for stage in range(3):
        if stage:
            filters *= 2
            x, read = _reduction(x, before, filters, f"reduce_{stage * blocks}"), x
            before = read if through else before
        for place in range(blocks):
            x, before = _normal(x, before, filters, f"{stage * blocks + place + (stage > 0)}"), x
    x = Activation("relu")(x)
    if not ask.include_top:
        return pooled(x, ask, named=False)
    return predictions(GlobalAveragePooling2D()(x), ask)


def _nasnet(network: str, size: int, ask: Request, stem: int, blocks: int, last: int, through: bool) -> Model:
    needs_channels_last("NASNet")
    shape = ask.input_shape
    if shape is None and not ask.include_top:
        ask = dataclasses.replace(ask, input_shape=(size, size, 3))

    def body(x: Any, ask: Request) -> Any:
        return _network(x, ask, stem, blocks, last, through)

    return build(network, body, ask, size=size, preprocess="tf")


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_mobile",
) -> Model:
    """The network of 5,326,716 parameters, NASNet-A (4 @ 1056).

    Args:
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; a ReLU makes the last feature map.

    Raises:
        ValueError: The images are channels_first.

    Paper: Learning Transferable Architectures for Scalable Image Recognition, arXiv:1707.07012.
    """
    ask = Request(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
    )
    return _nasnet("nasnet_mobile", 224, ask, stem=32, blocks=4, last=1056, through=True)


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet_large",
) -> Model:
    """The network of 88,949,818 parameters, NASNet-A (6 @ 4032), of images of 331 x 331 by default. Arguments
    as for `NASNetMobile`.

    Without the top Keras leaves the size of the input open, and fails on every image; here it is 331 x 331.
    """
    ask = Request(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
    )
    return _nasnet("nasnet_large", 331, ask, stem=96, blocks=6, last=4032, through=False)


__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
