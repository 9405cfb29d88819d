"""Convolutions, matrices, normalizations and pooling."""

from __future__ import annotations

from graphs import ALL, draw, floats, graph, ints, moments, number, one

# Convolutions

one("plain", "Conv", (4, 3, 3, 3), (4,), opset=ALL)
one("no bias", "Conv", (4, 3, 3, 2))
one("same pads", "Conv", (4, 3, 3, 5), (4,), pads=[1, 2, 1, 2])
one("asymmetric pads", "Conv", (4, 3, 3, 3), (4,), pads=[0, 2, 1, 3], kernel_shape=[3, 3])
one("strides", "Conv", (4, 3, 3, 3), (4,), pads=[1, 1, 1, 1], strides=[2, 3])
one("strides of one by one", "Conv", (4, 3, 1, 1), strides=[2, 2], x=(2, 3, 6, 9))
one("dilations", "Conv", (4, 3, 3, 3), (4,), pads=[2, 3, 2, 3], dilations=[2, 3])
one("groups", "Conv", (6, 2, 3, 3), (6,), group=2, x=(2, 4, 5, 6))
one("depthwise", "Conv", (3, 1, 3, 3), (3,), group=3, pads=[1, 1, 1, 1])
one(
    "depthwise with strides", "Conv", (3, 1, 3, 3), group=3, pads=[1, 0, 2, 1], strides=[2, 2], x=(2, 3, 7, 8)
)
one("depthwise with two each", "Conv", (6, 1, 3, 3), (6,), group=3)
one("depthwise with dilations", "Conv", (3, 1, 3, 3), group=3, pads=[2, 2, 2, 2], dilations=[2, 2])
for rule in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    one(rule, "Conv", (4, 3, 4, 2), (4,), auto_pad=rule)
    one(f"{rule} with strides", "Conv", (4, 3, 3, 3), auto_pad=rule, strides=[2, 2], x=(2, 3, 6, 8))
one("of one axis", "Conv", (4, 3, 3), (4,), x=(2, 3, 9), pads=[1, 0], strides=[2])
one("of one axis, depthwise", "Conv", (3, 1, 2), x=(2, 3, 9), group=3, dilations=[3])
one(
    "strides and dilations",
    "Conv",
    (4, 3, 3, 3),
    (4,),
    dilations=[2, 2],
    strides=[2, 3],
    pads=[2, 2, 2, 1],
    x=(2, 3, 8, 9),
)
one(
    "strides and dilations, same pads",
    "Conv",
    (3, 1, 3, 3),
    group=3,
    dilations=[2, 2],
    strides=[2, 2],
    pads=[1, 2, 2, 2],
    x=(2, 3, 8, 9),
)
graph(
    "Conv of a constant",
    "p = Conv <pads = [1, 1, 1, 1]> (c, w) y = Add (x, p)",
    constants={
        "c": draw("places").normal(size=(1, 2, 5, 7)).astype("f4"),
        "w": draw("kernel").normal(size=(3, 2, 3, 3)).astype("f4"),
    },
)
one("batch in the file", "Conv", (4, 3, 3, 3), (4,), fixed=True)

one("plain", "ConvTranspose", (3, 4, 3, 3), (4,), opset=(9, 11, 21))
one("strides", "ConvTranspose", (3, 4, 3, 3), strides=[2, 2])
one("strides and pads", "ConvTranspose", (3, 4, 4, 4), (4,), strides=[2, 2], pads=[1, 1, 1, 1])
one("asymmetric pads", "ConvTranspose", (3, 4, 3, 3), strides=[2, 2], pads=[0, 1, 1, 0])
one("output padding", "ConvTranspose", (3, 4, 3, 3), strides=[2, 3], pads=[1, 1, 1, 1], output_padding=[1, 1])
one("output shape", "ConvTranspose", (3, 4, 3, 3), strides=[2, 2], output_shape=[10, 14])
one("dilations", "ConvTranspose", (3, 4, 3, 3), dilations=[2, 2])
one("groups", "ConvTranspose", (4, 3, 3, 3), (6,), strides=[2, 2], group=2, x=(2, 4, 5, 6))
for rule in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    one(rule, "ConvTranspose", (3, 4, 3, 3), strides=[2, 2], auto_pad=rule)

# Matrices

one("plain", "Gemm", (7, 4), (4,), x=(3, 7), opset=ALL)
one("transposed", "Gemm", (4, 7), (4,), x=(3, 7), transB=1)
one("factors", "Gemm", (4, 7), (4,), x=(3, 7), transB=1, alpha=0.5, beta=2.0)
one("no bias", "Gemm", (4, 7), x=(3, 7), transB=1, opset=11)
one("number as bias", "Gemm", (7, 4), (1,), x=(3, 7))
one("bias of one row", "Gemm", (7, 4), (1, 4), x=(3, 7))
one("", "MatMul", (7, 4), x=(3, 7), opset=ALL)
one("of images", "MatMul", (7, 4))
one("of sequences", "MatMul", (6, 4), x=(3, 5, 6))
one("with many", "MatMul", (3, 7, 4))
graph("MatMul of two", "t = Transpose <perm = [0, 1, 3, 2]> (x) y = MatMul (x, t)")
graph(
    "MatMul from the left",
    "y = MatMul (w, x)",
    constants={"w": draw("left").normal(size=(4, 5)).astype("f4")},
)
graph(
    "Einsum of matrices",
    'y = Einsum <equation = "bij,jk->bik"> (x, w)',
    x=(2, 4, 5),
    constants={"w": draw("einsum").normal(size=(5, 3)).astype("f4")},
)
graph(
    "Einsum of channels", 'y = Einsum <equation = "nchw,c->nhw"> (x, w)', constants={"w": floats(0.5, -1, 2)}
)

# Normalizations

one("", "BatchNormalization", *moments(3), opset=(9, 13, 14, 15, 21), epsilon=0.01)
one("of vectors", "BatchNormalization", *moments(6), x=(3, 6))
one("of sequences", "BatchNormalization", *moments(3), x=(2, 3, 6))
graph(
    "BatchNormalization of a constant",
    "a, m, v = BatchNormalization <training_mode = 1, epsilon = 0.01> (w, s, b, p, q) y = Conv (x, a)",
    opset=15,
    constants={"w": draw("standard").normal(size=(4, 3, 3, 3)).astype("f4")}
    | dict(zip("sbpq", moments(3), strict=True)),
)
one("", "InstanceNormalization", (3,), (3,), opset=(9, 17, 21), epsilon=0.01)
one("per channel", "GroupNormalization", (6,), (6,), opset=21, num_groups=3, x=(2, 6, 3, 5), epsilon=0.01)
one("per group", "GroupNormalization", (3,), (3,), opset=18, num_groups=3, x=(2, 6, 3, 5), epsilon=0.01)
one("of the last axis", "LayerNormalization", (7,), (7,), opset=(17, 21), epsilon=0.01)
one("of two axes", "LayerNormalization", (5, 7), (5, 7), opset=17, axis=-2)
one("of images", "LayerNormalization", (3, 5, 7), (3, 5, 7), opset=17, axis=1)
one("no bias", "LayerNormalization", (6,), opset=17, x=(2, 4, 6))
graph(
    "LayerNormalization of channels",
    "t = Transpose <perm = [0, 2, 3, 1]> (x) n = LayerNormalization <axis = -1, epsilon = 0.01> (t, s, b)"
    "y = Transpose <perm = [0, 3, 1, 2]> (n)",
    opset=17,
    constants={"s": floats(0.5, 2, -1), "b": floats(0, 1, 2)},
)
graph(
    "LayerNormalization of channels in parts",
    "m = ReduceMean <axes = [1]> (x) d = Sub (x, m) q = Pow (d, two) v = ReduceMean <axes = [1]> (q)"
    "e = Add (v, small) r = Sqrt (e) z = Div (d, r) w = Mul (z, s) y = Add (w, b)",
    constants={
        "two": number(2),
        "small": number(0.01),
        "s": floats(0.5, 2, -1).reshape(3, 1, 1),
        "b": floats(0, 1, 2).reshape(3, 1, 1),
    },
)
one("three", "LRN", x=(2, 7, 3, 4), size=3, alpha=0.5, beta=0.6, bias=1.5, opset=(9, 13))
one("five", "LRN", x=(2, 7, 3, 4), size=5)
one("of channels", "LpNormalization", axis=1, p=2)
one("of the last axis", "LpNormalization", axis=-1, p=1)

# Pooling

for operator in ("MaxPool", "AveragePool"):
    one("", operator, kernel_shape=[2, 2], strides=[2, 2], opset=(9, 10, 11, 13, 19, 21))
    one("no strides", operator, kernel_shape=[2, 3])
    one("overlapping", operator, kernel_shape=[3, 3], strides=[2, 2])
    one("pads", operator, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    one("asymmetric pads", operator, kernel_shape=[3, 3], strides=[1, 2], pads=[0, 1, 2, 0])
    one("ceil_mode", operator, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, x=(2, 3, 6, 8))
    one(
        "ceil_mode and pads",
        operator,
        kernel_shape=[3, 3],
        strides=[2, 2],
        ceil_mode=1,
        pads=[1, 1, 1, 1],
        x=(2, 3, 6, 8),
    )
    one("ceil_mode without need", operator, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, x=(2, 3, 6, 8))
    for rule in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        one(rule, operator, kernel_shape=[3, 2], strides=[2, 2], auto_pad=rule)
one("negative values at pads", "MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[3, 3])
one(
    "pads counted",
    "AveragePool",
    kernel_shape=[3, 3],
    strides=[2, 2],
    pads=[1, 1, 1, 1],
    count_include_pad=1,
    opset=(9, 11, 13, 19),
)
one("asymmetric pads counted", "AveragePool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], count_include_pad=1)
one(
    "ceil_mode and pads counted",
    "AveragePool",
    kernel_shape=[3, 3],
    strides=[2, 2],
    pads=[1, 1, 1, 1],
    ceil_mode=1,
    count_include_pad=1,
    x=(2, 3, 7, 9),
    opset=19,
)
one("", "GlobalAveragePool", opset=ALL)
one("", "GlobalMaxPool", opset=ALL)
one("of sequences", "GlobalAveragePool", x=(2, 3, 6))
one("of sequences", "GlobalMaxPool", x=(2, 3, 6))
graph(
    "AveragePool of channels",
    "s = Mul (x, x) u = Unsqueeze (s, a) p = Pad (u, w) "
    "m = AveragePool <kernel_shape = [3, 1, 1], strides = [1, 1, 1]> (p) y = Squeeze (m, a)",
    constants={"a": ints(1), "w": ints(0, 0, 1, 0, 0, 0, 0, 1, 0, 0)},
)
