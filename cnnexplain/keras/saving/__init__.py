"""Writing models to files and reading them."""

from __future__ import annotations

import os
from typing import Any

from .serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights",
    "register_keras_serializable", "save_model", "save_weights", "serialize_keras_object",
]  # fmt: skip


_FORMATS = "a `.keras` archive or folder, or HDF5 (`.h5`, `.hdf5`, `.weights.h5`)"
_ONNX = "it is an ONNX model: open it with `cnnexplain.models.load_onnx(path)`"
_OTHERS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
    (b"<", "it is a web page or XML: the download went wrong"),
    (b"\x80", "it is a Python pickle, but no state dict that torch.save wrote"),
    (b"\x1f\x8b", "it is packed with gzip: unpack it first"),
)


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Writes architecture, weights, and what the model was compiled with. The file is replaced only when all
    is written.

    Args:
        model: The model.
        filepath: Ends in `.keras`, or in `.h5` or `.hdf5` for the older form; a folder for `zipped=False`.
        overwrite: Whether a file of that name is replaced.
        zipped: False writes a folder instead of an archive.
        include_optimizer: Whether what the model was compiled with, and the optimizer's state, are written.

    Raises:
        ValueError: A name that ends otherwise, or something that cannot be described, e.g. a lambda.
        FileExistsError: It exists and `overwrite` is False.
    """
    path = os.fspath(filepath)
    include_optimizer = kwargs.pop("include_optimizer", True)
    kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {list(kwargs)}")
    _free(path, overwrite)
    if zipped is False and path.endswith(".keras"):
        raise ValueError(
            f"`filepath` must not end in `.keras` with `zipped=False`. Received: filepath={path}"
        )
    if zipped is False or path.endswith(".keras"):
        from . import archive

        archive.save_model(model, path, zipped is not False, include_optimizer)
    elif path.endswith((".h5", ".hdf5")):
        from . import container, legacy

        with container.replacing(path) as file, container.writing_hdf5(file) as opened:
            legacy.save(model, opened, include_optimizer=include_optimizer)
    elif path.endswith(".npz"):
        from . import npz

        npz.save(model, path)
    else:
        raise ValueError(
            f"`filepath` must end in `.keras` (recommended), `.h5` or `.npz`. Received: filepath={path}"
        )


def load_model(
    filepath: Any,
    custom_objects: dict | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    dtype: Any = None,
) -> Any:
    """Reads a model: a `.keras` archive of Keras 2.12 or later, or a whole model in HDF5 of Keras 2 or later.

    What the file is, its content decides, not its name. Nothing in it is run.

    Args:
        filepath: The file, or the folder of an unzipped archive.
        custom_objects: The user's classes and functions by name.
        compile: Whether loss, metrics, optimizer and its state are restored too.
        safe_mode: Accepted; bytecode in a file is never run.
        dtype: "float32" or "float64" for all floats of the model; None: as written, float16 as float32.

    Returns:
        The model.

    Raises:
        ValueError: The file is damaged, unsafe or no model, or has a class that is not known.
        FileNotFoundError: There is no such file.

    >>> import os, tempfile
    >>> from cnnexplain import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "model.keras"))
    ...     keras.models.load_model(os.path.join(folder, "model.keras")).output_shape
    (None, 2)
    """
    from .. import config

    path = os.fspath(filepath)
    dtype = None if dtype is None else config.standardize_dtype(getattr(dtype, "name", dtype))
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"`dtype` must be 'float32' or 'float64'. Received: dtype={dtype!r}")
    kind = kind_of(path)
    if kind == "npz":
        from . import npz

        return npz.load_with_notes(path, custom_objects)[0]
    from . import archive, container

    if kind == "onnx":
        raise container.refuse(path, _ONNX)
    if kind in ("torch", "safetensors"):
        raise container.refuse(
            path,
            "it holds weights without the model's description: build the network with them, for example "
            f"`keras.applications.ResNet50(weights={path!r})`",
        )

    if kind == "archive":
        return archive.load_model(path, custom_objects, compile, dtype)
    from . import legacy

    with container.open_hdf5(path) as file:
        with container.reading(path):
            whole = legacy.holds_model(file)
        if not whole:
            raise container.refuse(
                path,
                "it holds weights without the model's description: build the model and call "
                "`model.load_weights(filepath)`",
            )
        return legacy.load(file, custom_objects, compile, dtype)


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the weights to a file, which is replaced only when all is written.

    Args:
        model: The model, which must be built.
        filepath: Ends in `.weights.h5`; in `.h5` for the older form.
        overwrite: Whether a file of that name is replaced.
    """
    path = os.fspath(filepath)
    _free(path, overwrite)
    if not model.built:
        raise ValueError(
            "You are saving a model that has not yet been built: call it on some data, or `build()`, before."
        )
    if path.endswith(".weights.h5"):
        from . import archive

        archive.save_weights(model, path)
    elif path.endswith((".h5", ".hdf5")):
        from . import container, legacy

        with container.replacing(path) as file, container.writing_hdf5(file) as opened:
            legacy.save_weights(model, opened)
    elif path.endswith(".npz"):
        from . import npz

        npz.save_weights(model, path)
    else:
        raise ValueError(f"`filepath` must end in `.weights.h5`, `.h5` or `.npz`. Received: filepath={path}")


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False, **kwargs: Any
) -> None:
    """Reads weights from a file of any form that holds some. What it is, its content decides.

    Args:
        model: The model, which must be built.
        filepath: The file, or the folder of an unzipped archive.
        skip_mismatch: Whether what does not fit is left out, with a warning.
        by_name: For the older form in `.h5`: whether layers are found by their names.

    Files of PyTorch and of safetensors go into those networks of `keras.applications` whose names in PyTorch
    are known, when the network was built for them.

    Raises:
        ValueError: Layers and arrays that do not fit each other, all of which are named; nothing is changed.
    """
    path = os.fspath(filepath)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}")
    if not model.built:
        raise ValueError(
            "You are loading weights into a model that has not yet been built: call it on some data, or "
            "`build()`, before."
        )
    kind = kind_of(path)
    if kind == "npz":
        from . import npz

        npz.load_weights(model, path, skip_mismatch)
        return
    if kind in ("torch", "safetensors"):
        from ..applications import torch_weights

        _check_by_name(by_name, path)
        torch_weights.load_weights(model, path, skip_mismatch)
        return
    from . import archive, container, legacy, origin, weights

    if kind == "onnx":
        raise container.refuse(path, _ONNX)
    origin.check(model, path)
    if kind == "archive":
        _check_by_name(by_name, path)
        archive.load_weights(path, model, skip_mismatch)
        return
    with container.open_hdf5(path) as file:
        with container.reading(path):
            ours = not legacy.holds_weights(file) and weights.is_layout(file)
        if ours:
            _check_by_name(by_name, path)
            weights.load_layout(file, model, skip_mismatch, where=path)
        else:
            legacy.load_weights(file, model, by_name=by_name, skip_mismatch=skip_mismatch)


def _check_by_name(by_name: bool, path: str) -> None:
    if by_name:
        raise ValueError(f"`by_name` is for the older form of `.h5` files. Received: filepath={path}")


def _free(path: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists. Pass overwrite=True to replace it.")


def kind_of(path: str) -> str:
    """ "archive", "hdf5", "npz", "torch", "safetensors" or "onnx"; errors say what else it looks like."""
    from . import container

    if os.path.isdir(path):
        if os.path.isfile(os.path.join(path, "config.json")):
            return "archive"
        reason = "the folder has no `config.json`"
        if os.path.exists(os.path.join(path, "saved_model.pb")):
            reason = "it is a SavedModel of TensorFlow: save the model there as `.keras`"
        raise container.refuse(path, reason)
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"`filepath` must be a file or folder that exists. Received: filepath={path!r} (the working "
            f"directory is {os.getcwd()!r})"
        )
    with open(path, "rb") as file:
        start = file.read(64)
        if start.startswith(container.ZIP):
            return _kind_of_zip(path)
        if start.startswith(container.HDF5):
            return "hdf5"
        place = 512  # HDF5 may begin after a block of the user's
        while place < 1 << 20 and file.seek(place) == place and (block := file.read(8)):
            if block == container.HDF5:
                return "hdf5"
            place *= 2
    if not start:
        raise container.refuse(path, "it is empty")
    from . import onnx_file, safetensors_file, torch_pickle

    if torch_pickle.is_torch_file(path):
        return "torch"
    if safetensors_file.is_safetensors_file(path):
        return "safetensors"
    if onnx_file.is_onnx_file(path):
        return "onnx"
    for magic, reason in _OTHERS:
        if start.startswith(magic):
            raise container.refuse(path, reason)
    raise container.refuse(
        path,
        f"it is damaged or something else. Readable are {_FORMATS}, weights of PyTorch and safetensors "
        "(`weights=` of an application) and ONNX (`cnnexplain.models.load_onnx`)",
    )


def _kind_of_zip(path: str) -> str:
    from . import container

    with container.Archive(path) as archive:
        if "config.json" in archive:
            return "archive"
        if any(name.endswith(".npy") for name in archive.names):
            return "npz"
        if any(name.endswith("data.pkl") for name in archive.names):
            return "torch"
        raise container.refuse(path, f"it has no `config.json`. Its members: {archive.names[:20]}")
