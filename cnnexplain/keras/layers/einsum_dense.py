"""A dense layer whose product is written as an Einstein sum."""

from __future__ import annotations

import math
import re
import string
from typing import Any

from cnnexplain import _core, linalg

from .. import activations, initializers
from . import arguments
from .base import Layer, real_input
from .input_spec import InputSpec

_FORMS = (
    (r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)", False),
    (r"\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]+)", True),
    (r"([a-zA-Z]{2,})\.\.\.,([a-zA-Z]+)->([a-zA-Z]+)\.\.\.", False),
)


def _parsed(equation: Any) -> tuple[Any, bool]:
    """The letters of input, kernel and result, and whether `...` stands in front."""
    for form, left in _FORMS:
        match = re.fullmatch(form, str(equation))
        if match:
            return match, left
    raise ValueError(
        "`equation` must have the form 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'. Received: "
        f"equation={equation!r}"
    )


class _Plan:
    """Shapes of the weights for an equation and an input shape."""

    def __init__(self, equation: str, bias_axes: str | None, input_shape: Any, output_shape: tuple):
        match, left = _parsed(equation)
        source, kernel, target = match.groups()
        shape = tuple(input_shape)
        hidden = len(shape) - len(source)
        if hidden < 0 or (hidden and "..." not in equation):
            raise ValueError(
                f"`equation` has {len(source)} axes for the input, which has {len(shape)}. Received: "
                f"equation={equation!r}, input_shape={shape}"
            )
        out: list = [shape[0], *output_shape]
        if left:
            out[1:1] = shape[1:hidden]
        elif hidden:
            out += shape[len(shape) - hidden :]
        if len(out) != len(target) + hidden:
            raise ValueError(
                "`output_shape` must give a size for each axis of the result except the first. Received: "
                f"output_shape={output_shape}, equation={equation!r}"
            )
        first = hidden if left else 0
        given = dict(zip(source, shape[first:], strict=False))
        made = dict(zip(target, out[first:], strict=False))
        for axis in source:
            if axis in made and made[axis] is not None and made[axis] != given[axis]:
                raise ValueError(
                    f"Axis {axis!r} has size {given[axis]} in the input and {made[axis]} in `output_shape`. "
                    f"Received: input_shape={shape}, output_shape={output_shape}"
                )
        unknown = [axis for axis in target if axis not in source and axis not in kernel]
        loose = [axis for axis in kernel if axis not in made and axis not in given]
        strange = [axis for axis in bias_axes or "" if axis not in target]
        if unknown or loose or strange:
            raise ValueError(
                f"Axis {(unknown or loose or strange)[0]!r} of "
                f"{'the result' if unknown else 'the kernel' if loose else '`bias_axes`'} has no match. "
                f"Received: equation={equation!r}, bias_axes={bias_axes!r}"
            )
        self.kernel = tuple(made[axis] if axis in made else given[axis] for axis in kernel)
        self.output = tuple(out)
        self.summed = tuple(k for k, axis in enumerate(kernel) if axis not in made)
        self.kept = tuple(k for k, axis in enumerate(kernel) if axis in made)
        self.bias: tuple | None = None
        if bias_axes is not None:
            start = min(target.find(axis) for axis in bias_axes)
            self.bias = tuple(made[axis] if axis in bias_axes else 1 for axis in target[start:])
            self.bias += (1,) * (0 if left else hidden)
        if None in self.kernel or (self.bias is not None and None in self.bias):
            raise ValueError(f"The axes of the weights must be known. Received: input_shape={shape}")


class EinsumDense(Layer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
        equation: "ab,bc->ac", "...b,bc->...c" or "ab...,bc->ac...": input, kernel, result.
        output_shape: Sizes of the result without the batch axis, None where the input has the same; those
            that `...` stands for are left out.
        activation: Name or callable.
        bias_axes: Axes of the result that the bias has; None: no bias.
        kernel_initializer, bias_initializer: Initial values.
        kernel_regularizer, bias_regularizer: Penalties.
        kernel_constraint, bias_constraint: Projections.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: Accepted as None.

    Raises:
        ValueError: An equation of another form, or sizes that contradict it.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")
    >>> tuple(layer(keras.ops.zeros((2, 32, 128))).shape)
    (2, 32, 64)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        gptq_unpacked_column_size: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        refused = {
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "gptq_unpacked_column_size": gptq_unpacked_column_size,
            "quantization_config": quantization_config,
        }
        arguments.refuse(refused, *list(refused))
        super().__init__(**kwargs)
        self.equation = str(equation).replace(" ", "")
        _parsed(self.equation)
        self.partial_output_shape = (
            tuple(output_shape) if isinstance(output_shape, (list, tuple)) else (output_shape,)
        )
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.bias: Any = None
        self.quantization_config = None

    @property
    def output_shape(self) -> Any:
        """The shape of the output, before the first call what the layer was told of it."""
        return super().output_shape if self._inbound_nodes else self.partial_output_shape

    def get_config(self) -> dict:
        config = {**super().get_config(), "output_shape": self.partial_output_shape}
        return {"activity_regularizer": None, **config}

    def _plan(self, input_shape: Any) -> _Plan:
        return _Plan(self.equation, self.bias_axes, input_shape, self.partial_output_shape)

    def build(self, input_shape: Any) -> None:
        plan = self._plan(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        initializer = self.kernel_initializer
        if isinstance(initializer, initializers.VarianceScaling) and hasattr(initializer, "input_axes"):
            if initializer.input_axes is None or initializer.output_axes is None:
                config = {**initializer.get_config(), "input_axes": plan.summed, "output_axes": plan.kept}
                initializer = type(initializer).from_config(config)
        self.kernel = self.add_weight(
            name="kernel",
            shape=plan.kernel,
            initializer=initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if plan.bias is not None:
            self.bias = self._add_described("bias", plan.bias)

    def _letters(self, rank: int) -> tuple[str, str, str]:
        """A letter for each axis of the input, the kernel and the result; `...` is written out."""
        source, kernel, target = _parsed(self.equation)[0].groups()
        hidden = "".join(x for x in string.ascii_letters if x not in self.equation)[: rank - len(source)]
        if self.equation.startswith("..."):
            return hidden + source, kernel, hidden + target
        return source + hidden, kernel, target + hidden

    def call(self, inputs: Any) -> Any:
        x = real_input(inputs, self.dtype)
        source, kernel, target = self._letters(len(x.shape))
        free = [axis for axis in source if axis not in kernel]
        summed = [axis for axis in source if axis in kernel]
        made = [axis for axis in kernel if axis not in source]
        if set(free + made) == set(target) and len(free + made) == len(target):
            x = _core.transpose(x, perm=[source.index(axis) for axis in free + summed])
            weight = _core.transpose(self.kernel, perm=[kernel.index(axis) for axis in summed + made])
            sizes = [int(size) for size in weight.shape]
            length = math.prod(sizes[: len(summed)])
            x = _core.reshape(x, shape=[-2] * len(free) + [length])
            y = _core.dense(x, _core.reshape(weight, shape=[length, -1]))
            y = _core.reshape(y, shape=[-2] * len(free) + sizes[len(summed) :])
            y = _core.transpose(y, perm=[(free + made).index(axis) for axis in target])
        else:
            y = linalg.einsum(f"{source},{kernel}->{target}", x, self.kernel)
        if self.bias is not None:
            y = _core.add(y, self.bias)
        return y if self.activation is None else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._plan(input_shape).output
