"""Convolutions and products, window by window with einsum."""

import numpy as np


def _pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def _pads(size, extent, stride, padding, before, after):
    """(zeros before, zeros after) of one dimension."""
    if padding == "valid":
        return 0, 0
    if padding == "explicit":
        return before, after
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _geometry(x, kernel, strides, padding, pads, dilation):
    """The padded image, the kernel, the size of the output: what _windows takes."""
    strides, dilation = _pair(strides), _pair(dilation)
    pads = pads or (0, 0, 0, 0)
    widths, size = [(0, 0)], []
    for d in range(2):
        extent = (kernel.shape[d] - 1) * dilation[d] + 1
        around = _pads(x.shape[1 + d], extent, strides[d], padding, pads[2 * d], pads[2 * d + 1])
        widths.append(around)
        size.append(max((x.shape[1 + d] + sum(around) - extent) // strides[d] + 1, 0))
    return np.pad(x, [*widths, (0, 0)]), kernel, size, strides, dilation


def _windows(padded, kernel, size, strides, dilation):
    """(n, oh, ow, kh, kw, c): what each output sees."""
    kh, kw = kernel.shape[:2]
    out = np.zeros((padded.shape[0], *size, kh, kw, padded.shape[3]), padded.dtype)
    for i in range(size[0]):
        for j in range(size[1]):
            top, left = i * strides[0], j * strides[1]
            rows = slice(top, top + (kh - 1) * dilation[0] + 1, dilation[0])
            columns = slice(left, left + (kw - 1) * dilation[1] + 1, dilation[1])
            out[:, i, j] = padded[:, rows, columns]
    return out


def conv2d(x, kernel, bias=None, strides=1, padding="valid", pads=None, dilation=1, groups=1):
    windows = _windows(*_geometry(x, kernel, strides, padding, pads, dilation))
    c, f = kernel.shape[2], kernel.shape[3] // groups
    parts = [
        np.einsum("nijpqc,pqcf->nijf", windows[..., g * c : (g + 1) * c], kernel[..., g * f : (g + 1) * f])
        for g in range(groups)
    ]
    y = np.concatenate(parts, axis=-1)
    return (y if bias is None else y + bias,)


def depthwise_conv2d(x, kernel, bias=None, strides=1, padding="valid", pads=None, dilation=1):
    windows = _windows(*_geometry(x, kernel, strides, padding, pads, dilation))
    y = np.einsum("nijpqc,pqcm->nijcm", windows, kernel)
    y = y.reshape(*y.shape[:3], kernel.shape[2] * kernel.shape[3])
    return (y if bias is None else y + bias,)


def conv2d_transpose(
    x, kernel, bias=None, strides=1, padding="valid", output_padding=None, dilation=1, output_size=None
):
    """Every pixel of x stamps the kernel onto the output; what falls outside is cut off."""
    strides, dilation = _pair(strides), _pair(dilation)
    n, h, w, _ = x.shape
    kh, kw, f, _ = kernel.shape
    size, before = [], []
    for d, (length, k) in enumerate(((h, kh), (w, kw))):
        extent = (k - 1) * dilation[d] + 1
        if output_size is not None:
            out = output_size[d]
        elif output_padding is not None:
            out = (
                (length - 1) * strides[d] + (extent % 2 if padding == "same" else extent) + output_padding[d]
            )
        elif padding == "same":
            out = length * strides[d]
        else:
            out = (length - 1) * strides[d] + max(extent, strides[d])
        size.append(out)
        before.append(_pads(out, extent, strides[d], padding, 0, 0)[0])
    y = np.zeros((n, *size, f), x.dtype)
    for i in range(h):
        for j in range(w):
            for p in range(kh):
                for q in range(kw):
                    row = i * strides[0] + p * dilation[0] - before[0]
                    column = j * strides[1] + q * dilation[1] - before[1]
                    if 0 <= row < size[0] and 0 <= column < size[1]:
                        y[:, row, column] += np.einsum("nc,fc->nf", x[:, i, j], kernel[p, q])
    return (y if bias is None else y + bias,)


def matmul(a, b, transpose_a=False, transpose_b=False):
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    return ((a[..., :, :, None] * b[..., None, :, :]).sum(axis=-2),)


def dense(x, kernel, bias=None):
    y = np.einsum("...k,ku->...u", x, kernel)
    return (y if bias is None else y + bias,)


TWINS = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "conv2d_transpose": conv2d_transpose,
    "matmul": matmul,
    "dense": dense,
}

CASES = [
    ("conv2d", [(2, 7, 9, 3), (3, 3, 3, 5), (5,)], {}),
    ("conv2d", [(2, 7, 9, 3), (3, 3, 3, 5), None], {"padding": "same"}),
    ("conv2d", [(1, 9, 8, 1), (3, 3, 1, 16), (16,)], {"padding": "same"}),
    ("conv2d", [(1, 11, 13, 3), (7, 7, 3, 4), (4,)], {"padding": "same", "strides": 2}),
    ("conv2d", [(2, 8, 5, 4), (1, 1, 4, 33), (33,)], {}),
    ("conv2d", [(2, 8, 5, 4), (1, 1, 4, 6), (6,)], {"strides": 2}),
    ("conv2d", [(1, 8, 7, 2), (2, 4, 2, 3), None], {"strides": (3, 2), "padding": "same"}),
    ("conv2d", [(1, 12, 11, 2), (3, 2, 2, 3), (3,)], {"dilation": (2, 3)}),
    ("conv2d", [(1, 12, 11, 2), (3, 3, 2, 3), (3,)], {"dilation": 2, "strides": 2, "padding": "same"}),
    ("conv2d", [(2, 6, 7, 6), (3, 3, 2, 9), (9,)], {"groups": 3, "padding": "same"}),
    ("conv2d", [(2, 6, 7, 4), (3, 3, 1, 8), (8,)], {"groups": 4, "strides": 2}),
    ("conv2d", [(1, 6, 5, 3), (3, 3, 3, 2), (2,)], {"padding": "explicit", "pads": (2, 0, 1, 3)}),
    ("conv2d", [(1, 5, 4, 2), (5, 4, 2, 3), (3,)], {}),
    ("conv2d", [(1, 3, 3, 2), (5, 5, 2, 3), None], {"padding": "same"}),
    ("conv2d", [(1, 3, 4, 2), (5, 5, 2, 3), (3,)], {}),
    ("conv2d", [(0, 5, 5, 2), (3, 3, 2, 3), (3,)], {}),
    ("conv2d", [(1, 4, 4, 40), (3, 3, 40, 18), (18,)], {"padding": "same"}),
    ("depthwise_conv2d", [(2, 7, 6, 5), (3, 3, 5, 1), (5,)], {"padding": "same"}),
    ("depthwise_conv2d", [(2, 7, 6, 3), (3, 3, 3, 2), (6,)], {}),
    ("depthwise_conv2d", [(1, 9, 8, 18), (5, 3, 18, 1), None], {"strides": 2, "padding": "same"}),
    ("depthwise_conv2d", [(1, 9, 10, 2), (2, 3, 2, 3), (6,)], {"dilation": (3, 2)}),
    ("depthwise_conv2d", [(1, 6, 5, 4), (3, 3, 4, 1), (4,)], {"padding": "explicit", "pads": (1, 2, 0, 2)}),
    ("conv2d_transpose", [(2, 4, 5, 3), (3, 3, 2, 3), (2,)], {}),
    ("conv2d_transpose", [(2, 4, 5, 3), (3, 3, 2, 3), (2,)], {"padding": "same", "strides": 2}),
    ("conv2d_transpose", [(1, 3, 4, 2), (2, 2, 5, 2), None], {"strides": 3}),
    ("conv2d_transpose", [(1, 3, 4, 2), (4, 3, 20, 2), (20,)], {"strides": (2, 1), "padding": "same"}),
    ("conv2d_transpose", [(1, 3, 4, 2), (3, 3, 4, 2), (4,)], {"strides": 2, "output_padding": (1, 0)}),
    (
        "conv2d_transpose",
        [(1, 3, 4, 2), (3, 3, 4, 2), (4,)],
        {"strides": 2, "padding": "same", "output_padding": (0, 1)},
    ),
    (
        "conv2d_transpose",
        [(1, 3, 4, 2), (3, 3, 4, 2), (4,)],
        {"strides": 2, "padding": "same", "output_size": (5, 8)},
    ),
    ("conv2d_transpose", [(1, 4, 3, 2), (3, 2, 4, 2), (4,)], {"dilation": 2}),
    ("matmul", [(3, 4), (4, 5)], {}),
    ("matmul", [(4, 3), (4, 5)], {"transpose_a": True}),
    ("matmul", [(3, 4), (5, 4)], {"transpose_b": True}),
    ("matmul", [(4, 3), (5, 4)], {"transpose_a": True, "transpose_b": True}),
    ("matmul", [(2, 3, 17), (2, 17, 33)], {}),
    ("matmul", [(2, 1, 3, 4), (3, 4, 5)], {}),
    ("matmul", [(3, 4), (2, 5, 4)], {"transpose_b": True}),
    ("matmul", [(2, 4, 3), (4, 5)], {"transpose_a": True}),
    ("matmul", [(1, 4), (4, 1)], {}),
    ("matmul", [(0, 4), (4, 3)], {}),
    ("matmul", [(3, 0), (0, 2)], {}),
    ("dense", [(5, 7), (7, 3), (3,)], {}),
    ("dense", [(1, 70), (70, 33), (33,)], {}),
    ("dense", [(2, 3, 4), (4, 6), None], {}),
    ("dense", [(0, 4), (4, 6), (6,)], {}),
]
