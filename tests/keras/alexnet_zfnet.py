"""`python tests/keras/alexnet_zfnet.py` writes the tables of docs/alexnet-zfnet.md and the drawings in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnexplain import keras

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "alexnet-zfnet.md"
NETWORKS = {"AlexNet": 227, "ZFNet": 224}


def arithmetic(layer: Any) -> str:
    """How the parameters of a layer come about: filters times (weights of each and a bias)."""
    if not layer.weights:
        return ""
    shape = tuple(layer.kernel.shape)
    return f"{shape[-1]} · ({' · '.join(str(size) for size in shape[:-1])} + 1)"


def description(layer: Any) -> str:
    """What a layer does, in a few words."""
    kind = type(layer).__name__
    if kind in ("Conv2D", "MaxPooling2D"):
        size = getattr(layer, "kernel_size", None) or layer.pool_size
        words = {"Conv2D": "convolution", "MaxPooling2D": "max pooling"}[kind]
        step = f", steps of {layer.strides[0]}" if layer.strides[0] > 1 else ""
        groups = f", {layer.groups} groups" if getattr(layer, "groups", 1) > 1 else ""
        return f"{words} {size[0]} x {size[1]}{step}{groups}"
    return {
        "InputLayer": "image",
        "ZeroPadding2D": "a pixel of zeros on each side",
        "LocalResponseNormalization": "local response normalization",
        "Dense": "dense",
        "Dropout": "dropout of 0.5",
        "Flatten": "the map as a vector",
    }.get(kind, kind)


def table(model: Any) -> str:
    """A row for each layer."""
    lines = ["| layer | what | output | weights and bias | parameters |", "|---|---|---|---|---:|"]
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        output = " x ".join(str(size) for size in tuple(layer.output.shape)[1:])
        count = f"{layer.count_params():,}" if layer.weights else ""
        lines.append(f"| {layer.name} | {description(layer)} | {output} | {arithmetic(layer)} | {count} |")
    return "\n".join([*lines, f"| | | | **all** | **{model.count_params():,}** |"])


def networks() -> dict[str, Any]:
    """Each network; its input has a name that does not depend on others."""
    return {
        name: getattr(keras.applications, name)(input_tensor=keras.Input((side, side, 3), name="image"))
        for name, side in NETWORKS.items()
    }


def page(text: str, models: dict[str, Any]) -> str:
    """The page with its tables written anew."""
    for name, model in models.items():
        begin, end = f"<!-- table {name} -->\n", "<!-- end -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{table(model)}\n\n{end}{rest.split(end, 1)[1]}"
    return text


if __name__ == "__main__":
    made = networks()
    PAGE.write_text(page(PAGE.read_text(), made))
    for each, model in made.items():
        file = DOCS / f"{each.lower()}.svg"
        keras.utils.plot_model(model, file, style="blocks", show_layer_names=True)
