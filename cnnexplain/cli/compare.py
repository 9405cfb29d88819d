"""`cnnexplain compare`: methods side by side, and numbers that judge them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import options as shared
from .answers import plain
from .explain import check_method, finishing
from .networks import needs_scaling, open_network
from .output import check_file, to_json, write
from .pictures import Picture, Reader, find, progress

HELP = "set methods side by side, in pictures and numbers"
DESCRIPTION = """
Explains the same pictures by several methods, in a sheet with a row for each picture and a column for each
method, and measures them: every metric says which direction is better. All methods explain the same classes.
"""
EXAMPLES = """
cnnexplain compare EfficientNetLite0 photo.jpg
cnnexplain compare ResNet50 holiday/ --methods grad_cam,layer_cam,rise --metrics insertion,road
cnnexplain compare lecture *.png --class Sneaker --metrics none --out sneakers.pdf --report sneakers.html
"""
_SIDE = 240  # pixels of a tile
_METHODS = "grad_cam,layer_cam,saliency,integrated_gradients"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    shared.model(parser)
    shared.images(parser)
    shared.names(parser, "--methods", _METHODS, f"what to compare ({_METHODS})")
    shared.names(parser, "--metrics", "insertion,deletion", "how to measure, or none (insertion,deletion)")
    shared.target(parser)
    shared.layer(parser)
    shared.out(parser, "FILE", "the sheet: .png, .jpg or .pdf (comparison.png)", "comparison.png")
    shared.report(parser)
    shared.as_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compares batch by batch, and tells the table at the end."""
    from . import sheet

    methods, metrics = options.methods, chosen_metrics(options.metrics)
    if not methods:
        raise ValueError("--methods must name at least one method. Received: none")
    for name in methods:
        check_method(name)
    check_file(options.out, sheet.SUFFIXES, "--out")
    if options.report:
        check_file(options.report, (".html", ".htm"), "--report")
    paths = find(options.images)
    network = open_network(options)
    needs_scaling(network)
    work = _Work(options, network, methods, metrics, Reader(network.size(), options.invert))
    with finishing(work.finish), progress(len(paths)) as bar:
        for batch in work.reader.batches(paths, options.batch_size, bar):
            work.batch(batch, network.class_number(options.class_index), alone=len(paths) == 1)
    return 1 if work.reader.failed else 0


def chosen_metrics(names: list[str]) -> list[str]:
    """The metrics' names, checked.

    Raises:
        ValueError: there is no such metric, or it needs what a command cannot give.
    """
    from cnnexplain.explain.compare import METRICS

    known = [name for name in METRICS if name != "pointing_game"]  # needs masks of the objects
    if names == ["none"]:
        return []
    for name in names:
        if name not in known:
            raise ValueError(f"--metrics must be among {', '.join(known)} or none. Received: {name}")
    return names


def method_options(methods: list[str], layer: str | None) -> dict[str, dict[str, Any]]:
    """The layer, for those methods that take one.

    Raises:
        ValueError: none does.
    """
    if layer is None:
        return {}
    made = {}
    for name in methods:
        try:
            check_method(name, layer)
        except ValueError:
            continue
        made[name] = {"layer": layer}
    if not made:
        raise ValueError(f"--layer has no meaning for {', '.join(methods)}, which look at no layer")
    return made


class Table:
    """The metrics of all pictures so far."""

    def __init__(self, methods: list[str]):
        self.methods = methods
        self.values: dict[str, dict[str, list[float]]] = {}
        self.higher: dict[str, bool] = {}
        self.seconds = dict.fromkeys(methods, 0.0)
        self.notes: dict[str, None] = {}

    def add(self, metric: str, method: str, values: Any, higher: bool | None) -> None:
        """Values of one or more pictures."""
        self.values.setdefault(metric, {name: [] for name in self.methods})[method] += list(values)
        if higher is not None:
            self.higher[metric] = higher

    def comparison(self) -> Any:
        """What `explain.compare` returns, of everything."""
        import numpy as np

        from cnnexplain.explain import Comparison
        from cnnexplain.explain.metrics import Metric

        table = {
            metric: {
                method: Metric(metric, np.array(values), higher_is_better=self.higher[metric])
                if values
                else None
                for method, values in row.items()
            }
            for metric, row in self.values.items()
            if metric in self.higher
        }
        nothing: dict[str, Any] = dict.fromkeys(self.methods)
        return Comparison(nothing, table, self.seconds, list(self.notes))


class _Work:
    def __init__(self, options: argparse.Namespace, network: Any, methods: list, metrics: list, reader: Any):
        from .sheet import Sheets

        self.options, self.network, self.metrics, self.reader = options, network, metrics, reader
        self.methods = list(dict.fromkeys(methods))
        self.own = method_options(self.methods, options.layer)
        self.table = Table(self.methods)
        self.sheets = Sheets(Path(options.out), most=24, width=1)
        self.found: list[dict[str, Any]] = []
        self.cards: list[tuple] = []
        self.layers: dict[str, str | None] = {}

    def batch(self, batch: list[Picture], class_index: int | None, alone: bool) -> None:
        """Explains and measures some pictures."""
        from cnnexplain import explain

        settings: dict[str, Any] = {"progress": None if alone else False}
        if self.options.score is not None:
            settings["score"] = self.options.score
        both = explain.compare(
            self.network.model,
            [picture.fed for picture in batch],
            class_index,
            methods=self.methods,
            metrics=self.metrics,
            options=self.own,
            preprocess=self.network.preprocess,
            batch_size=self.options.batch_size,
            **settings,
        )
        for name, seconds in both.seconds.items():
            self.table.seconds[name] += seconds
        for metric, row in both.metrics.items():
            for method, one in row.items():
                values, higher = ([], None) if one is None else (one.per_image, one.higher_is_better)
                self.table.add(metric, method, values, higher)
        self.table.notes |= dict.fromkeys(both.warnings)
        self.layers = {name: e.layer for name, e in both.explanations.items()}
        for place, picture in enumerate(batch):
            self._one(picture, {name: e[place] for name, e in both.explanations.items()}, both, place)

    def _one(self, picture: Picture, maps: dict[str, Any], both: Any, place: int) -> None:
        from . import sheet, views
        from .report import figure

        first = next(iter(maps.values()))
        label = plain(first.class_name, first.class_index)
        photo = views.photograph(picture.whole, _SIDE)
        tiles = [sheet.Tile(photo, picture.path.name, f"{label}, p = {first.probability:.3f}")]
        tiles += [sheet.Tile(views.over(photo, e), name) for name, e in maps.items()]
        self.sheets.add(sheet.strip(tiles, _SIDE))
        self.found.append(
            {
                "file": picture.path,
                "class_index": first.class_index,
                "class_name": first.class_name,
                "probability": float(first.probability),
                "metrics": {
                    metric: {name: None if one is None else one.per_image[place] for name, one in row.items()}
                    for metric, row in both.metrics.items()
                },
                "warnings": {name: list(e.warnings) for name, e in maps.items() if e.warnings},
            }
        )
        if self.options.report:
            figures = [figure(picture, None, 480, label, f"p = {first.probability:.3f}")]
            figures += [
                figure(picture, e, 480, name, f"layer {e.layer}" * bool(e.layer)) for name, e in maps.items()
            ]
            notes = [f"{name}: {text}" for name, e in maps.items() for text in e.warnings]
            self.cards.append((str(picture.path), figures, [], notes))

    def finish(self, interrupted: bool) -> None:
        """The sheet, the report and the table."""
        written = self.sheets.close()
        both = self.table.comparison()
        if self.options.report and self.cards:
            written.append(write(self.options.report, self._page(both).encode()))
        if self.options.json:
            print(to_json(self._json(both, written, interrupted)))
        elif self.found:
            print(both)
            for path in written:
                print(f"written: {path}")
        self.reader.tell()

    def _settings(self) -> dict[str, Any]:
        return {
            "model": self.network.name,
            "weights": self.network.weights,
            "score": self.options.score or "the method's own",
            "preprocessing": self.network.scaling + (", inverted" if self.options.invert else ""),
        }

    def _json(self, both: Any, written: list[Path], interrupted: bool) -> dict[str, Any]:
        from cnnexplain import __version__

        return {
            "cnnexplain": __version__,
            **self._settings(),
            "methods": self.methods,
            "layers": self.layers,
            "higher_is_better": self.table.higher,
            "means": both.to_dict(),
            "pictures": self.found,
            "notes": list(self.table.notes),
            "failed": [{"file": path, "reason": reason} for path, reason in self.reader.failed],
            "written": written,
            "interrupted": interrupted,
        }

    def _page(self, both: Any) -> str:
        from .report import Page, counted

        count = len(self.cards)
        page = Page(
            f"{len(self.methods)} methods: {self.network.name}",
            f"{len(self.methods)} methods on {counted(count)}, seen by {self.network.name}",
        )
        page.settings(self._settings())
        head, *rows = both.cells()
        below = ["* the best value; the word in brackets is the better direction"] if self.metrics else []
        page.table(head, rows, below + list(self.table.notes))
        for card in self.cards:
            page.card(*card)
        page.failed(self.reader.failed)
        return page.html()
