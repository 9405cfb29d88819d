"""ZFNet: AlexNet with finer first layers, found by looking at its features (Zeiler and Fergus, 2013)."""

from __future__ import annotations

import math
from typing import Any

from .. import constraints
from ..layers import LocalResponseNormalization, MaxPooling2D, ZeroPadding2D
from .alexnet import classified, convolved, decode_predictions
from .family import Request, application, channel_axis
from .pixels import preprocess_caffe as preprocess_input

_RADIUS = 0.1  # the largest root mean square of a filter's weights


def _filtered(x: Any, place: int, filters: int, kernel: int, **options: Any) -> Any:
    """A convolution whose filters are scaled down in training when they grow beyond the paper's radius."""
    weights = kernel * kernel * x.shape[channel_axis()]
    limit = constraints.MaxNorm(_RADIUS * math.sqrt(weights), axis=[0, 1, 2])
    return convolved(x, place, filters, kernel, kernel_constraint=limit, **options)


@application("zfnet", size=224, smallest=53, published=False)
def ZFNet(x: Any, ask: Request) -> Any:
    """The network of 62,357,608 parameters whose features the deconvnet shows.

    As AlexNet, but with filters of 7 x 7 at steps of 2 in conv1 and of 5 x 5 at steps of 2 in conv2, and
    without groups. The order of the first two layers is convolution, ReLU, pooling, contrast normalization,
    as the paper lists it: conv1, relu1, pool1, norm1. Initial weights have a deviation of 0.01, biases
    begin at 0. In training a filter of a convolution whose root mean square is above 0.1 is scaled down to
    that.

    Where the paper leaves a choice: The image is padded by one pixel, so that 224 x 224 becomes the 110 x
    110 of its figure 3. Pooling windows may reach over the lower and right border (`padding="same"`), so
    that 110 becomes 55, and 26 becomes 13. The contrast normalization "across feature maps" is AlexNet's
    local response normalization with AlexNet's constants. Preprocessing subtracts one mean for each colour,
    not a mean image, in the order BGR.

    Args:
        include_top: Whether the three dense layers are part of it.
        weights: None for random initial weights, or the path of a file of weights. Keras's store has none, so
            that there is no "imagenet", which is the default of the other networks.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 53 x 53; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; relu5 is the last feature map before pooling.

    Raises:
        ValueError: `weights` is "imagenet", or no file.

    Paper: Visualizing and Understanding Convolutional Networks, arXiv:1311.2901.

    >>> model = ZFNet(classes=10, input_shape=(64, 64, 3))
    >>> [layer.name for layer in model.layers[2:6]]
    ['conv1', 'relu1', 'pool1', 'norm1']
    """
    x = ZeroPadding2D(1, name="conv1_pad")(x)
    for place, filters, kernel in ((1, 96, 7), (2, 256, 5)):
        x = _filtered(x, place, filters, kernel, strides=2)
        x = MaxPooling2D(3, strides=2, padding="same", name=f"pool{place}")(x)
        x = LocalResponseNormalization(2, bias=2.0, alpha=1e-4, beta=0.75, name=f"norm{place}")(x)
    x = _filtered(x, 3, 384, 3, padding="same")
    x = _filtered(x, 4, 384, 3, padding="same")
    x = _filtered(x, 5, 256, 3, padding="same")
    x = MaxPooling2D(3, strides=2, name="pool5")(x)
    return classified(x, ask)


__all__ = ["ZFNet", "decode_predictions", "preprocess_input"]
