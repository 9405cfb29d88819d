"""AlexNet: five convolutions and three dense layers (Krizhevsky, Sutskever and Hinton, 2012)."""

from __future__ import annotations

from typing import Any

from .. import initializers
from ..layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LocalResponseNormalization,
    MaxPooling2D,
    ReLU,
)
from .family import Request, application, pooled, predictions
from .imagenet_utils import decode_predictions
from .pixels import preprocess_caffe as preprocess_input

_DEVIATION = 0.01


def convolved(x: Any, place: int, filters: int, kernel: int, bias: int = 0, **options: Any) -> Any:
    """A convolution with its ReLU; initial weights have the papers' deviation of 0.01."""
    x = Conv2D(
        filters,
        kernel,
        kernel_initializer=initializers.RandomNormal(stddev=_DEVIATION),
        bias_initializer=initializers.Constant(bias),
        name=f"conv{place}",
        **options,
    )(x)
    return ReLU(name=f"relu{place}")(x)


def classified(x: Any, ask: Request, bias: int = 0) -> Any:
    """The end of both papers' networks: 4096, 4096 and the classes; training drops half of the values."""
    if not ask.include_top:
        return pooled(x, ask)
    x = Flatten(name="flatten")(x)
    for place in (6, 7):
        x = Dense(
            4096,
            kernel_initializer=initializers.RandomNormal(stddev=_DEVIATION),
            bias_initializer=initializers.Constant(bias),
            name=f"fc{place}",
        )(x)
        x = Dropout(0.5, name=f"drop{place}")(ReLU(name=f"relu{place}")(x))
    return predictions(x, ask, kernel_initializer=initializers.RandomNormal(stddev=_DEVIATION))


@application("alexnet", size=227, smallest=67, published=False)
def AlexNet(x: Any, ask: Request) -> Any:
    """The network of 60,965,224 parameters, as the paper has it.

    Five convolutions, conv1 to conv5, each with its ReLU layer, relu1 to relu5; after the first two norm1
    and norm2, local response normalization; after those and after relu5 pooling over 3 x 3 at steps of 2,
    which overlaps; then fc6, fc7 and predictions. conv2, conv4 and conv5 are two groups, each of which sees
    half of the channels, as on the paper's two graphics cards. In training half of the values after fc6 and
    fc7 are dropped. Initial weights have a deviation of 0.01; the biases of conv2, conv4, conv5, fc6 and
    fc7 begin at 1, the others at 0.

    Where the paper leaves a choice: The images are 227 x 227, not 224 x 224, since only then filters of 11
    x 11 at steps of 4 give the 55 x 55 of its figure without padding: (227 - 11) / 4 + 1. The normalization
    runs over all channels of a layer, across the two groups, as its formula says. Preprocessing subtracts
    one mean for each colour, not a mean image, in the order BGR.

    Args:
        include_top: Whether the three dense layers are part of it.
        weights: None for random initial weights, or the path of a file of weights. Keras's store has none, so
            that there is no "imagenet", which is the default of the other networks.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 67 x 67; (227, 227, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; relu5 is the last feature map before pooling.

    Raises:
        ValueError: `weights` is "imagenet", or no file.

    Paper: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012.

    >>> model = AlexNet(classes=10, input_shape=(67, 67, 3))
    >>> [layer.name for layer in model.layers[1:5]]
    ['conv1', 'relu1', 'norm1', 'pool1']
    """
    for place, filters, kernel, bias, options in (
        (1, 96, 11, 0, {"strides": 4}),
        (2, 256, 5, 1, {"padding": "same", "groups": 2}),
    ):
        x = convolved(x, place, filters, kernel, bias, **options)
        x = LocalResponseNormalization(2, bias=2.0, alpha=1e-4, beta=0.75, name=f"norm{place}")(x)
        x = MaxPooling2D(3, strides=2, name=f"pool{place}")(x)
    x = convolved(x, 3, 384, 3, padding="same")
    x = convolved(x, 4, 384, 3, 1, padding="same", groups=2)
    x = convolved(x, 5, 256, 3, 1, padding="same", groups=2)
    x = MaxPooling2D(3, strides=2, name="pool5")(x)
    return classified(x, ask, bias=1)


__all__ = ["AlexNet", "decode_predictions", "preprocess_input"]
