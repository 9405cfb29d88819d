"""Scenes of two objects with names, captions of them, and questions about them with answers.

Shape and colour of the two differ, so that either names its object. Everything comes from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 64
SHAPES = ("square", "circle", "triangle", "cross")
COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.7, 0.2),
    "blue": (0.2, 0.3, 0.9),
    "yellow": (0.9, 0.8, 0.15),
}
END, START = "<end>", "<start>"
CAPTION_WORDS = [END, START, "a", "and", "there", "is", *COLOURS, *SHAPES]
FORMS = ("a {} {} and a {} {}", "there is a {} {} and a {} {}")
CAPTION_LENGTH = 1 + max(len(form.split()) for form in FORMS)  # the end counts
QUESTION_WORDS = [END, "what", "colour", "shape", "is", "the", "object", *COLOURS, *SHAPES]
QUESTION_LENGTH = 6
ANSWERS = [*COLOURS, *SHAPES]


@dataclass
class Scenes:
    """n scenes; object 0 is the one that the caption names first.

    Attributes:
        images: (n,64,64,3) float32 in 0..1.
        masks: (n,2,64,64) bool, the pixels of both objects.
        shapes, colours: (n,2) indices into SHAPES and COLOURS.
        captions: (n, words) indices into CAPTION_WORDS; END fills the row.
        positions: (n,2) where the captions have the objects' shapes; the colour is one before.
        questions: (n, words) indices into QUESTION_WORDS, of the colour of a shape or the shape of a colour.
        answers: (n,) indices into ANSWERS.
        asked: (n,) the object that the question names.
    """

    images: np.ndarray
    masks: np.ndarray
    shapes: np.ndarray
    colours: np.ndarray
    captions: np.ndarray
    positions: np.ndarray
    questions: np.ndarray
    answers: np.ndarray
    asked: np.ndarray

    @property
    def before(self) -> np.ndarray:
        """(n, words) what stands before each word of the captions."""
        return np.insert(self.captions[:, :-1], 0, CAPTION_WORDS.index(START), axis=1)


def make(count: int, seed: int) -> Scenes:
    """Random scenes, all of them drawn from one seed."""
    rng = np.random.default_rng(seed)
    shapes, colours = (rng.random((count, 4)).argsort(1)[:, :2] for _ in range(2))
    sizes = rng.uniform(11, 13, (count, 2))
    masks = outlines(shapes, centres(rng, sizes), sizes)
    images = ground(rng, count)
    for i in range(2):
        shades = np.array(list(COLOURS.values()))[colours[:, i]] + rng.uniform(-0.08, 0.08, (count, 3))
        np.copyto(images, shades[:, None, None], where=masks[:, i, ..., None], casting="same_kind")
    images += 0.03 * rng.standard_normal(images.shape, np.float32)
    images = np.clip(images, 0, 1, out=images)
    return Scenes(images, masks, shapes, colours, *said(rng, shapes, colours), *asked(rng, shapes, colours))


def centres(rng: np.random.Generator, sizes: np.ndarray) -> np.ndarray:
    """(n,2,2) rows and columns, inside the picture, the objects apart."""
    found = np.zeros((*sizes.shape, 2))
    wrong = np.ones(len(sizes), bool)
    while wrong.any():
        inside = sizes[wrong, :, None] + 1
        found[wrong] = rng.uniform(inside, SIDE - 1 - inside, (len(inside), 2, 2))
        wrong = np.abs(found[:, 0] - found[:, 1]).max(1) < sizes.sum(1) + 2
    return found


def outlines(shapes: np.ndarray, centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(n,2,64,64) bool."""
    y, x = (
        ((np.arange(SIDE) - centres[..., axis, None]) / sizes[..., None]).astype(np.float32)
        for axis in (0, 1)
    )
    y, x = y[..., None], x[..., None, :]
    up, across = np.abs(y), np.abs(x)
    rules = [
        (up < 0.85) & (across < 0.85),
        y**2 + x**2 < 1,
        (up < 1) & (across < (y + 1) / 2),
        ((up < 0.42) & (across < 1)) | ((across < 0.42) & (up < 1)),
    ]
    return np.choose(shapes[..., None, None], rules)


def ground(rng: np.random.Generator, count: int) -> np.ndarray:
    """(n,64,64,3): pale waves and blotches, of one hue in a scene."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    turn, length, phase = (
        rng.uniform(low, high, (count, 1, 1)).astype(np.float32)
        for low, high in ((0, np.pi), (5, 16), (0, 2 * np.pi))
    )
    waves = np.sin((x * np.cos(turn) + y * np.sin(turn)) * np.float32(2 * np.pi) / length + phase)
    blotches = rng.standard_normal((count, 8, 8), np.float32).repeat(8, 1).repeat(8, 2)
    hue = rng.uniform(0.35, 0.65, (count, 1, 1, 3)).astype(np.float32)
    return hue + (0.1 * waves + 0.06 * blotches)[..., None]


def said(rng: np.random.Generator, shapes: np.ndarray, colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Captions and the positions of the shapes in them."""
    captions = np.zeros((len(shapes), CAPTION_LENGTH), int)
    forms = rng.integers(len(FORMS), size=len(shapes))
    positions = np.array([[i for i, word in enumerate(form.split()) if word == "{}"][1::2] for form in FORMS])
    names = list(COLOURS)
    for row, form in enumerate(forms):
        pairs = zip(colours[row], shapes[row], strict=True)
        words = FORMS[form].format(*(word for c, s in pairs for word in (names[c], SHAPES[s]))).split()
        captions[row, : len(words)] = [CAPTION_WORDS.index(word) for word in words]
    return captions, positions[forms]


def asked(
    rng: np.random.Generator, shapes: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Questions, answers and which object they are about."""
    rows = np.arange(len(shapes))
    which, kind = rng.integers(2, size=(2, len(shapes)))
    names = list(COLOURS)
    questions, answers = [], []
    for shape, colour, of_colour in zip(shapes[rows, which], colours[rows, which], kind, strict=True):
        if of_colour:
            text, answer = f"what colour is the {SHAPES[shape]}", names[colour]
        else:
            text, answer = f"what shape is the {names[colour]} object", SHAPES[shape]
        words = [QUESTION_WORDS.index(word) for word in text.split()]
        questions.append(words + [0] * (QUESTION_LENGTH - len(words)))
        answers.append(ANSWERS.index(answer))
    return np.array(questions), np.array(answers), which


def text(words: np.ndarray, vocabulary: list[str]) -> str:
    """A caption or a question as it is read."""
    return " ".join(vocabulary[word] for word in words if vocabulary[word] != END)


def is_true(caption: np.ndarray, colours: np.ndarray, shapes: np.ndarray) -> bool:
    """Whether a caption names both objects, in whichever order and form."""
    names = list(COLOURS)
    pairs = [f"a {names[c]} {SHAPES[s]}" for c, s in zip(colours, shapes, strict=True)]
    said = text(caption, CAPTION_WORDS).removeprefix("there is ")
    return said in (" and ".join(pairs), " and ".join(pairs[::-1]))


def shares(maps: np.ndarray, masks: np.ndarray, named: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of each map (n,64,64) lies inside the named object, and how much inside the other."""
    inside = (maps[:, None] * masks).sum((2, 3)) / np.maximum(maps.sum((1, 2)), 1e-12)[:, None]
    rows = np.arange(len(maps))
    return inside[rows, named], inside[rows, 1 - named]
