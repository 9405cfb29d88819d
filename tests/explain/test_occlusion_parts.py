"""Occlusion computes only what a window reaches: the same numbers as the whole network gives."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain.explain import partial, regions, spreading

keras = cx.keras
L = keras.layers
CLASSES = 5


def finished(inputs, x):
    """Ends in scores; weights and moving statistics that are not the usual ones."""
    outputs = L.Dense(CLASSES)(x if len(x.shape) == 2 else L.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = [
            rng.normal(0, 1 / np.sqrt(max(np.prod(w.shape[:-1]), 1)), w.shape) for w in layer.get_weights()
        ]
        if isinstance(layer, L.BatchNormalization):
            values = [np.abs(v) + 0.5 for v in values]
        layer.set_weights(values)
    return model


def chain(*layers, shape=(23, 26, 3)):
    def build():
        x = inputs = keras.Input(shape)
        for make in layers:
            x = make()(x)
        return finished(inputs, x)

    return build


def conv(filters=4, size=3, **options):
    return lambda: L.Conv2D(filters, size, **{"padding": "same", "activation": "relu"} | options)


def inception():
    x = inputs = keras.Input((23, 26, 3))
    x = L.Conv2D(6, 5, strides=2, use_bias=False)(x)
    x = L.ReLU(6)(L.BatchNormalization()(x))
    one = L.Conv2D(4, 1, activation="relu")(x)
    two = L.Conv2D(4, 3, padding="same", activation="silu")(L.Conv2D(3, 1)(x))
    three = L.Conv2D(3, (1, 5), padding="same")(L.Conv2D(3, (5, 1), padding="same")(x))
    four = L.Conv2D(2, 1)(L.AveragePooling2D(3, 1, padding="same")(x))
    five = L.MaxPooling2D(3, 1, padding="same")(x)
    x = L.Concatenate()([one, two, three, four, five])
    return finished(inputs, L.AveragePooling2D(2, padding="same")(x))


def residual():
    x = inputs = keras.Input((23, 26, 3))
    x = L.ZeroPadding2D(((3, 2), (1, 4)))(x)
    x = L.Conv2D(6, 5, strides=2)(x)
    x = L.MaxPooling2D(3, 2)(L.ZeroPadding2D(1)(L.ReLU()(x)))
    for stride in (1, 2):
        short = L.Conv2D(8, 1, strides=stride)(x)
        y = L.Conv2D(4, 1, strides=stride, activation="relu")(x)
        y = L.Conv2D(8, 3, padding="same")(y)
        x = L.ReLU()(L.BatchNormalization()(L.Add()([short, y])))
    return finished(inputs, x)


def dense_block():
    x = inputs = keras.Input((23, 26, 3))
    x = L.Conv2D(4, 3, padding="same")(x)
    for _ in range(3):
        y = L.Conv2D(3, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
        x = L.Concatenate()([x, y])
    return finished(inputs, L.AveragePooling2D(2, strides=2)(x))


def separable():
    x = inputs = keras.Input((23, 26, 3))
    x = L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = L.SeparableConv2D(8, 3, padding="same", activation="relu")(x)
    gate = L.Dense(8, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.DepthwiseConv2D(3, dilation_rate=2)(L.Multiply()([x, gate]))
    return finished(inputs, x)


def mixed():
    """Ops that no rectangle is carried through, and arithmetic with numbers and constants."""
    x = inputs = keras.Input((23, 26, 3))
    x = L.Conv2D(4, 3, padding="same")(x / 2 + np.array([0.5, -1, 2], np.float32))
    x = L.UpSampling2D(2)(x) - 1.0
    x = L.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    x = L.Lambda(lambda v: cx.tanh(v))(x)
    x = L.MaxPooling2D(2)(L.Permute((2, 1, 3))(x))
    return finished(inputs, L.Flatten()(L.Cropping2D(3)(L.Conv2D(2, 5, strides=3)(x))))


def nested():
    inner = keras.Input((11, 12, 4))
    block = keras.Model(inner, L.Add()([inner, L.Conv2D(4, 3, padding="same")(inner)]))
    x = inputs = keras.Input((23, 26, 3))
    x = L.Conv2D(4, 3, strides=2)(x)
    return finished(inputs, block(L.ReLU()(x)))


NETWORKS = {
    "same": chain(conv(), conv(5, 5), conv()),
    "valid": chain(conv(padding="valid"), conv(5, 4, padding="valid"), conv(padding="valid")),
    "strides": chain(conv(strides=2), conv(5, 4, strides=(2, 1)), conv(padding="valid", strides=(1, 2))),
    "gaps": chain(conv(size=1, strides=3), conv(size=2, strides=2)),
    "dilation": chain(conv(dilation_rate=2), conv(5, 3, dilation_rate=(3, 2), padding="valid")),
    "groups": chain(conv(6), conv(6, groups=3)),
    "winograd": chain(conv(16), conv(20), conv(16), shape=(40, 38, 3)),
    "pools": chain(
        conv(activation=None),  # also negative values, which a border of zeros would hide
        lambda: L.MaxPooling2D(3, 2, padding="same"),
        lambda: L.MaxPooling2D(2, padding="same"),
        conv(),
        lambda: L.AveragePooling2D((3, 2), (2, 3), padding="same"),
    ),
    "overlapping pools": chain(conv(), lambda: L.MaxPooling2D(5, 2), lambda: L.AveragePooling2D(3, 1)),
    "channels": chain(conv(), lambda: L.Softmax(), lambda: L.Dense(6), lambda: L.PReLU(shared_axes=[1, 2])),
    "a weight for each pixel": chain(conv(), lambda: L.PReLU(), conv()),
    "flat": chain(conv(), lambda: L.Flatten()),
    "inception": inception,
    "residual": residual,
    "dense block": dense_block,
    "separable": separable,
    "mixed": mixed,
    "nested": nested,
}


def occluded(x, spans, value):
    """(rows, columns, H, W, C): every window covered."""
    made = np.repeat(np.repeat(x[None, None], len(spans[0]), 0), len(spans[1]), 1)
    for i, (top, bottom) in enumerate(spans[0]):
        for j, (left, right) in enumerate(spans[1]):
            made[i, j, top:bottom, left:right] = value
    return made


def windows(size, side, step):
    begin = np.arange(0, max(size - side, 0) + step, step)
    return np.stack([begin, np.minimum(begin + side, size)], 1)


@pytest.mark.parametrize("side, step", [(5, 3), (2, 2), (12, 6)])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_equal_to_the_whole_network(name, side, step):
    model = NETWORKS[name]()
    height, width = model.input_shape[1:3]
    x = np.random.default_rng(1).normal(size=(2, height, width, 3))
    spans = windows(height, side, step), windows(width, side, step)
    every = np.stack([occluded(image, spans, 0.75) for image in x]).reshape(-1, height, width, 3)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-5)):
        whole = cx.explain.saliency(model, np.concatenate([x, every]), 2, dtype=dtype, batch_size=64).score
        want = whole[:2, None, None] - whole[2:].reshape(2, len(spans[0]), len(spans[1]))
        e = cx.explain.occlusion(model, x, 2, window=side, stride=step, baseline=0.75, dtype=dtype)
        got = e.steps["score drop"]
        assert np.abs(want).max() > 1e-4
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(whole).max())


@pytest.mark.parametrize("name", ["same", "valid", "strides", "dilation", "pools", "inception"])
def test_most_of_it_is_left_out(name):
    """A window of a few pixels makes no op of the body compute a whole map."""
    model = NETWORKS[name]()
    made = cx.keras.tracing.trace(model, training=False)
    height, width = model.input_shape[1:3]
    spans = windows(height, 2, 7)[1:2], windows(width, 2, 7)[1:2]
    (program,) = partial.plan(made, made.inputs[0], (height, width, 3), spans, made.outputs)
    areas = [
        [out[0].shape[1] * out[0].shape[2] for kind, _, _, out in one.nodes if kind == "conv2d"]
        for one in (made.program, program.program)
    ]
    assert all(part < 0.75 * whole for whole, part in zip(*areas, strict=True))


def seen_by(slide, spans):
    """Which results of a sliding window see a pixel of each span, by looking at every one."""
    found = []
    for d in range(2):
        rows = []
        for low, high in spans[d]:
            seen = [
                o
                for o in range(slide.size[d])
                if any(
                    low <= o * slide.stride[d] - slide.before[d] + k < high for k in range(slide.extent[d])
                )
            ]
            rows.append((seen[0], seen[-1] + 1) if seen else None)
        found.append(rows)
    return found


@pytest.mark.parametrize("extent", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_rectangles(extent, stride, before):
    size = (9 + 2 * before - extent) // stride + 1
    slide = regions.Slide(
        (extent, extent), (stride, stride), (before, before), before > 0, 0.0, (9, 9), (size, size)
    )
    spans = np.array([[a, b] for a in range(9) for b in range(a + 1, 10)])
    got = slide.spread((spans, spans))
    for want, (low, high) in zip(seen_by(slide, (spans, spans))[0], got[0], strict=True):
        assert (low, high) == want if want else low == high
    counts = slide.inside(0, np.array([0, 1]), size - 1)
    places = np.arange(size)[:, None] * stride - before + np.arange(extent)
    np.testing.assert_array_equal(counts[1], ((places >= 0) & (places < 9)).sum(1)[1:])


def test_groups_hold_every_window_once():
    model = NETWORKS["residual"]()
    made = cx.keras.tracing.trace(model, training=False)
    steps, shapes = spreading.steps_between(made.inputs[0], (23, 26, 3), made.outputs)
    for side, step in ((4, 1), (3, 2), (23, 23)):
        spans = windows(23, side, step), windows(26, side, step)
        spreading.follow(steps, made.inputs[0].id, spans, shapes)
        groups = spreading.group(steps, (len(spans[0]), len(spans[1])))
        pairs = sorted((int(i), int(j)) for rows, columns in groups for i in rows for j in columns)
        assert pairs == [(i, j) for i in range(len(spans[0])) for j in range(len(spans[1]))]


def test_sizes_that_the_model_leaves_open():
    x = inputs = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    model = finished(inputs, L.Conv2D(4, 3, padding="same")(x))
    for size in ((17, 22), (24, 9)):
        image = np.random.default_rng(2).normal(size=(1, *size, 3))
        spans = windows(size[0], 4, 3), windows(size[1], 4, 3)
        every = occluded(image[0], spans, 0.0).reshape(-1, *size, 3)
        whole = cx.explain.saliency(model, every, 1, dtype="float64").score
        e = cx.explain.occlusion(model, image, 1, window=4, stride=3, baseline=0, dtype="float64")
        np.testing.assert_allclose(e.steps["score"].ravel(), whole, rtol=1e-11)


def test_other_inputs_keep_their_values():
    image, numbers, other = keras.Input((13, 12, 3)), keras.Input((2,)), keras.Input((13, 12, 4))
    x = L.Conv2D(4, 3, padding="same")(image) * L.Reshape((1, 1, 4))(L.Dense(4)(numbers))
    x = L.Conv2D(3, 3)(L.Concatenate()([x, other]))
    model = finished([image, numbers, other], L.Concatenate()([L.GlobalAveragePooling2D()(x), numbers]))
    rng = np.random.default_rng(3)
    values = [rng.normal(size=(2, *s.shape[1:])) for s in (image, numbers, other)]
    e = cx.explain.occlusion(
        model, values, 0, input=0, window=5, stride=4, baseline=0.1, dtype="float64", batch_size=7
    )
    spans = windows(13, 5, 4), windows(12, 5, 4)
    for n in range(2):
        every = occluded(values[0][n], spans, 0.1).reshape(-1, 13, 12, 3)
        rest = [np.repeat(v[n : n + 1], len(every), 0) for v in values[1:]]
        whole = cx.explain.saliency(model, [every, *rest], 0, input=0, dtype="float64").score
        np.testing.assert_allclose(e.steps["score"][n].ravel(), whole, rtol=1e-11)
