"""`cnnexplain explain`: what a network saw in pictures, and where."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import options as shared
from .answers import Answer, best, plain, probabilities
from .destinations import destination
from .networks import needs_scaling, open_network
from .output import check_file, to_json, write
from .pictures import Picture, Reader, find, progress

HELP = "explain pictures: what a network sees in them, and where"
DESCRIPTION = """
Says what a network sees in pictures and shows where: the class, its probability, and a map over the picture.
Pictures are files, folders or globs; those that cannot be read are told at the end, and the others are done.

Writes explanation.png for one picture. For several it fills the folder explanations: one picture for each of
them, and contact sheets of all. Results that were finished stay when it is interrupted.
"""
EXAMPLES = """
cnnexplain explain EfficientNetLite0 photo.jpg
cnnexplain explain ResNet50 holiday/ --method layer_cam --top 3 --out explained
cnnexplain explain network.keras 'cats/**/*.jpg' --class tabby --report cats.html
cnnexplain explain VGG16 photo.jpg --weights vgg16.pth --out figure.svg
cnnexplain explain lecture sneaker.png --invert --json
"""
_NEXT = 2  # further classes in a line of text
_LISTED = 5  # classes in JSON and in the report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    shared.model(parser)
    shared.images(parser)
    parser.add_argument(
        "--method", default="grad_cam", help="grad_cam, cam, saliency or another method (%(default)s)"
    )
    shared.target(parser)
    shared.layer(parser)
    parser.add_argument(
        "--top", type=shared.positive, default=1, metavar="N", help="explain the N most probable classes (1)"
    )
    shared.out(
        parser,
        "PATH",
        "a folder for a file of each picture and contact sheets; or a file: .png, .jpg or .pdf for the sheet "
        "alone, .svg for one picture, .npz for the arrays (explanation.png, or the folder explanations)",
    )
    shared.report(parser)
    shared.as_json(parser)


def run(options: argparse.Namespace) -> int:
    """Explains the pictures batch by batch."""
    check_method(options.method, options.layer)
    if options.top > 1 and options.class_index is not None:
        raise ValueError("--top explains the most probable classes: leave out --class, or --top")
    paths = find(options.images)
    work = _Work(options, paths)
    with finishing(work.finish):
        work.all()
    return 1 if work.reader.failed else 0


@contextmanager
def finishing(finish: Callable[[bool], None]) -> Iterator[None]:
    """Finishes what was begun within it, also where Ctrl-C, a full disk or a lack of memory ends it early."""
    try:
        yield
    except (KeyboardInterrupt, MemoryError, OSError):
        with suppress(OSError):
            finish(True)
        raise
    finish(False)


def check_method(name: str, layer: str | None = None) -> None:
    """Refuses a method that is none, and a layer where the method takes none."""
    from cnnexplain import explain

    if name not in explain.methods():
        raise ValueError(f"the method must be one of {', '.join(explain.methods())}. Received: {name}")
    if layer is not None and "layer" not in inspect.signature(getattr(explain, name)).parameters:
        raise ValueError(f"--layer has no meaning for {name}, which looks at no layer")


class _Work:
    def __init__(self, options: argparse.Namespace, paths: Sequence[Path]):
        self.options, self.paths = options, paths
        self.destination = destination(options, len(paths))
        if options.report:
            check_file(options.report, (".html", ".htm"), "--report")
        self.network = open_network(options)
        needs_scaling(self.network)
        self.class_index = self.network.class_number(options.class_index)
        self.reader = Reader(self.network.size(), options.invert)
        self.found: list[dict[str, Any]] = []
        self.cards: list[tuple] = []
        self.first: Any = None
        self.notes: dict[str, list[Path]] = {}

    def all(self) -> None:
        """Every picture that can be read."""
        with progress(len(self.paths)) as bar:
            for batch in self.reader.batches(self.paths, self.options.batch_size, bar):
                answers, explained = self._explained(batch)
                for place, picture in enumerate(batch):
                    self._one(bar, picture, answers[place], [e[place] for e in explained])

    def _explained(self, batch: list[Picture]) -> tuple[list[list[Answer]], list[Any]]:
        """The answers of each picture, and one Explanation of the batch for each class that is asked for."""
        from cnnexplain import explain

        options, images = self.options, [picture.fed for picture in batch]
        settings = {"preprocess": self.network.preprocess, "batch_size": options.batch_size}
        settings["progress"] = None if len(self.paths) == 1 else False
        settings |= {k: getattr(options, k) for k in ("layer", "score") if getattr(options, k) is not None}
        seen = probabilities(self.network, images, options.batch_size)
        if seen is None:
            answers: list[list[Answer]] = [[] for _ in batch]
            classes: list[Any] = [self.class_index]
        else:
            most = max(options.top, _LISTED)
            answers = [best(self.network, row, most) for row in seen]
            given = self.class_index
            columns = range(min(options.top, seen.shape[1]))
            classes = [given] if given is not None else [[a[k].class_index for a in answers] for k in columns]
        made = [
            explain.by_name(self.network.model, images, _classes(chosen), method=options.method, **settings)
            for chosen in classes
        ]
        self.first = self.first or made[0][:1]
        return answers, made

    def _one(self, bar: Any, picture: Picture, answers: list[Answer], explained: list[Any]) -> None:
        for e in explained:
            for text in e.warnings:
                self.notes.setdefault(text, []).append(picture.path)
        written = self.destination.add(picture, explained)
        self.found.append(_facts(picture, answers, explained, written))
        if self.options.report:
            self.cards.append(_card(picture, answers, explained, small=len(self.paths) > 40))
        if not self.options.json:
            bar.write(_line(picture, answers, explained), file=sys.stdout)

    def finish(self, interrupted: bool) -> None:
        """Writes what is of all pictures, and tells what went wrong."""
        written = self.destination.close()
        if self.options.report and self.cards:
            written.append(write(self.options.report, self._page().encode()))
        if self.options.json:
            print(to_json(self._json(written, interrupted)))
        else:
            for text, paths in self.notes.items():
                print(f"note: {text}{_where(paths, len(self.found))}")
            for path in written:
                print(f"written: {path}")
        self.reader.tell()

    def _settings(self) -> dict[str, Any]:
        e = self.first
        own = {} if e is None else {k: v for k, v in e.parameters.items() if k != "batch_size"}
        return {
            "method": self.options.method,
            "layer": None if e is None else e.layer,
            "preprocessing": self.network.scaling + (", inverted" if self.options.invert else ""),
            **own,
        }

    def _json(self, written: list[Path], interrupted: bool) -> dict[str, Any]:
        from cnnexplain import __version__

        return {
            "cnnexplain": __version__,
            "model": self.network.name,
            "weights": self.network.weights,
            **self._settings(),
            "pictures": self.found,
            "notes": [{"text": text, "files": paths} for text, paths in self.notes.items()],
            "failed": [{"file": path, "reason": reason} for path, reason in self.reader.failed],
            "written": written,
            "interrupted": interrupted,
        }

    def _page(self) -> str:
        from .report import Page, counted

        count = len(self.cards)
        page = Page(
            f"{plain(self.options.method, 0)}: {self.network.name}",
            f"What {self.network.name} sees in {counted(count)}, and where",
        )
        page.settings({"model": self.network.name, "weights": self.network.weights, **self._settings()})
        for card in self.cards:
            page.card(*card)
        page.notes([text + _where(paths, count) for text, paths in self.notes.items()])
        page.failed(self.reader.failed)
        return page.html()


def _classes(chosen: Any) -> Any:
    import numpy as np

    return np.asarray(chosen) if isinstance(chosen, list) else chosen


def _where(paths: list[Path], count: int) -> str:
    """Which pictures a note is about, unless it is about all."""
    if len(set(paths)) == count:
        return ""
    names = ", ".join(path.name for path in dict.fromkeys(paths[:3]))
    return f" ({names}{f' and {len(paths) - 3} more' if len(paths) > 3 else ''})"


def _line(picture: Picture, answers: list[Answer], explained: list[Any]) -> str:
    """One line of text for a picture."""
    said = "; ".join(
        plain(e.class_name, e.class_index)
        + (f" (class {e.class_index})" if e.class_name is not None else "")
        + f", probability {e.probability:.3f}"
        for e in explained
    )
    others = [a for a in answers if a.class_index not in [e.class_index for e in explained]][:_NEXT]
    if not others:
        return f"{picture.path}: {said}"
    word = "next" if answers[0].class_index == explained[0].class_index else "the network sees"
    return f"{picture.path}: {said}; {word} {', '.join(f'{a.label} {a.probability:.3f}' for a in others)}"


def _facts(picture: Picture, answers: list[Answer], explained: list[Any], written: Any) -> dict[str, Any]:
    return {
        "file": picture.path,
        "explained": [
            {
                "class_index": e.class_index,
                "class_name": e.class_name,
                "probability": float(e.probability),
                "score": float(e.score),
                "warnings": list(e.warnings),
            }
            for e in explained
        ],
        "classes": [vars(answer) for answer in answers[:_LISTED]],
        "written": written,
    }


def _card(picture: Picture, answers: list[Answer], explained: list[Any], small: bool) -> tuple:
    """What the report shows of a picture."""
    from .report import figure

    side = 320 if small else 640
    figures = [figure(picture, None, side, "the picture")]
    for e in explained:
        below = f"p = {e.probability:.3f}, score {e.score:.3g}"
        figures.append(figure(picture, e, side, plain(e.class_name, e.class_index), below))
    marked = [e.class_index for e in explained]
    bars = [(a.label, a.probability, a.class_index in marked) for a in answers[:_LISTED]]
    return str(picture.path), figures, bars, list(dict.fromkeys(t for e in explained for t in e.warnings))
