"""Convolutions over sequences."""

from __future__ import annotations

from . import arguments
from .convolution import _Conv, _Depthwise, _Separable, _Transpose


class Conv1D(_Conv):
    """Convolution of sequences: out[t,f] = sum over the window and channels of x * kernel, plus bias[f].

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: "valid", "same", or "causal": zeros in front, so that out[t] depends on x[:t + 1] alone.
        data_format: "channels_last" (n, length, c) or "channels_first" (n, c, length).
        dilation_rate: Distance of neighbouring cells of the window.

    The other arguments are those of `Conv2D`. Input (n, length, c); kernel (k, c / groups, filters).

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.Conv1D(6, 3, padding="causal")(keras.ops.zeros((2, 20, 4))).shape)
    (2, 20, 6)
    """

    rank = 1
    paddings = ("valid", "same", "causal")
    __init__ = arguments.with_defaults(_Conv.__init__, strides=1, dilation_rate=1)


class DepthwiseConv1D(_Depthwise):
    """Convolution of each channel of a sequence by its own `depth_multiplier` kernels.

    Input (n, length, c); kernel (k, c, m); output (n, length', c * m). Arguments as for `DepthwiseConv2D`.

    Args:
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: "valid", "causal" or "same".
        depth_multiplier: Output channels for each input channel.
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        others: As in `Conv1D`, of the depthwise kernel.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.DepthwiseConv1D(3, depth_multiplier=2)(keras.ops.zeros((1, 8, 4))).shape)
    (1, 6, 8)
    """

    rank = 1
    __init__ = arguments.with_defaults(_Depthwise.__init__, strides=1, dilation_rate=1)


class SeparableConv1D(_Separable):
    """A depthwise convolution over sequences followed by one that mixes the channels.

    Input (n, length, c); kernels (k, c, m) and (1, c * m, filters); output (n, length', filters).

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: "valid", "causal" or "same".
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        depth_multiplier: Channels between the two convolutions for each input channel.
        others: As in `Conv1D`, of the depthwise and of the pointwise kernel.

    >>> from cnnexplain import keras
    >>> tuple(keras.layers.SeparableConv1D(6, 3)(keras.ops.zeros((1, 8, 4))).shape)
    (1, 6, 6)
    """

    rank = 1
    __init__ = arguments.with_defaults(_Separable.__init__, strides=1, dilation_rate=1)


class Conv1DTranspose(_Transpose):
    """The transposed convolution of sequences, which lengthens them by its stride.

    Input (n, length, c); kernel (k, filters, c). Arguments as for `Conv2DTranspose`.

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: How many times as long the output is.
        padding: "valid" or "same".
        output_padding: Added to the size of the output; None: from the other arguments.
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance of neighbouring cells of the window.
        others: As in `Conv1D`.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.Conv1DTranspose(5, 3, strides=2, padding="same")
    >>> tuple(layer(keras.ops.zeros((1, 7, 4))).shape)
    (1, 14, 5)
    """

    rank = 1
    __init__ = arguments.with_defaults(_Transpose.__init__, strides=1, dilation_rate=1)


Convolution1D = Conv1D
SeparableConvolution1D = SeparableConv1D
Convolution1DTranspose = Conv1DTranspose
