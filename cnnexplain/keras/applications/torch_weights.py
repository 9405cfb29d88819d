"""Weights of files of PyTorch and of safetensors, put into our networks.

The networks of PyTorch compute something else than Keras's under the same names (`Arithmetic`), so their
weights belong into a network that is built for them, which `weights=path` does.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..layers import BatchNormalization, Conv2D, Dense, DepthwiseConv2D, ZeroPadding2D
from ..saving import container
from ..saving.safetensors_file import headers, is_safetensors_file, load_safetensors
from ..saving.torch_pickle import is_torch_file, load_torch
from .arithmetic import PYTORCH, Arithmetic
from .torch_names import RULES, Rule

_LITE = "efficientnet_lite0"
_TENSORFLOW = Arithmetic(epsilon=1e-3)  # of EfficientNet-Lite0's package
_TENSORFLOW_IN_TIMM = Arithmetic(epsilon=1e-3, preprocess="tf")
_OTHERWISE = "Another network can be exported to ONNX and opened with `cnnexplain.models.load_onnx`"
_HEADS = ("fc1", "fc2", "predictions")
_COUNTERS = "num_batches_tracked"
# how kernels of PyTorch become Keras's
_AXES = {Conv2D: (2, 3, 1, 0), DepthwiseConv2D: (2, 3, 0, 1), Dense: (1, 0)}


def holds_weights(path: Any) -> bool:
    """Whether it is a file of one of the two kinds."""
    return os.path.isfile(path) and (is_torch_file(path) or is_safetensors_file(path))


def arithmetic(network: str, path: Any) -> Arithmetic:
    """What the network has to compute with the weights of a file.

    Raises:
        ValueError: The network's names in PyTorch are not known, or it cannot be told which of timm's two
            EfficientNet-Lite0 the weights are of.
    """
    family = _family(network)
    if family is None:
        raise container.refuse(
            path,
            f"it holds weights of PyTorch, whose names are known of {', '.join(RULES)}, not of {network}. "
            f"{_OTHERWISE}",
        )
    return _lite_arithmetic(path) if family == _LITE else PYTORCH


def computes_as_pytorch(model: Any) -> bool:
    """Whether it is one of `RULES` that has been built for PyTorch's weights."""
    family = _family_of(model)
    if family is None or any(_differences(model, PYTORCH)):
        return False
    return not family.startswith("vgg") or getattr(model, "preprocess", None) == PYTORCH.preprocess


def fill(model: Any, network: str, path: Any) -> None:
    """Reads the weights of a file into a network that has been built with their `arithmetic`."""
    _match(model, RULES[_family(network) or network], _read(path), path).carry_out(False)


def load_weights(model: Any, path: Any, skip_mismatch: bool = False) -> None:
    """Reads the weights of a file into a network that exists.

    Raises:
        ValueError: The network is none of `RULES`, computes something else than PyTorch's, or the arrays do
            not fit; nothing is changed.
    """
    from .pretrained import describe

    family = _family_of(model)
    if family is None:
        raise container.refuse(
            path,
            "it holds weights of PyTorch, which go by their names into the networks of keras.applications "
            f"alone: {', '.join(RULES)}. Model '{model.name}' is none of them, or has other layers too. "
            f"{_OTHERWISE}",
        )
    match = _match(model, RULES[family], _read(path), path)
    wanted = _lite_arithmetic(path) if family == _LITE else PYTORCH
    others = list(_differences(model, wanted))
    if others:
        raise container.refuse(
            path,
            f"its weights belong into a network that computes as PyTorch's, and model '{model.name}' has "
            f"{' and '.join(others)}. Pass the file when the network is built: `weights={str(path)!r}`",
        )
    match.carry_out(skip_mismatch)
    if isinstance(getattr(model, "preprocess", ""), str):
        top = model.layers[-1].name == "predictions"
        describe(model, top and not match.problems, model.output_shape[-1], wanted.preprocess or "lite")


def _family(network: str) -> str | None:
    return next((name for name in RULES if network == name or network.startswith(f"{name}_")), None)


def _family_of(model: Any) -> str | None:
    """The network whose rule knows all layers with weights."""
    names = [layer.name for layer in model.layers if layer.weights]
    return next((family for family, (rule, *_) in RULES.items() if names and all(map(rule, names))), None)


def _read(path: Any) -> dict[str, np.ndarray]:
    return load_torch(path) if is_torch_file(path) else load_safetensors(path)


def _lite_arithmetic(path: Any) -> Arithmetic:
    """timm has two networks with equal names, of which only the path can tell."""
    if is_torch_file(path):
        names = list(load_torch(path))
    else:
        names = [name for name, *_ in headers(path)[0]]
    if any(name.endswith("_conv_stem.weight") for name in names):
        return _TENSORFLOW
    for part in reversed(Path(path).absolute().parts):
        if "tf_efficientnet_lite0" in part:
            return _TENSORFLOW_IN_TIMM
        if "efficientnet_lite0" in part:
            return PYTORCH
    if not any(name.endswith("conv_stem.weight") for name in names):
        return _TENSORFLOW  # another network's: it is refused where its arrays are missed
    raise container.refuse(
        path,
        "its arrays have equal names in timm's efficientnet_lite0 and tf_efficientnet_lite0, which pad "
        "differently. Give the file or its folder one of these two names",
    )


def _differences(model: Any, wanted: Arithmetic) -> Iterator[str]:
    """In what the network's arithmetic is another one."""
    norms = [layer for layer in model.layers if isinstance(layer, BatchNormalization)]
    epsilons = sorted({layer.epsilon for layer in norms} - {wanted.epsilon})
    if epsilons:
        yield f"batch normalizations with epsilon {epsilons[0]:g} instead of {wanted.epsilon:g}"
    strided = [
        layer
        for layer in model.layers
        if isinstance(layer, (Conv2D, DepthwiseConv2D)) and max(layer.strides) > 1 < max(layer.kernel_size)
    ]
    even = not any(layer.padding == "same" for layer in strided) and all(
        before == after
        for layer in model.layers
        if isinstance(layer, ZeroPadding2D)
        for before, after in layer.padding
    )
    if strided and even != wanted.symmetric:
        more = "as much before as after" if even else "more after than before"
        yield f"strided convolutions that pad {more} the image"
    early = [layer.name for layer in model.layers if layer.name == "conv3_block1_1_conv"]
    if early and max(model.get_layer(early[0]).strides) > 1:
        yield f"blocks that stride in their first convolution ('{early[0]}') instead of in the 3x3 one"


@dataclass
class _Match:
    """The arrays of each layer in Keras's form, and what does not fit."""

    path: Any
    arrays: list[tuple[Any, list[np.ndarray]]]
    problems: list[str]

    def carry_out(self, skip_mismatch: bool) -> None:
        """Sets the weights; what does not fit is left out with a warning, or nothing is changed."""
        if self.problems:
            text = "; ".join(self.problems[:8])
            if not skip_mismatch:
                raise container.refuse(self.path, f"its weights do not fit the model: {text}")
            warnings.warn(
                f"Weights of {self.path} that do not fit the model were left out: {text}", stacklevel=5
            )
        for layer, arrays in self.arrays:
            layer.set_weights(arrays)


def _match(model: Any, rules: tuple[Rule, ...], arrays: dict[str, np.ndarray], path: Any) -> _Match:
    """Finds the rule and the prefix under which all arrays are there, and follows it."""
    layers = [layer for layer in model.layers if layer.weights]
    complete, missed = [], []
    for rule in rules:
        plan = [(layer, list(_names(layer, rule))) for layer in layers]
        wanted = [name for _, names in plan for name in names]
        for prefix in _prefixes(wanted[0], arrays):
            missing = [name for name in wanted if prefix + name not in arrays]
            if missing:
                missed.append((prefix, missing))
            else:
                complete.append((prefix, plan, {rule(head) for head in _HEADS}))
    if not complete:
        prefix, missing = min(missed, key=lambda found: len(found[1]))
        raise container.refuse(
            path,
            f"it is no file of weights of {model.name}, or of a version that is not known: it lacks "
            f"{len(missing)} arrays, first {missing[0]!r}. Its own begin with {sorted(arrays)[:3]}",
        )
    if len(complete) > 1:
        raise container.refuse(
            path,
            f"it holds weights of {model.name} more than once, under {[prefix for prefix, *_ in complete]}. "
            "Save the ones that are meant alone: `torch.save(torch.load(path)[...], other)`",
        )
    ((prefix, plan, heads),) = complete
    problems = list(_unused(prefix, plan, heads, arrays))
    found = []
    for layer, names in plan:
        values = [_turned(model, layer, arrays[prefix + name]) for name in names]
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if len(values) < len(shapes):  # a bias that PyTorch's network does not have
            values.append(np.zeros(shapes[-1], values[0].dtype))
        wrong = [i for i, value in enumerate(values) if value.shape != shapes[i] or value.dtype.kind != "f"]
        if wrong:
            name = names[wrong[0]]
            problems.append(_misfit(layer, name, arrays[prefix + name], shapes[wrong[0]]))
        else:
            found.append((layer, values))
    return _Match(path, found, problems)


def _names(layer: Any, rule: Rule) -> Iterator[str]:
    """What the layer's arrays are called; convolutions before a normalization have no bias in PyTorch."""
    module = rule(layer.name)
    parts = ["weight", "bias", "running_mean", "running_var"][: len(layer.weights)]
    if layer.name.startswith("conv") and isinstance(layer, Conv2D):
        parts = parts[:1]
    return (f"{module}.{part}" for part in parts)


def _prefixes(first: str, arrays: dict[str, np.ndarray]) -> list[str]:
    """What may stand before all names, as "module." or "state_dict." do."""
    found = {name.removesuffix(first) for name in arrays if name.endswith(first)}
    return sorted({""} | {prefix for prefix in found if prefix.endswith(".")})


def _unused(prefix: str, plan: Any, heads: set, arrays: dict[str, np.ndarray]) -> Iterator[str]:
    """Arrays of the same modules that the network has no place for, which makes it another network's file."""
    wanted = {name for _, names in plan for name in names}
    modules = {name.split(".")[0] for name in wanted}
    names = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
    left = [
        name
        for name in names
        if name not in wanted
        and name.split(".")[0] in modules
        and not name.endswith(_COUNTERS)
        and name.rpartition(".")[0] not in heads
    ]
    if left:
        yield f"the file has {len(left)} more arrays of such a network, first {left[0]!r}"


def _turned(model: Any, layer: Any, array: np.ndarray) -> np.ndarray:
    """The array with its axes in Keras's order; one of other axes as it is."""
    if layer.name == "fc1" and array.ndim in (2, 4):
        return _after_flattening(model, array)
    if isinstance(layer, Dense) and array.ndim == 4 and array.shape[2:] == (1, 1):
        array = array[:, :, 0, 0]
    axes = _AXES.get(type(layer), ())
    return array.transpose(axes) if array.ndim == len(axes) else array


def _after_flattening(model: Any, array: np.ndarray) -> np.ndarray:
    """The first dense kernel of a VGG network: PyTorch flattens maps channels first, Keras channels last."""
    pool = model.get_layer("block5_pool")
    shape = tuple(pool.output.shape[1:])
    channels, *sides = shape if pool.data_format == "channels_first" else (shape[-1], *shape[:-1])
    own = array.shape[2:] or (math.isqrt(array.shape[1] // channels),) * 2
    if own != tuple(sides) or array.size != array.shape[0] * math.prod(shape):
        return array
    return array.reshape(-1, channels, *sides).transpose(2, 3, 1, 0).reshape(-1, array.shape[0])


def _misfit(layer: Any, name: str, array: np.ndarray, wanted: tuple) -> str:
    if array.dtype.kind != "f":
        return f"{name} is of type {array.dtype.name}; weights that are not floats are not read"
    text = f"{name} of shape {array.shape} is not for layer '{layer.name}', in Keras's order {wanted}"
    if layer.name == "predictions" and array.ndim and array.shape[0] != layer.units:
        text += f"; the file's classifier is of classes={array.shape[0]}"
    return text


__all__ = ["arithmetic", "computes_as_pytorch", "fill", "holds_weights", "load_weights"]
