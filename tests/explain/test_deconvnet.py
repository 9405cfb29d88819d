"""The deconvnet against a twin in NumPy, float64, written from the paper (arXiv 1311.2901, section 2.1)."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import cnnexplain as cx

keras = cx.keras
L = keras.layers
HEIGHT, WIDTH = 37, 41


def geometry(size, kernel, stride, padding):
    """Number of windows and pixels of padding before the first, as TensorFlow defines "same" and "valid"."""
    if padding == "valid":
        return (size - kernel) // stride + 1, 0
    count = -(-size // stride)
    return count, max((count - 1) * stride + kernel - size, 0) // 2


def windows(shape, kernel, stride, padding):
    """Every window: its place (i, j), and the slices of the image and of the kernel that meet there."""
    (rows, top), (columns, left) = (
        geometry(s, k, stride, padding) for s, k in zip(shape, kernel, strict=True)
    )
    for i in range(rows):
        for j in range(columns):
            y, x = i * stride - top, j * stride - left
            a, b = max(y, 0), min(y + kernel[0], shape[0])
            c, d = max(x, 0), min(x + kernel[1], shape[1])
            yield (i, j), (slice(a, b), slice(c, d)), (slice(a - y, b - y), slice(c - x, d - x))


class Conv:
    def __init__(self, name, filters, kernel, stride=1, padding="valid", groups=1):
        self.name, self.filters, self.kernel, self.groups = name, filters, kernel, groups
        self.stride, self.padding = stride, padding

    def layer(self):
        options = {"strides": self.stride, "padding": self.padding, "groups": self.groups}
        return L.Conv2D(self.filters, self.kernel, name=self.name, **options)

    def up(self, x, weights):
        w, b = weights
        self.shape, self.w = x.shape, w
        size = (self.kernel, self.kernel)
        counts = [geometry(s, self.kernel, self.stride, self.padding)[0] for s in x.shape[1:3]]
        y = np.zeros((len(x), *counts, self.filters)) + b
        for at, (r, c), (kr, kc) in windows(x.shape[1:3], size, self.stride, self.padding):
            for inputs, outputs in self.parts():
                y[:, at[0], at[1], outputs] += np.einsum(
                    "nhwc,hwcf->nf", x[:, r, c, inputs], w[kr, kc][..., outputs]
                )
        return y

    def down(self, signal, overlap):
        """Filter: the transposed kernel, without the bias."""
        x = np.zeros(self.shape)
        for at, (r, c), (kr, kc) in windows(self.shape[1:3], self.w.shape[:2], self.stride, self.padding):
            for inputs, outputs in self.parts():
                x[:, r, c, inputs] += np.einsum(
                    "nf,hwcf->nhwc", signal[:, at[0], at[1], outputs], self.w[kr, kc][..., outputs]
                )
        return x

    def parts(self):
        each, out = self.shape[3] // self.groups, self.filters // self.groups
        for g in range(self.groups):
            yield slice(g * each, (g + 1) * each), slice(g * out, (g + 1) * out)


class Relu:
    def __init__(self, name):
        self.name = name

    def layer(self):
        return L.ReLU(name=self.name)

    def up(self, x, weights):
        return np.maximum(x, 0)

    def down(self, signal, overlap):
        """Rectify: what comes down, whatever went up."""
        return np.maximum(signal, 0)


class Pool:
    def __init__(self, name, size, stride, padding="valid"):
        self.name, self.size, self.stride, self.padding = name, size, stride, padding

    def layer(self):
        return L.MaxPooling2D(self.size, self.stride, self.padding, name=self.name)

    def up(self, x, weights):
        self.shape = x.shape
        self.switches = {}
        counts = [geometry(s, self.size, self.stride, self.padding)[0] for s in x.shape[1:3]]
        y = np.zeros((len(x), *counts, x.shape[3]))
        for at, (r, c), _ in windows(x.shape[1:3], (self.size, self.size), self.stride, self.padding):
            part = x[:, r, c]
            flat = part.reshape(len(x), -1, x.shape[3])
            best = flat.argmax(1)
            self.switches[at] = r.start + best // part.shape[2], c.start + best % part.shape[2]
            y[:, at[0], at[1]] = flat.max(1)
        return y

    def down(self, signal, overlap):
        """Unpool: each value to where its switch says."""
        x = np.zeros(self.shape)
        n, _, _, channels = self.shape
        image, channel = np.ogrid[:n, :channels]
        for (i, j), (rows, columns) in self.switches.items():
            if overlap == "sum":
                x[image, rows, columns, channel] += signal[:, i, j]
            else:
                x[image, rows, columns, channel] = signal[:, i, j]
        return x


class Norm:
    """Local response normalization, which the way down leaves out."""

    def __init__(self, name):
        self.name = name

    def layer(self):
        return L.LocalResponseNormalization(2, bias=2.0, alpha=0.3, beta=0.75, name=self.name)

    def up(self, x, weights):
        total = np.zeros_like(x)
        for k in range(x.shape[3]):
            total[..., k] = (x[..., max(k - 2, 0) : k + 3] ** 2).sum(-1)
        return x / (2.0 + 0.3 * total) ** 0.75

    def down(self, signal, overlap):
        return signal


class Pad:
    name = "pad"

    def layer(self):
        return L.ZeroPadding2D(1, name=self.name)

    def up(self, x, weights):
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def down(self, signal, overlap):
        return signal[:, 1:-1, 1:-1]


class Flat:
    name = "flatten"

    def layer(self):
        return L.Flatten(name=self.name)

    def up(self, x, weights):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def down(self, signal, overlap):
        return signal.reshape(self.shape)


class Dense:
    def __init__(self, name, units):
        self.name, self.units = name, units

    def layer(self):
        return L.Dense(self.units, name=self.name)

    def up(self, x, weights):
        self.w = weights[0]
        return x @ weights[0] + weights[1]

    def down(self, signal, overlap):
        return signal @ self.w.T


def alexnet():
    """AlexNet's order and windows, with few maps."""
    return [
        *(Conv("conv1", 6, 5, 2), Relu("relu1"), Norm("norm1"), Pool("pool1", 3, 2)),
        *(Conv("conv2", 8, 3, padding="same", groups=2), Relu("relu2"), Norm("norm2"), Pool("pool2", 3, 2)),
        *(Conv("conv3", 6, 3, padding="same"), Relu("relu3"), Pool("pool3", 3, 2)),
        *(Flat(), Dense("fc", 9), Relu("relu4"), Dense("last", 4)),
    ]


def zfnet():
    """ZFNet's order and windows, with few maps."""
    return [
        *(Pad(), Conv("conv1", 6, 5, 2), Relu("relu1"), Pool("pool1", 3, 2, "same"), Norm("norm1")),
        *(Conv("conv2", 8, 3, 2), Relu("relu2"), Pool("pool2", 3, 2, "same"), Norm("norm2")),
        *(Conv("conv3", 6, 3, padding="same"), Relu("relu3")),
    ]


NETWORKS = {"alexnet": alexnet, "zfnet": zfnet}


def built(parts, seed=0):
    """The network in cnnexplain, with weights so large that every layer has activations of both signs."""
    model = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), *(part.layer() for part in parts)])
    rng = np.random.default_rng(seed)
    made = []
    for w in model.get_weights():
        scale = np.sqrt(2 / np.prod(w.shape[:-1])) if w.ndim > 1 else 0.1
        made.append(rng.normal(0, scale, w.shape))
    model.set_weights(made)
    return model


@pytest.fixture(scope="module")
def images():
    """Random blots, so that neighbouring windows have common winners."""
    x = np.random.default_rng(5).random((3, HEIGHT + 2, WIDTH + 2, 3))
    return (x[:, :-2, :-2] + x[:, 1:-1, 1:-1] + x[:, 2:, 2:]) / 1.5 - 1


class Twin:
    """Up through all layers; then down from a layer with all but the kept activations zero."""

    def __init__(self, parts, model, x):
        self.parts, self.values = parts, {}
        x = np.asarray(x, np.float64)
        for part in parts:
            weights = [np.asarray(w, np.float64) for w in model.get_layer(part.name).get_weights()]
            self.values[part.name] = x = part.up(x, weights)

    def down(self, layer, maps, keep, overlap):
        values = self.values[layer]
        signal = np.zeros_like(values)
        for image, number in enumerate(maps):
            one = values[image, ..., number]
            if keep == "all":
                signal[image, ..., number] = one
            elif keep == "max":
                at = np.unravel_index(one.argmax(), one.shape)
                signal[(image, *at, number)] = one[at]
            else:
                signal[(image, *keep, number)] = one[keep]
        names = [part.name for part in self.parts]
        for part in reversed(self.parts[: names.index(layer) + 1]):
            signal = part.down(signal, overlap)
        return signal


@pytest.mark.parametrize("overlap", ["sum", "overwrite"])
@pytest.mark.parametrize("keep", ["max", "all"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_random_feature_maps(name, keep, overlap, images):
    parts = NETWORKS[name]()
    model = built(parts)
    twin = Twin(parts, model, images)
    rng = np.random.default_rng(7)
    differ = 0
    for _ in range(20):
        layer = parts[rng.integers(1, len(parts))].name
        maps = rng.integers(0, twin.values[layer].shape[-1], 3)
        options = {"keep": keep, "overlap": overlap, "dtype": "float64"}
        e = cx.explain.deconvnet(model, images, layer, maps, **options)
        want = twin.down(layer, maps, keep, overlap)
        scale = max(1e-3, np.abs(want).max())
        np.testing.assert_allclose(e.raw, want, atol=1e-11 * scale, err_msg=f"{layer} {maps}")
        single = cx.explain.deconvnet(model, images, layer, maps, keep=keep, overlap=overlap)
        np.testing.assert_allclose(single.raw, want, atol=1e-4 * scale, err_msg=f"{layer} {maps}")
        other = twin.down(layer, maps, keep, "sum" if overlap == "overwrite" else "overwrite")
        differ += np.abs(other - want).max() > 1e-3 * scale
    assert differ >= 5, "the two ways of overlapping are not told apart"


def test_a_chosen_position(images):
    parts = alexnet()
    model = built(parts)
    twin = Twin(parts, model, images)
    for layer, keep in (("relu2", (3, 5)), ("conv3", (0, 0)), ("pool1", (7, 8)), ("conv1", (16, 18))):
        e = cx.explain.deconvnet(model, images, layer, 2, keep=keep, dtype="float64")
        np.testing.assert_allclose(e.raw, twin.down(layer, [2] * 3, keep, "sum"), atol=1e-12)
        np.testing.assert_allclose(e.value, twin.values[layer][:, keep[0], keep[1], 2], atol=1e-12)
        assert e.position.tolist() == [list(keep)] * 3


def test_the_strongest_map(images):
    parts = alexnet()
    model = built(parts)
    twin = Twin(parts, model, images)
    for layer in ("relu1", "conv2", "fc", "last"):
        values = twin.values[layer].reshape(3, -1, twin.values[layer].shape[-1])
        e = cx.explain.deconvnet(model, images, layer, dtype="float64")
        assert e.feature_map.tolist() == values.max(1).argmax(1).tolist()
        np.testing.assert_allclose(e.value, values.max((1, 2)), atol=1e-12)
        whole = cx.explain.deconvnet(model, images, layer, keep="all", dtype="float64")
        assert whole.feature_map.tolist() == values.sum(1).argmax(1).tolist()
        if layer not in ("fc", "last"):
            here = cx.explain.deconvnet(model, images, layer, keep=(4, 6), dtype="float64")
            assert here.feature_map.tolist() == twin.values[layer][:, 4, 6].argmax(-1).tolist()


def test_before_and_after_the_relu(images):
    model = built(alexnet())
    before, after = (cx.explain.deconvnet(model, images, layer, 1) for layer in ("conv2", "relu2"))
    assert (before.value > 0).all()
    np.testing.assert_allclose(before.raw, after.raw, atol=1e-7)
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    fused = keras.Model(inputs, L.Conv2D(6, 5, 2, activation="relu", name="fused")(inputs))
    fused.set_weights(model.get_layer("conv1").get_weights())
    e = cx.explain.deconvnet(fused, images, "fused", 4, keep="all")
    np.testing.assert_allclose(
        e.raw, cx.explain.deconvnet(model, images, "relu1", 4, keep="all").raw, atol=1e-6
    )


class TestLecture:
    """The 4 x 4 example."""

    def model(self):
        return keras.Sequential([keras.Input((4, 4, 1)), L.MaxPooling2D(2, name="pool")])

    def test_the_numbers(self):
        e = cx.explain.deconvnet(self.model(), cx.demo.EXAMPLE, "pool", keep="all", dtype="float64")
        want = [[0.8, 0, 0, 0], [0, 0, 0.9, 0], [0, 0.7, 0.8, 0], [0, 0, 0, 0]]
        assert e.steps["feature map"][0].tolist() == [[0.8, 0.9], [0.7, 0.8]]
        assert e.steps["unpool pool"][0, :, :, 0].tolist() == want
        assert e.raw[0, :, :, 0].tolist() == want
        s = e.switches["pool"]
        assert s.pooled[0, :, :, 0].tolist() == [[0.8, 0.9], [0.7, 0.8]]
        assert s.rows[0, :, :, 0].tolist() == [[0, 1], [2, 2]]
        assert s.columns[0, :, :, 0].tolist() == [[0, 2], [1, 2]]
        assert s.unpool()[0, :, :, 0].tolist() == want

    def test_the_strongest_alone(self):
        e = cx.explain.deconvnet(self.model(), cx.demo.EXAMPLE, "pool", dtype="float64", crop=True)[0]
        assert e.position.tolist() == [0, 1] and e.value == 0.9
        assert e.receptive_field.tolist() == [0, 2, 2, 4]
        assert e.raw[:, :, 0].tolist() == [[0, 0], [0.9, 0]]
        assert e.images[:, :, 0].tolist() == [[0.5, 0.3], [0.9, 0.8]]

    def test_it_is_shown_in_numbers(self):
        e = cx.explain.deconvnet(self.model(), cx.demo.EXAMPLE, "pool", keep="all")
        figure = e.plot_steps()
        texts = [[t.get_text() for t in axes.texts] for axes in figure.axes]
        assert texts[0] == ["0.8", "0.9", "0.7", "0.8"]
        assert texts[2] == "0.8 0 0 0 0 0 0.9 0 0 0.7 0.8 0 0 0 0 0".split()


class TestOtherLayers:
    def test_batch_normalization_is_part_of_the_convolution(self, images):
        rng = np.random.default_rng(2)

        def make(*layers):
            return keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), *layers])

        whole = make(
            L.Conv2D(5, 3, name="a"),
            L.BatchNormalization(name="n", epsilon=1e-3),
            L.ReLU(),
            L.MaxPooling2D(3, 2),
            L.Conv2D(4, 3, activation="relu", name="b"),
        )
        whole.set_weights(
            [
                np.abs(w) + 0.1 if k == 5 else w
                for k, w in enumerate(rng.normal(0, 0.5, w.shape) for w in whole.get_weights())
            ]
        )
        w, b, gamma, beta, mean, variance, *rest = (np.asarray(v, np.float64) for v in whole.get_weights())
        scale = gamma / np.sqrt(variance + 1e-3)
        folded = make(
            L.Conv2D(5, 3), L.ReLU(), L.MaxPooling2D(3, 2), L.Conv2D(4, 3, activation="relu", name="b")
        )
        folded.set_weights([w * scale, (b - mean) * scale + beta, *rest])
        for number in range(4):
            one, other = (
                cx.explain.deconvnet(m, images, "b", number, dtype="float64") for m in (whole, folded)
            )
            np.testing.assert_allclose(one.raw, other.raw, atol=1e-5 * max(1e-3, np.abs(one.raw).max()))

    @pytest.mark.parametrize("join", ["add", "concatenate", "subtract"])
    def test_branches_are_added(self, join, images):
        """Without ReLUs the way down is the gradient times the activation."""
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        a = L.Conv2D(4, 3, padding="same", name="a")(inputs)
        b = L.Conv2D(4, 5, padding="same", name="b")(L.AveragePooling2D(3, 1, "same")(a))
        x = {"add": L.Add(), "concatenate": L.Concatenate(), "subtract": L.Subtract()}[join]([a, b])
        model = keras.Model(inputs, L.Conv2D(3, 3, name="last")(x))
        e = cx.explain.deconvnet(model, images, "last", 1, dtype="float64")
        tape_model = keras.Model(inputs, model.output)
        x = cx.constant(images, "float32")
        with cx.GradientTape() as tape:
            tape.watch(x)
            y = tape_model(x)
            total = sum(y[i, int(r), int(c), 1] for i, (r, c) in enumerate(e.position))
        want = np.asarray(tape.gradient(total, x)) * e.value[:, None, None, None]
        np.testing.assert_allclose(e.raw, want, atol=1e-5 * np.abs(want).max())
        assert "has branches" in e.warnings[0] and "goes down each" in e.warnings[0]

    def test_one_map_given_twice(self, images):
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        a = L.Conv2D(4, 3, name="a")(inputs)
        model = keras.Model(inputs, L.Add(name="twice")([a, a]))
        twice, once = (cx.explain.deconvnet(model, images, name, 2) for name in ("twice", "a"))
        np.testing.assert_allclose(twice.raw, 4 * once.raw, atol=1e-5)  # the activation and its way

    def test_softmax_and_sigmoid_are_left_out(self, images):
        for activation in ("softmax", "sigmoid"):
            inputs = keras.Input((HEIGHT, WIDTH, 3))
            x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(inputs))
            model = keras.Model(inputs, L.Dense(3, activation=activation, name="head")(x))
            e = cx.explain.deconvnet(model, images, "head", 1, dtype="float64")
            kernel, bias = model.get_layer("head").get_weights()
            means = np.asarray(keras.Model(inputs, x)(images))
            np.testing.assert_allclose(e.value, (means @ kernel + bias)[:, 1], atol=1e-4)
            assert f"{activation} of layer head is left out" in e.warnings[0]

    def test_nested_models(self, images):
        model = built(alexnet())
        base = keras.Sequential([keras.Input((HEIGHT, WIDTH, 3)), *model.layers[:8]], name="base")
        outer = keras.Input((HEIGHT, WIDTH, 3))
        whole = keras.Model(outer, L.Conv2D(2, 1)(base(outer)))
        want = cx.explain.deconvnet(model, images, "relu2", 3)
        for name in ("base/relu2", "relu2", model.get_layer("relu2")):
            got = cx.explain.deconvnet(whole, images, name, 3)
            np.testing.assert_array_equal(got.raw, want.raw)
            assert got.layer == "base/relu2"

    def test_two_inputs(self, images):
        picture, number = keras.Input((HEIGHT, WIDTH, 3), name="p"), keras.Input((2,), name="n")
        x = L.Conv2D(3, 3, activation="relu", name="seen")(picture)
        y = L.Dense(3, name="unseen")(number)
        model = keras.Model([picture, number], [L.Add(name="sum")([L.GlobalAveragePooling2D()(x), y]), y])
        given = [images, np.ones((3, 2))]
        assert cx.explain.deconvnet(model, given, "seen").raw.shape == images.shape
        assert cx.explain.deconvnet(model, given, "sum").raw.any()
        with pytest.raises(
            ValueError, match="no way from layer 'unseen' down to the explained input.*'seen'"
        ):
            cx.explain.deconvnet(model, given, "unseen")

    def test_global_max_pooling(self, images):
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        a = L.Conv2D(4, 3, activation="relu", name="a")(inputs)
        model = keras.Model(inputs, L.GlobalMaxPooling2D(name="top")(a))
        for number in range(4):
            a, top = (cx.explain.deconvnet(model, images, layer, number) for layer in ("a", "top"))
            np.testing.assert_allclose(a.raw, top.raw, atol=1e-6)


@pytest.mark.parametrize("name", ["AlexNet", "ZFNet", "VGG16", "lecture"])
def test_every_layer_of_the_papers_networks(name):
    if name == "lecture":
        model, shape = cx.demo.load_network(), (28, 28, 1)
    else:
        shape = {"AlexNet": (67, 67, 3), "ZFNet": (64, 64, 3), "VGG16": (32, 32, 3)}[name]
        model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=3)
    x = np.random.default_rng(0).normal(0, 50, (1, *shape))
    for layer in model.layers[1:] if name != "lecture" else model.layers:
        e = cx.explain.deconvnet(model, x, layer)
        assert e.layer == layer.name and e.raw.shape == x.shape and np.isfinite(e.map).all()
        assert e.map.any() or e.value[0] <= 0 or "is zero" in "".join(e.warnings), layer.name
        top, left, bottom, right = e.receptive_field[0]
        outside = e.raw.copy()
        outside[:, top:bottom, left:right] = 0
        assert not outside.any(), layer.name


class TestResult:
    def test_it_is_an_explanation(self, images, tmp_path):
        e = cx.explain.deconvnet(built(alexnet()), images, "relu2", [1, 2, 3])
        assert isinstance(e, cx.explain.Explanation) and len(e) == 3 and e.method == "deconvnet"
        assert e.class_index.tolist() == [-1] * 3 and np.isnan(e.probability).all()
        np.testing.assert_allclose(e.score, e.value)
        grey = np.abs(e.raw).sum(-1)
        most = grey.max((1, 2), keepdims=True)
        np.testing.assert_allclose(e.map, grey / np.where(most > 0, most, 1), atol=1e-6)
        assert e.map[2].any()
        one = e[1]
        assert one.feature_map == 2 and one.position.shape == (2,) and one.raw.shape == images.shape[1:]
        np.testing.assert_array_equal(one.switches["pool1"].index, e.switches["pool1"].index[1:2])
        assert [int(part.feature_map) for part in e] == [1, 2, 3]
        assert e[[2, 0]].feature_map.tolist() == [3, 1] and "feature map 1, 2, 3" in repr(e)
        assert set(e.to_dict()) > {"raw", "feature_map", "position", "value", "receptive_field"}
        e.save(tmp_path / "e.npz")
        with np.load(tmp_path / "e.npz") as saved:
            np.testing.assert_array_equal(saved["receptive_field"], e.receptive_field)
            np.testing.assert_array_equal(saved["steps/unpool pool1"], e.steps["unpool pool1"])
        e.save(tmp_path / "e.png")
        one.plot()
        e.plot(["image", "raw", "map"])
        with pytest.raises(ValueError, match="`max_images` must be a positive integer"):
            e.plot(max_images=0)

    def test_steps(self, images):
        parts = alexnet()
        model = built(parts)
        e = cx.explain.deconvnet(model, images, "relu2", 3, dtype="float64")
        assert list(e.steps) == [
            *("feature map", "kept", "rectify relu2", "filter conv2", "unpool pool1", "leave out norm1"),
            *("rectify relu1", "filter conv1"),
        ]
        np.testing.assert_array_equal(e.steps["filter conv1"], e.raw)
        assert e.steps["rectify relu1"].min() == 0 and e.steps["unpool pool1"].min() < 0
        assert e.steps["unpool pool1"].shape == (3, 17, 19, 6)
        rebuilt = e.switches["pool1"].unpool(e.steps["filter conv2"])
        np.testing.assert_allclose(rebuilt, e.steps["unpool pool1"], atol=1e-12)

    def test_large_steps_are_left_out(self, images, monkeypatch):
        monkeypatch.setattr(sys.modules["cnnexplain.explain.deconvnet"], "_MOST_STEP_BYTES", 1000)
        model = built(alexnet())
        e = cx.explain.deconvnet(model, images, "relu2", 3)
        assert list(e.steps) == ["feature map"] and not e.switches and "leaves out" in e.warnings[0]
        with pytest.raises(ValueError, match="explain fewer at once"):
            e.plot_steps()

    def test_a_batch_is_its_images_one_by_one(self, images):
        model = built(zfnet())
        whole = cx.explain.deconvnet(model, images, "relu2", [3, 1, 0])
        parts = cx.explain.deconvnet(model, images, "relu2", [3, 1, 0], batch_size=2)
        np.testing.assert_array_equal(whole.raw, parts.raw)
        np.testing.assert_array_equal(whole.switches["pool1"].index, parts.switches["pool1"].index)
        for i, number in enumerate([3, 1, 0]):
            one = cx.explain.deconvnet(model, images[i], "relu2", number)
            np.testing.assert_array_equal(one.raw[0], whole.raw[i])
            np.testing.assert_array_equal(one.receptive_field[0], whole.receptive_field[i])

    def test_nothing_is_changed(self, images, unchanged):
        model = built(alexnet())
        checker, before, predicted = unchanged(model), images.copy(), model.predict(images, verbose=0)
        cx.explain.deconvnet(model, images, "relu3")
        cx.explain.top_activations(model, images, "relu2", [1])
        cx.explain.switches(model, images)
        checker.check()
        np.testing.assert_array_equal(images, before)
        np.testing.assert_array_equal(model.predict(images, verbose=0), predicted)

    def test_colours_of_a_caffe_network_are_shown_as_rgb(self):
        model = keras.Sequential([keras.Input((5, 5, 3)), L.Conv2D(1, 1, name="blue", use_bias=False)])
        model.set_weights([np.array([1.0, 0, 0]).reshape(1, 1, 3, 1)])
        x = np.full((1, 5, 5, 3), 10.0)
        shown = cx.explain.deconvnet(model, x, "blue", keep="all", preprocess="caffe").pictures
        assert shown[0, 2, 2].tolist() == [0.5, 0.5, 1.0]

    def test_by_name_and_progress(self, images):
        model, calls = built(alexnet()), []
        e = cx.explain(model, images, method="deconvnet", layer="relu1", feature_map=2)
        options = {"batch_size": 2, "progress": lambda *done: calls.append(done)}
        same = cx.explain.deconvnet(model, images, "relu1", 2, **options)
        np.testing.assert_array_equal(e.raw, same.raw)
        assert calls == [(2, 3), (3, 3)]
        with pytest.raises(ValueError, match="`class_index` has no meaning for deconvnet"):
            cx.explain(model, images, 3, method="deconvnet")

    def test_no_layer_is_the_last_map(self, images):
        assert cx.explain.deconvnet(built(alexnet()), images).layer == "relu3"


class TestSwitches:
    def test_overlapping_windows(self, images, tmp_path):
        parts = alexnet()
        model = built(parts)
        Twin(parts, model, images)
        found = cx.explain.switches(model, images, dtype="float64", batch_size=2)
        assert list(found) == ["pool1", "pool2", "pool3"]
        assert list(cx.explain.switches(model, images, "relu2")) == ["pool1"]
        pool = next(part for part in parts if part.name == "pool1")
        s = found["pool1"]
        for (i, j), (rows, columns) in pool.switches.items():
            np.testing.assert_array_equal(s.rows[:, i, j], rows)
            np.testing.assert_array_equal(s.columns[:, i, j], columns)
        assert s.wins.sum() == s.index.size and s.wins.max() > 1
        assert "windows (3, 3) at steps (2, 2)" in repr(s) and len(s) == 3
        both = [s.unpool(overlap=overlap) for overlap in ("sum", "overwrite")]
        np.testing.assert_allclose(both[0], both[1] * np.maximum(s.wins, 1), atol=1e-12)
        s.plot(1, 2).savefig(tmp_path / "s.png")
        with pytest.raises(ValueError, match="`feature_map` must be between 0 and 5"):
            s.plot(0, 6)


class TestBadInput:
    def test_layers(self, images):
        model = built(alexnet())
        with pytest.raises(ValueError, match="no layer 'conv9'.*'conv1', 'relu1', 'norm1', 'pool1'"):
            cx.explain.deconvnet(model, images, "conv9")
        with pytest.raises(ValueError, match="must be between -15 and 14"):
            cx.explain.deconvnet(model, images, 15)

    @pytest.mark.parametrize("number", [6, -1, [0, 1, 6]])
    def test_a_map_out_of_range(self, images, number):
        with pytest.raises(ValueError, match="between 0 and 5: layer 'relu1' has 6 maps"):
            cx.explain.deconvnet(built(alexnet()), images, "relu1", number)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"feature_map": 1.5}, "`feature_map` must be an integer"),
            ({"feature_map": [1, 2]}, "one entry per image, 3. Received: 2"),
            ({"feature_map": []}, "`feature_map` must be an integer"),
            ({"keep": "min"}, "`keep` must be"),
            ({"keep": (1,)}, "`keep` must be"),
            ({"keep": (17, 0)}, "inside the maps of layer 'relu1', 17 x 19"),
            ({"keep": (-1, 0)}, "inside the maps of layer 'relu1', 17 x 19"),
            ({"overlap": "mean"}, "`overlap` must be one of sum, overwrite"),
            ({"reduce": "mean"}, "`reduce` must be one of sum, max"),
            ({"fallback": "zero"}, "`fallback` must be None or 'gradient'"),
            ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ],
    )
    def test_arguments(self, images, options, match):
        with pytest.raises(ValueError, match=match):
            cx.explain.deconvnet(built(alexnet()), images, "relu1", **options)

    def test_units_have_no_position(self, images):
        with pytest.raises(ValueError, match="units have no rows and columns"):
            cx.explain.deconvnet(built(alexnet()), images, "fc", 1, keep=(0, 0))
        with pytest.raises(ValueError, match="layer 'fc' has 9 units"):
            cx.explain.deconvnet(built(alexnet()), images, "fc", 9)

    def test_attention_is_refused_by_name(self, images):
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        x = L.Conv2D(4, 9, 8, activation="relu", name="low")(inputs)
        x = L.Reshape((-1, 4), name="row")(x)
        x = L.MultiHeadAttention(1, 4, name="attention")(x, x)
        model = keras.Model(inputs, L.Dense(2, name="head")(L.GlobalAveragePooling1D()(x)))
        with pytest.raises(ValueError, match=r"softmax \(in attention/.*Layers that fit: 'low'"):
            cx.explain.deconvnet(model, images, "head")
        with pytest.raises(ValueError, match=r"\(n, h, w, channels\) or \(n, units\).*'row'.*'low'"):
            cx.explain.deconvnet(model, images, "row")
        e = cx.explain.deconvnet(model, images, "head", fallback="gradient")
        assert np.isfinite(e.raw).all() and "true gradient was taken at" in e.warnings[0]

    def test_other_activations_are_refused(self, images):
        inputs = keras.Input((HEIGHT, WIDTH, 3))
        x = L.Conv2D(4, 3, activation="silu", name="bent")(inputs)
        model = keras.Model(inputs, L.Conv2D(4, 3, activation="relu", name="next")(x))
        with pytest.raises(ValueError, match=r"silu \(in bent\)"):
            cx.explain.deconvnet(model, images, "next")
        assert cx.explain.deconvnet(model, images, "next", fallback="gradient").raw.any()

    def test_nothing_positive(self):
        model = keras.Sequential([keras.Input((6, 6, 1)), L.Conv2D(2, 3, activation="relu", name="dead")])
        model.set_weights([-np.ones((3, 3, 1, 2)), np.zeros(2)])
        e = cx.explain.deconvnet(model, np.ones((1, 6, 6, 1)), "dead")
        assert not e.raw.any() and not e.map.any()
        assert any("no positive activation" in text for text in e.warnings)

    def test_padding_alone_is_seen(self):
        model = keras.Sequential([keras.Input((6, 6, 1)), L.ZeroPadding2D(3), L.Conv2D(2, 3, name="conv")])
        model.set_weights([np.ones((3, 3, 1, 2)), np.ones(2)])
        e = cx.explain.deconvnet(model, np.ones((1, 6, 6, 1)), "conv", 0, keep=(0, 0))
        assert not e.raw.any() and "sees padding alone" in "".join(e.warnings)
        e.plot()
        with pytest.raises(ValueError, match="`crop` must be False"):
            cx.explain.deconvnet(model, np.ones((1, 6, 6, 1)), "conv", 0, keep=(0, 0), crop=True)

    @pytest.mark.parametrize("value", [0.0, 1e30, -1e30])
    def test_extreme_images(self, value):
        model = built(alexnet())
        x = np.full((1, HEIGHT, WIDTH, 3), value)
        try:
            e = cx.explain.deconvnet(model, x, "relu2")
        except ValueError as error:
            assert "must be finite" in str(error)
        else:
            assert np.isfinite(e.map).all()
        with pytest.raises(ValueError, match="`images` must be finite"):
            cx.explain.deconvnet(model, x * np.nan, "relu2")
