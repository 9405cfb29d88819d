"""CIFAR-10: 60,000 colour 32x32 pictures in ten classes (Krizhevsky 2009)."""

from __future__ import annotations

from . import cifar
from .files import Split

class_names = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_ARCHIVE = cifar.Archive(
    target="cifar-10-batches-py-target",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
)


def load_data() -> tuple[Split, Split]:
    """CIFAR-10, as `(x_train, y_train), (x_test, y_test)`.

    Looks where Keras keeps it, `$KERAS_HOME/datasets` (default ~/.keras), then downloads 163 MB, once,
    checked by SHA-256. Without a network, place `cifar-10-python.tar.gz` there under the name
    `cifar-10-batches-py-target_archive`.

    Returns:
        Images uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3) in 0..255, labels uint8 (50000, 1) and
        (10000, 1) in 0..9; their names are in `class_names`.

    Raises:
        OSError: the file is not here and cannot be downloaded.
        ValueError: a file is damaged.

    >>> from cnnexplain.keras.datasets import cifar10
    >>> cifar10.class_names[3]
    'cat'
    """
    return _ARCHIVE.load("labels")
