"""FullGrad against NumPy, and its parts against the score."""

from __future__ import annotations

import numpy as np
import pytest
import small

import cnnexplain as cx

keras = cx.keras
SIZE = (small.HEIGHT, small.WIDTH)


def scaled(values):
    """sum over channels of |values|, from its minimum and maximum over the whole image to 0..1, enlarged."""
    values = np.abs(values)
    low, high = (f(values, (1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = np.divide(values - low, high - low, out=np.zeros_like(values), where=high > low)
    return small.enlarge(scaled.sum(-1), SIZE)


def test_against_numpy(model, x):
    w = [np.asarray(value, np.float64) for value in model.get_weights()]
    twin, hot = small.Twin(x, w), np.eye(4)[[1, 2, 0]]
    g = twin.gradient(hot)
    # the gradients before each ReLU
    z3 = small.convolve(twin.second, w[4], w[5])
    before = {"first": g["first"] * (twin.z1 > 0), "second": g["second"] * (twin.z2 > 0)}
    before["third"] = g["third"] * (z3 > 0)
    from_input = scaled(x * g["image"])
    biases = {"first": w[1], "second": w[3], "third": w[5]}
    from_biases = sum(scaled(before[name] * biases[name]) for name in biases)
    e = cx.explain.full_grad(model, x, [1, 2, 0], dtype="float64")
    np.testing.assert_allclose(e.steps["from the input"], from_input, atol=1e-9)
    np.testing.assert_allclose(e.steps["from the biases"], from_biases, atol=1e-9)
    np.testing.assert_allclose(e.raw, from_input + from_biases, atol=1e-9)
    np.testing.assert_allclose(e.map, small.normalize(from_input + from_biases), atol=1e-6)
    assert np.abs(e.steps["completeness gap"]).max() < 1e-12 and e.layer is None
    single = cx.explain.full_grad(model, x, [1, 2, 0])
    np.testing.assert_allclose(single.map, e.map, atol=1e-3)
    # the twin's own completeness, so that its parts are the right ones
    total = (x * g["image"]).sum((1, 2, 3)) + sum((before[n] * biases[n]).sum((1, 2, 3)) for n in biases)
    total = total + (hot * w[7]).sum(1)
    np.testing.assert_allclose(total, (twin.logits * hot).sum(1), atol=1e-12)


def networks():
    """Networks with one kind of operation each; all end in pooling and Dense with a bias."""
    L = keras.layers

    def build(middle):
        inputs = keras.Input((small.HEIGHT, small.WIDTH, 3))
        y = L.GlobalAveragePooling2D()(middle(inputs))
        return keras.Model(inputs, L.Dense(4, bias_initializer="random_normal")(y))

    def conv(filters=4, **options):
        return L.Conv2D(filters, 3, padding="same", bias_initializer="random_normal", **options)

    def squeeze(x):
        y = conv()(x)
        scale = L.Dense(4, activation="sigmoid", bias_initializer="random_normal")(
            L.GlobalAveragePooling2D()(y)
        )
        return L.Multiply()([y, L.Reshape((1, 1, 4))(scale)])

    def normalised(x):
        return L.ReLU()(L.BatchNormalization(name="bn")(conv()(x)))

    made = {
        "batch_norm": normalised,
        "relu6": lambda x: L.ReLU(max_value=0.3)(conv()(x)),
        "threshold": lambda x: L.ReLU(threshold=0.2, negative_slope=0.1)(conv()(x)),
        "leaky": lambda x: L.LeakyReLU()(conv()(x)),
        "depthwise": lambda x: L.ReLU()(L.DepthwiseConv2D(3, bias_initializer="random_normal")(x)),
        "separable": lambda x: L.SeparableConv2D(4, 3, bias_initializer="random_normal", activation="relu")(
            x
        ),
        "transposed": lambda x: L.Conv2DTranspose(4, 3, strides=2, bias_initializer="random_normal")(x),
        "pools": lambda x: L.AveragePooling2D(2)(L.MaxPooling2D()(conv(activation="relu")(x))),
        "rescaled": lambda x: conv(activation="relu")(L.Rescaling(1 / 2, -0.3)(x)),
        "added": lambda x: L.Add()([conv(activation="relu")(x), conv()(x)]) + 0.5,
        "subtracted": lambda x: 1.5 - conv(activation="relu")(x),
        "divided": lambda x: conv(activation="relu")(x) / 3.0,
        "maximum": lambda x: keras.ops.maximum(conv()(x), 0.2),
        "padded": lambda x: conv(activation="relu")(
            keras.ops.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], "constant", 0.7)
        ),
        "squeeze": squeeze,
        "layer_norm": lambda x: L.LayerNormalization()(conv()(x)),
        "response_norm": lambda x: cx.nn.local_response_normalization(conv()(x), 2),
        **{
            name: (lambda x, name=name: conv(activation=name)(x))
            for name in ("silu", "gelu", "elu", "selu", "tanh", "softplus", "hard_silu", "sigmoid")
        },
    }
    return {name: (lambda middle=middle: build(middle)) for name, middle in made.items()}


@pytest.mark.parametrize("kind", list(networks()))
def test_the_parts_add_up_to_the_score(kind):
    """Whatever adds something is found: with one part missing the sum would not be the score."""
    model = networks()[kind]()
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(0, 0.3, w.shape) if w.ndim > 1 else rng.random(w.shape) for w in model.get_weights()]
    )
    x = small.images(2)
    e = cx.explain.full_grad(model, x, 1, dtype="float64")
    assert np.abs(e.steps["completeness gap"]).max() < 1e-10
    assert np.isfinite(e.raw).all() and e.map.max() == 1


def test_by_hand():
    """y = sum relu(x + b) over two pixels, b = 1: parts x and b where x + b > 0."""
    L = keras.layers
    model = keras.Sequential(
        [keras.Input((1, 3, 1)), L.Conv2D(1, 1, activation="relu"), L.Flatten(), L.Dense(1, use_bias=False)]
    )
    model.set_weights([np.ones((1, 1, 1, 1)), np.ones(1), np.ones((3, 1))])
    e = cx.explain.full_grad(model, np.array([-3.0, 1.0, 4.0]).reshape(1, 1, 3, 1), 1)
    np.testing.assert_allclose(e.steps["from the input"], [[[0, 0.25, 1]]])
    np.testing.assert_allclose(e.steps["from the biases"], [[[0, 1, 1]]])
    np.testing.assert_allclose(e.steps["completeness gap"], [0])


def test_batches_change_nothing(model):
    x = small.images(5).astype(np.float32)
    whole = cx.explain.full_grad(model, x, 1)
    part = cx.explain.full_grad(model, x, 1, batch_size=2)
    np.testing.assert_array_equal(whole.raw, part.raw)
    alone = [cx.explain.full_grad(model, image, 1).raw for image in x]
    np.testing.assert_array_equal(np.concatenate(alone), whole.raw)


@pytest.mark.parametrize(
    "score", ["logit", "probability", "log_probability", "loss", lambda p: p[:, 0] * p[:, 1]]
)
def test_other_scores_are_taken_apart_too(model, x, score):
    e = cx.explain.full_grad(model, x, 1, score=score, dtype="float64")
    assert np.abs(e.steps["completeness gap"]).max() < 1e-12


def test_what_does_not_fit_is_named():
    L = keras.layers
    inputs = keras.Input((6, 5, 3))
    y = keras.ops.cumsum(L.Conv2D(4, 3, activation="relu")(inputs), axis=1)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(y)))
    with pytest.raises(
        ValueError, match=r"linear parts and biases, which cumsum \(.*\) is not. Use integrated_grad"
    ):
        cx.explain.full_grad(model, np.ones((1, 6, 5, 3)))
