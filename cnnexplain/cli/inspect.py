"""`cnnexplain inspect`: what a model, or a file of weights, holds."""

from __future__ import annotations

import argparse
import os

from . import options as shared

HELP = "say what a file of a model or of weights holds, and which explanations work on it"
DESCRIPTION = """
Says what a file holds: .keras archives, HDF5 files of Keras (models or weights), .npz files, ONNX models,
safetensors and state dicts of PyTorch. Nothing in the file is executed. Of a network's name it says the same,
without its weights.
"""
EXAMPLES = """
cnnexplain inspect network.keras
cnnexplain inspect MobileNetV2
cnnexplain inspect --json weights.h5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "file", metavar="MODEL", help="a file, the folder of an unzipped archive, or a network's name"
    )
    shared.as_json(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what a file holds, for people or as JSON."""
    from cnnexplain import inspect

    from .networks import LECTURE, application

    named = not os.path.exists(options.file) and (
        options.file.lower() == LECTURE or application(options.file) is not None
    )
    found = _network(options.file) if named else inspect.inspect(options.file)
    if options.json:
        import json

        print(json.dumps(found, indent=1))
    else:
        print(inspect.text(found))
    return 0


def _network(name: str) -> dict:
    """What `inspect` says of a file, of a network that is built for this."""
    from cnnexplain import inspect

    from .networks import untrained

    network = untrained(name, blank=True)
    about = inspect.describe(network.model)
    size = 4 * about["parameters"]
    return {
        "file": network.name,
        "bytes": size,
        "format": "a network by name",
        "writer": "cnnexplain",
    } | about
