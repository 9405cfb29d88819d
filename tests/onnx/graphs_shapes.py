"""Reductions, shapes and resizing."""

from __future__ import annotations

import numpy as np
from graphs import ALL, IMAGES, draw, floats, graph, ints, number, one

# Reductions

for operator in (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
    "ReduceProd",
):
    late = 13 if operator == "ReduceSum" else 18
    one("places", operator, axes=[2, 3], opset=(9, 11))
    one("places, flat", operator, axes=[2, 3], keepdims=0, opset=11)
    one("places as input", operator, ints(-2, -1), opset=late)
    one("places as input, flat", operator, ints(2, 3), keepdims=0, opset=late)
    one("channels", operator, axes=[1], opset=11)
    one("all", operator, axes=[1, 2, 3], keepdims=0, opset=11)
one("channels, flat", "ReduceMean", axes=[1], keepdims=0, opset=11)
one("rows, flat", "ReduceMean", axes=[2], keepdims=0, opset=11)
one("last axis", "ReduceMean", axes=[-1], opset=11)
one("of vectors", "ReduceMean", axes=[1], x=(3, 4), opset=11)
one("nothing", "ReduceSum", ints(), noop_with_empty_axes=1)
graph("ReduceLogSum", "y = ReduceLogSum <axes = [1]> (x)", positive=True)
for operator in ("ArgMax", "ArgMin"):
    for axis in (1, -1, 2):
        graph(f"{operator} {axis}", f"a = {operator} <axis = {axis}> (x) y = Cast <to = 1> (a)")
    graph(f"{operator} flat", f"a = {operator} <axis = 1, keepdims = 0> (x) y = Cast <to = 1> (a)")
graph("TopK", "y, i = TopK <axis = 1> (x, k)", x=(3, 6), constants={"k": ints(2)})
graph(
    "Mul of whole numbers",
    "a = ArgMax <axis = 1> (x) b = Mul (a, two) c = Add (b, a) y = Cast <to = 1> (c)",
    constants={"two": np.array(2, np.int64)},
)
graph("CumSum", "y = CumSum (x, a)", constants={"a": np.array(2, np.int64)})

# Shapes

for axis in (1, 2, 3, -1):
    graph(f"Concat {axis}", f"y = Concat <axis = {axis}> (x, z, x)", others={"z": IMAGES})
for opset in (9, 11):
    graph(
        "Split",
        "a, b, c = Split <axis = 1, split = [2, 1, 3]> (x) d = Concat <axis = 1> (c, a) y = Relu (d)",
        opset=opset,
        x=(2, 6, 3, 4),
    )
    graph("Split evenly", "a, b = Split <axis = 1> (x) y = Sub (a, b)", opset=opset, x=(2, 6, 3, 4))
graph(
    "Split",
    "a, b, c = Split <axis = 1> (x, s) y = Concat <axis = 1> (c, a)",
    x=(2, 6, 3, 4),
    constants={"s": ints(2, 1, 3)},
)
graph("Split evenly", "a, b = Split <axis = -1> (x) y = Sub (a, b)", x=(2, 3, 4, 6))
graph(
    "Split by number",
    "a, b, c = Split <axis = 1, num_outputs = 3> (x) y = Concat <axis = 1> (c, a)",
    opset=18,
    x=(2, 7, 3, 4),
)
one("attributes", "Slice", axes=[1, 3], starts=[1, -4], ends=[3, -1], opset=9)
one("inputs", "Slice", ints(1, -4), ints(3, -1), ints(1, 3), opset=(10, 13))
one("steps", "Slice", ints(0, 1), ints(99, 99), ints(2, 3), ints(2, 3))
one("backwards", "Slice", ints(-1), ints(-99), ints(3), ints(-1))
one("of channels backwards", "Slice", ints(2, 4), ints(-9, 0), ints(1, -2), ints(-1, -2))
one("to the end", "Slice", ints(1), ints(2**63 - 1), ints(-1))
one("attribute", "Pad", pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5, opset=9)
one("inputs", "Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), opset=(11, 13))
one("a value", "Pad", ints(0, 1, 1, 2, 0, 2, 3, 0), number(-1.5))
one("axes", "Pad", ints(1, 2, 3, 0), None, ints(2, 3), opset=(18, 21))
one("negative", "Pad", ints(0, 0, -1, 1, 0, 0, 0, -2))
one("reflect", "Pad", ints(0, 0, 1, 2, 0, 0, 2, 3), mode="reflect")
one("edge", "Pad", ints(0, 0, 1, 2, 0, 0, 2, 3), mode="edge")
one("wrapped", "Pad", ints(0, 0, 1, 2, 0, 0, 2, 3), mode="wrap", opset=19)
for opset in (9, 13, 14, 21):
    one("flat", "Reshape", ints(0, -1), opset=opset)
one("merge places", "Reshape", ints(0, 3, -1))
one("split channels", "Reshape", ints(0, 2, 3, 3, 5), x=(2, 6, 3, 5))
one("unbatched", "Reshape", ints(-1, 105))
one("split places", "Reshape", ints(0, 0, 2, 2, 4), x=(2, 3, 4, 4))
one("unlike", "Reshape", ints(0, 7, 15))
one("to columns", "Reshape", ints(-1, 3, 1, 1), x=(4, 3))
one("", "Flatten", opset=ALL)
one("of columns", "Flatten", x=(3, 6, 1, 1))
one("attribute", "Squeeze", axes=[2, 3], x=(2, 3, 1, 1), opset=(9, 11))
one("input", "Squeeze", ints(-1, 2), x=(2, 3, 1, 1), opset=(13, 21))
one("rows", "Squeeze", ints(2), x=(2, 3, 1, 5))
one("channels", "Squeeze", ints(1), x=(2, 1, 4, 5))
one("attribute", "Unsqueeze", axes=[2, 3], x=(2, 3), opset=(9, 11))
one("input", "Unsqueeze", ints(-1, -2), x=(2, 3))
one("before the channels", "Unsqueeze", ints(1))
one("", "Transpose", perm=[0, 2, 3, 1])
one("places", "Transpose", perm=[0, 1, 3, 2])
one("of matrices", "Transpose", perm=[0, 2, 1], x=(2, 3, 4))
one("", "Expand", ints(1, 3, 5, 7), x=(2, 3, 1, 1))
one("short", "Expand", ints(5, 7), x=(2, 3, 1, 1))
one("", "Tile", ints(1, 2, 1, 3), opset=(9, 13))
one("channels", "Gather", ints(2, 0), axis=1)
one("column", "Gather", np.array(1, np.int64), axis=3)
one("negative", "Gather", ints(-1, 0), axis=2)
one("class token", "Gather", np.array(0, np.int64), axis=1, x=(2, 5, 4))
one("", "SpaceToDepth", blocksize=2, x=(2, 3, 4, 6))
one("", "DepthToSpace", blocksize=2, x=(2, 12, 2, 3), opset=(9, 13))
one("CRD", "DepthToSpace", blocksize=2, mode="CRD", x=(2, 12, 2, 3))
graph(
    "shuffle of channels",
    "a = Reshape (x, s) b = Transpose <perm = [0, 2, 1, 3, 4]> (a) y = Reshape (b, t)",
    x=(2, 6, 3, 5),
    constants={"s": ints(0, 2, 3, 3, 5), "t": ints(0, 6, 3, 5)},
)
graph(
    "flat by the shape",
    "s = Shape (x) n = Gather <axis = 0> (s, zero) u = Unsqueeze <axes = [0]> (n)"
    "t = Concat <axis = 0> (u, rest) y = Reshape (x, t)",
    opset=11,
    constants={"zero": np.array(0, np.int64), "rest": ints(-1)},
)
graph(
    "flat by parts of the shape",
    "s = Shape (x) c = Slice (s, one, four, zero) p = ReduceProd <keepdims = 1, axes = [0]> (c)"
    "b = Slice (s, zero, one, zero) t = Concat <axis = 0> (b, p) y = Reshape (x, t)",
    constants={"zero": ints(0), "one": ints(1), "four": ints(4)},
)
graph(
    "flat and a matrix",
    "f = Flatten (x) y = Gemm <transB = 1> (f, w, b)",
    constants={"w": draw("flat").normal(size=(4, 105)).astype("f4"), "b": floats(1, 2, 3, 4)},
)
graph(
    "flat, relu and a matrix",
    "f = Reshape (x, s) r = Relu (f) y = MatMul (r, w)",
    constants={"w": draw("relu").normal(size=(105, 4)).astype("f4"), "s": ints(0, -1)},
)
graph(
    "flat twice used",
    "f = Flatten (x) g = Gemm (f, w) h = Gemm (f, w) k = Concat <axis = 1> (g, f, h) y = Relu (k)",
    constants={"w": draw("twice").normal(size=(105, 4)).astype("f4")},
)
graph(
    "resized by the shape",
    "s = Shape (x) h = Slice (s, two, four, zero) d = Mul (h, factor) b = Slice (s, zero, two, zero)"
    'z = Concat <axis = 0> (b, d) y = Resize <mode = "nearest", nearest_mode = "floor",'
    'coordinate_transformation_mode = "asymmetric"> (x, "", "", z)',
    constants={"zero": ints(0), "two": ints(2), "four": ints(4), "factor": ints(2, 2)},
)
graph(
    "squeeze and excitation",
    "p = GlobalAveragePool (x) a = Conv (p, w) r = Relu (a) b = Conv (r, v) s = Sigmoid (b) y = Mul (x, s)",
    constants={
        "w": draw("w").normal(size=(2, 3, 1, 1)).astype("f4"),
        "v": draw("v").normal(size=(3, 2, 1, 1)).astype("f4"),
    },
)
graph(
    "attention",
    "f = Reshape (x, s) t = Transpose <perm = [0, 2, 1]> (f) q = MatMul (t, w)"
    "k = Transpose <perm = [0, 2, 1]> (q)"
    "a = MatMul (q, k) p = Softmax <axis = -1> (a) y = MatMul (p, t)",
    constants={"w": draw("attention").normal(size=(3, 3)).astype("f4"), "s": ints(0, 3, -1)},
)
graph(
    "constants",
    "c = Constant <value_float = 1.5> () d = Constant <value = float[3, 1, 1] {1, 2, 3}> ()"
    "e = Mul (x, c) y = Add (e, d)",
)
graph(
    "ConstantOfShape",
    "s = Shape <start = 1> (x) z = ConstantOfShape <value = float[1] {2}> (s) y = Mul (x, z)",
    opset=15,
)
graph("Expand by the shape", "s = Shape (x) p = GlobalAveragePool (x) e = Expand (p, s) y = Sub (x, e)")
graph(
    "Range",
    "r = Range (a, b, d) f = Cast <to = 1> (r) y = Add (x, f)",
    constants={"a": np.array(0, np.int64), "b": np.array(7, np.int64), "d": np.array(1, np.int64)},
)
graph(
    "channels last",
    "t = Transpose <perm = [0, 3, 1, 2]> (x) c = Conv (t, w) r = Relu (c)"
    "y = Transpose <perm = [0, 2, 3, 1]> (r)",
    x=(2, 5, 7, 3),
    constants={"w": draw("last").normal(size=(4, 3, 3, 3)).astype("f4")},
)

graph(
    "numbers of the flat batch",
    "f = Reshape (x, s) y = Gather <axis = 0> (f, i)",
    fixed=True,
    constants={"s": ints(-1), "i": np.arange(210).reshape(2, 3, 5, 7)},
)
graph(
    "numbers of the flat batch, computed",
    "f = Reshape (x, s) z = Shape (x) b = Gather <axis = 0> (z, zero) r = Range (zero, b, one)"
    "m = Mul (r, many) u = Unsqueeze (m, axes) i = Add (u, places) y = Gather <axis = 0> (f, i)",
    constants={
        "s": ints(-1),
        "zero": np.array(0),
        "one": np.array(1),
        "many": np.array(105),
        "axes": ints(1, 2, 3),
        "places": np.arange(105).reshape(1, 3, 5, 7),
    },
)
graph(
    "remainders of sizes",
    "s = Shape (x) c = Gather <axis = 0> (s, one) m = Mod (c, two) f = Cast <to = 1> (m) y = Add (x, f)",
    constants={"one": np.array(1), "two": np.array(2)},
)
graph(
    "size of a constant, a shape put together",
    "n = Size (c) u = Unsqueeze (n, zero) t = ScatterND (s, i, u) y = Reshape (x, t)",
    constants={
        "c": np.zeros((3, 5), np.float32),
        "zero": ints(0),
        "s": ints(0, -1, 0),
        "i": np.array([[2]]),
    },
    x=(2, 3, 5, 7),
)

# Resizing

SMALL = (2, 2, 3, 4)

for mode in ("nearest", "linear"):
    one(mode, "Upsample", floats(1, 1, 2, 3), mode=mode, opset=9, x=SMALL)
    one(mode, "Resize", floats(1, 1, 2, 3), mode=mode, opset=10, x=SMALL)
for place in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
    one(
        f"linear {place}",
        "Resize",
        floats(),
        floats(1, 1, 2, 3),
        mode="linear",
        opset=(11, 13),
        x=SMALL,
        coordinate_transformation_mode=place,
    )
    one(
        f"linear {place} to sizes",
        "Resize",
        None,
        None,
        ints(2, 2, 5, 7),
        mode="linear",
        fixed=True,
        x=SMALL,
        coordinate_transformation_mode=place,
    )
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        one(
            f"nearest {place} {rounding}",
            "Resize",
            None,
            floats(1, 1, 2, 2.5),
            mode="nearest",
            x=SMALL,
            nearest_mode=rounding,
            coordinate_transformation_mode=place,
        )
one(
    "smaller",
    "Resize",
    None,
    floats(1, 1, 0.6, 0.5),
    mode="linear",
    coordinate_transformation_mode="half_pixel",
)
for place in ("half_pixel", "pytorch_half_pixel"):
    one(
        f"{place} to one row",
        "Resize",
        None,
        None,
        ints(2, 2, 1, 3),
        mode="linear",
        fixed=True,
        x=SMALL,
        coordinate_transformation_mode=place,
    )
one("axes", "Resize", None, None, ints(8, 9), mode="linear", axes=[2, 3], opset=18)
one("cubic", "Resize", None, floats(1, 1, 2, 2), mode="cubic", cubic_coeff_a=-0.75)
one("cubic smaller", "Resize", None, floats(1, 1, 0.6, 0.6), mode="cubic", cubic_coeff_a=-0.5)

graph(
    "ConstantOfShape for all examples",
    "s = Shape (x) z = ConstantOfShape <value = float[1] {2.5}> (s) "
    "r = Reshape (z, s) j = Concat <axis = 1> (x, r) y = Mul (j, j)",
)

# Places

one("of several axes", "Gather", np.array([[0, 5], [1, 1]]), x=(2, 6), axis=1)
graph(
    "GatherND of channels",
    "t = Transpose <perm = [1, 0, 2, 3]> (x) g = GatherND (t, i) y = Transpose <perm = [1, 0, 2, 3]> (g)",
    constants={"i": np.array([[2], [0], [1], [-1]])},
)
graph(
    "GatherND of pixels",
    "t = Transpose <perm = [2, 3, 0, 1]> (x) g = GatherND (t, i) y = Transpose <perm = [2, 3, 0, 1]> (g)",
    constants={"i": np.array([[[0, 6], [4, 0]], [[2, 3], [-1, -2]], [[1, 1], [3, 5]]])},
)

# Truth

graph(
    "Cast to a truth",
    "r = Relu (x) b = Cast <to = 9> (r) y = Where (b, x, z)",
    constants={"z": np.array(-7, np.float32)},
)
graph(
    "a branch by the shape",
    "s = Shape (x) n = Gather <axis = 0> (s, i) c = Equal (n, i) "
    "y = If (c) <then_branch = t () => (float p) { p = Hardmax (x) }, "
    "else_branch = e () => (float q) { a = Sigmoid (x) q = Mul (a, x) }>",
    constants={"i": np.array(1)},
)
