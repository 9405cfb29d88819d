"""Fashion-MNIST: 70,000 grey 28x28 pictures of clothes in ten classes (Xiao et al., arXiv 1708.07747)."""

from __future__ import annotations

from pathlib import Path

from .files import Source, Split

class_names = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_SOURCE = Source(
    name="fashion-mnist",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    sha256={
        "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
    system=Path("/usr/share/datasets/fashion-mnist"),
)


def load_data() -> tuple[Split, Split]:
    """Fashion-MNIST, as `(x_train, y_train), (x_test, y_test)`.

    Looks into `$CNNEXPLAIN_HOME/datasets/fashion-mnist` (default ~/.cnnexplain), then into Keras's folder,
    `$KERAS_HOME/datasets/fashion-mnist` (default ~/.keras), then into that of Debian's package
    dataset-fashion-mnist, then downloads 31 MB, once, checked by SHA-256.

    Returns:
        Images uint8 (60000, 28, 28) and (10000, 28, 28) in 0..255, labels uint8 (60000,) and (10000,) in
        0..9; their names are in `class_names`.

    Raises:
        OSError: the files are not here and cannot be downloaded.
        ValueError: a file is damaged.

    >>> from cnnexplain.keras.datasets import fashion_mnist
    >>> fashion_mnist.class_names[7]
    'Sneaker'
    """
    return _SOURCE.load()
