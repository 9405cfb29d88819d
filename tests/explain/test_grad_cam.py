"""Grad-CAM against NumPy, and what every method has in common: layers, classes, scores, manners."""

from __future__ import annotations

import os

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras


def expected(x, classes, layer):
    """raw and map by the formula, in float64."""
    twin = small.Twin(x)
    gradients = twin.gradient(np.eye(small.CLASSES)[classes])[layer]
    raw = np.einsum("nhwk,nk->nhw", getattr(twin, layer), gradients.mean((1, 2)))
    return raw, small.normalize(small.enlarge(np.maximum(raw, 0), (small.HEIGHT, small.WIDTH)))


@pytest.mark.parametrize("dtype, tolerance", [(None, 2e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("layer", ["first", "second", "third"])
@pytest.mark.parametrize("class_index", [2, [3, 0, 1]])
def test_against_numpy(model, x, layer, class_index, dtype, tolerance):
    if dtype == "float64":
        model = small.sequential(keras)
        x = x.astype(np.float64)
    e = cx.explain.grad_cam(model, x, class_index, layer=layer, dtype=dtype)
    # the model's weights are float32, so the twin must use the same
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    twin = small.Twin(x, w)
    gradients = twin.gradient(np.eye(small.CLASSES)[np.broadcast_to(class_index, 3)])[layer]
    raw = np.einsum("nhwk,nk->nhw", getattr(twin, layer), gradients.mean((1, 2)))
    np.testing.assert_allclose(e.raw, raw, rtol=tolerance, atol=tolerance * np.abs(raw).max())
    maps = small.normalize(small.enlarge(np.maximum(raw, 0), (small.HEIGHT, small.WIDTH)))
    np.testing.assert_allclose(e.map, maps, atol=max(tolerance, 1e-6))
    np.testing.assert_allclose(e.steps["gradients"], gradients, rtol=tolerance, atol=tolerance)


def test_the_twin_s_gradient_is_the_slope_of_its_logits(x):
    twin = small.Twin(x)
    rng = np.random.default_rng(5)
    gradients = twin.gradient(np.eye(small.CLASSES)[[1, 1, 1]])
    for _ in range(4):
        direction = rng.normal(size=twin.second.shape)
        plus, minus = (twin.tail(twin.second + s * 1e-6 * direction)[1][:, 1].sum() for s in (1, -1))
        assert abs((gradients["second"] * direction).sum() - (plus - minus) / 2e-6) < 1e-6
        direction = rng.normal(size=x.shape)
        plus, minus = (small.Twin(x + s * 1e-6 * direction).logits[:, 1].sum() for s in (1, -1))
        assert abs((gradients["image"] * direction).sum() - (plus - minus) / 2e-6) < 1e-6


def test_finite_differences_of_the_traced_model(x):
    """Perturbs the model's own input: nothing here knows how the gradient is computed."""
    model = small.sequential(keras)
    e = cx.explain.grad_cam(model, x[:1], 1, layer="third", dtype="float64")
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    a = e.steps["activations"]
    slope = np.zeros(a.shape)
    for place in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[place] = 1e-5
        slope[place] = ((a + step).mean((1, 2)) @ w[6] - (a - step).mean((1, 2)) @ w[6])[0, 1] / 2e-5
    np.testing.assert_allclose(e.steps["gradients"], slope, atol=1e-8)


@pytest.mark.parametrize("build", [small.sequential, small.functional, small.nested])
def test_every_kind_of_model(build, x):
    model = build(keras)
    e = cx.explain.grad_cam(model, x, 1)
    raw, maps = expected(x, [1, 1, 1], "third")
    np.testing.assert_allclose(e.raw, raw, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(e.map, maps, atol=2e-4)


def test_by_name_and_by_call(model, x):
    direct = cx.explain.grad_cam(model, x, 1)
    np.testing.assert_array_equal(cx.explain(model, x, 1).map, direct.map)
    np.testing.assert_array_equal(cx.explain(model, x, 1, method="grad_cam").map, direct.map)
    assert {"cam", "grad_cam", "saliency", "guided_backprop"} <= set(cx.explain.methods())
    with pytest.raises(ValueError, match="must be one of cam, grad_cam, .*saliency.*'grad_cam_3'"):
        cx.explain(model, x, method="grad_cam_3")
    with pytest.raises(AttributeError, match="no 'grad_cam_3'. Methods: cam, grad_cam"):
        cx.explain.grad_cam_3  # noqa: B018


class TestLayers:
    def test_default_is_the_last_map(self, model, x):
        assert cx.explain.grad_cam(model, x).layer == "third"

    @pytest.mark.parametrize("layer", ["second", 2, -4, np.int64(2)])
    def test_by_name_index_and_object(self, model, x, layer):
        want = cx.explain.grad_cam(model, x, 0, layer="second")
        for given in (layer, model.layers[2]):
            e = cx.explain.grad_cam(model, x, 0, layer=given)
            assert e.layer == "second"
            np.testing.assert_array_equal(e.map, want.map)

    def test_nested(self, x):
        model = small.nested(keras)
        want = cx.explain.grad_cam(small.sequential(keras), x, 0, layer="second")
        base = model.get_layer("base")
        for given in ("base/second", "second", base.get_layer("second")):
            e = cx.explain.grad_cam(model, x, 0, layer=given)
            assert e.layer == "base/second"
            np.testing.assert_array_equal(e.map, want.map)
        assert cx.explain.grad_cam(model, x, 0).layer == "base/third"
        np.testing.assert_array_equal(
            cx.explain.grad_cam(model, x, 0, layer="base").map, cx.explain.grad_cam(model, x, 0).map
        )

    def test_one_pixel_is_no_map(self, x):
        L = keras.layers
        model = keras.Sequential(
            [
                keras.Input((small.HEIGHT, small.WIDTH, 3)),
                L.Conv2D(4, 3, activation="relu", name="maps"),
                L.GlobalAveragePooling2D(keepdims=True),
                L.Conv2D(4, 1, name="pixel"),
                L.Flatten(),
                L.Softmax(),
            ]
        )
        assert cx.explain.grad_cam(model, x).layer == "maps"

    def test_a_dtype_that_convolutions_do_not_have(self, model, x):
        with pytest.raises(ValueError, match="`dtype` must be None, 'float32' or 'float64'.*int32"):
            cx.explain.grad_cam(model, x, dtype="int32")

    def test_a_bad_name_lists_the_candidates(self, model, x):
        with pytest.raises(ValueError, match="no layer 'conv9'.*'first', 'pool', 'second', 'third'"):
            cx.explain.grad_cam(model, x, layer="conv9")
        with pytest.raises(ValueError, match="must be between -6 and 5. Received: layer=6"):
            cx.explain.grad_cam(model, x, layer=6)
        with pytest.raises(ValueError, match=r"4-D output.*'head' with output shape \(None, 4\).*'third'"):
            cx.explain.grad_cam(model, x, layer="head")
        with pytest.raises(ValueError, match="layer 'other' is not part of the model"):
            cx.explain.grad_cam(model, x, layer=keras.layers.ReLU(name="other"))
        with pytest.raises(TypeError, match="`layer` must be None, a name.*layer=True"):
            cx.explain.grad_cam(model, x, layer=True)
        with pytest.raises(TypeError, match="`layer` must be None, a name"):
            cx.explain.grad_cam(model, x, layer=1.5)

    def test_an_ambiguous_name(self, x):
        L = keras.layers

        def branch(name):
            inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
            return keras.Model(inputs, L.Conv2D(4, 3, name="conv")(inputs), name=name)

        inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        y = L.Add()([branch("left")(inputs), branch("right")(inputs)])
        model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(y)))
        with pytest.raises(ValueError, match="'conv' can be 'left/conv', 'right/conv'"):
            cx.explain.grad_cam(model, x, layer="conv")
        assert cx.explain.grad_cam(model, x, layer="right/conv").layer == "right/conv"

    def test_a_layer_beside_the_way(self, x):
        L = keras.layers
        inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        left = L.Conv2D(4, 3, name="left")(inputs)
        right = L.Conv2D(4, 3, name="right")(inputs)
        heads = [L.Dense(2, name=n)(L.GlobalAveragePooling2D()(y)) for n, y in (("a", left), ("b", right))]
        model = keras.Model(inputs, heads)
        with pytest.raises(ValueError, match="`output` must say which"):
            cx.explain.grad_cam(model, x)
        assert cx.explain.grad_cam(model, x, output=0).layer == "left"
        assert cx.explain.grad_cam(model, x, output=1).layer == "right"
        with pytest.raises(ValueError, match="right"):
            cx.explain.grad_cam(model, x, output=0, layer="right")


class TestClasses:
    def test_none_is_each_image_s_arg_max(self, model, x):
        e = cx.explain.grad_cam(model, x)
        twin = small.Twin(x)
        assert e.class_index.tolist() == twin.logits.argmax(1).tolist()
        np.testing.assert_allclose(e.score, twin.logits.max(1), rtol=1e-4)
        np.testing.assert_allclose(e.probability, twin.probabilities.max(1), rtol=1e-4)
        assert list(e.class_name) == [None] * 3

    def test_names(self, model, x):
        names = ["ant", "bee", "cat", "dog"]
        e = cx.explain.grad_cam(model, x, [0, 3, 1], class_names=names)
        assert list(e.class_name) == ["ant", "dog", "bee"] and e[1].class_name == "dog"
        model.class_names = names
        assert list(cx.explain.grad_cam(model, x, 2).class_name) == ["cat"] * 3
        with pytest.raises(ValueError, match="`class_names` must hold 4 names"):
            cx.explain.grad_cam(model, x, class_names=["ant"])

    @pytest.mark.parametrize("bad", [4, -1, [0, 1], [0, 1, 4], 1.0, "cat", True, [[0, 1, 2]]])
    def test_bad_classes(self, model, x, bad):
        with pytest.raises(ValueError, match="`class_index` must"):
            cx.explain.grad_cam(model, x, bad)

    def test_classes_give_different_maps(self, model, x):
        maps = [cx.explain.grad_cam(model, x, c).raw for c in range(4)]
        for i in range(3):
            assert np.abs(maps[i] - maps[i + 1]).max() > 1e-3

    def test_one_sigmoid_unit(self, x):
        model = small.sequential(keras, activation="sigmoid", classes=1)
        one, zero = cx.explain.grad_cam(model, x, 1), cx.explain.grad_cam(model, x, 0)
        np.testing.assert_allclose(one.raw, -zero.raw)
        chosen = cx.explain.grad_cam(model, x)
        assert chosen.class_index.tolist() == (one.score > 0).astype(int).tolist()
        with pytest.raises(ValueError, match="between 0 and 1"):
            cx.explain.grad_cam(model, x, 2)

    def test_one_linear_unit_is_read_as_a_logit_and_says_so(self, x):
        model = small.sequential(keras, activation=None, classes=1)
        assert "logit of class 1" in cx.explain.grad_cam(model, x).warnings[0]
        assert cx.explain.grad_cam(model, x, 1).warnings == ()


class TestScores:
    @pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
    @pytest.mark.parametrize("score", ["logit", "probability", "log_probability", "loss"])
    def test_against_numpy(self, x, activation, score):
        model = small.sequential(keras, activation=activation)
        twin, c, rows = small.Twin(x), 2, range(3)
        z, hot = twin.logits, np.eye(4)[[2] * 3]
        if activation == "sigmoid":
            p = 1 / (1 + np.exp(-z))
            slopes = {"probability": hot * p * (1 - p), "log_probability": hot * (1 - p)}
        else:
            p = twin.probabilities
            slopes = {"probability": p[rows, c][:, None] * (hot - p), "log_probability": hot - p}
        slopes |= {"logit": hot, "loss": -slopes["log_probability"]}
        values = {"logit": z, "probability": p, "log_probability": np.log(p), "loss": -np.log(p)}
        e = cx.explain.saliency(model, x, c, score=score)
        want = twin.gradient(slopes[score])["image"]
        np.testing.assert_allclose(e.score, values[score][:, c], rtol=1e-4)
        np.testing.assert_allclose(e.probability, p[:, c], rtol=1e-4)
        np.testing.assert_allclose(e.raw, want, atol=2e-4 * np.abs(want).max())
        assert e.parameters["score"] == score

    def test_one_sigmoid_unit(self, x):
        model = small.sequential(keras, activation="sigmoid", classes=1)
        twin = small.Twin(x, small.weights(0, 1))
        p1 = 1 / (1 + np.exp(-twin.logits[:, 0]))
        for c, p, sign in ((1, p1, 1), (0, 1 - p1, -1)):
            slopes = {"logit": sign + 0 * p, "probability": sign * p * (1 - p), "loss": -sign * (1 - p)}
            for score, slope in slopes.items():
                e = cx.explain.saliency(model, x, c, score=score)
                want = twin.gradient(slope[:, None])["image"]
                np.testing.assert_allclose(e.raw, want, atol=2e-4 * np.abs(want).max())
                np.testing.assert_allclose(e.probability, p, rtol=1e-4)

    def test_a_callable(self, model, x):
        e = cx.explain.saliency(model, x, score=lambda p: p[:, 0] - p[:, 1])
        twin = small.Twin(x)
        p, hot = twin.probabilities, np.eye(4)
        slope = sum(s * p[:, c : c + 1] * (hot[c] - p) for c, s in ((0, 1), (1, -1)))
        want = twin.gradient(slope)["image"]
        np.testing.assert_allclose(e.raw, want, atol=2e-4 * np.abs(want).max())
        np.testing.assert_allclose(e.score, p[:, 0] - p[:, 1], rtol=1e-3, atol=1e-5)

    def test_bad_scores(self, model, x):
        with pytest.raises(
            ValueError, match="`score` must be one of logit, probability, log_probability, loss"
        ):
            cx.explain.saliency(model, x, score="logits")
        with pytest.raises(TypeError, match="`score` must return a tensor"):
            cx.explain.saliency(model, x, score=lambda p: "high")
        with pytest.raises(ValueError, match="computed from the output"):
            cx.explain.saliency(model, x, score=lambda p: cx.constant(1.0))

    def test_a_saturated_softmax(self, model, x):
        *body, kernel, bias = model.get_weights()
        model.set_weights([*body, kernel * 1000, bias])
        worst = int(small.Twin(x[:1]).logits.argmin())
        assert model.predict(x[:1], verbose=0)[0, worst] == 0
        assert np.abs(cx.explain.saliency(model, x[:1], worst).raw).max() > 1
        assert np.abs(cx.explain.saliency(model, x[:1], worst, score="loss").raw).max() > 1
        flat = cx.explain.saliency(model, x[:1], worst, score="probability")
        assert not flat.raw.any() and not flat.map.any()
        assert flat.warnings == (f"the gradient of class {worst} is zero at every pixel",)


METHODS = ["cam", "grad_cam", "saliency", "guided_backprop"]


@pytest.mark.parametrize("method", METHODS)
class TestManners:
    def test_batches_change_nothing(self, model, method):
        x = small.images(7).astype(np.float32)
        whole = cx.explain(model, x, [0, 1, 2, 3, 0, 1, 2], method=method)
        parts = cx.explain(model, x, [0, 1, 2, 3, 0, 1, 2], method=method, batch_size=3)
        alone = [cx.explain(model, x[i], i % 4, method=method) for i in range(7)]
        np.testing.assert_array_equal(whole.raw, parts.raw)
        np.testing.assert_array_equal(whole.map, parts.map)
        np.testing.assert_array_equal(whole.raw, np.concatenate([e.raw for e in alone]))
        np.testing.assert_array_equal(whole.map, np.concatenate([e.map for e in alone]))
        assert whole.score.tolist() == parts.score.tolist()

    def test_frozen_layers_change_nothing(self, model, x, method, unchanged):
        want = cx.explain(model, x, 1, method=method)
        for layer in model.layers[:3]:
            layer.trainable = False
        before = unchanged(model)
        np.testing.assert_array_equal(cx.explain(model, x, 1, method=method).raw, want.raw)
        model.trainable = False
        np.testing.assert_array_equal(cx.explain(model, x, 1, method=method).raw, want.raw)
        model.trainable = True
        for layer in model.layers[:3]:
            layer.trainable = False
        before.check()

    def test_an_active_tape_is_left_alone(self, model, x, method):
        with cx.GradientTape(persistent=True) as tape:
            cx.explain(model, x, 1, method=method)
            v = cx.Variable(3.0)
            y = v * v
        assert float(tape.gradient(y, v)) == 6.0
        watched = {id(variable) for variable in tape.watched_variables()}
        assert not watched & {id(variable) for variable in model.trainable_variables}

    def test_the_model_is_left_alone_also_after_an_error(self, model, x, method, unchanged):
        before, predicted = unchanged(model), model.predict(x, verbose=0)
        cx.explain(model, x, method=method)
        for bad in ({"class_index": 99}, {"batch_size": 0}, {"progress": lambda done, total: 1 / 0}):
            with pytest.raises((ValueError, ZeroDivisionError)):
                cx.explain(model, x, method=method, **bad)
        before.check()
        np.testing.assert_array_equal(model.predict(x, verbose=0), predicted)

    def test_inference_mode(self, x, method):
        L = keras.layers
        model = keras.Sequential(
            [
                keras.Input((small.HEIGHT, small.WIDTH, 3)),
                L.Conv2D(6, 3, name="conv"),
                L.BatchNormalization(),
                L.ReLU(),
                L.Dropout(0.5),
                L.GlobalAveragePooling2D(),
                L.Dense(4, activation="softmax"),
            ]
        )
        weights = model.get_weights()
        first, second = (cx.explain(model, x, 1, method=method) for _ in range(2))
        np.testing.assert_array_equal(first.raw, second.raw)
        for got, want in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(got, want)

    def test_images_are_not_changed(self, model, method):
        x = small.images(2).astype(np.float32)
        copy = x.copy()
        e = cx.explain(model, x, method=method)
        np.testing.assert_array_equal(x, copy)
        np.testing.assert_array_equal(e.images, copy)

    def test_progress(self, model, method, capsys):
        seen = []
        x = small.images(7)
        cx.explain(
            model, x, method=method, batch_size=3, progress=lambda done, total: seen.append((done, total))
        )
        assert seen == [(3, 7), (6, 7), (7, 7)]
        for quiet in (None, False):
            cx.explain(model, x, method=method, progress=quiet)
        captured = capsys.readouterr()
        assert captured.out == captured.err == ""
        cx.explain(model, x, method=method, progress=True)
        assert "7/7" in capsys.readouterr().err

    @pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e4])
    def test_constant_images_give_no_nan(self, model, method, value):
        e = cx.explain(model, np.full((2, small.HEIGHT, small.WIDTH, 3), value), method=method)
        assert np.isfinite(e.map).all() and np.isfinite(e.raw).all()
        assert e.map.min() >= 0 and e.map.max() <= 1

    @pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers keep freed memory")
    def test_memory_stays_flat(self, model, method):
        import resource

        x = small.images(2)
        for _ in range(20):
            cx.explain(model, x, method=method)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(200):
            cx.explain(model, x, method=method)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 4096  # kB; two images' activations kept per call would be more

    def test_an_unfinished_model_is_refused(self, x, method):
        with pytest.raises(TypeError, match="`model` must be a keras Model"):
            cx.explain(lambda images: images, x, method=method)
        with pytest.raises(ValueError, match="called on data once"):
            cx.explain(keras.Sequential([keras.layers.Dense(3)]), x, method=method)


class Subclassed(keras.Model):
    """The small network as a class, its convolutions in a layer of their own."""

    def __init__(self):
        super().__init__(name="own")
        *self.body, self.mean, self.head = small.layers_of(keras)

    def call(self, x):
        for layer in self.body:
            x = layer(x)
        return self.head(self.mean(x))


@pytest.mark.parametrize("method", METHODS)
def test_a_subclassed_model(x, method):
    model = Subclassed()
    with pytest.raises(ValueError, match="called on data once"):
        cx.explain(model, x, method=method)
    model(x)
    model.set_weights(small.weights())
    want = cx.explain(small.sequential(keras), x, 1, method=method)
    e = cx.explain(model, x, 1, method=method)
    np.testing.assert_allclose(e.raw, want.raw, rtol=1e-5, atol=1e-6)
    assert e.layer == want.layer
    assert cx.explain.grad_cam(model, x, layer="second").layer == "second"


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_new_weights_and_edited_layers_count_at_once(x, dtype):
    model = small.sequential(keras)
    cx.explain.grad_cam(model, x, 1, dtype=dtype)
    model.set_weights(small.weights(7))
    want = cx.explain.grad_cam(small.sequential(keras, seed=7), x, 1, dtype=dtype)
    e = cx.explain.grad_cam(model, x, 1, dtype=dtype)
    np.testing.assert_array_equal(e.raw, want.raw)
    model.layers[-1].activation = keras.activations.sigmoid
    sigmoid = cx.explain.grad_cam(model, x, 1, dtype=dtype)
    np.testing.assert_allclose(sigmoid.probability, 1 / (1 + np.exp(-want.score)), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_threads_share_a_model(model, method):
    from concurrent.futures import ThreadPoolExecutor

    batches = [small.images(3, seed) for seed in range(12)]
    want = [cx.explain(model, images, method=method).raw for images in batches]
    fresh = small.sequential(keras)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda images: cx.explain(fresh, images, method=method).raw, batches))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.torch
def test_against_pytorch(model, x):
    torch = pytest.importorskip("torch")
    w = [torch.tensor(np.asarray(value, np.float64)) for value in model.get_weights()]
    image = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)

    def convolution(value, i):
        kernel = w[2 * i].permute(3, 2, 0, 1)
        return torch.relu(torch.nn.functional.conv2d(value, kernel, w[2 * i + 1], padding=1))

    second = convolution(torch.nn.functional.max_pool2d(convolution(image, 0), 2), 1)
    second.retain_grad()
    logits = convolution(second, 2).mean((2, 3)) @ w[6] + w[7]
    logits[:, 2].sum().backward()
    raw = (second.grad.mean((2, 3), keepdim=True) * second).sum(1).detach().numpy()
    e = cx.explain.grad_cam(model, x, 2, layer="second", dtype="float64")
    np.testing.assert_allclose(e.raw, raw, atol=1e-12)
    saliency = cx.explain.saliency(model, x, 2, dtype="float64")
    np.testing.assert_allclose(saliency.raw, image.grad.permute(0, 2, 3, 1).numpy(), atol=1e-12)
