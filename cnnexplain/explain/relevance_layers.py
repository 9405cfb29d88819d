"""Linear operations as the rules of relevance see them: a kernel that can be changed, a sum, a way back.

A `Layer` has weights; what stands beside it without bending (batch normalisation, a bias added later, a
border of zeros) is folded into them. A `Piece` is any other operation of the network as a program of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnexplain import _core

WEIGHTED = ("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense", "matmul")

Way = str | tuple[float, float]
"""How weights are changed: (p, n) for p max(w, 0) + n min(w, 0), "square" or "ones"."""
PLAIN, POSITIVE, NEGATIVE = (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)


def changed(weights: np.ndarray, way: Way) -> np.ndarray:
    """Weights or biases as `way` says."""
    if isinstance(way, str):
        return weights * weights if way == "square" else np.ones_like(weights)
    p, n = way
    if p == n:
        return weights * p
    return np.maximum(weights, 0) * p + np.minimum(weights, 0) * n


class Layer:
    """A convolution or dense operation with what was folded into it.

    Attributes:
        path: of the keras layer that computes it.
        op: its name.
        source: the program's symbol of its input.
        first: no other layer with weights lies between it and the image.
    """

    def __init__(self, path: str, maker: Any, kernel: np.ndarray, bias: np.ndarray | None):
        self.path, self.source, self.first = path, maker.inputs[0], False
        self.op = "dense" if maker.op == "matmul" else maker.op
        self.dtype = self.source.dtype.as_numpy_dtype
        self.attributes = {} if self.op == "dense" else dict(maker.attributes)
        self._kernel = np.asarray(kernel, np.float64)
        self._bias = np.zeros(self._filters) if bias is None else np.asarray(bias, np.float64)
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._kernels: dict[Way, Any] = {}
        self._biases: dict[Any, np.ndarray] = {}
        self._built: Any = None
        self._size: int | None = None  # of the vectors that the source is flattened to

    @property
    def _filters(self) -> int:
        shape = self._kernel.shape
        if self.op == "depthwise_conv2d":
            return shape[2] * shape[3]
        return shape[2] if self.op == "conv2d_transpose" else shape[-1]

    def fold_after(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Computes scale y + shift instead of y; both () or (filters,)."""
        scale = np.broadcast_to(scale, (self._filters,))
        self._bias = self._bias * scale + shift
        if self.op == "depthwise_conv2d":
            scale = scale.reshape(self._kernel.shape[2:])
        self._kernel = self._kernel * (scale[:, None] if self.op == "conv2d_transpose" else scale)

    def fold_before(self, source: Any, scale: np.ndarray, shift: np.ndarray) -> None:
        """Takes x of another source, where its input was scale x + shift, flattened for a dense layer that
        takes vectors; both have one number per channel.
        """
        if len(source.shape) > len(self.source.shape):
            shape = tuple(source.shape)[1:]
            self._size = int(np.prod(shape))
            scale = np.broadcast_to(scale, shape).reshape(-1)
        self.source, self._before = source, (scale, shift)

    def fold_border(self, source: Any, before: Sequence[int], after: Sequence[int]) -> bool:
        """Makes zeros around the input padding of its own, if the operation can have one."""
        padding, pads = self.attributes.get("padding"), self.attributes.get("pads") or (0, 0, 0, 0)
        if self.op not in ("conv2d", "depthwise_conv2d") or padding == "same":
            return False
        more = (before[1], after[1], before[2], after[2])
        self.attributes |= {
            "padding": "explicit",
            "pads": tuple(a + b for a, b in zip(pads, more, strict=True)),
        }
        self.source = source
        return True

    def _scaled(self) -> np.ndarray:
        """The kernel for the source's own values."""
        if self._before is None:
            return self._kernel
        scale, shape = self._before[0], self._kernel.shape
        if self.op == "conv2d":
            groups = self.attributes["groups"]
            return self._kernel * scale.reshape(groups, shape[2]).T.repeat(shape[3] // groups, 1)
        return self._kernel * (scale if self.op == "conv2d_transpose" else scale[:, None])

    def kernel(self, way: Way) -> Any:
        """The changed kernel as a tensor."""
        if way not in self._kernels:
            made = changed(self._scaled(), way).astype(self.dtype)
            self._kernels[way] = _core.tensor(np.ascontiguousarray(made))
        return self._kernels[way]

    def bias(self, x: np.ndarray, way: Way) -> np.ndarray:
        """What is added to every sum, changed like weights; (filters,), or (1, h, w, filters) where a shift
        in front of the layer does not reach its border.
        """
        key = (way, x.shape[1:])
        if key not in self._biases:
            bias = self._bias
            if self._before is not None:
                kernel = _core.tensor(np.ascontiguousarray(self._kernel.astype(self.dtype)))
                shift = np.broadcast_to(self._before[1], (1, *x.shape[1:])).astype(self.dtype)
                bias = bias + np.asarray(self._run(shift, kernel)[0], np.float64)
            self._biases[key] = changed(bias, way).astype(self.dtype)
        return self._biases[key]

    def _run(self, x: np.ndarray, kernel: Any) -> tuple[np.ndarray, Any]:
        if self._built is None:
            shape = self.source.shape if self._size is None else (None, self._size)
            symbols = [
                _core.symbol(shape, self.source.dtype.name),
                _core.symbol(self._kernel.shape, self.source.dtype.name),
            ]
            given = {key: value for key, value in self.attributes.items() if value is not None}
            output = getattr(_core, self.op)(*symbols, **given)
            self._built = (*symbols, output, _core.Program(symbols, [output]))
        x_symbol, k_symbol, output, program = self._built
        x = x if self._size is None else x.reshape(len(x), self._size)
        instance = program.run([(x_symbol, np.ascontiguousarray(x)), (k_symbol, kernel)], [output])
        return np.asarray(instance.value(output)), instance

    def forward(self, x: np.ndarray, way: Way) -> tuple[np.ndarray, Any]:
        """The sums over x times the changed kernel, without bias, and what `back` needs."""
        return self._run(x, self.kernel(way))

    def back(self, run: Any, s: np.ndarray) -> np.ndarray:
        """For every input the sum of s times the kernel that was run."""
        x, _, output, _ = self._built
        back = np.asarray(run.backward([(output, s)], [x])[0])
        return back if self._size is None else back.reshape(len(back), *tuple(self.source.shape)[1:])


class Piece:
    """One operation of the network, replayed.

    Attributes:
        fed: (place, symbol of the network) of the inputs that have a value for each image.
    """

    def __init__(self, maker: Any, inputs: Sequence[Any]):
        given = list(inputs)
        self.fed = [(k, v) for k, v in enumerate(given) if isinstance(v, _core.Symbol)]
        self._symbols = {k: _core.symbol(v.shape, v.dtype.name) for k, v in self.fed}
        self._output = maker.replay([self._symbols.get(k, v) for k, v in enumerate(given)])[0]
        self._program = _core.Program(list(self._symbols.values()), [self._output])

    def run(self, values: dict[int, np.ndarray]) -> tuple[np.ndarray, Any]:
        """The output, and what `back` needs."""
        feeds = [(symbol, values[k]) for k, symbol in self._symbols.items()]
        instance = self._program.run(feeds, [self._output])
        return np.asarray(instance.value(self._output)), instance

    def back(self, run: Any, s: np.ndarray, places: Sequence[int]) -> list[np.ndarray]:
        """The gradient of sum(s * output) at the inputs."""
        gradients = run.backward([(self._output, s)], [self._symbols[k] for k in places])
        return [np.asarray(gradient) for gradient in gradients]
