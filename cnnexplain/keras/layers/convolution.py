"""Convolutions over images and what those over sequences share with them."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core

from .. import activations, config
from . import arguments
from .base import Layer, real_input
from .input_spec import InputSpec


def to_last(x: Any, data_format: str) -> Any:
    """(n, c, h, w) as (n, h, w, c) under channels_first; a sequence (n, l, c) as an image (n, 1, l, c)."""
    rank = len(x.shape)
    if data_format == "channels_first":
        x = _core.transpose(x, perm=[0, *range(2, rank), 1])
    if rank == 3:
        x = _core.reshape(x, shape=[-2, 1, *(-1 if size is None else size for size in tuple(x.shape)[1:])])
    return x


def from_last(x: Any, data_format: str, rank: int = 2) -> Any:
    """(n, h, w, c) as (n, c, h, w) under channels_first; (n, 1, l, c) as (n, l, c) for rank 1."""
    if rank == 1:
        x = _core.reshape(x, shape=[-2, *(-1 if size is None else size for size in tuple(x.shape)[2:])])
    return (
        x if data_format == "channels_last" else _core.transpose(x, perm=[0, rank + 1, *range(1, rank + 1)])
    )


def two(values: tuple[int, ...], missing: int = 1) -> tuple[int, ...]:
    """The values for both axes of an image; a sequence lies along the second."""
    return values if len(values) == 2 else (missing, *values)


class _Convolution(Layer):
    """What the convolutions share: window, strides, padding, bias and activation."""

    rank = 2
    paddings: tuple[str, ...] = ("valid", "same")

    def _prepare(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
    ) -> None:
        self.kernel_size = arguments.integers(kernel_size, self.rank, "kernel_size")
        self.strides = arguments.integers(strides, self.rank, "strides")
        self.dilation_rate = arguments.integers(dilation_rate, self.rank, "dilation_rate")
        self.padding = arguments.padding(padding, self.paddings)
        self.data_format = config.standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.bias: Any = None
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    def _channels(self, input_shape: Any) -> int:
        axis = -1 if self.data_format == "channels_last" else 1
        rank = self.rank + 2
        if len(input_shape) != rank:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected ndim={rank}, found '
                f"ndim={len(input_shape)}. Full shape received: {tuple(input_shape)}."
            )
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                "The channel dimension of the inputs should be defined. The input_shape received is "
                f"{tuple(input_shape)}, where axis {axis} (0-based) is the channel dimension, which found to "
                "be `None`."
            )
        self.input_spec = InputSpec(ndim=rank, axes={axis: channels})
        return int(channels)

    def _kernel(self, kernel: Any) -> Any:
        """The kernel for images."""
        return kernel if self.rank == 2 else _core.reshape(kernel, shape=[1, *tuple(kernel.shape)])

    def _finish(self, x: Any) -> Any:
        if 0 in tuple(x.shape)[1:3]:
            raise ValueError(
                f'Computed output size of layer "{self.name}" would not be positive: its window is larger '
                f"than the input. Received: kernel_size={self.kernel_size}, dilation_rate="
                f"{self.dilation_rate}, output shape {tuple(x.shape)}"
            )
        x = from_last(x, self.data_format, self.rank)
        return x if self.activation is None else self.activation(x)

    def _start(self, inputs: Any) -> Any:
        return to_last(real_input(inputs, self.dtype), self.data_format)


class _Conv(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        arguments.refuse(kwargs, "lora_rank", "lora_alpha")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = arguments.positive(filters, "filters")
        self.groups = arguments.positive(groups, "groups")
        self._prepare(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        if self.filters % self.groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={groups}, filters={filters}."
            )
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                "The number of input channels must be evenly divisible by the number of groups. "
                f"Received groups={self.groups}, but the input has {channels} channels (full input shape is "
                f"{tuple(input_shape)})."
            )
        self.kernel = self._add_described(
            "kernel", (*self.kernel_size, channels // self.groups, self.filters)
        )
        if self.use_bias:
            self.bias = self._add_described("bias", (self.filters,))

    def call(self, inputs: Any) -> Any:
        x, padding = self._start(inputs), self.padding
        if padding == "causal":
            x = _core.pad(
                x, before=[0, 0, self.dilation_rate[0] * (self.kernel_size[0] - 1), 0], after=[0] * 4
            )
            padding = "valid"
        x = _core.conv2d(
            x,
            self._kernel(self.kernel),
            self.bias,
            strides=two(self.strides),
            padding=padding,
            dilation=two(self.dilation_rate),
            groups=self.groups,
        )
        return self._finish(x)


class _Depthwise(_Convolution):
    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        for old in ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint", "filters"):
            kwargs.pop(old, None)  # written by Keras 2, without meaning here
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = arguments.positive(depth_multiplier, "depth_multiplier")
        self._prepare(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        self._describe_weight("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)

    @property
    def depthwise_kernel(self) -> Any:
        """The kernel, by Keras 2's name."""
        return self.kernel

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self._add_described(
            "depthwise", (*self.kernel_size, channels, self.depth_multiplier), name="kernel"
        )
        if self.use_bias:
            self.bias = self._add_described("bias", (channels * self.depth_multiplier,))

    def call(self, inputs: Any) -> Any:
        x = _core.depthwise_conv2d(
            self._start(inputs),
            self._kernel(self.kernel),
            self.bias,
            strides=two(self.strides),
            padding=self.padding,
            dilation=two(self.dilation_rate),
        )
        return self._finish(x)


class _Separable(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        for old in ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            kwargs.pop(old, None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = arguments.positive(filters, "filters")
        self.depth_multiplier = arguments.positive(depth_multiplier, "depth_multiplier")
        self._prepare(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        self._describe_weight("depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint)
        self._describe_weight("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self._add_described(
            "depthwise", (*self.kernel_size, channels, self.depth_multiplier), name="depthwise_kernel"
        )
        self.pointwise_kernel = self._add_described(
            "pointwise",
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            name="pointwise_kernel",
        )
        if self.use_bias:
            self.bias = self._add_described("bias", (self.filters,))

    def call(self, inputs: Any) -> Any:
        x = _core.depthwise_conv2d(
            self._start(inputs),
            self._kernel(self.depthwise_kernel),
            strides=two(self.strides),
            padding=self.padding,
            dilation=two(self.dilation_rate),
        )
        return self._finish(_core.conv2d(x, self._kernel(self.pointwise_kernel), self.bias))


class _Transpose(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        kwargs.pop("groups", None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = arguments.positive(filters, "filters")
        self._prepare(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = arguments.integers(output_padding, self.rank, "output_padding", zero=True)
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self._add_described("kernel", (*self.kernel_size, self.filters, channels))
        if self.use_bias:
            self.bias = self._add_described("bias", (self.filters,))

    def call(self, inputs: Any) -> Any:
        x = _core.conv2d_transpose(
            self._start(inputs),
            self._kernel(self.kernel),
            self.bias,
            strides=two(self.strides),
            padding=self.padding,
            output_padding=None if self.output_padding is None else two(self.output_padding, 0),
            dilation=two(self.dilation_rate),
        )
        return self._finish(x)


class Conv2D(_Conv):
    """Convolution of images: out[y,x,f] = sum over the window and channels of image * kernel, plus bias[f].

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window; an integer stands for both.
        strides: Steps of the window.
        padding: "valid" (none) or "same" (zeros; the output is ceil(size / stride), more of them at the end).
        data_format: "channels_last" (n, h, w, c) or "channels_first" (n, c, h, w).
        dilation_rate: Distance of neighbouring cells of the window.
        groups: Channels are convolved in this many separate groups.
        activation: Name or callable applied to the result.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: Initial values.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties.
        kernel_constraint, bias_constraint: Projections.

    Input (n, h, w, c); kernel (kh, kw, c / groups, filters); output (n, h', w', filters).

    Raises:
        ValueError: An argument out of range, or an input of another rank or number of channels.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Conv2D(16, 3, padding="same")(keras.ops.zeros((2, 28, 28, 1))).shape)
    (2, 28, 28, 16)
    """


class DepthwiseConv2D(_Depthwise):
    """Convolution of each channel by its own `depth_multiplier` kernels.

    Input (n, h, w, c); kernel (kh, kw, c, m); output (n, h', w', c * m), channel c * m + j as in TensorFlow.

    Args:
        kernel_size: Height and width of the window.
        strides: Steps of the window.
        padding: "valid" or "same".
        depth_multiplier: Output channels for each input channel.
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        others: As in `Conv2D`, of the depthwise kernel.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.DepthwiseConv2D(3, padding="same")(keras.ops.zeros((1, 8, 8, 4))).shape)
    (1, 8, 8, 4)
    """


class SeparableConv2D(_Separable):
    """A depthwise convolution followed by a 1x1 convolution that mixes the channels.

    Input (n, h, w, c); kernels (kh, kw, c, m) and (1, 1, c * m, filters); output (n, h', w', filters).

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window.
        strides: Steps of the window.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        depth_multiplier: Channels between the two convolutions for each input channel.
        others: As in `Conv2D`, of the depthwise and of the pointwise kernel.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.SeparableConv2D(6, 3)(keras.ops.zeros((1, 8, 8, 4))).shape)
    (1, 6, 6, 6)
    """


class Conv2DTranspose(_Transpose):
    """The transposed convolution (the gradient of a convolution), which enlarges by its strides.

    Input (n, h, w, c); kernel (kh, kw, filters, c); output (n, h * stride, w * stride, filters) under "same".

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window.
        strides: How many times as large the output is.
        padding: "valid" or "same".
        output_padding: Added to the size of the output; None: from the other arguments.
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        others: As in `Conv2D`.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.Conv2DTranspose(5, 3, strides=2, padding="same")
    >>> tuple(layer(keras.ops.zeros((1, 7, 7, 4))).shape)
    (1, 14, 14, 5)
    """


Convolution2D = Conv2D
DepthwiseConvolution2D = DepthwiseConv2D
SeparableConvolution2D = SeparableConv2D
Convolution2DTranspose = Conv2DTranspose
