"""`cnnexplain evaluate`: metrics of methods over many pictures, continued where it stopped."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from . import options as shared
from .compare import Table, chosen_metrics, method_options
from .explain import check_method, finishing
from .networks import needs_scaling, open_network
from .output import check_file, named, to_json
from .pictures import Picture, Reader, find, progress

HELP = "measure methods over many pictures; a restart does only what is missing"
DESCRIPTION = """
Measures explanations of every picture by every method and metric. Each result is appended to a file of JSON
lines as soon as it is there: run the same command again after an interruption, or with more pictures, methods
or metrics, and only what is missing is computed. The table of means is printed at the end.
"""
EXAMPLES = """
cnnexplain evaluate EfficientNetLite0 holiday/ --out results.jsonl
cnnexplain evaluate network.keras test/ --methods grad_cam,rise --metrics insertion,deletion,road
cnnexplain evaluate ResNet50 holiday/ --most 100 --json
"""
_METHODS, _METRICS = "grad_cam,layer_cam,saliency,integrated_gradients", "insertion,deletion,average_drop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    shared.model(parser)
    shared.images(parser)
    shared.names(parser, "--methods", _METHODS, f"what to measure ({_METHODS})")
    shared.names(parser, "--metrics", _METRICS, f"how ({_METRICS})")
    shared.target(parser)
    shared.layer(parser)
    parser.add_argument("--most", type=shared.positive, metavar="N", help="only the first N pictures")
    shared.out(
        parser, "FILE", "file of JSON lines that results are appended to (%(default)s)", "evaluation.jsonl"
    )
    shared.as_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures picture by picture."""
    methods, metrics = list(dict.fromkeys(options.methods)), chosen_metrics(options.metrics)
    if not methods or not metrics:
        raise ValueError("--methods and --metrics must name at least one each. Received: none")
    for name in methods:
        check_method(name)
    own = method_options(methods, options.layer)
    check_file(options.out, (".jsonl", ".ndjson"), "--out")
    paths = find(options.images)[: options.most]
    network = open_network(options)
    needs_scaling(network)
    reader = Reader(network.size(), options.invert)
    class_index = network.class_number(options.class_index)
    settings = {
        "model": network.name,
        "weights": network.weights,
        "fingerprint": _fingerprint(network.model),
        "preprocessing": network.scaling + (", inverted" if options.invert else ""),
        "class": class_index,
        "score": options.score,
        "layer": options.layer,
    }
    with _Results(Path(options.out), settings) as results:
        known = len(results)
        todo = [(path, results.missing(path, methods, metrics)) for path in paths]
        asked = {str(path) for path in paths}

        def finish(interrupted: bool) -> None:
            about = {**settings, "interrupted": interrupted}
            _tell(options, about, results, methods, metrics, asked, known, reader)

        with finishing(finish), progress(len(paths)) as bar:
            for path, wanted in todo:
                picture = reader.read(path) if wanted else None
                if picture is not None:
                    for method, names in wanted.items():
                        results.add(path, method, _measured(network, picture, method, names, options, own))
                bar.update(1)
    return 1 if reader.failed else 0


def _measured(
    network: Any, picture: Picture, method: str, metrics: list[str], options: argparse.Namespace, own: Any
) -> dict[str, Any]:
    """The result of one picture and method: a line of the file."""
    from cnnexplain import explain

    score = {} if options.score is None else {"score": options.score}
    both = explain.compare(
        network.model,
        [picture.fed],
        network.class_number(options.class_index),
        methods=[method],
        metrics=metrics,
        options={name: given for name, given in own.items() if name == method},
        preprocess=network.preprocess,
        batch_size=options.batch_size,
        progress=False,
        **score,
    )
    e = both.explanations[method][0]
    values = {metric: row[method] for metric, row in both.metrics.items()}
    return {
        "class_index": e.class_index,
        "class_name": e.class_name,
        "probability": float(e.probability),
        "metrics": {name: None if one is None else one.per_image[0] for name, one in values.items()},
        "higher_is_better": {n: one.higher_is_better for n, one in values.items() if one is not None},
        "seconds": both.seconds[method],
        "notes": [*both.warnings, *e.warnings],
    }


def _fingerprint(model: Any) -> str:
    """Of all weights: results of another training must not be mixed with these."""
    import hashlib

    import numpy as np

    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()[:16]


class _Results:
    """A file of JSON lines: first the settings, then a line for each picture and method."""

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path, self.settings = path, settings
        self.found: dict[tuple[str, str], dict[str, Any]] = {}
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return sum(len(line["metrics"]) for line in self.found.values())

    def __enter__(self) -> _Results:
        with named(self.path):
            whole = self._read() if self.path.is_file() else 0
            self._file = open(self.path, "ab")
            try:
                if whole:
                    self._file.truncate(whole)  # half a line, of a run that was killed
                else:
                    self._append({"settings": self.settings})
            except OSError:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: Any) -> None:
        if self._file is not None:
            with suppress(OSError):  # everything was flushed, or has raised
                self._file.close()

    def _read(self) -> int:
        """Takes what the file has; returns how many of its bytes are whole lines."""
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:end].splitlines()):
            try:
                entry = json.loads(line)
                if number:
                    self._take(entry)
                else:
                    self._check(entry["settings"])
            except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
                raise ValueError(
                    f"{self.path} holds no results of this command (line {number + 1}): choose another --out"
                ) from None
        return end

    def _check(self, before: dict[str, Any]) -> None:
        differs = [
            f"{name} {before.get(name)} there, {value} here"
            for name, value in self.settings.items()
            if before.get(name) != value
        ]
        if differs:
            raise ValueError(
                f"{self.path} holds results of other settings ({'; '.join(differs)}): choose another --out"
            )

    def _take(self, entry: dict[str, Any]) -> None:
        key = entry["file"], entry["method"]
        known = self.found.setdefault(key, entry)
        if known is not entry:
            known["metrics"] |= entry["metrics"]
            known["higher_is_better"] |= entry["higher_is_better"]
            known["notes"] = [*known["notes"], *entry["notes"]]

    def missing(self, path: Path, methods: list[str], metrics: list[str]) -> dict[str, list[str]]:
        """What is not there yet of a picture: metrics by method."""
        lists = {
            method: [
                m for m in metrics if m not in self.found.get((str(path), method), {}).get("metrics", {})
            ]
            for method in methods
        }
        return {method: names for method, names in lists.items() if names}

    def add(self, path: Path, method: str, result: dict[str, Any]) -> None:
        """Appends a line, which is on the disk when this returns."""
        entry = {"file": str(path), "method": method, **result}
        with named(self.path):
            self._append(entry)
        self._take(json.loads(to_json(entry)))

    def _append(self, entry: dict[str, Any]) -> None:
        assert self._file is not None
        begin = os.path.getsize(self.path)
        try:
            self._file.write(to_json(entry, indent=None).encode() + b"\n")
            self._file.flush()
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, begin)  # half a line
            raise

    def lines(self, files: set[str], methods: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The results of these pictures and methods."""
        for (file, method), entry in self.found.items():
            if file in files and method in methods:
                yield method, entry


def _tell(
    options: argparse.Namespace,
    settings: dict[str, Any],
    results: _Results,
    methods: list[str],
    metrics: list[str],
    asked: set[str],
    known: int,
    reader: Reader,
) -> None:
    table = Table(methods)
    for metric in metrics:
        for method in methods:
            table.add(metric, method, [], None)
    pictures = set()
    for method, entry in results.lines(asked, methods):
        pictures.add(entry["file"])
        table.seconds[method] += entry["seconds"]
        for metric in metrics:
            value = entry["metrics"].get(metric)
            if metric in entry["metrics"] and metric in entry["higher_is_better"]:
                number = float("nan") if value is None else value
                table.add(metric, method, [number], entry["higher_is_better"][metric])
        table.notes |= dict.fromkeys(note for note in entry["notes"] if " has no value for " in note)
    both = table.comparison()
    if options.json:
        from cnnexplain import __version__

        page = {
            "cnnexplain": __version__,
            **settings,
            "pictures": len(pictures),
            "computed": len(results) - known,
            "higher_is_better": table.higher,
            "means": both.to_dict(),
            "notes": list(table.notes),
            "failed": [{"file": path, "reason": reason} for path, reason in reader.failed],
            "written": [results.path],
        }
        print(to_json(page))
    else:
        print(f"{len(pictures)} of {len(asked)} pictures, {len(results) - known} new values")
        if pictures:
            print(both)
        print(f"written: {results.path}")
    reader.tell()
