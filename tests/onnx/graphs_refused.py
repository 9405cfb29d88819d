"""Valid graphs that are not read, with a pattern of the reason."""

from __future__ import annotations

import numpy as np
from graphs import floats, graph, ints, moments, one

# What is not read

one("of three axes", "Conv", (4, 3, 3, 3, 3), x=(2, 3, 5, 6, 7), why="over 3 axes; 1 and 2 are read")
one(
    "strides and dilations",
    "ConvTranspose",
    (3, 4, 3, 3),
    dilations=[2, 2],
    strides=[2, 2],
    why="strides and dilations at once",
)
one("channels that do not fit", "Conv", (4, 2, 3, 3), why="does not fit 3 channels")
one("a negative pad", "Conv", (4, 3, 3, 3), pads=[-1, 0, 0, 0], why="pads must be four integers from 0")
one("of one axis", "MaxPool", kernel_shape=[3], x=(2, 3, 9), why="has an input with 3 axes; images have 4")
one("of one axis", "AveragePool", kernel_shape=[3], strides=[2], x=(2, 3, 9), why="has an input with 3 axes")
one("dilations", "MaxPool", kernel_shape=[2, 2], dilations=[2, 2], why="it has dilations")
one("over the examples", "Flatten", axis=2, why="mixes the examples' axis")
one("examples", "Slice", starts=[1], ends=[2], opset=9, why="mixes the examples' axis")
one("examples", "ReduceMean", axes=[0], why="goes over the examples")
one("everything", "ReduceSum", why="goes over the examples")
one("examples", "ArgMax", axis=0, why="goes over the examples")
one("examples", "Softmax", axis=0, why="over the examples")
one("", "Hardmax", x=(3, 5), why="no function that has a gradient")
one("in training", "BatchNormalization", *moments(3), opset=15, training_mode=1, why="evaluation mode")
for operator, arguments, attributes in (
    ("Softmax", (), {"axis": 7}),
    ("Concat", (), {"axis": 4}),
    ("ReduceMean", (), {"axes": [2, 4]}),
    ("Gather", (ints(0),), {"axis": -5}),
    ("Unsqueeze", (ints(9),), {}),
    ("Squeeze", (ints(-6),), {}),
    ("ArgMax", (), {"axis": 4}),
):
    one("of an axis that is not there", operator, *arguments, why=r"axis -?\d of \d", **attributes)
one("beyond the end", "Gather", ints(1, 3), axis=1, why="takes entries 1 to 3 of 3")
graph(
    "GatherND beyond the end",
    "t = Transpose <perm = [1, 0, 2, 3]> (x) y = GatherND (t, i)",
    constants={"i": np.array([[-4]])},
    why="takes entries -4 to -4 of 3",
)
one("of fewer", "Split", ints(1, 1), axis=1, why="do not make 3")
one("examples", "GatherND", np.array([[0], [1]]), why="mixes the examples' axis")
one(
    "cut out",
    "Resize",
    floats(*[0] * 4, *[1] * 4),
    floats(1, 1, 2, 2),
    why="tf_crop_and_resize",
    coordinate_transformation_mode="tf_crop_and_resize",
)
one("more examples", "Resize", None, floats(2, 1, 1, 1), why="more or fewer examples")
one(
    "antialiased",
    "Resize",
    None,
    floats(1, 1, 0.5, 0.5),
    mode="linear",
    antialias=1,
    opset=18,
    why="antialias",
)
one("three bounds", "Clip", floats(1, 2, 3), why="min holds 3 numbers")
graph(
    "the batch as a number",
    "s = Shape (x) f = Cast <to = 1> (s) n = Gather <axis = 0> (f, i) y = Mul (x, n)",
    constants={"i": np.array(0)},
    why="computes with a size that is not known",
)
graph(
    "a branch by the batch",
    "s = Shape (x) n = Gather <axis = 0> (s, z) c = Greater (n, i) "
    "y = If (c) <then_branch = t () => (float p) { p = Relu (x) }, "
    "else_branch = e () => (float q) { q = Abs (x) }>",
    constants={"i": np.array(5), "z": np.array(0)},
    why="operator If",
)
graph(
    "the batch along another axis",
    "s = Shape (x) r = Gather <axis = 0> (s, i) z = ConstantOfShape (r) y = MatMul (x, z)",
    constants={"i": ints(3, 0)},
    why="shape is not known",
)
graph("examples first", "t = Transpose <perm = [1, 0, 2, 3]> (x) y = Relu (t)", why="examples")
graph("examples merged", "y = Reshape (x, s)", constants={"s": ints(-1, 7)}, why="mixes the examples' axis")
graph("a result that is no image's", "s = Shape (x) y = Cast <to = 1> (s)", why="does not depend on an input")
graph(
    "two at once",
    "a = Hardmax (x) b = ReduceMean <axes = [0]> (x) y = Add (a, b)",
    why="Hardmax_0(.|\n)*ReduceMean_1",
)
graph(
    "unknown operators at once",
    "a = Det (x) b = STFT (x, x) c = Det (b) y = Add (a, c)",
    why="Det(.|\n)*'Det_0', 'Det_2'(.|\n)*STFT",
)
for operator, text, constants in (
    (
        "Range",
        "r = Range (a, b, d) f = Cast <to = 1> (r)",
        {"a": np.array(0), "b": np.array(10**9), "d": np.array(1)},
    ),
    ("Tile", "f = Tile (c, r)", {"c": floats(1, 2), "r": ints(10**9)}),
    ("Expand", "f = Expand (c, r)", {"c": floats(1), "r": ints(10**9)}),
    ("ConstantOfShape", "f = ConstantOfShape (r)", {"r": ints(10**5, 10**4)}),
):
    graph(
        f"{operator} of a constant that fills the memory",
        f"{text} p = ReduceProd <keepdims = 0> (f) y = Mul (x, p)",
        constants=constants,
        why=f"{operator}, node '{operator}_0': it makes an array of shape",
    )

graph(
    "numbers of the flat batch in another order",
    "f = Reshape (x, s) y = Gather <axis = 0> (f, i)",
    fixed=True,
    constants={"s": ints(-1), "i": np.arange(210)[::-1].reshape(2, 3, 5, 7).copy()},
    why="examples",
)
graph(
    "rows by number",
    "f = Reshape (x, s) y = Gather <axis = 0> (f, i)",
    fixed=True,
    x=(2, 105),
    constants={"s": ints(-1, 1), "i": np.arange(210).reshape(2, 105)},
    why="examples",
)
