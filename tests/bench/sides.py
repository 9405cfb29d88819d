"""One side of a comparison in a process of its own: makes the work ready, then runs it whenever it is asked.

Its arguments are the side, the row in JSON and the number of threads. Its first line says the version and
the floating-point operations of a call. Every line of standard input is a number of seconds to spend; the
answer is a line of JSON: the least seconds of a call, the page faults of a call, and the most memory that
the process has had.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from .work import NETWORKS, Work, flop, network, pixels

Run = Callable[[], Any]


def _ours(work: Work, threads: int) -> tuple[str, dict[str, Run], float]:
    import cnnexplain as cx
    from cnnexplain import keras

    from . import listings

    cx.config.threading.set_intra_op_parallelism_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    if work.kind.endswith("listing"):
        run = getattr(listings, work.kind)(cx, keras, model, x, layer)
        return cx.__version__, {"": run}, flop(work, model)
    labels = (cx.range(len(x)) % 10).numpy()
    if work.kind in ("train_step", "epoch"):
        adam = keras.optimizers.Adam(1e-4)
        model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    special: dict[str, Run] = {
        "forward": lambda: model(x, training=False).numpy(),
        "train_step": lambda: model.train_on_batch(x, labels),
        "epoch": lambda: model.fit(x, labels, batch_size=32, verbose=0),
    }
    options: dict[str, Any] = {
        "grad_cam": {"layer": layer},
        "grad_cam_plus_plus": {"layer": layer},
        "layer_cam": {"layer": layer},
        "integrated_gradients": {"steps": 50},
        "smooth_grad": {"samples": 32},
        "occlusion": {"window": 32, "stride": 16},
    }
    method = getattr(cx.explain, work.kind, None)
    run = special.get(work.kind) or (lambda: method(model, x, 7, **options.get(work.kind, {})).map)
    return cx.__version__, {"": run}, flop(work, model)


def _own_grad_cam(work: Work, threads: int) -> tuple[str, dict[str, Run], float]:
    from dataclasses import replace

    return _ours(replace(work, kind="grad_cam"), threads)


def _pytorch(work: Work, threads: int) -> tuple[str, dict[str, Run], float]:
    import torch

    from cnnexplain import keras

    from . import in_torch

    torch.set_num_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    make = getattr(in_torch, work.kind)
    forms = {name: make(model, x, layer, form) for name, form in in_torch.FORMATS.items()}
    return torch.__version__, forms, flop(work, model)


def _explainer(work: Work, threads: int) -> tuple[str, dict[str, Run], float]:
    import torch

    from cnnexplain import keras

    from . import explainers, in_torch

    torch.set_num_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    make = getattr(explainers, work.kind)
    forms = {name: make(model, x, layer, form) for name, form in in_torch.FORMATS.items()}
    return explainers.version(work.rival), forms, flop(work, model)


def _tensorflow(work: Work, threads: int) -> tuple[str, dict[str, Run], float]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    from . import listings

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    return tf.__version__, {"": getattr(listings, work.kind)(tf, keras, model, x, layer)}, 0.0


SIDES = {
    "cnnexplain": _ours,
    "own grad_cam": _own_grad_cam,
    "pytorch": _pytorch,
    "tensorflow": _tensorflow,
    "pytorch-grad-cam": _explainer,
    "captum": _explainer,
}


def _spend(run: Run, seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Answers until standard input ends."""
    side, row = sys.argv[1], json.loads(sys.argv[2])
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else len(os.sched_getaffinity(0))
    version, runs, work = SIDES[side](Work(**row), threads)
    for run in runs.values():
        run()
    print(json.dumps({"version": version, "flop": work}), flush=True)
    for line in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        times = {name: _spend(run, float(line) / len(runs)) for name, run in runs.items()}
        used = resource.getrusage(resource.RUSAGE_SELF)
        calls = sum(map(len, times.values()))
        answer = {
            "times": {name: min(spent) for name, spent in times.items()},
            "faults": (used.ru_minflt - before) / calls,
            "peak": used.ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
