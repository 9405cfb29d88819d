"""MNIST: 70,000 grey 28x28 pictures of handwritten digits (LeCun, Cortes, Burges)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ..utils.files import keras_home
from .files import Source, Split

class_names = tuple("0123456789")

_SOURCE = Source(
    name="mnist",
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    sha256={
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """MNIST, as `(x_train, y_train), (x_test, y_test)`.

    Looks for Keras's file in `$KERAS_HOME/datasets` (default ~/.keras), then into
    `$CNNEXPLAIN_HOME/datasets/mnist` (default ~/.cnnexplain), then downloads 12 MB, once, checked by SHA-256.

    Args:
        path: name of Keras's file.

    Returns:
        Images uint8 (60000, 28, 28) and (10000, 28, 28) in 0..255, labels uint8 (60000,) and (10000,) in
        0..9.

    Raises:
        OSError: the files are not here and cannot be downloaded.
        ValueError: a file is damaged.

    >>> from cnnexplain.keras.datasets import mnist
    >>> mnist.class_names[3]
    '3'
    """
    keras_file = Path(keras_home()) / "datasets" / path
    return _read_npz(keras_file) if keras_file.is_file() else _SOURCE.load()


def _read_npz(path: Path) -> tuple[Split, Split]:
    """Keras's file of four arrays."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not Keras's file of MNIST, or a damaged one ({error}): delete it"
        ) from error
