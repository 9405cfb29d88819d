"""The MODEL argument: a file, the name of a network, or the shipped network."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .pictures import looks_like_picture

LECTURE = "lecture"


@dataclass
class Network:
    """An opened model.

    Attributes:
        model: the Keras model.
        name: how it is called in reports: the file, or the network's name.
        weights: where its weights are from, in words.
        preprocess: how pixels become what it takes: a name, a callable, or None where nobody knows.
        scaling: `preprocess` in one word.
    """

    model: Any
    name: str
    weights: str
    preprocess: Any = None
    scaling: str = "not known"

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of its classes, where they are known."""
        names = getattr(self.model, "class_names", None)
        return tuple(names) if names else None

    def size(self) -> tuple[int | None, int | None, int]:
        """(H, W, channels) of the one input; H and W are None where any size fits.

        Raises:
            ValueError: it has not one input for pictures.
        """
        from cnnexplain.keras.tracing import trace

        inputs = trace(self.model, training=False).inputs
        shapes = [tuple(symbol.shape) for symbol in inputs]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in (1, 3):
            raise ValueError(
                "the command line takes models with one input of pictures, (n, H, W, 1) or (n, H, W, 3). "
                f"Received: {self.name} with {', '.join(map(str, shapes))}"
            )
        return shapes[0][1:]

    def class_number(self, text: str | None) -> int | None:
        """The class that was asked for by number or by name.

        Raises:
            ValueError: there is no such name; the message has the nearest ones.
        """
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            pass
        names = [_bare(name) for name in self.class_names or ()]
        if names.count(_bare(text)) == 1:
            return names.index(_bare(text))
        near = difflib.get_close_matches(_bare(text), names, 3, 0.5)
        known = [f"{(self.class_names or ())[names.index(name)]} ({names.index(name)})" for name in near]
        hint = f"; near it are {', '.join(known)}" if known else "; give its number"
        if text and names.count(_bare(text)) > 1:
            hint = f"; it is the name of classes {[i for i, n in enumerate(names) if n == _bare(text)]}"
        raise ValueError(f"--class must be a class of {self.name}. Received: {text}{hint}")


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def open_network(options: argparse.Namespace) -> Network:
    """The model of the arguments, ready for pictures."""
    with contextlib.redirect_stdout(sys.stderr):  # that weights are being downloaded
        network = _opened(options.model, getattr(options, "weights", None))
    said = getattr(options, "preprocess", None)
    if said == "unit":
        network.preprocess, network.scaling = _unit, "x / 255"
    elif said is not None:
        network.preprocess = network.scaling = said
    return network


def untrained(text: str, *, blank: bool = False) -> Network:
    """A model of which the weights do not matter: a network by name has random ones.

    Args:
        text: the MODEL argument.
        blank: zeros do, which are quicker to make.
    """
    from cnnexplain.keras.applications import pretrained

    fixed = os.path.exists(text) or text.lower() == LECTURE
    with pretrained.building("none" if blank and not fixed else None):
        return _opened(text, None if fixed else "none")


def needs_scaling(network: Network) -> None:
    """Refuses a model of which nobody says how pixels become its input."""
    if network.preprocess is None:
        from .options import PREPROCESS

        ways = ", ".join(f"{name} ({what})" for name, what in PREPROCESS.items())
        raise ValueError(
            f"{network.name} does not say how pixels become what it takes: choose --preprocess, one of {ways}"
        )


def _unit(x: Any) -> Any:
    return x / 255


def _opened(text: str, weights: str | None) -> Network:
    if os.path.exists(text):
        if weights is not None:
            raise ValueError(f"--weights is for networks given by name. Received: the file {text}")
        if looks_like_picture(text) and os.path.isfile(text):
            raise ValueError(f"MODEL comes before the pictures, as in `{LECTURE} {text}`. Received: {text}")
        return _remembered(_file(text), os.path.basename(text.rstrip("/")), "of the file")
    if text.lower() == LECTURE:
        from cnnexplain import demo

        if weights is not None:
            raise ValueError("--weights is for networks of keras.applications. Received: lecture")
        return Network(demo.load_network(), LECTURE, "shipped, trained on Fashion-MNIST", _unit, "x / 255")
    name = application(text)
    if name is None:
        raise ValueError(_unknown(text))
    return _named(name, weights)


def _file(path: str) -> Any:
    from cnnexplain.keras.saving import kind_of

    kind = kind_of(path)
    if kind in ("torch", "safetensors"):
        raise ValueError(
            f"{path} holds weights without the network: name the network and give them as its weights, as in "
            f"`ResNet50 --weights {path}`"
        )
    if kind == "onnx":
        from cnnexplain.models import load_onnx

        return load_onnx(path)
    from cnnexplain.models import load_model

    return load_model(path, compile=False)


def _remembered(model: Any, name: str, weights: str) -> Network:
    from cnnexplain.explain.layers import said_by

    said = said_by(model, "preprocess")
    if said is not None:
        return Network(model, name, weights, said, said if isinstance(said, str) else "its own")
    facts = getattr(model, "facts", None)
    if isinstance(facts, dict) and str(facts.get("command", "")).startswith("cnnexplain train"):
        return Network(model, name, weights, _unit, "x / 255")
    return Network(model, name, weights)


def applications() -> list[str]:
    """The names of the networks of `keras.applications`."""
    from cnnexplain.keras import applications as known

    return sorted(name for name in known.__all__ if name[0].isupper())


def application(text: str) -> str | None:
    """A network's name as it is spelled, from any spelling of the same letters and digits."""
    return {_bare(name): name for name in applications()}.get(_bare(text))


def _named(name: str, weights: str | None) -> Network:
    from cnnexplain.keras import applications as known

    build: Callable[..., Any] = getattr(known, name)
    if weights is None or weights == "imagenet":
        if inspect.signature(build).parameters["weights"].default is None:
            raise ValueError(
                f"there are no ImageNet weights of {name}: give --weights FILE, or none for random ones"
            )
        return _remembered(build(weights="imagenet"), name, "of ImageNet")
    if weights == "none":
        return _remembered(build(weights=None), name, "random")
    if not os.path.exists(weights):
        raise ValueError(f"--weights must be imagenet, none or a file that exists. Received: {weights}")
    return _remembered(build(weights=weights), name, f"of {os.path.basename(weights)}")


def _unknown(text: str) -> str:
    if looks_like_picture(text):
        return f"MODEL comes before the pictures, and there is no file {text}"
    near = difflib.get_close_matches(_bare(text), [_bare(name) for name in applications()], 1, 0.6)
    hint = f"; did you mean {application(near[0])}?" if near else ""
    if os.sep in text or "." in text:
        return f"there is no file {text}, and no network of that name{hint}"
    return (
        f"MODEL must be a file, {LECTURE} or a network such as EfficientNetLite0. Received: {text}"
        f"{hint or ', which is none of ' + ', '.join(applications())}"
    )
