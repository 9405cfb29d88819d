"""The PyTorch side: a network of ours as torch.nn modules of the same arithmetic and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
Run = Callable[[], Any]


def _sides(amount: Any) -> tuple[int, int, int, int]:
    (top, bottom), (left, right) = amount
    return left, right, top, bottom


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Keras's `same` padding of one side: the larger half comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Padded(nn.Module):
    """A convolution or pooling whose padding is not the same on both sides."""

    def __init__(self, pad: tuple[int, int, int, int], inner: nn.Module, value: float = 0.0):
        super().__init__()
        self.pad, self.inner, self.value = pad, inner, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(functional.pad(x, self.pad, value=self.value))


class _Join(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return self.function(parts)


def _add(parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _activation(layer: Any) -> list[nn.Module]:
    """Softmax is left out: both sides are explained by their logits."""
    known: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}
    name = getattr(layer.activation, "__name__", "linear")
    return [] if name in ("linear", "softmax") else [known[name]()]


def _inbound(model: Any) -> dict[str, list[str]]:
    """The layers that each layer reads."""
    entries = model.get_config()["layers"]
    if "inbound_nodes" not in entries[0]:  # a Sequential
        names = [layer.name for layer in model.layers]
        return dict(zip(names, [[], *[[name] for name in names]], strict=False))

    def makers(value: Any) -> list[str]:
        if isinstance(value, dict):
            if "keras_history" in value:
                return [value["keras_history"][0]]
            value = list(value.values())
        return [name for item in value for name in makers(item)] if isinstance(value, (list, tuple)) else []

    return {entry["config"]["name"]: makers(entry["inbound_nodes"]) for entry in entries}


class Network(nn.Module):
    """The layers of a functional or sequential model of ours, run in its order.

    ZeroPadding2D goes into the convolution or pooling behind it, as a PyTorch user writes it.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.steps: list[tuple[str, list[str], str]] = []
        self.parts = nn.ModuleDict()
        pads: dict[str, tuple] = {}
        self.alias: dict[str, str] = {}
        inbound = _inbound(model)
        for layer in model.layers:
            kind = type(layer).__name__
            sources = inbound[layer.name]
            if kind == "InputLayer":
                continue
            if kind == "ZeroPadding2D":
                pads[layer.name] = _sides(layer.padding)
                self.alias[layer.name] = sources[0]
                continue
            pad = pads.get(sources[0], (0, 0, 0, 0)) if sources else (0, 0, 0, 0)
            made = self._made(kind, layer, pad)
            sources = [self._behind(name) for name in sources]
            if not made:
                self.alias[layer.name] = sources[0] if sources else ""
                continue
            self.parts[layer.name] = made[0] if len(made) == 1 else nn.Sequential(*made)
            self.steps.append((layer.name, sources, kind))
        self.last = self.steps[-1][0]

    def _behind(self, name: str) -> str:
        while name in self.alias:
            name = self.alias[name]
        return name

    def _made(self, kind: str, layer: Any, pad: tuple) -> list[nn.Module]:
        weights = [torch.from_numpy(np.ascontiguousarray(w)) for w in layer.get_weights()]
        if kind in ("Conv2D", "DepthwiseConv2D"):
            return self._convolution(layer, weights, pad, kind == "DepthwiseConv2D")
        if kind == "Dense":
            dense = nn.Linear(weights[0].shape[0], weights[0].shape[1])
            dense.weight.data, dense.bias.data = weights[0].T.contiguous(), weights[1]
            return [dense, *_activation(layer)]
        if kind == "BatchNormalization":
            return [self._norm(layer, weights)]
        if kind in ("MaxPooling2D", "AveragePooling2D"):
            return self._pooling(kind, layer, pad)
        simple: dict[str, Callable[[], list[nn.Module]]] = {
            "Activation": lambda: _activation(layer),
            "ReLU": lambda: [nn.ReLU6() if layer.max_value == 6 else nn.ReLU()],
            "Add": lambda: [_Join(_add)],
            "Concatenate": lambda: [_Join(lambda parts: torch.cat(parts, 1))],
            "GlobalAveragePooling2D": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten()],
            "Flatten": lambda: [_Join(lambda parts: parts[0].permute(0, 2, 3, 1).flatten(1))],
            "Dropout": lambda: [],
        }
        return simple[kind]()

    @staticmethod
    def _convolution(layer: Any, weights: list, pad: tuple, depthwise: bool) -> list[nn.Module]:
        kernel, (height, width) = weights[0], weights[0].shape[:2]
        channels = layer.input.shape[3]
        stride = layer.strides
        if layer.padding == "same":
            rows = _same(layer.input.shape[1], height, stride[0])
            columns = _same(layer.input.shape[2], width, stride[1])
            pad = (*columns, *rows)
        even = pad[0] == pad[1] and pad[2] == pad[3]
        made = nn.Conv2d(
            channels,
            channels if depthwise else kernel.shape[3],
            (height, width),
            stride,
            padding=(pad[2], pad[0]) if even else 0,
            groups=channels if depthwise else 1,
            bias=layer.use_bias,
        )
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        made.weight.data = kernel.permute(order).contiguous()
        if layer.use_bias:
            made.bias.data = weights[1]
        first: nn.Module = made if even else _Padded(pad, made)
        return [first, *_activation(layer)]

    @staticmethod
    def _norm(layer: Any, weights: list) -> nn.Module:
        made = nn.BatchNorm2d(weights[-1].shape[0], eps=layer.epsilon)
        given = iter(weights)
        if layer.scale:
            made.weight.data = next(given)
        if layer.center:
            made.bias.data = next(given)
        made.running_mean, made.running_var = next(given), next(given)
        return made

    @staticmethod
    def _pooling(kind: str, layer: Any, pad: tuple) -> list[nn.Module]:
        size, stride = layer.pool_size, layer.strides
        if layer.padding == "same":
            rows = _same(layer.input.shape[1], size[0], stride[0])
            pad = (*_same(layer.input.shape[2], size[1], stride[1]), *rows)
        even = pad[0] == pad[1] and pad[2] == pad[3]
        inside = (pad[2], pad[0]) if even else 0
        if kind == "AveragePooling2D":
            return [nn.AvgPool2d(size, stride, inside, count_include_pad=False)]
        pool = nn.MaxPool2d(size, stride, inside)
        return [pool if even else _Padded(pad, pool, float("-inf"))]

    def forward(self, x: torch.Tensor, begin: str | None = None, end: str | None = None) -> torch.Tensor:
        """From the input, or from behind the layer `begin`, to the logits or to the layer `end`."""
        values: dict[str, torch.Tensor] = {}
        ready = begin is None
        for name, sources, _ in self.steps:
            if not ready:
                if name == begin:
                    values[name], ready = x, True
                continue
            given = [values.get(source, x) for source in sources] or [x]
            values[name] = self.parts[name](*given)
            if name == end:
                return values[name]
        return values[self.last]


def _image(array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def forward(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """The logits."""
    network = Network(model).eval().requires_grad_(False).to(memory_format=memory_format)
    image = _image(x, memory_format)

    def run() -> np.ndarray:
        with torch.inference_mode():
            return network(image).numpy()

    return run


def saliency(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """The gradient of class 7's logit; no gradient of weights."""
    network = Network(model).eval().requires_grad_(False).to(memory_format=memory_format)
    image = _image(x, memory_format)

    def run() -> np.ndarray:
        pixels = image.detach().requires_grad_(True)
        network(pixels)[:, 7].sum().backward()
        return pixels.grad.abs().sum(1).numpy()

    return run


def grad_cam(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """Features without gradients, then forward and backward of the head alone."""
    network = Network(model).eval().requires_grad_(False).to(memory_format=memory_format)
    image = _image(x, memory_format)
    side = x.shape[1:3]

    def run() -> np.ndarray:
        with torch.no_grad():
            maps = network(image, end=layer)
        maps = maps.detach().requires_grad_(True)
        network(maps, begin=layer)[:, 7].sum().backward()
        with torch.no_grad():
            weights = maps.grad.mean((2, 3), keepdim=True)
            heat = torch.relu((weights * maps).sum(1, keepdim=True))
            heat = functional.interpolate(heat, side, mode="bilinear", align_corners=False)
            return (heat / heat.amax((1, 2, 3), keepdim=True).clamp(min=1e-12))[:, 0].numpy()

    return run


def train_step(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """One step of Adam."""
    network = Network(model).train().to(memory_format=memory_format)
    image, labels = _image(x, memory_format), torch.arange(len(x)) % 10
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-7)
    criterion = nn.CrossEntropyLoss()

    def run() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(network(image), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def epoch(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """An epoch at batch 32, shuffled, with Adam and accuracy."""
    network = Network(model).train().to(memory_format=memory_format)
    images, labels = _image(x, memory_format), torch.arange(len(x)) % 10
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-7)
    criterion = nn.CrossEntropyLoss()

    def run() -> int:
        order, correct = torch.randperm(len(images)), 0
        for begin in range(0, len(images), 32):
            pick = order[begin : begin + 32]
            optimizer.zero_grad(set_to_none=True)
            logits = network(images[pick])
            criterion(logits, labels[pick]).backward()
            optimizer.step()
            correct += int((logits.argmax(1) == labels[pick]).sum())
        return correct

    return run
