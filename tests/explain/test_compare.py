"""Methods beside each other: every number is that of the method and the metric alone."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import small

import cnnexplain as cx

H, W = small.HEIGHT, small.WIDTH
METHODS = ["grad_cam", "saliency", "integrated_gradients"]
QUICK = {
    "insertion": {"steps": 4},
    "deletion": {"steps": 4, "baseline": 0.5},
    "road": {"fractions": [0.3]},
    "max_sensitivity": {"samples": 2},
    "infidelity": {"samples": 3},
    "integrated_gradients": {"steps": 5},
}


@pytest.fixture
def masks():
    made = np.zeros((3, H, W), bool)
    made[:2, 3:9, 2:9] = True
    return made


def test_every_number_is_that_of_its_metric(model, x, masks, unchanged):
    state = unchanged(model)
    names = [name for name in cx.explain.metrics.__all__ if name != "Metric"]
    got = cx.explain.compare(model, x, [1, 2, 0], methods=METHODS, metrics=names, masks=masks, options=QUICK)
    state.check()
    table = got.to_dict()
    assert list(table) == ["method", *names, "seconds"] and table["method"] == METHODS
    M = cx.explain.metrics
    for i, method in enumerate(METHODS):
        own = QUICK.get(method, {})
        e = cx.explain(model, x, [1, 2, 0], method=method, **own)
        np.testing.assert_array_equal(got.explanations[method].map, e.map)
        for name in names:
            few = QUICK.get(name, {})
            if name == "pointing_game":
                want = M.pointing_game(e, masks)
            elif name in ("max_sensitivity", "model_randomization"):
                want = getattr(M, name)(model, x, [1, 2, 0], method=method, options=own, **few)
            elif method == "grad_cam" and name in ("completeness", "infidelity"):
                assert np.isnan(table[name][i]) and got.metrics[name][method] is None
                continue
            else:
                want = getattr(M, name)(model, x, e, **few)
            assert table[name][i] == want.value, (method, name)
    assert [text.split(" has")[0] for text in got.warnings] == ["completeness", "infidelity"]
    assert "grad_cam" in got.warnings[0]


def test_the_best_follows_the_direction(model, x):
    got = cx.explain.compare(model, x, methods=METHODS, metrics=["insertion", "deletion"], options=QUICK)
    table = got.to_dict()
    assert got.best("insertion") == METHODS[int(np.argmax(table["insertion"]))]
    assert got.best("deletion") == METHODS[int(np.argmin(table["deletion"]))]
    lines = str(got).splitlines()
    assert lines[0].split() == ["method", "insertion", "(higher)", "deletion", "(lower)", "seconds"]
    assert len(lines) == 5 and lines[4].startswith("* the best")
    for line, name in zip(lines[1:4], METHODS, strict=True):
        cells = line.split()
        assert cells[0] == name and cells[1].endswith("*") == (got.best("insertion") == name)
    assert repr(got) == str(got)
    with pytest.raises(ValueError, match="`metric` must be one of insertion, deletion"):
        got.best("road")


def test_all_methods_explain_the_same_class(model, x):
    got = cx.explain.compare(
        model, x, methods=["rise", "grad_cam"], metrics=[], options={"rise": {"masks": 9}}
    )
    for e in got.explanations.values():
        assert e.class_index.tolist() == small.Twin(x).logits.argmax(1).tolist()
    assert got.explanations["rise"].parameters["score"] == "probability"  # its own
    both = cx.explain.compare(model, x, methods="saliency", metrics=[], score="log_probability")
    assert both.explanations["saliency"].parameters["score"] == "log_probability"
    assert list(both.to_dict()) == ["method", "seconds"]


def test_the_metrics_keep_their_score(model, x):
    options = {"deletion": {"steps": 4}, "insertion": {"steps": 4, "score": "logit"}}
    got = cx.explain.compare(
        model, x, methods="saliency", metrics=["deletion", "insertion"], score="loss", options=options
    )
    assert got.metrics["deletion"]["saliency"].parameters["score"] == "probability"
    assert got.metrics["insertion"]["saliency"].parameters["score"] == "logit"


def test_pictures(model, x):
    got = cx.explain.compare(model, x, methods=METHODS, metrics=["deletion"], options=QUICK)
    figure = got.plot()
    assert len(figure.axes) == 3 * 4
    assert [axes.get_title() for axes in figure.axes[:4]] == [
        "image",
        *(m.replace("_", " ") for m in METHODS),
    ]
    shown = np.asarray(figure.axes[5].images[0].get_array())
    np.testing.assert_array_equal(shown, got.explanations["grad_cam"].overlay()[1])
    assert len(got.plot(max_images=1).axes) == 4
    assert got._repr_png_()[:4] == b"\x89PNG" and got._repr_html_().startswith("<table><tr><th>method</th>")
    with pytest.raises(ValueError, match="`max_images` must be"):
        got.plot(max_images=0)


def test_progress_and_signature(model, x, capsys):
    cx.explain.compare(model, x, methods=METHODS, metrics=["deletion"], options=QUICK)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    seen = []
    cx.explain.compare(model, x, methods="saliency", metrics=[], progress=lambda *a: seen.append(a))
    assert seen[-1] == (3, 3)
    assert "batch_size" in inspect.signature(cx.explain.compare).parameters


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"methods": []}, ValueError, "`methods` must hold at least one"),
        ({"methods": ["gradcam"]}, ValueError, "`methods` must be among cam, grad_cam"),
        ({"metrics": ["auc"]}, ValueError, "`metrics` must be among average_drop"),
        ({"metrics": ["pointing_game"]}, ValueError, "`masks` must be given"),
        ({"options": {"sailency": {}}}, ValueError, "`options` must be among"),
        ({"options": 3}, TypeError, "`options` must be a dict"),
        ({"options": {"deletion": {"steps": 0}}}, ValueError, "`steps` must be a positive integer"),
        ({"class_index": 9}, ValueError, "`class_index` must be between 0 and 3"),
        ({"wrong": 1}, TypeError, "unexpected keyword argument 'wrong'"),
    ],
)
def test_bad_input(model, x, options, error, message):
    with pytest.raises(error, match=message):
        cx.explain.compare(model, x, **{"methods": ["grad_cam"], **options})


def test_options_of_what_is_not_compared_are_allowed(model, x):
    cx.explain.compare(model, x, methods=["saliency"], metrics=[], options={"rise": {"masks": 5}})


def test_several_inputs(x):
    """The other input goes along, repeated for every variant."""
    L = cx.keras.layers
    picture, number = cx.keras.Input((H, W, 3), name="p"), cx.keras.Input((4,), name="n")
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="c")(picture))
    model = cx.keras.Model([picture, number], L.Dense(3)(L.Concatenate()([y, number])))
    both = [x, np.random.default_rng(0).random((3, 4))]
    names = ["insertion", "road", "completeness", "max_sensitivity", "model_randomization"]
    options = {**QUICK, "completeness": {"input": 0}}
    got = cx.explain.compare(
        model, both, methods=["input_x_gradient"], metrics=names, options=options, input="p"
    )
    for i in range(3):
        alone = cx.explain.compare(
            model,
            [part[i : i + 1] for part in both],
            methods=["input_x_gradient"],
            metrics=names,
            options=options,
            input="p",
        )
        for name in names:
            one = alone.metrics[name]["input_x_gradient"].per_image
            np.testing.assert_array_equal(one, got.metrics[name]["input_x_gradient"].per_image[i : i + 1])
