"""CIFAR-100: 60,000 colour 32x32 pictures in 100 classes, or 20 coarse ones (Krizhevsky 2009)."""

from __future__ import annotations

from . import cifar
from .files import Split

_ARCHIVE = cifar.Archive(
    target="cifar-100-python-target",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    folder="cifar-100-python",
    train=("train",),
    test="test",
)


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """CIFAR-100, as `(x_train, y_train), (x_test, y_test)`.

    Looks where Keras keeps it, `$KERAS_HOME/datasets` (default ~/.keras), then downloads 161 MB, once,
    checked by SHA-256. Without a network, place `cifar-100-python.tar.gz` there under the name
    `cifar-100-python-target_archive`.

    Args:
        label_mode: "fine" for 100 classes, "coarse" for 20.

    Returns:
        Images uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3) in 0..255, labels uint8 (50000, 1) and
        (10000, 1).

    Raises:
        OSError: the file is not here and cannot be downloaded.
        ValueError: a file is damaged, or an unknown `label_mode`.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"`label_mode` must be 'fine' or 'coarse'. Received: label_mode={label_mode!r}")
    return _ARCHIVE.load(f"{label_mode}_labels")
