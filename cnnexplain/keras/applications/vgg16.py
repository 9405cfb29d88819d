"""VGG16: thirteen 3x3 convolutions in five blocks and three dense layers (Simonyan and Zisserman, 2014)."""

from __future__ import annotations

from typing import Any

from ..layers import Conv2D, Dense, Flatten, MaxPooling2D
from .family import Request, application, pooled, predictions
from .imagenet_utils import decode_predictions
from .pixels import preprocess_caffe as preprocess_input


def vgg(x: Any, ask: Request, counts: tuple[int, int, int, int, int]) -> Any:
    """A VGG network with so many convolutions in each of its five blocks."""
    for block, (convolutions, filters) in enumerate(
        zip(counts, (64, 128, 256, 512, 512), strict=True), start=1
    ):
        for place in range(1, convolutions + 1):
            name = f"block{block}_conv{place}"
            x = Conv2D(filters, (3, 3), activation="relu", padding="same", name=name)(x)
        x = MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
    if not ask.include_top:
        return pooled(x, ask, named=False)
    x = Flatten(name="flatten")(x)
    x = Dense(4096, activation="relu", name="fc1")(x)
    x = Dense(4096, activation="relu", name="fc2")(x)
    return predictions(x, ask)


@application("vgg16")
def VGG16(x: Any, ask: Request) -> Any:
    """The network of 138,357,544 parameters.

    Args:
        include_top: Whether the three dense layers are part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights, Keras's or PyTorch's (torchvision's or timm's `.pth`, `.safetensors`),
            with which it computes what their network does; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 32 x 32; (224, 224, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model; block5_conv3 is the last convolution. With weights, `model.preprocess` and
        `model.class_names` are what the explanations need to know.

    Paper: Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556.
    """
    return vgg(x, ask, (2, 2, 3, 3, 3))


__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
