"""Grad-CAM of words and answers, where recurrent layers and attention follow the maps, and the example of it.

The twin writes a small network down in NumPy and differentiates it by complex steps: f'(x) = Im f(x + ih) / h
to the last digits, and nothing in it knows how our gradients are computed.
"""

from __future__ import annotations

import re

import captions
import numpy as np
import pytest
import scenes
import small

import cnnexplain as cx

keras = cx.keras
H, W, C, K = 5, 6, 2, 3
WORDS, ASKED, VOCABULARY, ANSWERS = 4, 3, 6, 5
STEP = 1e-40


def network(keras, words=WORDS, dtype=None):
    """An image and words of a caption and of a question; the next words, and an answer."""
    L = keras.layers
    image = keras.Input((H, W, C), dtype=dtype, name="image")
    maps = L.Conv2D(K, 3, padding="same", activation="relu", name="maps")(image)
    cells = L.Reshape((H * W, K))(maps)
    before = keras.Input((words,), dtype="int32", name="before")
    said = L.LSTM(4, return_sequences=True, name="lstm")(L.Embedding(VOCABULARY, 3, name="said")(before))
    seen = L.MultiHeadAttention(2, 4, name="look")(said, cells)
    next_words = L.Dense(VOCABULARY, activation="softmax", name="words")(L.Concatenate()([said, seen]))
    question = keras.Input((ASKED,), dtype="int32", name="question")
    asked = L.GRU(4, name="gru")(L.Embedding(VOCABULARY, 3, name="asked")(question))
    where = L.Reshape((1, K))(L.Dense(K, name="where")(asked))
    found = L.Flatten()(L.Attention(name="find")([where, cells]))
    answer = L.Dense(ANSWERS, activation="softmax", name="answer")(L.Concatenate()([asked, found]))
    return keras.Model([image, before], next_words), keras.Model([image, question], answer)


def randomised(models, seed=0):
    rng = np.random.default_rng(seed)
    for model in models:  # what they share gets its last values
        model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return models


@pytest.fixture(scope="module")
def models():
    return randomised(network(keras))


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(1)
    return (
        rng.normal(size=(3, H, W, C)),
        rng.integers(VOCABULARY, size=(3, WORDS)),
        rng.integers(6, size=(3, 3)),
    )


# the twin


def softmax(z):
    e = np.exp(z - z.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(x, kernel, recurrent, bias):
    """(words, in) -> (words, units)."""
    h = c = np.zeros(len(recurrent))
    states = []
    for row in x:
        i, f, g, o = np.split(row @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states)


def gru(x, kernel, recurrent, bias):
    """(words, in) -> the last state (units,); the reset gate works after the product."""
    h = np.zeros(len(recurrent))
    for row in x:
        z, r, g = np.split(row @ kernel + bias[0], 3)
        hz, hr, hg = np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(z + hz), sigmoid(r + hr)
        h = z * h + (1 - z) * np.tanh(g + r * hg)
    return h


class Twin:
    """One image's numbers; `maps` and `image` may be many at once, (many, H, W, .), and complex."""

    def __init__(self, models, image, before, question):
        values = {w.path: np.asarray(w.numpy(), np.float64) for model in models for w in model.weights}
        self.w, self.image, self.before, self.question = values, image[None], before, question

    def of(self, layer):
        return [value for path, value in self.w.items() if path.startswith(layer + "/")]

    def maps(self, image):
        z = small.convolve(image, *self.of("maps"))
        return z * (z.real > 0)

    def words(self, maps):
        """Logits (many, words, vocabulary)."""
        said = lstm(self.of("said")[0][self.before], *self.of("lstm"))
        cells = maps.reshape(len(maps), -1, K)
        (q, qb), (k, kb), (v, vb), (o, ob) = (
            self.of(f"look/{part}") for part in ("query", "key", "value", "attention_output")
        )
        query = np.einsum("tc,chd->thd", said, q) + qb
        key, value = (np.einsum("npc,chd->nphd", cells, w) + b for w, b in ((k, kb), (v, vb)))
        looks = softmax(np.einsum("thd,nphd->nhtp", query, key) / np.sqrt(4))
        seen = np.einsum("nhtp,nphd,hdc->ntc", looks, value, o) + ob
        kernel, bias = self.of("words")
        return said @ kernel[:4] + seen @ kernel[4:] + bias

    def answer(self, maps):
        """Logits (many, answers)."""
        asked = gru(self.of("asked")[0][self.question], *self.of("gru"))
        cells = maps.reshape(len(maps), -1, K)
        kernel, bias = self.of("where")
        looks = softmax(np.einsum("npk,k->np", cells, asked @ kernel + bias))
        kernel, bias = self.of("answer")
        return asked @ kernel[:4] + np.einsum("np,npk->nk", looks, cells) @ kernel[4:] + bias


def slope(function, x):
    """The gradient of `function` of many (many, ...) at one x (1, ...)."""
    steps = np.eye(x.size).reshape(-1, *x.shape[1:]) * 1j * STEP
    return (function(x + steps).imag / STEP).reshape(x.shape)


def asked_of(twin, position, word):
    """The logit of a word, or of an answer where position is None, of maps."""
    if position is None:
        return lambda maps: twin.answer(maps)[:, word]
    return lambda maps: twin.words(maps)[:, position, word]


POSITIONS, CHOSEN, ANSWERED = [0, 3, 1], [5, 2, 2], [4, 0, 3]


def cases(models, given):
    """For words and for answers: how we are asked, and for each image its twin and score."""
    image, before, question = given
    twins = [Twin(models, *each) for each in zip(*given, strict=True)]
    words = [(t, asked_of(t, p, w)) for t, p, w in zip(twins, POSITIONS, CHOSEN, strict=True)]
    answers = [(t, asked_of(t, None, w)) for t, w in zip(twins, ANSWERED, strict=True)]
    return [
        ((models[0], [image, before], (POSITIONS, CHOSEN)), words),
        ((models[1], [image, question], ANSWERED), answers),
    ]


@pytest.fixture(params=[0, 1], ids=["word", "answer"])
def case(request, models, given):
    return cases(models, given)[request.param]


def plus_plus(a, g):
    below = 2 * g**2 + a.sum((1, 2), keepdims=True) * g**3
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    return np.einsum("nhwk,nk->nhw", a, (alpha * np.maximum(g, 0)).sum((1, 2)))


RULES = {
    "grad_cam": lambda a, g: np.einsum("nhwk,nk->nhw", a, g.mean((1, 2))),
    "grad_cam_plus_plus": plus_plus,
    "hires_cam": lambda a, g: (a * g).sum(3),
    "layer_cam": lambda a, g: (a * np.maximum(g, 0)).sum(3),
}


def same(got, want, tolerance=1e-9):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("method", RULES)
def test_cams_against_the_twin(case, method):
    asked, twins = case
    e = cx.explain(*asked, method=method, dtype="float64")
    a = np.concatenate([twin.maps(twin.image) for twin, _ in twins])
    g = np.concatenate([slope(score, one[None]) for (_, score), one in zip(twins, a, strict=True)])
    want = RULES[method](a, g)
    assert np.abs(want).max() > 1e-3 and e.layer == "maps"
    same(e.raw, want)
    np.testing.assert_allclose(e.map, small.normalize(np.maximum(want, 0)), atol=1e-6)
    same(e.score, np.concatenate([score(one[None]) for (_, score), one in zip(twins, a, strict=True)]))


def test_saliency_against_the_twin(case):
    asked, twins = case
    want = np.concatenate([slope(lambda x, t=t, f=f: f(t.maps(x)), t.image) for t, f in twins])
    same(cx.explain.saliency(*asked, dtype="float64").raw, want)


def test_guided_grad_cam_against_the_twin(case):
    asked, twins = case
    want = []
    for twin, score in twins:
        a = twin.maps(twin.image)
        g = slope(score, a)
        kernel = twin.of("maps")[0][::-1, ::-1].transpose(0, 1, 3, 2)
        guided = small.convolve(np.maximum(g, 0) * (a > 0), kernel)
        want.append(np.maximum(RULES["grad_cam"](a, g), 0)[..., None] * guided)
    same(cx.explain.guided_grad_cam(*asked, dtype="float64").raw, np.concatenate(want))


@pytest.mark.parametrize("score", ["probability", "log_probability", "loss"])
def test_scores_of_a_word(models, given, score):
    (asked, twins), _ = cases(models, given)
    function = {"probability": lambda p: p, "log_probability": np.log, "loss": lambda p: -np.log(p)}[score]
    want, values = [], []
    for (twin, _), position, word in zip(twins, POSITIONS, CHOSEN, strict=True):
        a = twin.maps(twin.image)

        def of(maps, twin=twin, position=position, word=word):
            return function(softmax(twin.words(maps)[:, position])[:, word])

        values.append(of(a))
        want.append(RULES["grad_cam"](a, slope(of, a)))
    e = cx.explain.grad_cam(*asked, score=score, dtype="float64")
    same(e.raw, np.concatenate(want))
    same(e.score, np.concatenate(values))
    p = {"probability": e.score, "log_probability": np.exp(e.score), "loss": np.exp(-e.score)}[score]
    same(e.probability, p)


def test_a_callable_says_the_same(models, given):
    image, before, _ = given
    want = cx.explain.grad_cam(models[0], [image, before], (2, 1), score="log_probability", dtype="float64")
    e = cx.explain.grad_cam(
        models[0], [image, before], score=lambda p: cx.math.log(p[:, 2, 1]), dtype="float64"
    )
    same(e.raw, want.raw, 1e-7)
    same(e.score, want.score, 1e-7)
    assert e.class_index.tolist() == [-1] * 3 and "position" not in e.parameters
    both = cx.explain.grad_cam(
        models[0], [image, before], (2, 1), score=lambda p: p[:, 2, 1], dtype="float64"
    )
    same(both.score, want.probability, 1e-7)
    assert both.class_index.tolist() == [1] * 3 and both.parameters["position"] == 2


class TestNames:
    """How a word is named, and what the result says about it."""

    @pytest.fixture
    def asked(self, models, given):
        return models[0], list(given[:2])

    def test_one_word_for_all(self, asked):
        e = cx.explain.grad_cam(*asked, (1, 4), class_names=list("abcdef"))
        assert e.class_index.tolist() == [4] * 3 and list(e.class_name) == ["e"] * 3
        assert e.parameters["position"] == 1

    def test_each_image_its_own(self, asked):
        model, (image, before) = asked
        e = cx.explain.grad_cam(*asked, (np.array(POSITIONS), CHOSEN))
        assert e.class_index.tolist() == CHOSEN and e.parameters["position"] == POSITIONS
        for i in range(3):
            one = cx.explain.grad_cam(model, [image[i], before[i]], (POSITIONS[i], CHOSEN[i]))
            np.testing.assert_array_equal(one.raw[0], e.raw[i])
        np.testing.assert_array_equal(
            cx.explain.grad_cam(*asked, (POSITIONS, CHOSEN), batch_size=2).raw, e.raw
        )

    def test_the_likeliest_word(self, asked):
        words = asked[0].predict(asked[1], verbose=0)
        e = cx.explain.grad_cam(*asked, (POSITIONS, None))
        want = words[np.arange(3), POSITIONS].argmax(1)
        assert e.class_index.tolist() == want.tolist()
        np.testing.assert_array_equal(e.raw, cx.explain.grad_cam(*asked, (POSITIONS, want)).raw)

    def test_inputs_by_name(self, asked):
        model, (image, before) = asked
        e = cx.explain.grad_cam(model, {"before": before, "image": image}, (1, 4))
        np.testing.assert_array_equal(e.raw, cx.explain.grad_cam(*asked, (1, 4)).raw)

    def test_any_length(self, models, asked):
        """A network of any number of words, given as many as this one takes."""
        free = network(keras, None)[0]
        free.set_weights(models[0].get_weights())
        for method in ("grad_cam", "saliency", "integrated_gradients"):
            e, want = (
                cx.explain(model, asked[1], (POSITIONS, CHOSEN), method=method, dtype="float64")
                for model in (free, asked[0])
            )
            same(e.raw, want.raw)
        with pytest.raises(ValueError, match=r"`class_index\[0\]`, the position, must be between 0 and 3"):
            cx.explain.grad_cam(free, asked[1], (4, 0))

    def test_a_dense_layer_for_every_step(self, models, asked):
        L = keras.layers
        steps = L.TimeDistributed(L.Dense(VOCABULARY, activation="softmax"))
        model = keras.Model(asked[0].inputs, steps(asked[0].get_layer("words").input))
        model.set_weights(asked[0].get_weights())
        for score in ("logit", "probability"):
            e, want = (cx.explain.grad_cam(m, asked[1], (2, 1), score=score) for m in (model, asked[0]))
            same(e.raw, want.raw, 1e-5)

    @pytest.mark.parametrize(
        "method",
        "smooth_grad_cam_plus_plus xgrad_cam score_cam ablation_cam eigen_cam input_x_gradient smooth_grad "
        "integrated_gradients guided_backprop rectified_gradient".split(),
    )
    def test_other_methods(self, asked, method):
        """Two images in one call give what they give alone, with words of their own."""
        e = cx.explain(*asked, (POSITIONS, CHOSEN), method=method)
        assert e.class_index.tolist() == CHOSEN and e.parameters["position"] == POSITIONS
        assert np.isfinite(e.map).all() and e.map.any()
        one = cx.explain(asked[0], [values[1:2] for values in asked[1]], (3, 2), method=method)
        np.testing.assert_allclose(one.raw[0], e.raw[1], rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "method, options", [("occlusion", {"window": 2, "stride": 2}), ("rise", {"masks": 8, "grid": 2})]
    )
    def test_perturbations(self, asked, method, options):
        e = cx.explain(*asked, (POSITIONS, CHOSEN), method=method, **options)
        probabilities = asked[0].predict(asked[1], verbose=0)[np.arange(3), POSITIONS, CHOSEN]
        np.testing.assert_allclose(e.probability, probabilities, rtol=1e-5)

    def test_metrics_remember_the_position(self, asked):
        e = cx.explain.grad_cam(*asked, (POSITIONS, CHOSEN))
        drop = cx.explain.metrics.average_drop
        remembered, told = drop(*asked, e), drop(*asked, e.map, (POSITIONS, CHOSEN))
        np.testing.assert_array_equal(remembered.details["score"], told.details["score"])
        np.testing.assert_allclose(remembered.details["score"], e.probability, rtol=1e-5)
        assert remembered.details["class_index"].tolist() == CHOSEN
        compared = cx.explain.compare(
            *asked, (POSITIONS, CHOSEN), methods=["grad_cam", "saliency"], metrics=["deletion"]
        )
        np.testing.assert_array_equal(compared.explanations["grad_cam"].map, e.map)

    @pytest.mark.parametrize(
        "bad, message",
        [
            (None, r"`class_index` must be a tuple \(position, word\).*\(None, 4, 6\).*class_index=None"),
            (3, r"must be a tuple \(position, word\).*Received: class_index=3"),
            ([0, 1, 2], r"must be a tuple \(position, word\)"),
            ((1, 2, 3), r"must be a tuple \(position, word\)"),
            (
                (4, 0),
                r"`class_index\[0\]`, the position, must be between 0 and 3. Received: class_index\[0\]=4",
            ),
            ((-1, 0), r"`class_index\[0\]`, the position, must be between 0 and 3. Received: .*=-1"),
            ((0, 6), r"`class_index\[1\]`, the word, must be between 0 and 5. Received: class_index\[1\]=6"),
            ((0, "red"), r"`class_index\[1\]`, the word, must be None, an integer or one .*='red'"),
            ((True, 0), r"`class_index\[0\]`, the position, must be an integer or one integer per image"),
            ((None, 0), r"`class_index\[0\]`, the position, must be an integer"),
            (([0, 1], 0), r"`class_index\[0\]`, the position, must have one entry per image, 3. Received: 2"),
            ((0, [0, 1]), r"`class_index\[1\]`, the word, must have one entry per image, 3. Received: 2"),
        ],
    )
    def test_bad_words(self, asked, bad, message):
        with pytest.raises(ValueError, match=message):
            cx.explain.grad_cam(*asked, bad)

    def test_bad_inputs(self, asked):
        model, (image, before) = asked
        with pytest.raises(ValueError, match=r"input 'before' must have shape \(None, 4\).*\(3, 5\)"):
            cx.explain.grad_cam(model, [image, np.zeros((3, 5), int)], (0, 0))
        with pytest.raises(ValueError, match="same number of images. Received: before with 2, image with 3"):
            cx.explain.grad_cam(model, [image, before[:2]], (0, 0))
        with pytest.raises(ValueError, match="input 'before' must have shape .*rows of different lengths"):
            cx.explain.grad_cam(model, [image, [[0], [1, 2], [0]]], (0, 0))
        with pytest.raises(TypeError, match="input 'before' must be numbers. Received: <U3"):
            cx.explain.grad_cam(model, [image, ["a", "red", "box"]], (0, 0))
        with pytest.raises(ValueError, match="`images` must be a list or a dict with one entry"):
            cx.explain.grad_cam(model, image, (0, 0))

    def test_what_is_inside_attention_is_no_map(self, asked):
        assert cx.explain.grad_cam(*asked, (0, 0)).layer == "maps"
        with pytest.raises(ValueError, match="Layers with a map: 'maps'$"):
            cx.explain.grad_cam(*asked, (0, 0), layer="conv9")

    def test_nothing_is_changed(self, asked, unchanged):
        before = unchanged(asked[0])
        copies = [values.copy() for values in asked[1]]
        cx.explain.grad_cam(*asked, (0, 0))
        before.check()
        for values, copy in zip(asked[1], copies, strict=True):
            np.testing.assert_array_equal(values, copy)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_against_keras(tensorflow, models, given):
    """The same network in Keras, its gradients from TensorFlow's tape, in float32."""
    tf = tensorflow
    theirs = network(tf.keras)
    image, before, question = given
    for i, (ours, model, words) in enumerate(zip(models, theirs, (before, question), strict=True)):
        model.set_weights(ours.get_weights())
        both = tf.keras.Model(model.inputs, [model.get_layer("maps").output, model.outputs[0]])
        with tf.GradientTape() as tape:
            maps, p = both([tf.constant(image, tf.float32), tf.constant(words, tf.int32)])
            score = tf.math.log(p[:, 1, 2] if i == 0 else p[:, 2])
        g = tape.gradient(score, maps).numpy()
        want = RULES["grad_cam"](maps.numpy(), g)
        e = cx.explain.grad_cam(ours, [image, words], (1, 2) if i == 0 else 2, score="log_probability")
        same(e.raw, want, 1e-4)


# the example


PAGE = (captions.TESTS.parent / "docs" / "captions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def held_out():
    return scenes.make(*captions.HELD_OUT)


@pytest.fixture(scope="module")
def trained():
    return captions.load()


@pytest.fixture(scope="module")
def parts(trained, held_out):
    return captions.measured(trained, held_out)


def check_parts(parts):
    """At least half of the mass inside the named object and at most a quarter inside the other."""
    assert len(parts) == 5
    for what, (inside, other) in parts.items():
        assert inside >= 0.5 and other <= 0.25, (what, inside, other)


def test_maps_lie_inside_the_named_object(parts):
    check_parts(parts)


def test_the_network_says_what_there_is(trained, held_out):
    few = slice(0, 50)
    said = captions.say(trained.captioner, held_out.images[few])
    pairs = zip(said, held_out.colours[few], held_out.shapes[few], strict=True)
    assert np.mean([scenes.is_true(*each) for each in pairs]) > 0.95
    answers = trained.answerer.predict([held_out.images, held_out.questions], verbose=0).argmax(1)
    assert np.mean(answers == held_out.answers) > 0.9


def test_the_criterion_can_fail(trained, held_out):
    """Maps of an untrained network, of the other object, and of nothing in particular."""
    rng = np.random.default_rng(0)
    even = scenes.shares(np.ones((200, 64, 64)), held_out.masks, held_out.asked)
    np.testing.assert_allclose(
        even, held_out.masks.mean((2, 3))[np.arange(200), [held_out.asked, 1 - held_out.asked]]
    )
    other = held_out.masks[np.arange(200), 1 - held_out.asked]
    inside, beside = scenes.shares(other * rng.random((200, 64, 64)), held_out.masks, held_out.asked)
    assert not inside.any() and (beside > 0.999).all()
    with pytest.raises(AssertionError):
        check_parts(captions.measured(captions.build(), scenes.make(20, 2)))


def test_scenes():
    data = scenes.make(50, 3)
    again = scenes.make(50, 3)
    np.testing.assert_array_equal(data.images, again.images)
    assert not (data.masks[:, 0] & data.masks[:, 1]).any() and data.masks.any((2, 3)).all()
    names = list(scenes.COLOURS)
    for i in range(50):
        words = [scenes.CAPTION_WORDS[w] for w in data.captions[i]]
        asked = scenes.text(data.questions[i], scenes.QUESTION_WORDS)
        for j, place in enumerate(data.positions[i]):
            colour, shape = names[data.colours[i, j]], scenes.SHAPES[data.shapes[i, j]]
            assert words[place - 1 : place + 1] == [colour, shape]
            named = asked.split()[4]
            assert (named in (colour, shape)) == (j == data.asked[i])
            seen = data.images[i][data.masks[i, j]].mean(0)  # its colour, by the pixels
            assert names[np.argmin([np.abs(seen - c).sum() for c in scenes.COLOURS.values()])] == colour
            if j == data.asked[i]:
                assert scenes.ANSWERS[data.answers[i]] == (shape if "colour" not in asked else colour)
        assert scenes.is_true(data.captions[i], data.colours[i], data.shapes[i])
        assert not scenes.is_true(data.captions[i], data.colours[i][::-1], data.shapes[i])


class TestPage:
    def test_it_shows_the_script(self):
        blocks = [
            code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if code.startswith("def ")
        ]
        assert len(blocks) == 5
        source = (captions.TESTS / "explain" / "captions.py").read_text(encoding="utf-8")
        for code in blocks:
            for function in re.split(r"\n\n\n?(?=def )", code):
                assert f"\n\n\n{function.strip()}\n" in source, function

    def test_its_table_is_what_comes_out(self, parts):
        (line,) = re.findall(r"^\| `grad_cam` \| (.*) \|$", PAGE, re.MULTILINE)
        shown = [tuple(map(float, cell.split(" / "))) for cell in line.split(" | ")]
        np.testing.assert_allclose(shown, list(parts.values()), atol=0.02)
        assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(captions.METHODS)

    def test_its_figure_is_there(self, trained, held_out):
        assert (captions.TESTS.parent / "docs" / "captions.png").stat().st_size > 50_000
        figure = captions.figure(trained, held_out)
        panels = [axes for axes in figure.axes if axes.images]
        assert len(panels) == 24
        for axes in panels:
            assert np.ptp(axes.images[0].get_array()) > 0.1, axes.get_title()


def test_the_script_runs(tmp_path, capsys, monkeypatch):
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests" / "fixtures").mkdir(parents=True)
    monkeypatch.setattr(captions, "HELD_OUT", (8, 1))
    monkeypatch.setattr(captions, "METHODS", ("grad_cam",))
    networks = captions.main(32, naming=1, talking=1, folder=tmp_path)
    assert re.search(r"trained on 32 scenes in \d+ s.*\| `grad_cam` \|", capsys.readouterr().out, re.DOTALL)
    assert (tmp_path / "docs" / "captions.png").is_file()
    monkeypatch.setattr(captions, "TESTS", tmp_path / "tests")
    for w, kept in zip(networks.weights, captions.load().weights, strict=True):
        np.testing.assert_allclose(kept.numpy(), w.numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_trained_anew(tmp_path):
    """The whole example: it trains, and its maps lie where they should."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests" / "fixtures").mkdir(parents=True)
    networks = captions.main(folder=tmp_path)
    check_parts(captions.measured(networks, scenes.make(200, 5)))
