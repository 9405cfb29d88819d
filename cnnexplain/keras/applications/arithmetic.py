"""Where the same network computes something else in PyTorch than in Keras."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arithmetic:
    """Whose version of a network is built; the layers' names and weights are the same in both.

    Args:
        epsilon: Of batch normalizations; None: the one that Keras's network has.
        symmetric: Whether strided convolutions, which Keras pads more at the end ("same"), are padded alike
            on both sides.
        late_stride: Whether a bottleneck block of a residual network strides in its 3x3 convolution, instead
            of in the 1x1 convolution before.
        preprocess: The mode of the preprocessing; None: the one that Keras's network has.
    """

    epsilon: float | None = None
    symmetric: bool = False
    late_stride: bool = False
    preprocess: str | None = None


KERAS = Arithmetic()
PYTORCH = Arithmetic(epsilon=1e-5, symmetric=True, late_stride=True, preprocess="torch")
