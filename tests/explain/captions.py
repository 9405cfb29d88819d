"""Networks that caption scenes and answer questions about them, and Grad-CAM for their words.

`python tests/explain/captions.py` trains them, prints how much of their maps lies inside the objects, and
makes the figure of docs/captions.md and the weights that the tests load.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scenes

from cnnexplain import explain, keras, plot
from cnnexplain.keras import layers

TESTS = Path(__file__).parents[1]
METHODS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "guided_grad_cam", "saliency")
HELD_OUT = (200, 1)  # how many scenes, and their seed


def block(x: Any, filters: int, strides: int = 1, quiet: float | None = None, name: str | None = None) -> Any:
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU(activity_regularizer=quiet and keras.regularizers.L1(quiet), name=name)(x)


def eyes() -> tuple[Any, Any]:
    """The image, and 16 x 16 maps of it. The penalty keeps them silent where there is nothing to name."""
    image = keras.Input((scenes.SIDE, scenes.SIDE, 3), name="image")
    x = block(image, 16, strides=2)
    x = layers.MaxPooling2D(2)(block(x, 32))
    x = block(block(x, 48), 48)
    return image, block(x, 32, quiet=4e-5, name="maps")


def namer(image: Any, maps: Any) -> Any:
    """Which shapes and colours there are, each by the region where its map is strongest."""
    seen = layers.GlobalMaxPooling2D()(layers.AveragePooling2D(3, strides=1)(maps))
    return keras.Model(image, layers.Dense(len(scenes.ANSWERS), activation="sigmoid")(seen))


def captioner(image: Any, maps: Any) -> Any:
    """The next word after every word: an LSTM reads what was said, attention looks at the maps."""
    before = keras.Input((None,), dtype="int32", name="before")
    said = layers.Embedding(len(scenes.CAPTION_WORDS), 32)(before)
    said = layers.LSTM(48, return_sequences=True)(said)
    cells = layers.Reshape((-1, maps.shape[-1]))(maps)
    seen = layers.MultiHeadAttention(num_heads=2, key_dim=16)(said, cells)
    both = layers.Dense(48, activation="relu")(layers.Concatenate()([said, seen]))
    words = layers.Dense(len(scenes.CAPTION_WORDS), activation="softmax", name="words")(both)
    return keras.Model([image, before], words)


def answerer(image: Any, maps: Any) -> Any:
    """A GRU reads the question, attention looks where it asks."""
    question = keras.Input((scenes.QUESTION_LENGTH,), dtype="int32", name="question")
    asked = layers.Embedding(len(scenes.QUESTION_WORDS), 32)(question)
    asked = layers.GRU(48)(asked)
    channels = maps.shape[-1]
    cells = layers.Reshape((-1, channels))(maps)
    where = layers.Reshape((1, channels))(layers.Dense(channels)(asked))
    seen = layers.Flatten()(layers.Attention()([where, cells]))
    both = layers.Dense(48, activation="relu")(layers.Concatenate()([asked, seen]))
    answer = layers.Dense(len(scenes.ANSWERS), activation="softmax", name="answer")(both)
    return keras.Model([image, question], answer)


@dataclass
class Networks:
    """Three networks with the same eyes."""

    namer: Any
    captioner: Any
    answerer: Any

    @property
    def weights(self) -> list[Any]:
        """Each once."""
        every = [w for model in (self.namer, self.captioner, self.answerer) for w in model.weights]
        return list({id(w): w for w in every}.values())


def build() -> Networks:
    image, maps = eyes()
    return Networks(namer(image, maps), captioner(image, maps), answerer(image, maps))


def train(networks: Networks, data: scenes.Scenes, naming: int = 10, talking: int = 10) -> None:
    """The eyes learn to name what they see and stay as they are; then the others learn to talk about it."""
    names = np.concatenate([np.eye(4)[which].sum(1) for which in (data.colours, data.shapes)], 1)
    fit(networks.namer, [data.images], [names], "binary_crossentropy", naming)
    for layer in networks.namer.layers:
        layer.trainable = False
    image, before = networks.captioner.inputs
    question = networks.answerer.inputs[1]
    talker = keras.Model([image, before, question], networks.captioner.outputs + networks.answerer.outputs)
    given = [data.images, data.before, data.questions]
    fit(talker, given, [data.captions, data.answers], "sparse_categorical_crossentropy", talking)


def fit(
    model: Any, x: list[np.ndarray], y: list[np.ndarray], loss: str, epochs: int, batch: int = 32
) -> None:
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(x[0]) // batch))
    model.compile(keras.optimizers.Adam(rate), [loss] * len(y))
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)


def say(captioner: Any, images: np.ndarray) -> np.ndarray:
    """(n, words): what follows the start, word by word the likeliest."""
    said = np.full((len(images), 1), scenes.CAPTION_WORDS.index(scenes.START))
    for _ in range(scenes.CAPTION_LENGTH):
        following = captioner.predict([images, said], verbose=0)[:, -1:].argmax(-1)
        said = np.append(said, following, axis=1)
    return said[:, 1:]


def explained(networks: Networks, data: scenes.Scenes, method: str = "grad_cam") -> dict[str, tuple]:
    """Explanations of captions' words and of answers, and which of the two objects they name, (n,)."""
    found: dict[str, tuple] = {}
    rows = np.arange(len(data.images))
    for i, order in enumerate(("first", "second")):
        for kind, before_shape in (("colour", 1), ("shape", 0)):
            position = data.positions[:, i] - before_shape
            word = (position, data.captions[rows, position])
            e = explain(networks.captioner, [data.images, data.before], word, method=method)
            found[f"{kind} of the {order} object"] = e, np.full(len(rows), i)
    e = explain(networks.answerer, [data.images, data.questions], data.answers, method=method)
    return found | {"answer": (e, data.asked)}


def measured(networks: Networks, data: scenes.Scenes, method: str = "grad_cam") -> dict[str, tuple]:
    """The mean parts of the maps that lie inside the named object and inside the other."""
    return {
        what: tuple(float(part.mean()) for part in scenes.shares(e.map, data.masks, named))
        for what, (e, named) in explained(networks, data, method).items()
    }


def table(networks: Networks, data: scenes.Scenes) -> str:
    """The table of docs/captions.md: parts inside the named object / inside the other."""
    lines: list[list[str]] = []
    for method in METHODS:
        found = measured(networks, data, method)
        lines = lines or [["", *found], ["---"] * (1 + len(found))]
        lines.append([f"`{method}`", *(f"{inside:.2f} / {other:.2f}" for inside, other in found.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(networks: Networks, data: scenes.Scenes, count: int = 4) -> Any:
    """A scene in a line: what the network says of it, a map for each word that names something, an answer."""
    images = data.images[:count]
    said = say(networks.captioner, images)
    before = np.insert(said[:, :-1], 0, scenes.CAPTION_WORDS.index(scenes.START), axis=1)
    naming = np.isin(said, [scenes.CAPTION_WORDS.index(word) for word in scenes.ANSWERS])
    places = np.argsort(~naming, axis=1, kind="stable")[:, :4]
    columns: list[tuple[np.ndarray, list[str]]] = [
        (images, [broken(scenes.text(row, scenes.CAPTION_WORDS)) for row in said])
    ]
    for place in places.T:
        e = explain.grad_cam(
            networks.captioner, [images, before], (place, None), class_names=scenes.CAPTION_WORDS
        )
        columns.append((e.overlay(), list(e.class_name)))
    questions = data.questions[:count]
    e = explain.grad_cam(networks.answerer, [images, questions], class_names=scenes.ANSWERS)
    asked = [broken(scenes.text(row, scenes.QUESTION_WORDS)) for row in questions]
    columns.append((e.overlay(), [f"{q}? {a}" for q, a in zip(asked, e.class_name, strict=True)]))
    drawn = plot.new_figure(1.75 * len(columns) + 0.3, 2.2 * count)
    grid = drawn.subplots(count, len(columns), squeeze=False)
    for column, (pictures, titles) in enumerate(columns):
        for row, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
            plot.bare_image(grid[row, column], picture)
            grid[row, column].set_title(title, fontsize="small")
    return drawn


def broken(text: str) -> str:
    """In two lines."""
    words = text.split()
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + "\n" + " ".join(words[half:])


def main(count: int = 3000, naming: int = 10, talking: int = 10, folder: Path = TESTS.parent) -> Networks:
    keras.utils.set_random_seed(0)
    networks = build()
    data = scenes.make(count, 0)
    start, worked = time.perf_counter(), time.process_time()
    train(networks, data, naming, talking)
    seconds, work = time.perf_counter() - start, time.process_time() - worked
    print(f"trained on {count} scenes in {seconds:.0f} s, {work:.0f} s of processor time")
    data = scenes.make(*HELD_OUT)
    answers = networks.answerer.predict([data.images, data.questions], verbose=0).argmax(1)
    said = say(networks.captioner, data.images)
    true = [scenes.is_true(row, *pair) for row, *pair in zip(said, data.colours, data.shapes, strict=True)]
    print(f"of {len(answers)} held-out scenes: {np.mean(true):.1%} of the captions are true,")
    print(
        f"{np.mean(answers == data.answers):.1%} of the answers are right", table(networks, data), sep="\n\n"
    )
    (folder / "docs" / "captions.png").write_bytes(plot.png(figure(networks, data), 72))
    halves = {str(i): w.numpy().astype(np.float16) for i, w in enumerate(networks.weights)}
    np.savez_compressed(folder / "tests" / "fixtures" / "captions.npz", **halves)
    return networks


def load() -> Networks:
    """The networks as `main` trained them, their weights rounded to 16 bits."""
    networks = build()
    with np.load(TESTS / "fixtures" / "captions.npz") as halves:
        for i, w in enumerate(networks.weights):
            w.assign(halves[str(i)].astype(np.float32))
    return networks


if __name__ == "__main__":
    main()
