"""The command line: `cnnexplain demo | explain | inspect | train`, also as `python -m cnnexplain`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status, 2 for a mistake of the user."""
    options = parser().parse_args(arguments)
    if options.command is None:
        parser().print_help()
        return 0
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError) as error:
        print(f"cnnexplain: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    from . import __version__

    top = argparse.ArgumentParser(
        prog="cnnexplain", description="Runs convolutional networks on the CPU and explains them."
    )
    top.add_argument("--version", action="version", version=f"cnnexplain {__version__}")
    commands = top.add_subparsers(dest="command", metavar="command")

    demo = commands.add_parser(
        "demo", help="write the lecture's figures, and with the extra [imagenet] photographs explained"
    )
    demo.add_argument(
        "--output", metavar="DIR", default="cnnexplain-demo", help="folder for the PNG files (%(default)s)"
    )
    demo.set_defaults(run=run_demo)

    one = commands.add_parser(
        "explain",
        help="explain pictures of clothes with the shipped network",
        description="Explains pictures of clothes with the shipped network, which knows Fashion-MNIST's ten "
        "classes: one piece of clothing, light on dark. Pictures are made grey, 28x28 and scaled to 0..1.",
    )
    one.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    one.add_argument(
        "--method",
        default="grad_cam",
        help="cam, grad_cam, saliency or another of explain.methods() (%(default)s)",
    )
    one.add_argument(
        "--class", dest="class_index", type=int, metavar="N", help="class 0..9; default the predicted one"
    )
    one.add_argument("--layer", help="for CAM methods: a layer's name; default the last convolution")
    one.add_argument("--invert", action="store_true", help="the pictures are dark on a light ground")
    one.add_argument("--output", metavar="FILE", default="explanation.png", help=".png or .npz (%(default)s)")
    one.set_defaults(run=run_explain)

    look = commands.add_parser(
        "inspect",
        help="say what a file of a model or of weights holds, and which explanations work on it",
        description="Says what a file holds: .keras archives, HDF5 files of Keras (models or weights), .npz "
        "files and state dicts of PyTorch. Nothing in the file is executed.",
    )
    look.add_argument("file", metavar="FILE", help="the file, or the folder of an unzipped archive")
    look.add_argument("--json", action="store_true", help="print JSON")
    look.set_defaults(run=run_inspect)

    train = commands.add_parser("train", help="train the lecture's network")
    train.add_argument("dataset", choices=["fashion-mnist"], help="what to train on")
    train.add_argument("--epochs", type=int, default=14, help="passes over the images (%(default)s)")
    train.add_argument("--seed", type=int, default=0, help="of weights and order (%(default)s)")
    train.add_argument(
        "--output", metavar="FILE", default="lecture-network.keras", help="file for the network (%(default)s)"
    )
    train.set_defaults(run=run_train)
    return top


def run_demo(options: argparse.Namespace) -> int:
    """Writes the figures and says where they are."""
    from . import demo

    demo.run(options.output)
    return 0


def run_explain(options: argparse.Namespace) -> int:
    """Explains image files with the shipped network; prints the classes and writes one file."""
    from . import demo, explain

    for path in options.images:
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
    settings = {"layer": options.layer} if options.layer is not None else {}
    e = explain.by_name(
        demo.load_network(),
        list(options.images),
        options.class_index,
        method=options.method,
        preprocess=(lambda x: 1 - x / 255) if options.invert else (lambda x: x / 255),
        **settings,
    )
    for path, one in zip(options.images, e, strict=True):
        print(f"{path}: {one.class_name} (class {one.class_index}), probability {one.probability:.3f}")
    for text in e.warnings:
        print(f"note: {text}")
    print(f"written: {e.save(options.output)}")
    return 0


def run_inspect(options: argparse.Namespace) -> int:
    """Prints what a file holds, for people or as JSON."""
    from . import inspect

    found = inspect.inspect(options.file)
    if options.json:
        import json

        print(json.dumps(found, indent=1))
    else:
        print(inspect.text(found))
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Trains the network, prints a line per epoch and writes the weights."""
    from .train import train_fashion_mnist

    train_fashion_mnist(
        options.epochs, options.seed, options.output, report=lambda line: print(line, flush=True)
    )
    return 0
