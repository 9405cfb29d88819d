"""What Keras has and what is here: `python tests/keras/surface.py` writes docs/keras-surface.md."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "keras-surface.md"
RECORDED = json.loads((ROOT / "tests" / "fixtures" / "keras_surface.json").read_text())

# family: {reason: names}
NOT_OFFERED: dict[str, dict[str, str]] = {
    "layers": {
        "volumes: the engine's convolutions and pools are two-dimensional": "AdaptiveAveragePooling3D "
        "AdaptiveMaxPooling3D AveragePooling3D AvgPool3D Conv3D Conv3DTranspose Convolution3D "
        "Convolution3DTranspose Cropping3D GlobalAveragePooling3D GlobalAvgPool3D GlobalMaxPool3D "
        "GlobalMaxPooling3D MaxPool3D MaxPooling3D SpatialDropout3D UpSampling3D ZeroPadding3D",
        "video: convolutions over time with a recurrent state": "ConvLSTM1D ConvLSTM2D ConvLSTM3D",
        "text and tables of strings": "Hashing HashedCrossing IntegerLookup StringLookup TextVectorization",
        "audio": "MelSpectrogram STFTSpectrogram",
        "bounding boxes of object detection": "MaxNumBoundingBoxes",
        "models of other frameworks": "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
    },
    "losses": {"alignment of speech and handwriting": "CTC ctc"},
    "optimizers": {"a container inside Keras, for several optimizers in one": "MultiOptimizer OptimizerMap"},
    "callbacks": {
        "its file format belongs to JAX": "OrbaxCheckpoint",
        "sends the training's numbers to a server": "RemoteMonitor",
        "writes the log files of another program; use CSVLogger": "TensorBoard",
    },
    "utils": {
        "columns of tables": "FeatureSpace",
        "audio and text": "audio_dataset_from_directory text_dataset_from_directory",
        "a dictionary with attributes, of use to Keras's own projects": "Config",
        "a description for Graphviz; `plot_model` draws without it": "model_to_dot",
    },
    "ops": {
        "complex numbers": "fft fft2 ifft2 irfft istft polar rfft stft view_as_complex view_as_real",
        "alignment of speech and handwriting": "ctc_decode ctc_loss",
    },
}

# family: {name: why the signature differs}
DIFFERS: dict[str, dict[str, str]] = {
    "optimizers": {"Optimizer": "Keras hides these parameters behind `*args, **kwargs`"},
    "utils": {"plot_model": "it draws without Graphviz: `style` in place of its `splines`, SVG by default"},
}


def signature(thing: Any) -> list[list] | None:
    """(name, kind, default) of each parameter, as the fixture holds them."""
    if inspect.ismodule(thing) or not callable(thing):
        return None
    function = thing.__init__ if inspect.isclass(thing) else thing
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return [[p.name, p.kind.name, None if p.default is p.empty else repr(p.default)] for p in parameters]


def reasons(family: str) -> dict[str, str]:
    """Why each name that is left out is left out."""
    groups = NOT_OFFERED.get(family, {})
    return {name: reason for reason, names in groups.items() for name in names.split()}


def names() -> list[tuple[str, str]]:
    """Every public (family, name) of Keras."""
    return [(family, name) for family, entries in RECORDED["families"].items() for name in entries]


def found(family: str, name: str) -> Any:
    """The thing of that name here, or None."""
    return getattr(importlib.import_module(f"cnnexplain.keras.{family}"), name, None)


def spelled(parameters: list[list] | None) -> str:
    """A signature as it is written."""
    marks = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    return ", ".join(
        marks.get(kind, "") + name + (f"={default}" if default is not None else "")
        for name, kind, default in parameters or []
    )


def page() -> str:
    """The table as Markdown."""
    total = len(names())
    missing = {(family, name) for family in RECORDED["families"] for name in reasons(family)}
    lines = [
        "# Keras's names",
        "",
        f"Every public name of Keras {RECORDED['keras']} in the modules that image and dense networks use: "
        f"{total - len(missing)} of {total} are here, with the same parameters, order and defaults unless "
        "the row says otherwise. The rest is listed with the reason. `python tests/keras/surface.py` writes "
        "this page from the installed package; `tests/keras/test_surface.py` checks every row.",
        "",
    ]
    for family, entries in RECORDED["families"].items():
        left_out = reasons(family)
        lines += [f"## keras.{family}", "", "| name | parameters |", "|---|---|"]
        for name in entries:
            if name in left_out:
                continue
            why = DIFFERS.get(family, {}).get(name)
            text = spelled(signature(found(family, name))).replace("|", "\\|")
            lines.append(f"| {name} | `({text})`{f' — {why}' if why else ''} |")
        lines.append("")
        if left_out:
            lines += ["| not here | why |", "|---|---|"]
            lines += [f"| {' '.join(group.split())} | {why} |" for why, group in NOT_OFFERED[family].items()]
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
