"""`cnnexplain bench`: how long a network takes on this machine."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from . import options as shared
from .explain import check_method
from .networks import Network, untrained
from .output import to_json

HELP = "time a network on this machine: forward, saliency, Grad-CAM"
DESCRIPTION = """
Times one call of a network, forward and explained, on random pixels; with random weights where it is a
network's name, since time does not depend on them. The tasks take turns, so that a machine that slows down
slows all of them; the first call of each, which plans memory, is shown apart and not counted. The minimum is
what the machine can do, the median what to expect while it does other things too.
"""
EXAMPLES = """
cnnexplain bench ResNet50
cnnexplain bench network.keras --batch-size 8 --threads 1
cnnexplain bench EfficientNetLite0 --methods grad_cam,integrated_gradients --seconds 5 --json
"""
_LEAST, _MOST = 3, 10_000  # calls of a task
_SIDE = 224  # pixels, where the network takes any size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    shared.model(parser, weights=False)
    shared.names(parser, "--methods", "saliency,grad_cam", "explanations to time (saliency,grad_cam)")
    parser.add_argument(
        "--batch-size", type=shared.positive, default=1, metavar="N", help="pictures of a call (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=shared.positive_seconds, default=3.0, help="about how long to measure (%(default)s)"
    )
    parser.add_argument("--threads", type=shared.positive, metavar="N", help="default: one for each CPU")
    shared.as_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures and prints."""
    import cnnexplain as cx
    from cnnexplain.environment import cpu_name

    for name in options.methods:
        check_method(name)
    network = untrained(options.model)
    before = cx.get_threads()
    try:
        if options.threads is not None:
            cx.set_threads(options.threads)
        found = _measured(_tasks(network, options), options.seconds)
        about = {
            "cnnexplain": cx.__version__,
            "model": network.name,
            "parameters": network.model.count_params(),
            "input": [options.batch_size, *_shape(network)],
            "cpu": cpu_name(),
            "isa": cx._core.isa(),
            "threads": cx.get_threads(),
            "precision": cx.get_precision(),
        }
        load = os.getloadavg()[0]  # this process has its own share in it
        busy = load > about["threads"] + 0.5
        about["load"] = round(load, 2)
    finally:
        cx.set_threads(before)
    rows = [_row(name, first, times, options.batch_size) for name, (first, times) in found.items()]
    if options.json:
        print(to_json({**about, "tasks": rows}))
        return 0
    print(
        f"{about['model']}, {about['parameters']:,} parameters, input {tuple(about['input'])}; "
        f"{about['cpu']}, {about['isa']}, {about['threads']} thread{'s' if about['threads'] > 1 else ''}, "
        f"cnnexplain {about['cnnexplain']}"
    )
    heads = ("task", "minimum ms", "median ms", "first ms", "calls", "pictures/s")
    print("".join(head.ljust(22) if i == 0 else head.rjust(12) for i, head in enumerate(heads)))
    for row in rows:
        cells = [f"{row[k]:.3g}" for k in ("minimum_ms", "median_ms", "first_ms")]
        cells += [str(row["calls"]), f"{row['pictures_per_second']:.3g}"]
        print(row["task"].ljust(22) + "".join(cell.rjust(12) for cell in cells))
    if busy:
        print(f"note: other programs are running (load {load:.1f}): on a quiet machine it is faster")
    return 0


def _shape(network: Network) -> tuple[int, int, int]:
    height, width, channels = network.size()
    return height or _SIDE, width or _SIDE, channels


def _tasks(network: Network, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    import numpy as np

    from cnnexplain import explain

    x = np.random.default_rng(0).random((options.batch_size, *_shape(network)), np.float32)
    model = network.model
    tasks: dict[str, Callable[[], Any]] = {"forward": lambda: model.predict_on_batch(x)}
    for name in dict.fromkeys(options.methods):
        settings = {"method": name, "batch_size": options.batch_size, "progress": False}
        tasks[name] = partial(explain.by_name, model, x, 0, **settings)
    return tasks


def _measured(tasks: dict[str, Callable[[], Any]], seconds: float) -> dict[str, tuple[float, list[float]]]:
    """For each task the first call and the others, in seconds."""
    firsts = {name: _time(task) for name, task in tasks.items()}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    end = time.perf_counter() + seconds
    for calls in range(_MOST):
        if calls >= _LEAST and time.perf_counter() > end:
            break
        for name, task in tasks.items():
            times[name].append(_time(task))
    return {name: (firsts[name], times[name]) for name in tasks}


def _time(task: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def _row(name: str, first: float, times: list[float], batch: int) -> dict[str, Any]:
    return {
        "task": name,
        "minimum_ms": 1e3 * min(times),
        "median_ms": 1e3 * statistics.median(times),
        "first_ms": 1e3 * first,
        "calls": len(times),
        "pictures_per_second": batch / statistics.median(times),
    }
