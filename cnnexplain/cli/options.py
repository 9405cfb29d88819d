"""Arguments that several commands share, so that they are spelled and explained in the same way."""

from __future__ import annotations

import argparse
from collections.abc import Callable

PREPROCESS = {
    "caffe": "BGR minus the means of ImageNet",
    "tf": "to -1..1",
    "torch": "to 0..1, then by mean and deviation",
    "lite": "(x - 127) / 128",
    "none": "0..255",
    "unit": "to 0..1",
}


def model(parser: argparse.ArgumentParser, *, weights: bool = True) -> None:
    """MODEL, and where its weights come from."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a file (.keras, .h5, .onnx, .npz), a network's name such as EfficientNetLite0 or ResNet50, "
        "or lecture: the shipped network, which knows Fashion-MNIST's clothes",
    )
    if weights:
        parser.add_argument(
            "--weights",
            metavar="FILE",
            help="weights of a network given by name: a file of Keras, PyTorch or safetensors, or none for "
            "random ones; default those of ImageNet",
        )


def images(parser: argparse.ArgumentParser) -> None:
    """IMAGE..., and how pixels become what the network takes."""
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="picture files, folders with pictures below, or globs"
    )
    preprocess(parser)


def preprocess(parser: argparse.ArgumentParser) -> None:
    """How pixels become what the network takes."""
    ways = ", ".join(f"{name}: {what}" for name, what in PREPROCESS.items())
    parser.add_argument(
        "--preprocess",
        choices=list(PREPROCESS),
        help=f"how pixels become what the network takes, where the model does not say it itself ({ways})",
    )
    parser.add_argument(
        "--invert", action="store_true", help="swap dark and light first: for dark clothes on white ground"
    )
    parser.add_argument(
        "--batch-size", type=positive, default=16, metavar="N", help="pictures at once (%(default)s)"
    )


def target(parser: argparse.ArgumentParser) -> None:
    """Which class and score."""
    parser.add_argument(
        "--class",
        dest="class_index",
        metavar="CLASS",
        help="number or name of the class; default each picture's most probable one",
    )
    parser.add_argument(
        "--score",
        choices=["logit", "probability", "log_probability", "loss"],
        help="what is explained; default the logit, or what the method's paper explains",
    )


def layer(parser: argparse.ArgumentParser) -> None:
    """For the methods that look at a layer."""
    parser.add_argument(
        "--layer",
        metavar="NAME",
        help="for CAM methods, a layer's name; default the last maps before pooling",
    )


def out(parser: argparse.ArgumentParser, metavar: str, text: str, default: str | None = None) -> None:
    """Where results go."""
    parser.add_argument("-o", "--out", "--output", metavar=metavar, default=default, help=text)


def as_json(parser: argparse.ArgumentParser) -> None:
    """For programs that read the output."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def report(parser: argparse.ArgumentParser) -> None:
    """A page for people who were not there."""
    parser.add_argument(
        "--report",
        metavar="FILE.html",
        help="write a page with pictures, classes, scores and settings: one file that needs no network",
    )


def names(parser: argparse.ArgumentParser, flag: str, default: str, text: str) -> None:
    """A list of names, separated by commas."""
    parser.add_argument(flag, type=_listed, default=_listed(default), metavar="A,B,...", help=text)


def _listed(text: str) -> list[str]:
    return [name for name in text.replace(" ", "").split(",") if name]


def positive(text: str) -> int:
    """A whole number above 0."""
    return _number(int, lambda n: n > 0, "a whole number above 0", text)


def positive_seconds(text: str) -> float:
    """A number above 0."""
    return _number(float, lambda n: 0 < n < float("inf"), "a number above 0", text)


def _number(kind: Callable, fits: Callable, what: str, text: str):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"must be {what}. Received: {text}")
    return value
