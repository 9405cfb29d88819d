"""Layer-wise relevance: every rule on every layer against products written out, and whole networks."""

from __future__ import annotations

import numpy as np
import pytest
import relevance_twin as twin
import small
from reference.conv import conv2d, conv2d_transpose, depthwise_conv2d

import cnnexplain as cx
from cnnexplain.explain.relevance_rules import (
    AlphaBeta,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    ZPlus,
)

keras, L = cx.keras, cx.keras.layers
RULES = {
    "epsilon": Epsilon(),
    "z_plus": ZPlus(),
    "gamma": Gamma(),
    "alpha_beta": AlphaBeta(),
    "flat": Flat(),
    "w_square": WSquare(),
    "z_box": ZBox(-1.5, 2),
}


def randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.uniform(0.5, 2, w.shape) if "var" in v.name else rng.normal(0, 0.7, w.shape)
            for v, w in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    return model


def parts(model):
    """Weights by "layer/name" in float64."""
    return {
        f"{layer.name}/{v.name}": np.asarray(v, np.float64) for layer in model.layers for v in layer.weights
    }


LINEAR = {  # one layer, and the same in NumPy
    "plain": (
        lambda: L.Conv2D(3, (3, 2), strides=(1, 2), padding="same", name="a"),
        lambda x, w: conv2d(x, w["a/kernel"], w["a/bias"], (1, 2), "same")[0],
    ),
    "dilated": (
        lambda: L.Conv2D(3, 2, dilation_rate=2, name="a"),
        lambda x, w: conv2d(x, w["a/kernel"], w["a/bias"], dilation=2)[0],
    ),
    "groups": (
        lambda: L.Conv2D(4, 3, groups=2, use_bias=False, name="a"),
        lambda x, w: conv2d(x, w["a/kernel"], groups=2)[0],
    ),
    "depthwise": (
        lambda: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="a"),
        lambda x, w: depthwise_conv2d(x, w["a/kernel"], w["a/bias"], 1, "same")[0],
    ),
    "transposed": (
        lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", name="a"),
        lambda x, w: conv2d_transpose(x, w["a/kernel"], w["a/bias"], 2, "same")[0],
    ),
    "dense": (lambda: L.Dense(3, name="a"), lambda x, w: x @ w["a/kernel"] + w["a/bias"]),
}
SHAPE = (5, 4, 4)


def norm(x, w, name):
    scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + 1e-3)
    return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]


def one_layer(kind, before=(), after=()):
    make, numpy = LINEAR[kind]
    layers = [
        keras.Input(SHAPE),
        *before,
        make(),
        *after,
        L.Flatten(),
        L.Dense(2, use_bias=False, name="top"),
    ]
    return randomize(keras.Sequential(layers)), numpy


def check(model, linear, name, rule, **options):
    """A network of one linear function of the image and a dense layer without a bias on top, by epsilon."""
    x = np.random.default_rng(3).normal(size=(2, *SHAPE))
    w = parts(model)
    a, b = twin.matrix(lambda x: linear(x, w), SHAPE)
    hidden = x.reshape(2, -1) @ a + b
    top = np.zeros((2, 2))
    top[[0, 1], [1, 0]] = (hidden @ w["top/kernel"])[[0, 1], [1, 0]]
    relevance = twin.rule("epsilon", hidden, w["top/kernel"], 0, top)
    want = twin.rule(name, x.reshape(2, -1), a, b, relevance, **options)
    e = cx.explain.lrp(model, x, [1, 0], rule="epsilon", rules={"a": rule}, dtype="float64")
    np.testing.assert_allclose(e.raw, want.reshape(x.shape), atol=1e-9 * np.abs(want).max())
    np.testing.assert_allclose(e.score, top[[0, 1], [1, 0]], rtol=1e-10)
    total = want.reshape(x.shape).sum(3)
    if name != "flat":  # whose sums have one value everywhere, which no map shows
        np.testing.assert_allclose(e.map, small.normalize(total), atol=1e-6)
    single = cx.explain.lrp(model, x, [1, 0], rule="epsilon", rules={"a": rule})
    np.testing.assert_allclose(single.raw, e.raw, atol=2e-3 * np.abs(want).max())
    return e


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", LINEAR)
def test_a_layer(kind, name):
    model, linear = one_layer(kind)
    box = {"low": -1.5, "high": 2} if name == "z_box" else {}
    check(model, linear, name, RULES[name], **box)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", LINEAR)
def test_normalisation_behind_a_layer_is_folded(kind, name):
    model, linear = one_layer(kind, after=[L.BatchNormalization(name="n")])
    box = {"low": -1.5, "high": 2} if name == "z_box" else {}
    check(model, lambda x, w: norm(linear(x, w), w, "n"), name, RULES[name], **box)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", LINEAR)
def test_normalisation_before_a_layer_is_folded(kind, name):
    """Also where the border of a padded convolution does not see the shift."""
    model, linear = one_layer(kind, before=[L.BatchNormalization(name="n")])
    box = {"low": -1.5, "high": 2} if name == "z_box" else {}
    check(model, lambda x, w: linear(norm(x, w, "n"), w), name, RULES[name], **box)


@pytest.mark.parametrize("name", RULES)
def test_borders_and_constants_are_folded(name):
    """A border of zeros, normalisation before and behind, and a scale and a shift for all channels."""
    inputs = keras.Input(SHAPE)
    x = L.ZeroPadding2D(((1, 2), (0, 1)))(L.BatchNormalization(name="m")(inputs))
    x = L.BatchNormalization(name="n")(L.Conv2D(3, 2, strides=2, name="a")(x))
    x = 3.0 - x * 2.0
    model = randomize(keras.Model(inputs, L.Dense(2, use_bias=False, name="top")(L.Flatten()(x))))

    def linear(x, w):
        x = np.pad(norm(x, w, "m"), ((0, 0), (1, 2), (0, 1), (0, 0)))
        return 3 - 2 * norm(conv2d(x, w["a/kernel"], w["a/bias"], 2)[0], w, "n")

    box = {"low": -1.5, "high": 2} if name == "z_box" else {}
    e = check(model, linear, name, RULES[name], **box)
    assert list(e.parameters["rules"]) == ["a", "top"]


@pytest.mark.parametrize("name", ["epsilon", "alpha_beta", "flat"])
def test_normalisation_before_flatten_and_dense(name):
    inputs = keras.Input(SHAPE)
    x = L.Dense(3, name="a")(L.Flatten()(L.BatchNormalization(name="n")(inputs)))
    model = randomize(keras.Model(inputs, L.Dense(2, use_bias=False, name="top")(x)))
    check(
        model,
        lambda x, w: norm(x, w, "n").reshape(len(x), -1) @ w["a/kernel"] + w["a/bias"],
        name,
        RULES[name],
    )


OPTIONS = {
    "large epsilon": (Epsilon(0.3), "epsilon", {"epsilon": 0.3}),
    "zero epsilon": (Epsilon(0), "epsilon", {"epsilon": 0}),
    "gamma": (Gamma(0.9), "gamma", {"gamma": 0.9}),
    "alpha 3": (AlphaBeta(3, 2), "alpha_beta", {"alpha": 3, "beta": 2}),
    "alpha 1": (AlphaBeta(1, 0), "z_plus", {}),
    "no bias": (ZPlus(bias=False), "z_plus", {"bias": False}),
    "no bias, squares": (WSquare(bias=False), "w_square", {"bias": False}),
    "channels": (ZBox([-1, -2, -3, -4], [1, 2, 3, 4]), "z_box", {}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options(case):
    rule, name, options = OPTIONS[case]
    if case == "channels":
        high = np.tile([1.0, 2, 3, 4], SHAPE[0] * SHAPE[1])
        options = {"low": -high, "high": high}
    model, linear = one_layer("plain")
    check(model, linear, name, rule, **options)


def residual(bias=True):
    """Convolutions, normalisation, poolings, a residual addition, a concatenation and dense layers."""
    inputs = keras.Input((7, 6, 2))
    a = L.ReLU(name="a relu")(
        L.BatchNormalization(name="n")(L.Conv2D(4, 3, padding="same", use_bias=bias, name="a")(inputs))
    )
    b = L.Conv2D(4, 3, padding="same", use_bias=bias, name="b")(a)
    c = L.MaxPooling2D(2, name="pool")(L.ReLU()(L.Add()([a, b])))
    d = L.Conv2D(3, 1, activation="relu", use_bias=bias, name="d")(c)
    e = L.AveragePooling2D(2, padding="same")(L.Concatenate()([c, d]))
    f = L.Dense(5, activation="relu", use_bias=bias, name="f")(L.Flatten()(e))
    return keras.Model(inputs, L.Dense(3, activation="softmax", use_bias=bias, name="top")(f))


class Residual:
    """The same in NumPy, with rules for first, other convolutions and dense layers."""

    def __init__(self, model, x):
        self.w = w = parts(model)
        self.x = x
        self.layers = {}

        def linear(name, x, function):
            a, b = twin.matrix(function, x.shape[1:])
            y = x.reshape(len(x), -1) @ a + b
            self.layers[name] = (x, a, b)
            return y.reshape(len(x), *np.shape(function(x[:1]))[1:])

        def conv(name, padding="same"):
            return lambda x: conv2d(x, w[f"{name}/kernel"], w.get(f"{name}/bias"), 1, padding)[0]

        def dense(name):
            return lambda x: x @ w[f"{name}/kernel"] + w.get(f"{name}/bias", 0)

        self.a = np.maximum(linear("a", x, lambda x: norm(conv("a")(x), w, "n")), 0)
        self.b = linear("b", self.a, conv("b"))
        self.sum = np.maximum(self.a + self.b, 0)
        self.c, self.mask = small.pool(self.sum)
        self.d = np.maximum(linear("d", self.c, conv("d")), 0)
        self.e = linear("mean", np.concatenate([self.c, self.d], 3), self.mean)
        self.f = np.maximum(linear("f", self.e.reshape(len(x), -1), dense("f")), 0)
        self.logits = linear("top", self.f, dense("top"))

    @staticmethod
    def mean(x):
        """2x2, the last row and column of odd sides alone."""
        n, h, w, c = x.shape
        padded = np.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)))
        count = np.pad(np.ones((h, w)), ((0, h % 2), (0, w % 2)))
        cells = padded.reshape(n, (h + 1) // 2, 2, (w + 1) // 2, 2, c).sum((2, 4))
        return cells / count.reshape((h + 1) // 2, 2, (w + 1) // 2, 2).sum((1, 3))[..., None]

    def relevance(self, start, rules):
        def back(name, r):
            x, a, b = self.layers[name]
            rule, options = rules.get(name, ("epsilon", {}))
            shared = twin.rule(rule, x.reshape(len(x), -1), a, b, r.reshape(len(r), -1), **options)
            return shared.reshape(x.shape)

        both = back("mean", back("f", back("top", start)).reshape(self.e.shape))
        c = both[..., :4] + back("d", both[..., 4:])
        a, b = twin.share([self.a, self.b], small.unpool(c, self.mask))
        return back("a", a + back("b", b))


def start_of(logits, classes, one=False):
    start = np.zeros_like(logits)
    rows = np.arange(len(logits))
    start[rows, classes] = 1 if one else logits[rows, classes]
    return start


NETWORKS = {
    "epsilon": dict.fromkeys("abd", ("epsilon", {})),
    "epsilon_plus": dict.fromkeys("abd", ("z_plus", {})),
    "epsilon_plus_flat": {"a": ("flat", {}), **dict.fromkeys("bd", ("z_plus", {}))},
    "epsilon_alpha2_beta1": dict.fromkeys("abd", ("alpha_beta", {})),
    "epsilon_alpha2_beta1_flat": {"a": ("flat", {}), **dict.fromkeys("bd", ("alpha_beta", {}))},
    "gamma": dict.fromkeys(["a", "b", "d", "f", "top"], ("gamma", {})),
}


@pytest.mark.parametrize("start", ["score", "one"])
@pytest.mark.parametrize("rule", NETWORKS)
def test_a_network(rule, start):
    model = randomize(residual())
    x = np.random.default_rng(1).normal(size=(3, 7, 6, 2))
    net = Residual(model, x)
    beginning = start_of(net.logits, [2, 0, 1], start == "one")
    want = net.relevance(beginning, NETWORKS[rule])
    e = cx.explain.lrp(model, x, [2, 0, 1], rule=rule, start=start, dtype="float64")
    np.testing.assert_allclose(e.score, net.logits[[0, 1, 2], [2, 0, 1]], rtol=1e-10)
    np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    np.testing.assert_allclose(e.steps["relevance at the start"], beginning.sum(1))
    np.testing.assert_allclose(e.steps["relevance at the image"], want.sum((1, 2, 3)))
    np.testing.assert_allclose(
        e.steps["residue"], beginning.sum(1) - want.sum((1, 2, 3)), atol=1e-9 * np.abs(want).max()
    )
    assert list(e.parameters["rules"]) == ["a", "b", "d", "f", "top"]
    assert e.steps["relevance at a"].shape == (3, 7, 6) and e.steps["relevance at f"].shape == (3, 5)
    np.testing.assert_allclose(e.steps["relevance at top"], beginning)


def test_composites_of_one_s_own():
    model = randomize(residual())
    x = np.random.default_rng(1).normal(size=(2, 7, 6, 2))
    net = Residual(model, x)
    rules = {
        "a": ("w_square", {}),
        "b": ("gamma", {"gamma": 0.5}),
        "d": ("z_plus", {}),
        "top": ("z_plus", {}),
    }
    want = net.relevance(start_of(net.logits, [0, 1]), rules)
    composite = Composite(convolution="z_plus", dense=Epsilon(), first=WSquare())
    for names in (
        ["b", "top"],
        [model.get_layer("b"), -1],
        [model.layers.index(model.get_layer("b")), "top"],
    ):
        chosen = dict(zip(names, [Gamma(0.5), "z_plus"], strict=True))
        e = cx.explain.lrp(model, x, [0, 1], rule=composite, rules=chosen, dtype="float64")
        np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    assert e.parameters["rules"]["b"] == "Gamma(gamma=0.5, epsilon=1e-06, bias=True)"


class TestConservation:
    """Without biases everything arrives, up to what epsilon takes."""

    @pytest.mark.parametrize("rule", ["epsilon", "z_plus", "gamma", "alpha_beta", "epsilon_alpha2_beta1"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_without_biases(self, x, rule, dtype):
        model = small.sequential(keras)
        model.set_weights([w if w.ndim > 1 else 0 * w for w in model.get_weights()])
        e = cx.explain.lrp(model, 10 * x + 1, [1, 2, 0], rule=rule, dtype=dtype)
        start = e.steps["relevance at the start"]
        np.testing.assert_allclose(start, e.score, rtol=1e-6)
        assert (np.abs(e.steps["residue"]) <= 1e-4 * np.abs(start)).all()
        assert not e.steps["taken by biases"].any()

    def test_biases_take_the_residue(self, model, x):
        e = cx.explain.lrp(model, x, [1, 2, 0], rule="epsilon", dtype="float64")
        taken, residue = e.steps["taken by biases"], e.steps["residue"]
        assert (np.abs(residue) > 1e-4).all()
        np.testing.assert_allclose(taken, residue, atol=1e-4)

    def test_in_a_network_with_branches(self):
        model = randomize(residual(bias=False))
        weights = {v.name: v for v in model.get_layer("n").weights}
        weights["beta"].assign(np.zeros(4))
        weights["moving_mean"].assign(np.zeros(4))
        x = 5 * np.random.default_rng(0).normal(size=(4, 7, 6, 2))
        e = cx.explain.lrp(model, x, 1, rule="epsilon", dtype="float64")
        np.testing.assert_allclose(e.steps["residue"], 0, atol=1e-4 * np.abs(e.score).max())


class TestByHand:
    def test_a_linear_model_is_input_times_weight(self):
        model = keras.Sequential([keras.Input((3, 4, 2)), L.Flatten(), L.Dense(3)])
        kernel = model.get_weights()[0].reshape(3, 4, 2, 3).transpose(3, 0, 1, 2)
        x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
        e = cx.explain.lrp(model, x, [0, 2], rule=Epsilon(0), dtype="float64")
        np.testing.assert_allclose(e.raw, x * kernel[[0, 2]], atol=1e-12)
        np.testing.assert_allclose(e.raw.sum((1, 2, 3)), e.score)

    def test_every_rule(self):
        """x = (1, 2), w = (3, -1), b = 0: z = 1, and R = 1."""
        model = keras.Sequential([keras.Input((1, 2, 1)), L.Flatten(), L.Dense(1)])
        model.set_weights([np.array([[3.0], [-1.0]]), np.zeros(1)])
        x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
        for rule, want in {
            Epsilon(0): [3, -2],
            Epsilon(1.0): [1.5, -1],
            ZPlus(0): [1, 0],
            AlphaBeta(2, 1, 0): [2, -1],
            Gamma(1.0, 0): [6 / 4, -2 / 4],
            Flat(0): [0.5, 0.5],
            WSquare(0): [0.9, 0.1],
            ZBox(0, 4, 0): [3 / 5, 2 / 5],
        }.items():
            e = cx.explain.lrp(model, x, 1, rule=rule)
            np.testing.assert_allclose(e.raw.ravel(), want, rtol=1e-6, err_msg=repr(rule))
            assert e.class_index.tolist() == [1] and e.score.tolist() == [1]
            other = cx.explain.lrp(model, x, 0, rule=rule)
            np.testing.assert_array_equal(other.raw, -e.raw)

    def test_a_gate_gets_nothing(self):
        """Squeeze-and-excite, written with sigmoid and with ReLU6: the scaled map gets all the relevance."""
        x = np.random.default_rng(0).random((2, 4, 4, 2))
        for gate in (keras.activations.sigmoid, keras.activations.hard_sigmoid, None):
            inputs = keras.Input((4, 4, 2))
            a = L.Conv2D(3, 1, use_bias=False, name="a")(inputs)
            squeezed = L.Dense(3, activation=gate, name="gate")(L.GlobalAveragePooling2D(keepdims=True)(a))
            out = L.Dense(2, use_bias=False)(
                L.GlobalAveragePooling2D()(L.Multiply(name="product")([squeezed, a]))
            )
            model = keras.Model(inputs, out)
            e = cx.explain.lrp(model, x, 1, rule="epsilon", dtype="float64")
            assert e.warnings[0] == "gates get no relevance, the signal takes all: product"
            np.testing.assert_allclose(e.steps["residue"], 0, atol=1e-3 * np.abs(e.score).max())
            assert "gate" not in e.parameters["rules"]

    def test_enlarging_shares_in_proportion(self):
        inputs = keras.Input((3, 2, 1))
        model = keras.Model(
            inputs, keras.ops.mean(L.UpSampling2D(2, interpolation="bilinear")(inputs), (1, 2))
        )
        x = np.arange(1.0, 7).reshape(1, 3, 2, 1)
        e = cx.explain.lrp(model, x, 1, dtype="float64")
        slope = np.asarray(cx.explain.saliency(model, x, 1, dtype="float64").raw)
        np.testing.assert_allclose(e.raw, x * slope, atol=1e-5)


class TestDeepTaylor:
    def test_against_numpy(self, x):
        for bounds, first in (({}, ("w_square", {"bias": False})), ({"low": 0, "high": 1}, ("z_box", {}))):
            model = randomize(residual(), 6)
            x = np.random.default_rng(1).random((3, 7, 6, 2))
            net = Residual(model, x)
            hidden = ("z_plus", {"bias": False})
            classes = [*net.logits[:2].argmax(1), net.logits[2].argmin()]
            beginning = np.maximum(start_of(net.logits, classes), 0)
            assert (beginning.sum(1) > 0).tolist() == [True, True, False]
            want = net.relevance(beginning, {"a": first, **dict.fromkeys(["b", "d", "f", "top"], hidden)})
            e = cx.explain.deep_taylor(model, x, classes, dtype="float64", **bounds)
            np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
            assert any("no pixel has positive relevance" in text for text in e.warnings)

    def test_nothing_is_negative_and_all_arrives(self, model, x):
        e = cx.explain.deep_taylor(model, 5 * x, dtype="float64", low=0, high=5)
        good = e.score > 0
        assert good.any() and (e.raw >= 0).all()
        np.testing.assert_allclose(e.raw.sum((1, 2, 3))[good], e.score[good], rtol=1e-4)

    def test_bounds_from_the_preprocessing(self, model, x):
        e = cx.explain.deep_taylor(model, x, preprocess="tf")
        assert e.parameters["rules"]["first"].startswith("ZBox(low=-1, high=1")
        want = cx.explain.deep_taylor(model, x, low=-1, high=1)
        np.testing.assert_array_equal(e.raw, want.raw)

    def test_refusals(self, x):
        model = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                L.Conv2D(2, 3, activation="gelu", name="bent"),
                L.Flatten(),
                L.Dense(2),
            ]
        )
        with pytest.raises(ValueError, match=r"deep_taylor has no rule for gelu \(bent\)"):
            cx.explain.deep_taylor(model, x)
        assert np.isfinite(cx.explain.lrp(model, x).raw).all()
        with pytest.raises(ValueError, match="`low` and `high` must be given together. Received: low=0"):
            cx.explain.deep_taylor(model, x, low=0)


METHODS = [("lrp", {}), ("lrp", {"rule": "epsilon_alpha2_beta1_flat"}), ("deep_taylor", {})]


@pytest.mark.parametrize("method, options", METHODS)
class TestEvery:
    def test_a_batch_is_its_images(self, model, x, method, options, unchanged):
        checker = unchanged(model)
        whole = cx.explain(model, x, [1, 2, 0], method=method, **options)
        for size in (1, 2):
            parted = cx.explain(model, x, [1, 2, 0], method=method, batch_size=size, **options)
            np.testing.assert_array_equal(parted.raw, whole.raw)
        for i, c in enumerate([1, 2, 0]):
            alone = cx.explain(model, x[i], c, method=method, **options)
            np.testing.assert_array_equal(alone.raw[0], whole.raw[i])
            np.testing.assert_array_equal(alone.steps["residue"][0], whole.steps["residue"][i])
        checker.check()

    def test_builds_agree(self, x, method, options):
        raws = [
            cx.explain(build(keras), x, 1, method=method, **options).raw
            for build in (small.sequential, small.functional, small.nested)
        ]
        np.testing.assert_array_equal(raws[0], raws[1])
        np.testing.assert_array_equal(raws[0], raws[2])

    @pytest.mark.parametrize("value", [0.0, 0.5, 1e30, -1e30])
    def test_extreme_images(self, model, x, method, options, value):
        images = np.full_like(x, value)
        try:
            e = cx.explain(model, images, 1, method=method, **options)
        except ValueError as error:
            assert "overflows float32" in str(error) and abs(value) > 1
        else:
            assert np.isfinite(e.raw).all() and np.isfinite(e.map).all()
        double = cx.explain(model, images, 1, method=method, dtype="float64", **options)
        assert np.isfinite(double.raw).all() and np.isfinite(double.map).all()

    def test_values_that_are_none(self, model, x, method, options):
        x[1, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match="must be finite. Received: NaN or infinity in image 1"):
            cx.explain(model, x, method=method, **options)

    def test_scores(self, model, x, method, options):
        logits = small.Twin(x, [np.asarray(w, np.float64) for w in model.get_weights()]).logits
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        e = cx.explain(model, x, 1, method=method, score="log_probability", dtype="float64", **options)
        want = (np.eye(4)[1] - p) * logits
        want = np.maximum(want, 0) if method == "deep_taylor" else want
        np.testing.assert_allclose(e.steps["relevance at head"], want, atol=1e-9)

    def test_after_a_softmax_there_is_no_rule(self, model, x, method, options):
        with pytest.raises(ValueError, match=rf"{method} has no rule for softmax \(head\).*saliency"):
            cx.explain(model, x, method=method, score=lambda p: p[:, 0], **options)


class TestBadArguments:
    def test_rules(self, model, x):
        def refused(text, kind=ValueError, **options):
            with pytest.raises(kind, match=text):
                cx.explain.lrp(model, x, **options)

        refused("`rule` must be a composite .*epsilon_plus.*Received: rule='lrp0'", rule="lrp0")
        refused("takes composites as `rule`: epsilon_plus, .*composite='z'", TypeError, composite="z")
        refused("a rule must be one of epsilon, .*Received: 'zplus'", rules={"first": "zplus"})
        refused(
            "`rules` must name layers with weights .*Received: 'pool'. There are: first, second, third, head",
            rules={"pool": "flat"},
        )
        refused("index between -6 and 5 or layer. Received: 9", rules={9: "flat"})
        refused("`rules` must be a dict", TypeError, rules=["flat"])
        refused("`start` must be one of score, one. Received: start='logit'", start="logit")
        refused(
            "the rule z_box is for a first layer, .*Received: layer 'second'", rules={"second": ZBox(0, 1)}
        )
        refused("`low='black'` needs `preprocess`", rules={"first": "z_box"})
        refused("`low` must be a number, an array, 'black' or 'white'", rules={"first": ZBox("grey", 1)})
        refused(r"`high` must have shape \(11, 14, 3\)", rules={"first": ZBox(0, np.ones(2))})
        with pytest.raises(ValueError, match="`alpha` - `beta` must be 1. Received: alpha=2, beta=0.5"):
            AlphaBeta(2, 0.5)
        for value in (-1, np.nan, "a", None):
            with pytest.raises(ValueError, match="`epsilon` must be a finite number of 0 or more"):
                Epsilon(value)

    def test_models_without_rules(self):
        inputs = keras.Input((4, 4, 3))
        x = L.Reshape((16, 3))(inputs)
        x = L.MultiHeadAttention(1, 2, name="attention")(x, x)
        model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(x)))
        with pytest.raises(
            ValueError, match=r"lrp has no rule for .*softmax \(attention.*integrated_gradients"
        ):
            cx.explain.lrp(model, np.ones((1, 4, 4, 3)))
        x = L.LSTM(3, name="memory")(L.Reshape((4, 12))(inputs))
        model = keras.Model(inputs, L.Dense(2)(x))
        with pytest.raises(ValueError, match=r"lrp has no rule for lstm \(memory\)"):
            cx.explain.lrp(model, np.ones((1, 4, 4, 3)))
        for layer in (L.LayerNormalization(name="own"), L.GroupNormalization(2, name="own")):
            x = layer(L.Conv2D(4, 3)(inputs))
            model = keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))
            with pytest.raises(ValueError, match=r"lrp has no rule for multiply \(own\), rsqrt \(own\)"):
                cx.explain.lrp(model, np.ones((1, 4, 4, 3)))
        square = keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Multiply(name="square")([inputs, inputs]))))
        with pytest.raises(ValueError, match=r"lrp has no rule for multiply \(square\)"):
            cx.explain.lrp(square, np.ones((1, 4, 4, 3)))
