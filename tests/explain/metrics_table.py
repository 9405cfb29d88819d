"""The table of docs/metrics.md: methods by metrics, on the lecture's network and test images it never saw.

python tests/explain/metrics_table.py            # prints it
python tests/explain/metrics_table.py docs/metrics.md   # puts it into the page
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import cnnexplain as cx

IMAGES = 30  # three of each class
METHODS = (
    "cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "layer_cam",
    "score_cam",
    "full_grad",
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "smooth_grad",
    "guided_backprop",
    "rectified_gradient",
    "occlusion",
    "rise",
    "lrp",
)
METRICS = (
    "deletion",
    "insertion",
    "road",
    "average_drop",
    "increase_in_confidence",
    "completeness",
    "infidelity",
    "max_sensitivity",
    "model_randomization",
)
OPTIONS = {"rise": {"masks": 500}, "occlusion": {"window": 7, "stride": 2}, "road": {"order": "both"}}
OF_MAPS = METRICS[:5]  # those that a map of random numbers can have too
OF_AMOUNTS = ("completeness", "infidelity")
GRADIENTS = METHODS[METHODS.index("saliency") : METHODS.index("occlusion")]
AMOUNTS = (*GRADIENTS, "lrp")  # in units of the logit for each value; the other methods' numbers are none
ARROWS = {True: "higher", False: "lower"}


def held_out(count: int = IMAGES) -> np.ndarray:
    """As many of each class."""
    images, labels = cx.demo.load_test_images()
    each = [np.flatnonzero(labels == label)[: count // 10] for label in range(10)]
    return images[np.concatenate(each)]


def table(methods: tuple[str, ...] = METHODS, count: int = IMAGES, metrics: tuple[str, ...] = METRICS) -> str:
    """In Markdown; the best value of a column is bold."""
    network, images = cx.demo.load_network(), held_out(count)
    made = cx.explain.compare(network, images, methods=methods, metrics=metrics, options=OPTIONS)
    classes = next(iter(made.explanations.values())).class_index
    noise = np.random.default_rng(0).random(images.shape[:3])
    directions = [next(m for m in made.metrics[name].values() if m is not None) for name in metrics]
    heads = [f"`{name}` ({ARROWS[m.higher_is_better]})" for name, m in zip(metrics, directions, strict=True)]
    shown = {
        name: {
            method: m.value
            for method, m in made.metrics[name].items()
            if m is not None and (name not in OF_AMOUNTS or method in AMOUNTS)
        }
        for name in metrics
    }
    best = {}
    for name, m in zip(metrics, directions, strict=True):
        best[name] = max(shown[name].values(), key=lambda value, sign=m.sign: sign * value)
    lines = [["method", *heads]]
    for method in methods:
        cells = []
        for name in metrics:
            value = shown[name].get(method)
            text = "-" if value is None else f"{value:.3g}"
            cells.append(f"**{text}**" if value is not None and value == best[name] else text)
        lines.append([f"`{method}`", *cells])
    cells = []
    for name in metrics:
        if name in OF_MAPS:
            m = getattr(cx.explain.metrics, name)(network, images, noise, classes, **OPTIONS.get(name, {}))
            cells.append(f"{m.value:.3g}")
        else:
            cells.append("-")
    lines.append(["random numbers", *cells])
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], "|---" * (1 + len(metrics)) + "|", *rows[1:]])


def put(page: str, made: str) -> str:
    """The page with this table in place of the one whose first column is `method`."""
    before, rest = page.split("\n| method |", 1)
    after = rest[rest.index("\n\n") :]
    return f"{before}\n{made}{after}"


if __name__ == "__main__":
    start = time.perf_counter()
    text = table()
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(put(path.read_text(), text))
    print(text)
    print(f"{time.perf_counter() - start:.0f} seconds", file=sys.stderr)
