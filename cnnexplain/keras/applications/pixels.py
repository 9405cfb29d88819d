"""How networks take pixels: the `preprocess_input` of each network's module is one of these functions."""

from __future__ import annotations

from typing import Any

from .imagenet_utils import preprocess_input


def preprocess_caffe(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0..255 RGB as BGR minus ImageNet's mean.

    Arguments as for `imagenet_utils.preprocess_input`.

    >>> import numpy as np
    >>> preprocess_caffe(np.zeros((1, 1, 3)))
    array([[[-103.939, -116.779, -123.68 ]]])
    """
    return preprocess_input(x, data_format, "caffe")


def preprocess_tf(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0..255 as x / 127.5 - 1.

    Arguments as for `imagenet_utils.preprocess_input`.

    >>> import numpy as np
    >>> preprocess_tf(np.array([[[0.0, 127.5, 255.0]]]))
    array([[[-1.,  0.,  1.]]])
    """
    return preprocess_input(x, data_format, "tf")


def preprocess_torch(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0..255 RGB over 255, minus ImageNet's mean, over its standard deviation.

    Arguments as for `imagenet_utils.preprocess_input`.

    >>> import numpy as np
    >>> preprocess_torch(np.full((1, 1, 3), 127.5)).round(2)
    array([[[0.07, 0.2 , 0.42]]])
    """
    return preprocess_input(x, data_format, "torch")


def preprocess_lite(x: Any, data_format: str | None = None) -> Any:
    """Pixels 0..255 as (x - 127) / 128.

    Arguments as for `imagenet_utils.preprocess_input`.

    >>> import numpy as np
    >>> preprocess_lite(np.array([[[255.0, 127.0, 0.0]]]))
    array([[[ 1.       ,  0.       , -0.9921875]]])
    """
    return preprocess_input(x, data_format, "lite")


def preprocess_none(x: Any, data_format: str | None = None) -> Any:
    """The pixels as they are: the network itself scales them.

    Arguments as for `imagenet_utils.preprocess_input`.

    >>> preprocess_none([0.0, 255.0])
    [0.0, 255.0]
    """
    return x
