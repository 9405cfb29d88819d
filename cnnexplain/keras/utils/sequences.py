"""Sequences of different lengths as one array, and windows over a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain import data as tf_data


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences cut or filled up to one length.

    Args:
        sequences: Lists or arrays; all dimensions but the first are alike.
        maxlen: The length; None: that of the longest.
        dtype: Of the result; `object` for text.
        padding: "pre" or "post": where it is filled.
        truncating: "pre" or "post": where it is cut.
        value: What fills.

    Returns:
        (number of sequences, maxlen, ...).

    Raises:
        ValueError: something that is not a sequence, or sequences of different shapes.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]])
    array([[0, 0, 1],
           [0, 2, 3],
           [4, 5, 6]], dtype=int32)
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"`sequences` must be a list of sequences. Received: sequences={sequences!r}")
    for name, choice in (("padding", padding), ("truncating", truncating)):
        if choice not in ("pre", "post"):
            raise ValueError(f"`{name}` must be 'pre' or 'post'. Received: {name}={choice!r}")
    bad = next((item for item in sequences if not hasattr(item, "__len__")), None)
    if bad is not None:
        raise ValueError(f"`sequences` must be a list of sequences. Received: an item {bad!r}")
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OUS":
        raise ValueError(
            f"`dtype` must be `object` when `value` is text. Received: dtype={dtype}, value={value!r}"
        )
    longest = max((len(item) for item in sequences), default=0)
    length = longest if maxlen is None else int(maxlen)
    rest = next((np.asarray(item).shape[1:] for item in sequences if len(item)), ())
    result = np.full((len(sequences), length, *rest), value, dtype=dtype)
    for place, item in enumerate(sequences):
        if not len(item) or not length:
            continue
        part = np.asarray(item[-length:] if truncating == "pre" else item[:length], dtype=dtype)
        if part.shape[1:] != rest:
            raise ValueError(
                f"`sequences` must have items of one shape. Received: {part.shape[1:]} at position {place}, "
                f"{rest} before"
            )
        if padding == "post":
            result[place, : len(part)] = part
        else:
            result[place, -len(part) :] = part
    return result


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Any:
    """A data set of windows over a series.

    Args:
        data: (time, ...).
        targets: One for each window, by the window's start; None: windows alone.
        sequence_length: Points in a window.
        sequence_stride: From the start of one window to the next.
        sampling_rate: Between the points of a window.
        batch_size: Windows in a batch; None: single windows.
        shuffle: Whether the windows come in random order.
        seed: Of the order.
        start_index, end_index: The part of the series that is used.
        format: "tf".

    Returns:
        A `data.Dataset`.

    >>> from cnnexplain import keras
    >>> import numpy as np
    >>> windows = keras.utils.timeseries_dataset_from_array(np.arange(5), None, 3)
    >>> next(iter(windows)).numpy().tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    _only_tf(format)
    count = len(data)
    if start_index and not 0 <= start_index < count:
        raise ValueError(
            f"`start_index` must be in [0, {count}), the length of the data. "
            f"Received: start_index={start_index}"
        )
    if end_index and not (start_index or 0) < end_index < count:
        raise ValueError(
            f"`end_index` must be greater than `start_index` and less than {count}, the length of the data. "
            f"Received: end_index={end_index}, start_index={start_index}"
        )
    for name, size in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if not 0 < size < count:
            raise ValueError(
                f"`{name}` must be greater than 0 and less than {count}, the length of the data. "
                f"Received: {name}={size}"
            )
    first, last = start_index or 0, count if end_index is None else end_index
    number = last - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        number = min(number, len(targets))
    starts = np.arange(0, number, sequence_stride)
    if shuffle:
        seed = np.random.randint(int(1e6)) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    series = np.asarray(_core.tensor(data))[first:last]
    steps = np.arange(0, sequence_length * sampling_rate, sampling_rate)
    windows = tf_data.Dataset.from_tensor_slices(starts).map(lambda at: series[int(at) + steps])
    if targets is not None:
        wanted = np.asarray(_core.tensor(targets))[first:last]
        windows = tf_data.Dataset.zip((windows, tf_data.Dataset.from_tensor_slices(wanted[starts])))
    if shuffle:
        windows = windows.shuffle(1024 if batch_size is None else batch_size * 8, seed=seed)
    return windows.prefetch(tf_data.AUTOTUNE) if batch_size is None else windows.batch(batch_size)


def _only_tf(form: str) -> None:
    if form != "tf":
        raise ValueError(f"`format` must be 'tf': data sets are of one kind here. Received: format={form!r}")
