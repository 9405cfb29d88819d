"""Activations and other work on each entry."""

from __future__ import annotations

import numpy as np
from graphs import ALL, IMAGES, floats, graph, number, one

# Activations

for operator in (
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Sigmoid",
    "HardSigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "Erf",
    "ThresholdedRelu",
):
    one("", operator, opset=(10, 13) if operator == "ThresholdedRelu" else (9, 13))
for operator in ("LeakyRelu", "Elu", "ThresholdedRelu", "Celu"):
    one("alpha", operator, alpha=0.3)
one("both", "Selu", alpha=1.5, gamma=1.25)
one("both", "HardSigmoid", alpha=0.25, beta=0.375)
one("", "HardSwish", opset=(14, 21))
one("", "Mish", opset=18)
one("", "Gelu", opset=20)
one("tanh", "Gelu", opset=20, approximate="tanh")
one("per channel", "PRelu", (3, 1, 1), opset=(9, 16))
one("number", "PRelu", (1,))
one("per place", "PRelu", (3, 5, 7))
one("of vectors", "PRelu", (4,), x=(3, 4))
one("attributes", "Clip", min=-0.5, max=0.75, opset=9)
one("lower attribute", "Clip", min=-0.5, opset=6 + 3)
one("inputs", "Clip", number(-0.5), number(0.75), opset=(11, 13))
one("upper input", "Clip", None, number(0.75))
one("lower input", "Clip", number(0))
one("six", "Clip", number(0), number(6))
one("nothing", "Clip")
for operator in ("Softmax", "LogSoftmax"):
    one("", operator, x=(3, 5), opset=ALL)
    one("default axis", operator, opset=(11, 13))
    one("channels", operator, axis=1, opset=(11, 12, 13))
    one("axis 2", operator, axis=2, opset=(11, 13))
    one("last axis", operator, axis=-1, opset=(11, 13))
one("", "Shrink", lambd=0.5, bias=0.25)

# Elementwise

for operator in (
    "Abs",
    "Neg",
    "Exp",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "Sin",
    "Cos",
    "Tan",
    "Atan",
    "Sinh",
    "Cosh",
    "Identity",
):
    one("", operator)
for operator in ("Sqrt", "Log", "Reciprocal"):
    one("", operator, positive=True)
for operator in ("Add", "Sub", "Mul", "Div"):
    one("number", operator, (), opset=(9, 14))
    one("per channel", operator, (3, 1, 1))
    one("per channel, all axes", operator, (1, 3, 1, 1))
    one("per column", operator, (7,))
    one("per row", operator, (5, 1))
    one("per place", operator, (3, 5, 7))
    graph(f"{operator} of inputs", f"y = {operator} (x, z)", others={"z": IMAGES}, positive=True)
    graph(
        f"{operator} from the left",
        f"y = {operator} (c, x)",
        constants={"c": floats(2, -3, 0.5).reshape(3, 1, 1)},
        positive=True,
    )
    graph(f"{operator} with itself", f"y = {operator} (x, x)", positive=True)
graph("Add of unequal inputs", "y = Add (x, z)", others={"z": (2, 3, 1, 1)})
graph("Add of a map per image", "y = Add (x, z)", others={"z": (2, 1, 5, 7)})
graph("Mul of constants", "d = Add (c, c) y = Mul (x, d)", constants={"c": floats(1, 2, 3).reshape(3, 1, 1)})
one("two", "Pow", number(2), opset=(9, 12, 13, 15))
one("three", "Pow", number(3))
one("half", "Pow", number(0.5), positive=True)
one("whole", "Pow", np.array(2, np.int64), opset=13)
one("per channel", "Pow", floats(1, 2, 3).reshape(3, 1, 1), positive=True)
for operator in ("Min", "Max", "Sum", "Mean"):
    graph(
        f"{operator} of three",
        f"y = {operator} (x, z, c)",
        others={"z": IMAGES},
        constants={"c": floats(0.1, -0.2, 0.3).reshape(3, 1, 1)},
    )
    graph(f"{operator} of one", f"y = {operator} (x)")
graph("Where", "m = Greater (x, zero) y = Where (m, x, c)", constants={"zero": number(0), "c": number(-0.25)})
graph(
    "Where of constants",
    "m = Greater (x, zero) y = Where (m, c, d)",
    constants={"zero": number(0), "c": number(2.5), "d": floats(0.5, -1, 2).reshape(3, 1, 1)},
)
graph("Where of places", "m = Less (x, z) y = Where (m, x, z)", others={"z": IMAGES})
graph("Equal", "r = Round (x) m = Equal (r, one) y = Cast <to = 1> (m)", constants={"one": number(1)})
graph(
    "GreaterOrEqual",
    "m = GreaterOrEqual (x, c) y = Cast <to = 1> (m)",
    constants={"c": number(0.5)},
    opset=16,
)
graph(
    "Not", "m = LessOrEqual (x, c) n = Not (m) y = Cast <to = 1> (n)", constants={"c": number(0.5)}, opset=16
)
one("to itself", "Cast", to=1)
graph(
    "Cast to whole numbers",
    "s = Mul (x, c) i = Cast <to = 7> (s) y = Cast <to = 1> (i)",
    constants={"c": number(3)},
)
graph("CastLike", "y = CastLike (x, x)", opset=15)
one("attribute", "Dropout", ratio=0.5, opset=(9, 10))
one("input", "Dropout", number(0.5), opset=(12, 13))
graph("swish", "s = Sigmoid (x) y = Mul (x, s)")
graph(
    "hard swish",
    "a = Add (x, three) c = Clip (a, zero, six) m = Mul (x, c) y = Div (m, six)",
    constants={"three": number(3), "zero": number(0), "six": number(6)},
)
graph(
    "gelu",
    "d = Div (x, root) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Mul (m, half)",
    constants={"root": number(2**0.5), "one": number(1), "half": number(0.5)},
)
graph("mish", "p = Softplus (x) t = Tanh (p) y = Mul (x, t)")
for operator in ("And", "Or"):
    graph(
        f"{operator} of conditions",
        f"a = Greater (x, c) b = Less (x, d) m = {operator} (a, b) y = Cast <to = 1> (m)",
        constants={"c": number(-0.5), "d": number(0.5)},
    )
graph("IsNaN", "r = Log (x) m = IsNaN (r) y = Cast <to = 1> (m)")
graph(
    "Asin and Acos",
    "t = Tanh (x) a = Asin (t) b = Acos (t) d = Mul (b, two) y = Sub (a, d)",
    constants={"two": number(2)},
)
