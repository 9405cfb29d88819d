"""Models from files of any kind."""

from __future__ import annotations

from typing import Any

from cnnexplain import _names
from cnnexplain.keras import models as _keras_models
from cnnexplain.keras.models import load_model

__all__ = ["load_model", "load_onnx"]


def __getattr__(name: str) -> Any:
    if name in _keras_models.__all__:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}: it is cnnexplain.keras.models.{name}"
        )
    _names.refuse(__name__, name, __all__)


def load_onnx(path: Any, *, dtype: str | None = None) -> Any:
    """The network of an ONNX file: what `torch.onnx.export`, tf2onnx and `model.export` write.

    Images are (n, h, w, c) whatever the file says, any batch size is accepted, and constants are computed at
    once. Layers are called as the file's nodes, with "/" written "."; `layer=` and `get_layer` also take the
    names of nodes and of their outputs as they stand in the file (`model.layer_aliases`).

    Args:
        path: The file; external data lie beside it.
        dtype: "float32" or "float64", in which the model computes; None: as its input in the file.

    Returns:
        A functional `keras.Model`.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The package `onnx` is not installed.
        ValueError: A damaged file, opsets before 9 or after 21, missing external data, or operators that are
            not supported, all of which are named with their nodes and what to do.

    Example:

        model = cnnexplain.models.load_onnx("resnet50.onnx")
        cnnexplain.explain.grad_cam(model, images)
    """
    from cnnexplain.keras import config
    from cnnexplain.onnx.importing import model_of
    from cnnexplain.onnx.reading import read

    if dtype is not None and config.standardize_dtype(dtype) not in ("float32", "float64"):
        raise ValueError(f"`dtype` must be None, 'float32' or 'float64'. Received: dtype={dtype!r}")
    return model_of(read(path), None if dtype is None else config.standardize_dtype(dtype))
