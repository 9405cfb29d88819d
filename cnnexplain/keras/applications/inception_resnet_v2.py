"""Inception-ResNet v2: inception modules with the input added (Szegedy, Ioffe, Vanhoucke and Alemi, 2016)."""

from __future__ import annotations

from typing import Any

from ..layers import Activation, Conv2D
from ..saving.application_layers import CustomScaleLayer
from .family import Request, application, channel_axis, top
from .imagenet_utils import decode_predictions
from .inception_v3 import Branch, branch, convolved, joined, mixed, reduced, stem
from .pixels import preprocess_tf as preprocess_input

# kind of block: its branches, the scale of what it adds, how many there are
_BLOCK35: list[Branch] = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]
_BLOCK17: list[Branch] = [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]]
_BLOCK8: list[Branch] = [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]


def _block(x: Any, branches: list[Branch], scale: float, name: str, activated: bool = True) -> Any:
    """The input plus a multiple of as many maps that are made of all branches."""
    ends = joined([branch(x, convolutions) for convolutions in branches], f"{name}_mixed")
    added = Conv2D(x.shape[channel_axis()], 1, padding="same", name=f"{name}_conv")(ends)
    x = CustomScaleLayer(scale)([x, added])
    return Activation("relu", name=f"{name}_ac")(x) if activated else x


@application("inception_resnet_v2", size=299, smallest=75, preprocess="tf")
def InceptionResNetV2(x: Any, ask: Request) -> Any:
    """The network of 55,873,736 parameters.

    Args:
        include_top: Whether the classifier is part of it.
        weights: "imagenet": Keras's file, taken from ~/.keras/models (KERAS_HOME) or downloaded into it; the
            path of a file of weights; or None for random initial weights.
        input_tensor: A symbol to use as input.
        input_shape: (h, w, 3), at least 75 x 75; (299, 299, 3) by default.
        pooling: Without the top: None, "avg" or "max" at the end.
        classes: Number of classes.
        classifier_activation: Of the last layer; None for logits.
        name: Name of the model.

    Returns:
        A functional model of pixels made by `preprocess_input`; conv_7b_ac is the last feature map.

    Paper: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning,
    arXiv:1602.07261.
    """
    x = stem(x)
    x = mixed(x, [[(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]], 64, "mixed_5b")
    for number in range(1, 11):
        x = _block(x, _BLOCK35, 0.17, f"block35_{number}")
    x = reduced(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]], "mixed_6a")
    for number in range(1, 21):
        x = _block(x, _BLOCK17, 0.1, f"block17_{number}")
    x = reduced(x, [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]], "mixed_7a")
    for number in range(1, 10):
        x = _block(x, _BLOCK8, 0.2, f"block8_{number}")
    x = _block(x, _BLOCK8, 1.0, "block8_10", activated=False)
    x = convolved(x, 1536, 1, name="conv_7b")
    return top(x, ask, named=False)


__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]
