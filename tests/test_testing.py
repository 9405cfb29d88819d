"""cnnexplain.testing: every usual mistake is found and named, and what is right is not blamed.

The wrong maps are written here a second time, in plain NumPy and SciPy, as students write them.
"""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import cnnexplain as cx
from cnnexplain.testing import MapMismatch, assert_same_map, tiny_dataset, tiny_images, tiny_model

SHAPES = {"12x10": (12, 10, 3), "9x16": (9, 16, 3)}


class Case:
    """A network, its images, and what a student has after the gradient tape: A and g of each image."""

    def __init__(self, shape, pooling=False, method="grad_cam", seed=1, **options):
        self.model = tiny_model(seed, input_shape=shape, pooling=pooling)
        self.images = tiny_images(3, shape, seed=seed)
        self.classes = np.array([1, 3, 0])
        self.expected = getattr(cx.explain, method)(self.model, self.images, self.classes, **options)
        self.size = shape[:2]
        steps = self.expected.steps
        self.A = steps["activations"] if "activations" in steps else None
        self.g = steps["gradients"] if "gradients" in steps else None

    def keys(self, student, of="map", model=False, tol=1e-3):
        with pytest.raises(MapMismatch) as caught:
            known = {"model": self.model, "images": self.images} if model else {}
            assert_same_map(student, self.expected, tol, of=of, **known)
        return caught.value


def bilinear(maps, size):
    """Half-pixel centres, edges repeated, by one matrix for each axis."""

    def matrix(source, target):
        m = np.zeros((target, source))
        for i in range(target):
            at = (i + 0.5) * source / target - 0.5
            low = int(np.floor(at))
            for j, part in ((low, 1 - (at - low)), (low + 1, at - low)):
                m[i, min(max(j, 0), source - 1)] += part
        return m

    return np.einsum("yi,nij,xj->nyx", matrix(maps.shape[1], size[0]), maps, matrix(maps.shape[2], size[1]))


def relu(x):
    return np.where(x > 0, x, 0)


def scale(maps):
    return np.stack([m / m.max() if m.max() > 0 else m for m in maps])


def stretch(maps):
    return np.stack([(m - m.min()) / (m.max() - m.min()) for m in maps])


def finish(raw, size):
    return scale(bilinear(relu(raw), size))


def weighted(A, w):
    return np.einsum("nhwk,nk->nhw", A, w)


def corners(maps, size):
    """Pixel i is looked up at i h / H: half a pixel of the layer too far down and right."""
    rows = np.arange(size[0]) * maps.shape[1] / size[0]
    columns = np.arange(size[1]) * maps.shape[2] / size[1]
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([ndimage.map_coordinates(m, grid, order=1, mode="nearest") for m in maps])


def zoomed(maps, size, order):
    return np.stack(
        [ndimage.zoom(m, (size[0] / m.shape[0], size[1] / m.shape[1]), order=order) for m in maps]
    )


def nearest(maps, size):
    rows = (np.arange(size[0]) + 0.5) * maps.shape[1] // size[0]
    columns = (np.arange(size[1]) + 0.5) * maps.shape[2] // size[1]
    return maps[:, rows.astype(int)][:, :, columns.astype(int)]


GRAD_CAM = {
    "weights-averaged-over-the-batch": lambda A, g, s: finish(
        weighted(A, np.repeat(g.mean((0, 1, 2))[None], len(A), 0)), s
    ),
    "weights-averaged-over-channels": lambda A, g, s: finish((A * g.mean(-1)[..., None]).sum(-1), s),
    "weights-averaged-over-one-axis": lambda A, g, s: finish((A * g.mean(1)[:, None]).sum(-1), s),
    "weights-averaged-over-one-axis ": lambda A, g, s: finish((A * g.mean(2)[:, :, None]).sum(-1), s),
    "gradients-not-averaged": lambda A, g, s: finish((A * g).sum(-1), s),
    "gradients-rectified": lambda A, g, s: finish(weighted(A, relu(g).mean((1, 2))), s),
    "gradients-absolute": lambda A, g, s: finish(weighted(A, abs(g).mean((1, 2))), s),
    "gradients-maximum": lambda A, g, s: finish(weighted(A, g.max((1, 2))), s),
    "weights-missing": lambda A, g, s: finish(A.sum(-1), s),
    "weights-absolute": lambda A, g, s: finish(weighted(A, abs(g.mean((1, 2)))), s),
    "relu-before-the-sum ": lambda A, g, s: finish(weighted(A, relu(g.mean((1, 2)))), s),
    "weights-of-the-first-image": lambda A, g, s: finish(A @ g[0].mean((0, 1)), s),
    "relu-before-the-sum": lambda A, g, s: finish(relu(A * g.mean((1, 2), keepdims=True)).sum(-1), s),
    "maximum-over-channels": lambda A, g, s: finish((A * g.mean((1, 2), keepdims=True)).max(-1), s),
    "one-feature-map": lambda A, g, s: finish((A * g.mean((1, 2), keepdims=True))[..., -1], s),
    "relu-missing": lambda A, g, s: scale(bilinear(raw(A, g), s)),
    "absolute-instead-of-relu": lambda A, g, s: scale(bilinear(abs(raw(A, g)), s)),
    "sign-turned": lambda A, g, s: finish(-raw(A, g), s),
    "minimum-subtracted": lambda A, g, s: stretch(bilinear(raw(A, g), s)),
    "minimum-subtracted ": lambda A, g, s: scale(bilinear(stretch(raw(A, g)), s)),
    "not-enlarged": lambda A, g, s: scale(relu(raw(A, g))),
    "nearest-instead-of-bilinear": lambda A, g, s: scale(nearest(relu(raw(A, g)), s)),
    "corners-aligned": lambda A, g, s: scale(zoomed(relu(raw(A, g)), s, 1)),
    "half-a-pixel-off": lambda A, g, s: scale(corners(relu(raw(A, g)), s)),
    "cubic-enlarging": lambda A, g, s: scale(zoomed(relu(raw(A, g)), s, 3)),
    "enlarged-before-the-relu": lambda A, g, s: scale(relu(bilinear(raw(A, g), s))),
    "size-swapped": lambda A, g, s: finish(raw(A, g), s[::-1]),
    "size-swapped ": lambda A, g, s: finish(raw(A, g), s[::-1]).transpose(0, 2, 1),
    "not-normalised": lambda A, g, s: bilinear(relu(raw(A, g)), s),
    "not-normalised ": lambda A, g, s: bilinear(relu(weighted(A, g.sum((1, 2)))), s),
    "normalised-over-the-batch": lambda A, g, s: (m := bilinear(relu(raw(A, g)), s)) / m.max(),
    "sum-is-one": lambda A, g, s: np.stack([m / m.sum() for m in bilinear(relu(raw(A, g)), s)]),
    "standardised": lambda A, g, s: np.stack(
        [(m - m.mean()) / m.std() for m in bilinear(relu(raw(A, g)), s)]
    ),
    "up-to-255": lambda A, g, s: 255 * finish(raw(A, g), s),
    "uint8": lambda A, g, s: np.uint8(255 * finish(raw(A, g), s)),
    "cut-to-whole-numbers": lambda A, g, s: (finish(raw(A, g), s) * (1 + 1e-9)).astype(int),
    "inverted": lambda A, g, s: 1 - finish(raw(A, g), s),
    "normalised-before-enlarging": lambda A, g, s: bilinear(scale(relu(raw(A, g))), s),
    "one-image-only": lambda A, g, s: finish(raw(A, g), s)[0],
    "one-image-only ": lambda A, g, s: finish(raw(A, g), s)[:1],
    "one-axis-too-many": lambda A, g, s: finish(raw(A, g), s)[..., None],
    "transposed": lambda A, g, s: finish(raw(A, g), s).transpose(0, 2, 1),
    "upside-down": lambda A, g, s: finish(raw(A, g), s)[:, ::-1],
    "mirrored": lambda A, g, s: finish(raw(A, g), s)[:, :, ::-1],
    "always-the-first-image": lambda A, g, s: np.repeat(finish(raw(A, g), s)[:1], len(A), 0),
    "images-out-of-order": lambda A, g, s: finish(raw(A, g), s)[::-1],
    "shifted": lambda A, g, s: np.roll(finish(raw(A, g), s), (1, -1), (1, 2)),
    "shifted ": lambda A, g, s: np.pad(finish(raw(A, g), s), ((0, 0), (2, 0), (0, 0)))[:, :-2],
}


def raw(A, g):
    return weighted(A, g.mean((1, 2)))


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def case(request):
    return Case(request.param)


@pytest.mark.parametrize("key", GRAD_CAM)
def test_mistakes_of_grad_cam(case, key):
    error = case.keys(GRAD_CAM[key](case.A.astype(float), case.g.astype(float), case.size))
    assert error.keys == (key.strip(),), error
    assert str(error).startswith("The map ")


def test_the_same_written_right_passes(case):
    student = finish(raw(case.A, case.g), case.size)
    assert_same_map(student, case.expected)
    assert_same_map(student.astype(np.float32), case.expected)
    assert_same_map(cx.constant(student), case.expected)
    assert_same_map(student.tolist(), case.expected)
    assert_same_map(case.expected, case.expected, tol=0)
    maps = bilinear(relu(raw(case.A, case.g)), case.size)
    assert_same_map(np.stack([m / (m.max() + 1e-8) for m in maps]), case.expected)  # a usual precaution


@pytest.mark.parametrize("size", [2e-3, 1e-2, 0.1])
def test_noise_is_not_blamed_on_a_mistake(case, size):
    noise = size * np.random.default_rng(0).standard_normal(case.expected.map.shape)
    error = case.keys(case.expected.map + noise, model=True)
    assert error.keys == () and "No usual mistake gives these numbers." in str(error)


def test_something_else_altogether_gives_numbers(case):
    error = case.keys(np.random.default_rng(0).random(case.expected.map.shape), model=True)
    assert error.explanations == []
    for part in ("differs at", "most by", "No usual mistake", "Yours: from", "Expected: from 0 to 1", "Corr"):
        assert part in str(error)


# other methods, and other things asked


def test_a_class_activation_map_with_every_image_s_weights_from_the_first():
    for shape in SHAPES.values():
        case = Case(shape, pooling=True, method="cam")
        w = case.model.get_layer("scores").get_weights()[0]
        right = np.stack(
            [finish((A @ w[:, c])[None], case.size)[0] for A, c in zip(case.A, case.classes, strict=True)]
        )
        assert_same_map(right, case.expected)
        assert case.keys(finish(case.A @ w[:, 1], case.size)).keys == ("weights-of-the-first-image",)
        assert case.keys(finish(case.A.sum(-1), case.size)).keys == ("weights-missing",)
        assert case.keys(finish(case.A @ abs(w[:, 3]), case.size)).keys == ()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("method", "key", "student"),
    [
        ("layer_cam", "gradients-not-rectified", lambda A, g: (A * g).sum(-1)),
        ("layer_cam", "gradients-averaged", lambda A, g: raw(A, g)),
        ("hires_cam", "gradients-rectified", lambda A, g: (A * relu(g)).sum(-1)),
        ("hires_cam", "gradients-averaged", lambda A, g: raw(A, g)),
        ("grad_cam_plus_plus", "gradients-averaged", lambda A, g: raw(A, g)),
        ("xgrad_cam", "gradients-averaged", lambda A, g: raw(A, g)),
    ],
)
def test_another_method_of_the_family(shape, method, key, student):
    case = Case(shape, method=method)
    assert case.keys(finish(student(case.A.astype(float), case.g.astype(float)), case.size)).keys == (key,)


def test_what_speaks_against_a_class():
    case = Case(SHAPES["12x10"], counterfactual=True)
    assert case.keys(finish(raw(case.A, case.g), case.size)).keys == ("sign-turned",)
    assert case.keys(finish(weighted(case.A, relu(-case.g).mean((1, 2))), case.size)).keys == (
        "gradients-rectified",
    )


@pytest.mark.parametrize(
    ("key", "student"),
    [
        ("relu-applied", lambda A, g: relu(raw(A, g))),
        ("sign-lost", lambda A, g: abs(raw(A, g))),
        ("normalised", lambda A, g: scale(raw(A, g))),
        ("normalised", lambda A, g: scale(relu(raw(A, g)))),
        ("weights-averaged-over-channels", lambda A, g: (A * g.mean(-1)[..., None]).sum(-1)),
        ("factor", lambda A, g: weighted(A, g.sum((1, 2)))),
        ("factor", lambda A, g: -raw(A, g)),
        ("factor", lambda A, g: (A * g.mean((1, 2), keepdims=True)).mean(-1)),
        ("factor-of-each-image", lambda A, g: np.stack([m / abs(m).sum() for m in raw(A, g)])),
        ("transposed", lambda A, g: raw(A, g).transpose(0, 2, 1)),
    ],
)
def test_the_raw_map(case, key, student):
    error = case.keys(student(case.A.astype(float), case.g.astype(float)), of="raw")
    assert error.keys == (key,), error
    assert_same_map(raw(case.A, case.g), case.expected, of="raw")
    assert str(error).startswith("The raw map ")


def test_a_factor_says_where_it_may_be_from(case):
    n, h, w, k = case.A.shape
    A, g = case.A.astype(float), case.g.astype(float)
    assert f"that is {h} x {w}" in str(case.keys(weighted(A, g.sum((1, 2))), of="raw"))
    assert f"1 / {k}: a mean over the channels" in str(case.keys(raw(A, g) / k, of="raw"))
    assert "the sign is turned" in str(case.keys(-raw(A, g), of="raw"))
    assert "look for a sum" in str(case.keys(0.37 * raw(A, g), of="raw"))


@pytest.mark.parametrize(
    ("key", "student"),
    [
        ("weights-averaged-over-channels", lambda g: g.mean(-1)),
        ("weights-averaged-over-one-axis", lambda g: g.mean(1)),
        ("weights-averaged-over-one-axis", lambda g: g.mean(2)),
        ("weights-averaged-over-the-batch", lambda g: np.repeat(g.mean((0, 1, 2))[None], len(g), 0)),
        ("gradients-absolute", lambda g: abs(g).mean((1, 2))),
        ("gradients-maximum", lambda g: g.max((1, 2))),
        ("gradients-not-averaged", lambda g: g),
        ("factor", lambda g: g.sum((1, 2))),
    ],
)
def test_a_step_alone(case, key, student):
    error = case.keys(student(case.g.astype(float)), of="channel weights")
    assert error.keys == (key,), error
    assert str(error).startswith("The step 'channel weights' ")
    assert_same_map(case.g.mean((1, 2)), case.expected, of="channel weights")


SALIENCY = {
    "absolute-value-missing": lambda g: scale(g.sum(-1)),
    "absolute-value-missing ": lambda g: scale(g.max(-1)),
    "absolute-value-after-the-sum": lambda g: scale(abs(g.sum(-1))),
    "relu-instead-of-absolute-value": lambda g: scale(relu(g).sum(-1)),
    "relu-instead-of-absolute-value ": lambda g: scale(relu(g.sum(-1))),
    "relu-instead-of-absolute-value  ": lambda g: scale(relu(g).max(-1)),
    "length-over-channels": lambda g: scale(np.sqrt((g * g).sum(-1))),
    "one-channel": lambda g: scale(abs(g[..., 0])),
    "not-normalised": lambda g: abs(g).sum(-1),
    "normalised-over-the-batch": lambda g: abs(g).sum(-1) / abs(g).sum(-1).max(),
    "stretched": lambda g: stretch(abs(g).sum(-1)),
    "transposed": lambda g: scale(abs(g).sum(-1)).transpose(0, 2, 1),
    "shifted": lambda g: np.roll(scale(abs(g).sum(-1)), 2, 2),
}


@pytest.mark.parametrize("key", SALIENCY)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_mistakes_of_saliency(shape, key):
    case = Case(shape, method="saliency")
    assert_same_map(scale(abs(case.g).sum(-1)), case.expected)
    error = case.keys(SALIENCY[key](case.g.astype(float)), tol=1e-5)
    assert error.keys == (key.strip(),), error


def test_sum_and_maximum_over_channels():
    total, largest = (Case((12, 10, 3), method="saliency", reduce=reduce) for reduce in ("sum", "max"))
    assert total.keys(scale(abs(total.g).max(-1))).keys == ("maximum-over-channels",)
    assert largest.keys(scale(abs(total.g).sum(-1))).keys == ("sum-over-channels",)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    ("key", "student"),
    [
        ("relu-applied", lambda g: relu(g)),
        ("channels-added", lambda g: abs(g).sum(-1)),
        ("sign-lost", lambda g: abs(g)),
        ("normalised", lambda g: g / g.max(axis=(1, 2, 3), keepdims=True)),
        ("channels-first", lambda g: g.transpose(0, 3, 1, 2)),
        ("channels-swapped", lambda g: g[..., ::-1]),
        ("factor", lambda g: g / len(g)),
    ],
)
def test_the_gradients_themselves(shape, key, student):
    case = Case(shape, method="guided_backprop")
    error = case.keys(student(case.g.astype(float)), of="raw")
    assert error.keys == (key,), error


# what only the model can tell


def gradients(model, images, classes, score, layer="last"):
    """As a student takes them: a tape around the network in two parts."""
    below = cx.keras.Model(model.inputs, model.get_layer(layer).output)
    A = cx.convert_to_tensor(below(images))
    kernel, bias = model.get_layer("scores").get_weights()
    with cx.GradientTape() as tape:
        tape.watch(A)
        logits = cx.matmul(cx.reshape(A, (len(images), -1)), kernel) + bias
        chosen = logits if score == "logit" else cx.nn.softmax(logits)
        total = cx.reduce_sum(chosen * np.eye(kernel.shape[1], dtype="float32")[classes])
        total = -cx.math.log(total) if score == "loss" else total
    return A.numpy().astype(float), tape.gradient(total, A).numpy().astype(float)


def students_map(case, score="logit", classes=None, images=None):
    images = case.images if images is None else images
    classes = case.classes if classes is None else classes
    parts = [gradients(case.model, images[i : i + 1], [c], score) for i, c in enumerate(classes)]
    A, g = zip(*parts, strict=True)
    return finish(raw(np.concatenate(A), np.concatenate(g)), case.size)


def test_the_students_of_the_model_are_right(case):
    assert_same_map(students_map(case), case.expected, model=case.model, images=case.images)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("softmax-instead-of-logit", lambda case: {"score": "probability"}),
        ("loss-instead-of-score", lambda case: {"score": "loss"}),
        ("channels-swapped", lambda case: {"images": case.images[..., ::-1].copy()}),
        ("images-scaled", lambda case: {"images": case.images / np.float32(255)}),
        ("another-class", lambda case: {"classes": case.model.predict(case.images, verbose=0).argmax(1)}),
        ("another-class", lambda case: {"classes": [2, 3, 0]}),
    ],
)
def test_mistakes_that_the_model_shows(case, key, change):
    student = students_map(case, **change(case))
    assert case.keys(student, model=True).keys == (key,)
    assert key not in case.keys(student).keys  # the steps alone do not show it


def test_probability_where_the_logit_is_wrong():
    case = Case((12, 10, 3), score="probability")
    assert_same_map(students_map(case, "probability"), case.expected)
    assert case.keys(students_map(case), model=True).keys == ("logit-instead-of-softmax",)


def test_another_layer_and_another_method(case):
    first = cx.explain.grad_cam(case.model, case.images, case.classes, layer="first")
    error = case.keys(first, model=True)
    assert error.keys == ("another-layer",) and "'first'; asked is layer 'last'" in str(error)
    hires = finish((case.A * case.g).sum(-1), case.size)  # a mistake of a step says more than the method
    assert case.keys(hires, model=True).keys == ("gradients-not-averaged",)
    saliency = Case(case.size + (3,), method="saliency")
    product = scale(abs(saliency.g * saliency.images).sum(-1))
    error = saliency.keys(product, model=True)
    assert error.keys == ("another-method",) and "input_x_gradient" in str(error)


def test_a_wrong_class_is_named(case):
    error = case.keys(students_map(case, classes=[1, 2, 0]), model=True)
    assert "image 1 shows class 2, asked is class 3" in str(error)


def test_the_model_must_be_the_one_of_the_expected_map(case):
    with pytest.raises(ValueError, match="`model` and `images` must be what `expected` was computed from"):
        assert_same_map(case.expected.map**2, case.expected, model=case.model, images=case.images[::-1])


# two at once, two that cannot be told apart, and what is no map


def test_two_mistakes_are_named_in_the_order_of_the_steps(case):
    A, g = case.A.astype(float), case.g.astype(float)
    error = case.keys(bilinear(raw(A, g), case.size))
    assert error.keys == ("relu-missing", "not-normalised")
    lines = str(error).splitlines()
    assert lines[1].startswith("First wrong step: ReLU. The ReLU is missing")
    assert "Then also, at map: The map is not normalised" in lines[1]
    error = case.keys(scale(nearest(relu((A * g).sum(-1)), case.size)))
    assert error.keys == ("gradients-not-averaged", "nearest-instead-of-bilinear")


def test_softmax_and_no_relu(case):
    parts = [
        gradients(case.model, case.images[i : i + 1], [c], "probability") for i, c in enumerate(case.classes)
    ]
    A, g = (np.concatenate(part) for part in zip(*parts, strict=True))
    error = case.keys(scale(bilinear(raw(A, g), case.size)), model=True)
    assert error.keys == ("softmax-instead-of-logit", "relu-missing")


def test_two_that_give_the_same_numbers_are_both_named():
    """After average pooling the gradient is the same everywhere: its mean and its maximum are one number."""
    case = Case((12, 10, 3), pooling=True)
    assert_same_map(finish(weighted(case.A, case.g.max((1, 2))), case.size), case.expected)
    error = case.keys(finish(weighted(case.A, abs(case.g).mean((1, 2))), case.size))
    assert error.keys == ("weights-absolute", "gradients-absolute")
    assert "2 explanations give these numbers; they cannot be told apart here:" in str(error)
    assert len(error.explanations) == 2


def test_a_batch_axis_and_single_images():
    model, images = tiny_model(1), tiny_images(1, seed=1)
    e = cx.explain.grad_cam(model, images, 1)
    with pytest.raises(MapMismatch, match=r"has shape \(12, 10\), expected \(1, 12, 10\)") as caught:
        assert_same_map(e.map[0], e)
    assert caught.value.keys == ("no-batch-axis",)
    assert_same_map(e.map[0], e[0])
    with pytest.raises(MapMismatch) as caught:
        assert_same_map(e.map[0].T, e[0])
    assert caught.value.keys == ("transposed",)
    with pytest.raises(MapMismatch) as caught:
        assert_same_map(scale(bilinear(e.raw, (12, 10)))[0], e[0], model=model, images=images)
    assert caught.value.keys == ("relu-missing",)


@pytest.mark.parametrize(
    ("student", "start", "hint"),
    [
        (None, "The map is None", "`return`"),
        (len, "The map is a function", "parentheses"),
        ((1, 2), "The map is a tuple", "one array"),
        ("map", "The map has dtype <U3", "strings"),
        ([[1.0], [1.0, 2.0]], "The map is no array", ""),
        (np.zeros((3, 12, 10), complex), "The map has dtype complex128", ""),
        (np.zeros((0,)), "The map has shape (0,)", ""),
        (np.float32(3), "The map has shape ()", ""),
        (np.zeros((3, 12, 10)), "The map differs at", "Every value is 0, which"),
    ],
)
def test_what_is_no_map(student, start, hint):
    case = Case((12, 10, 3))
    error = str(case.keys(student))
    assert error.startswith(start) and hint in error


def test_nan(case):
    student = case.expected.map.copy()
    student[1, 2, 3] = np.nan
    error = str(case.keys(student))
    assert "NaN at 1 of" in error.splitlines()[0] and "[1, 2, 3] (image 1, row 2, column 3)" in error
    assert "0 / 0" in error
    student[1, 2, 3] = np.inf
    assert "infinite numbers at 1 of" in str(case.keys(student))


def test_nan_where_the_map_is_blank():
    blank = np.zeros((2, 4, 5))
    blank[0, 1, 2] = 1
    student = blank.copy()
    student[1] = np.nan
    with pytest.raises(MapMismatch, match="image 1 is zero everywhere, and 0 / 0 is NaN"):
        assert_same_map(student, blank)


def test_plain_arrays():
    expected = np.random.default_rng(0).normal(size=(2, 5, 7))
    assert_same_map(expected + 1e-5, expected)
    for key, student in {
        "relu-applied": relu(expected),
        "sign-lost": abs(expected),
        "transposed": expected.transpose(0, 2, 1),
        "factor": 3 * expected,
        "shifted": np.roll(expected, 1, 1),
    }.items():
        with pytest.raises(MapMismatch) as caught:
            assert_same_map(student, expected)
        assert caught.value.keys == (key,)
    with pytest.raises(
        MapMismatch, match=r"The map differs at 1 of 3 places, most by 1 at \[1\]: 3, expected 2"
    ):
        assert_same_map([1, 3, 3], [1, 2, 3])
    with pytest.raises(MapMismatch, match=r"The map has shape \(2,\), expected \(3,\)"):
        assert_same_map([1, 3], [1, 2, 3])


def test_bad_arguments():
    case = Case((12, 10, 3))
    with pytest.raises(
        ValueError, match="`of` must be one of: map, raw, activations, .* Received: of='relu'"
    ):
        assert_same_map(case.expected.map, case.expected, of="relu")
    with pytest.raises(ValueError, match="`of` names a step of an Explanation"):
        assert_same_map(case.expected.map, case.expected.map, of="ReLU")
    with pytest.raises(ValueError, match="`tol` must be 0 or more. Received: tol=-1"):
        assert_same_map(case.expected.map, case.expected, -1)


@pytest.mark.parametrize("method", [name for name in cx.explain.methods() if name != "rise"])
def test_every_method_passes_itself_and_a_transposed_map_is_named(method):
    model, images = tiny_model(2, pooling=True), tiny_images(2, seed=2)
    e = cx.explain(model, images, [1, 2], method=method)
    assert_same_map(e.map, e)
    with pytest.raises(MapMismatch) as caught:
        assert_same_map(e.map.transpose(0, 2, 1), e)
    assert "transposed" in caught.value.keys


def test_the_error_can_be_sent_between_processes(case):
    error = case.keys(scale(bilinear(raw(case.A, case.g), case.size)))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.keys == error.keys == ("relu-missing",)


# tiny models and data


def test_tiny_models_do_not_depend_on_other_random_numbers():
    a = tiny_model(3).get_weights()
    cx.keras.utils.set_random_seed(77)
    np.random.seed(1)
    np.random.normal(size=9)
    for x, y in zip(a, tiny_model(3).get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    assert abs(a[0] - tiny_model(4).get_weights()[0]).max() > 0.1
    np.testing.assert_array_equal(tiny_images(4, seed=2), tiny_images(4, seed=2))


@pytest.mark.parametrize("shape", [(12, 10, 3), (9, 16, 3), (8, 8, 1)])
@pytest.mark.parametrize("pooling", [False, True])
def test_tiny_models_are_telling(shape, pooling):
    for seed in range(3):
        model, images = tiny_model(seed, input_shape=shape, pooling=pooling), tiny_images(4, shape, seed=seed)
        for index in range(4):
            e = cx.explain.grad_cam(model, images, index)
            assert (e.raw.min((1, 2)) < 0).all() and (e.raw.max((1, 2)) > 0).all(), (seed, index)
            assert 0.005 < e.probability.min() and e.probability.max() < 0.9
        assert images.min() >= 0 and images.max() <= 1 and images.dtype == np.float32


def test_tiny_data_can_be_learned_and_pointed_at():
    images, labels, boxes = tiny_dataset(64, seed=0)
    assert set(labels) == {0, 1, 2, 3}
    for image, label, (top, left, bottom, right) in zip(images, labels, boxes, strict=True):
        assert 0 <= top < bottom <= 12 and 0 <= left < right <= 10
        assert image[top:bottom, left:right].min() > 0.69 and label == 2 * (top >= 6) + (left >= 5)
    x = images.reshape(64, -1)
    w = np.linalg.lstsq(x, np.eye(4)[labels], rcond=None)[0]
    assert ((x @ w).argmax(1) == labels).all()
    _, two, boxes = tiny_dataset(16, (8, 9, 1), classes=2)
    assert set(two) == {0, 1} and ((boxes[:, 1] >= 4) == two).all()


def test_bad_tiny_data():
    with pytest.raises(ValueError, match="`classes` must be 2 or 4. Received: classes=3"):
        tiny_dataset(classes=3)
    with pytest.raises(ValueError, match="`shape` must have sides of 4 or more"):
        tiny_dataset(shape=(3, 9, 1))


def test_loads_lazily():
    code = "import sys, cnnexplain.testing.plugin; print({'numpy', 'cnnexplain._core'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tempfile.gettempdir(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="has no attribute 'assert_same'"):
        _ = cx.testing.assert_same


def test_the_page_lists_every_mistake():
    root = Path(__file__).parents[1]
    page = (root / "docs" / "coursework.md").read_text()
    table = page.split("## The mistakes that it knows")[1].split("\n## ")[0]
    listed = set(re.findall(r"`([a-z][a-z0-9]*(?:-[a-z0-9]+)*)`", table))
    keys = set()
    for path in (root / "cnnexplain" / "testing").glob("*.py"):
        keys |= set(
            re.findall(r'(?:Mistake\(|Found\(\s*"\w+",|_one\(\s*"\w+",)\s*"([\w-]+)"', path.read_text())
        )
        keys |= set(re.findall(r'\("\w+", "([a-z]+-instead-of-[a-z]+)", _', path.read_text()))
    assert len(keys) > 50
    assert listed - {"model", "images", "keys", "mistakes"} == keys


def test_few_numbers_prove_nothing():
    for student, expected in (([3.0], [2.0]), ([[1.0, 2.0]], [[3.0, 6.0]])):
        with pytest.raises(MapMismatch) as caught:
            assert_same_map(student, expected)
        assert caught.value.keys == ()


def test_an_overlap_without_the_bright_spots_is_no_shift():
    expected, student = np.zeros((2, 1, 12, 10))
    expected[0, [0, 5, 6, 7], [0, 5, 5, 5]] = 1, 1e-6, 2e-6, 3e-6
    student[0, [11, 4, 5, 6], [9, 5, 5, 5]] = 1, 1e-6, 2e-6, 3e-6
    with pytest.raises(MapMismatch) as caught:
        assert_same_map(student, expected)
    assert caught.value.keys == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda m: np.sqrt(m),
        lambda m: (m > 0.5).astype(float),
        lambda m: np.stack([ndimage.gaussian_filter(one, 1) for one in m]),
        lambda m: np.stack([ndimage.maximum_filter(one, 3) for one in m]),
        lambda m: m * np.linspace(0, 1, m.shape[2]),
        lambda m: np.round(m, 1),
        lambda m: m[[1, 2, 0]],
    ],
)
def test_mistakes_that_are_not_known_are_not_taken_for_others(case, change):
    for of in ("map", "raw"):
        student = change(np.abs(getattr(case.expected, of)))
        assert case.keys(student, of=of, model=True).keys == ()
