"""How a network of `keras.applications` is put together: the shared arguments, input, classifier, weights.

    @application("vgg16")
    def VGG16(x, ask):
        '''Documentation of the public function.'''
        x = ...                       # layers on the input symbol
        return top(x, ask)            # the classifier, or the pooling that was asked for

makes the public function of Keras's eight usual arguments. A network with more arguments writes its function
out, collects the usual ones in a `Request` and calls `build`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from .. import config
from ..layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D
from ..models import Model
from ..utils import get_source_inputs
from . import imagenet_utils, pretrained
from .arithmetic import KERAS, PYTORCH, Arithmetic


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments that all networks share, and whose arithmetic is built."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str
    arithmetic: Arithmetic = KERAS


Body = Callable[[Any, Request], Any]


class Application(Protocol):
    """A public function that makes a network."""

    __name__: str

    def __call__(
        self,
        include_top: bool = True,
        weights: Any = ...,
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = ...,
    ) -> Model: ...


def application(
    network: str,
    *,
    size: int = 224,
    smallest: int = 32,
    preprocess: str = "caffe",
    published: bool = True,
) -> Callable[[Body], Application]:
    """Makes the public function of a network out of what it does to its input.

    Args:
        network: Name of the model and of its weights in `pretrained`.
        size: Side of the image by default.
        smallest: The smallest side allowed.
        preprocess: Mode of its preprocessing.
        published: Whether there are ImageNet's weights of it, which then are the default.
    """

    def publish(body: Body) -> Application:
        def make(
            include_top: bool = True,
            weights: Any = "imagenet" if published else None,
            input_tensor: Any = None,
            input_shape: Any = None,
            pooling: str | None = None,
            classes: int = 1000,
            classifier_activation: Any = "softmax",
            name: str = network,
        ) -> Model:
            if not published and imagenet_utils.is_imagenet(weights):
                raise ValueError(
                    "`weights` must be None (random initial weights) or the path of a file of weights: "
                    f"there are no ImageNet weights of {body.__name__} in Keras's store. Received: "
                    "weights='imagenet'"
                )
            ask = Request(
                include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
            )
            return build(network, body, ask, size=size, smallest=smallest, preprocess=preprocess)

        return named_like(make, body)

    return publish


def named_like(function: Any, other: Any) -> Any:
    """The function under the name, place and documentation of another one."""
    for field in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(function, field, getattr(other, field))
    return function


def build(
    network: str,
    body: Body,
    ask: Request,
    *,
    size: int = 224,
    smallest: int = 32,
    preprocess: str = "caffe",
    fixed_size: bool | None = None,
) -> Model:
    """The model that was asked for, with its weights.

    Args:
        network: Name of its weights in `pretrained`.
        body: The network from the input symbol to the output, classifier included.
        ask: The arguments.
        size: Side of the image by default.
        smallest: The smallest side allowed.
        preprocess: Mode of its preprocessing.
        fixed_size: Whether the input needs a size; by default with the classifier.
    """
    pretrained.check(ask.weights, ask.include_top, ask.classes)
    ask = dataclasses.replace(ask, arithmetic=pretrained.arithmetic(network, ask.weights))
    x = imagenet_utils.make_input(
        ask.input_tensor,
        ask.input_shape,
        ask.include_top if fixed_size is None else fixed_size,
        ask.weights,
        size,
        smallest,
    )
    with pretrained.building(ask.weights):
        inputs = x if ask.input_tensor is None else get_source_inputs(x)
        model = Model(inputs, body(x, ask), name=ask.name)
    # where layers of the caller's stand before the network, nothing is known of the pixels
    first = any(symbol.id == x.id for symbol in model.inputs)
    mode = (ask.arithmetic.preprocess or preprocess) if first else None
    return pretrained.load(model, ask.weights, network, ask.include_top, ask.classes, mode)


def channel_axis(last: int = 3) -> int:
    """The axis of the channels in a batch of maps; the last one is 3, or -1 where Keras's network says so."""
    return 1 if config.image_data_format() == "channels_first" else last


def needs_channels_last(family: str) -> None:
    """Refuses channels first, as Keras does for some families."""
    if config.image_data_format() == "channels_first":
        raise ValueError(
            f"The channels of {family}'s maps must be the last axis, as in Keras: call "
            "keras.config.set_image_data_format('channels_last'). Received: "
            "image_data_format='channels_first'"
        )


def top(x: Any, ask: Request, named: bool = True) -> Any:
    """The usual end: global average pooling and a dense layer, or the pooling that was asked for."""
    if not ask.include_top:
        return pooled(x, ask, named)
    return predictions(GlobalAveragePooling2D(name="avg_pool")(x), ask)


def predictions(x: Any, ask: Request, name: str = "predictions", **options: Any) -> Any:
    """The dense layer of the classes."""
    imagenet_utils.check_activation(ask.classifier_activation, ask.weights)
    return Dense(ask.classes, activation=ask.classifier_activation, name=name, **options)(x)


def pooled(x: Any, ask: Request, named: bool = True) -> Any:
    """Without the classifier: the maps, or their average or maximum; whether the layer has its own name."""
    if ask.pooling == "avg":
        return GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
    if ask.pooling == "max":
        return GlobalMaxPooling2D(name="max_pool" if named else None)(x)
    return x


__all__ = [
    "KERAS", "PYTORCH", "Application", "Arithmetic", "Request", "application", "build", "channel_axis",
    "named_like", "needs_channels_last", "pooled", "predictions", "top",
]  # fmt: skip
