"""`cnnexplain train`: a small network for a data set or for a folder of pictures."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import options as shared
from .output import check_file
from .pictures import Reader, find, progress

HELP = "train a small network on a data set or on a folder of class folders"
DESCRIPTION = """
Trains the lecture's network, four convolutions and three poolings, prints a line for each epoch, and writes
a file that the other commands take. The data sets are downloaded once. A folder has a folder of pictures for
each class: a part of them, drawn by the seed, is kept for the test.

Interrupted after the first epoch, it tests and writes what was learned.
"""
EXAMPLES = """
cnnexplain train fashion-mnist --epochs 3
cnnexplain train cifar10 --out cifar10.keras
cnnexplain train pets/ --size 96 --epochs 30 --out pets.keras
"""
SETS = ("fashion-mnist", "mnist", "cifar10")
_DIGITS = tuple("0123456789")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "dataset",
        metavar="DATA",
        help=f"{', '.join(SETS)}, or a folder with a folder of pictures for each class",
    )
    parser.add_argument(
        "--epochs", type=int, default=14, metavar="N", help="passes over the images (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and order (%(default)s)")
    parser.add_argument(
        "--size", type=shared.positive, default=64, metavar="N",
        help="of a folder's pictures, rows and columns that the network sees (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--grey", action="store_true", help="a folder's pictures without colours")
    parser.add_argument(
        "--test", type=_share, default=0.2, metavar="PART", help="part of a folder for the test (%(default)s)"
    )
    parser.add_argument(
        "--no-mirror", action="store_true", help="left is not right: do not train on mirrored pictures"
    )
    shared.out(parser, "FILE", "file for the network (%(default)s)", "lecture-network.keras")


def _share(text: str) -> float:
    value = shared.positive_seconds(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1. Received: {text}")
    return value


def run(options: argparse.Namespace) -> int:
    """Trains the network and writes it."""
    from cnnexplain import train

    def report(line: str) -> None:
        print(line, flush=True)

    check_file(options.out, (".keras", ".h5", ".hdf5", ".npz"), "--out")
    if options.epochs < 1:
        raise ValueError(f"--epochs must be 1 or more. Received: {options.epochs}")
    if options.size < 8:
        raise ValueError(f"--size must be 8 or more, for three poolings. Received: {options.size}")
    how = (options.epochs, options.seed, options.out, report)
    if options.dataset == "fashion-mnist":
        train.train_fashion_mnist(*how)
        return 0
    if options.dataset in SETS:
        training, test, names = _known(options.dataset)
        mirror = options.dataset != "mnist" and not options.no_mirror
        train.train_pictures(training, test, names, options.dataset, *how, mirror=mirror)
        return 0
    reader = Reader((options.size, options.size, 1 if options.grey else 3))
    training, test, names = _folder(options, reader)
    report(f"{len(training[0])} pictures of {len(names)} classes, {len(test[0])} for the test")
    try:
        train.train_pictures(training, test, names, options.dataset, *how, mirror=not options.no_mirror)
    finally:
        reader.tell()
    return 1 if reader.failed else 0


def _known(name: str) -> tuple[Any, Any, Sequence[str]]:
    module = importlib.import_module(f"cnnexplain.keras.datasets.{name}")
    training, test = ((x if x.ndim == 4 else x[..., None], y.reshape(-1)) for x, y in module.load_data())
    return training, test, getattr(module, "class_names", _DIGITS)


def _folder(options: argparse.Namespace, reader: Reader) -> tuple[Any, Any, Sequence[str]]:
    """Images and labels of the classes' folders, for training and for the test, and the classes' names."""
    import numpy as np

    folder = Path(options.dataset)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"DATA must be {', '.join(SETS)} or a folder that is there. Received: {options.dataset}"
        )
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(
            f"the folder must have a folder of pictures for each of two classes or more. Received: {folder} "
            f"with {len(classes)} folder{'' if len(classes) == 1 else 's'}"
        )
    files = [(path, label) for label, one in enumerate(classes) for path in find([str(one)])]
    images, labels = [], []
    with progress(len(files)) as bar:
        for path, label in files:
            picture = reader.read(path)
            if picture is not None:
                images.append(np.asarray(picture.fed).reshape(options.size, options.size, -1))
                labels.append(label)
            bar.update(1)
    names = [one.name for one in classes]
    empty = [names[label] for label in range(len(names)) if label not in labels]
    if empty:
        reader.tell()
        raise ValueError(f"no picture of the class {', '.join(empty)} could be read")
    order = np.random.default_rng(options.seed).permutation(len(images))
    count = min(max(1, round(options.test * len(images))), len(images) - 1)
    x, y = np.stack(images), np.array(labels)
    test, training = order[:count], order[count:]
    return (x[training], y[training]), (x[test], y[test]), names
