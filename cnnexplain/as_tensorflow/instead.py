"""What to use in place of names that do not exist here."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable
from typing import Any

from .modules import OWN

# Modules that programs import beside TensorFlow.
PACKAGES = {
    "tensorflow_hub": "use a network of keras.applications, or save the model as a .keras file and load that",
    "tensorflow_datasets": "use keras.datasets, or keras.utils.image_dataset_from_directory on a folder",
    "tensorflow_addons": "it has ended; most of its layers and optimizers are in keras today",
    "tensorflow_probability": "it needs TensorFlow itself",
    "tensorflow_model_optimization": "it needs TensorFlow itself",
    "keras_tuner": "it needs TensorFlow itself: write the search as a loop",
    "kerastuner": "it needs TensorFlow itself: write the search as a loop",
    "keras_cv": "use the layers and keras.applications of this package",
    "keras_hub": "use keras.applications",
    "tf_keras": "use keras",
    "tf_keras_vis": f"use {OWN}.explain, which has its methods",
    "tf_explain": f"use {OWN}.explain, which has its methods",
    "innvestigate": f"use {OWN}.explain, which has its methods",
    "keras_vis": f"use {OWN}.explain, which has its methods",
    "vis": f"use {OWN}.explain, which has the methods of keras-vis",
    "google.colab": "it exists in Colab alone: put files beside the notebook, or the import into a try",
    "tensorboard": "use the history that fit returns, or keras.callbacks.CSVLogger",
}
# Names of Keras that are left out, and where the table of cnnexplain.<name> has no advice.
NAMES = {
    "callbacks.TensorBoard": "use keras.callbacks.CSVLogger, or the history that fit returns",
    "layers.TextVectorization": "strings are not tensors here: encode text before",
    "layers.StringLookup": "strings are not tensors here: encode text before",
    "layers.IntegerLookup": "use numpy.searchsorted or keras.ops.one_hot before the model",
    "layers.experimental": "these layers are in keras.layers",
    "layers.TFSMLayer": "SavedModel folders hold TensorFlow's own graphs: save a .keras or .h5 file",
    "layers.ConvLSTM2D": "there are no layers for video: use keras.layers.TimeDistributed and LSTM",
    "layers.CuDNNLSTM": "use keras.layers.LSTM",
    "layers.CuDNNGRU": "use keras.layers.GRU",
    "utils.multi_gpu_model": "everything is computed on the CPU: leave it out",
    "utils.model_to_dot": "use keras.utils.plot_model, which needs no Graphviz",
    "experimental": "these names have left TensorFlow's experimental part: look for them without it",
    "keras.wrappers": "write the search over settings as a loop",
    "estimator": "use keras.Model and fit",
    "compat.v1": "there is no TensorFlow 1 interface; write TensorFlow 2 code",
    "keras.engine": "use keras.layers and keras.models",
    "keras.src": "it is private in Keras; use the public names",
    "tensorflow.python": "it is private in TensorFlow; use the public names",
}
_VOLUMES = re.compile(r"\.(Conv|MaxPool|MaxPooling|AvgPool|AveragePooling|UpSampling|ZeroPadding)3D")


def of_package(name: str) -> str:
    """What to use in place of a package that cannot be imported."""
    for known, advice in PACKAGES.items():
        if name == known or name.startswith(f"{known}."):
            return advice
    return f"it is not installed here: `pip install {name.partition('.')[0]}`"


def of_name(path: str, holder: Any, text: str) -> str:
    """What to use in place of `path`, which `holder` does not have.

    Args:
        path: the name as it is written, "tensorflow.lite".
        holder: the module or class that was asked.
        text: what it said.
    """
    for known, advice in NAMES.items():
        if path.endswith(f".{known}") or f"{known}." in f"{path}.":
            return advice
    if _VOLUMES.search(path):
        return "the engine's convolutions and pools are two-dimensional"
    if "does not exist here: " in text:
        advice = text.partition("does not exist here: ")[2]
        if not advice.startswith("dir("):
            return re.sub(rf"\b{OWN}\.", "tensorflow.", advice)
    return _near(path, dir(holder), isinstance(holder, types.ModuleType))


def _near(path: str, known: Iterable[str], module: bool) -> str:
    home, _, name = path.rpartition(".")
    public = [other for other in known if not other.startswith("_")]
    near = difflib.get_close_matches(name, public, n=2, cutoff=0.7)
    if near:
        return "the nearest is " + " or ".join(f"{home}.{other}" for other in near)
    return f"dir({home}) lists what exists" if module else f"{home} has no such attribute"


def of_argument(known: Iterable[str], name: str) -> str:
    """What to use in place of an argument that a function does not have."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"the nearest is `{near[0]}`" if near else f"it takes {', '.join(known) or 'none by name'}"
