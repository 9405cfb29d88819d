"""One side of a comparison in a process of its own: makes the work ready, then runs it whenever it is asked.

    python -m tests.bench.sides SIDE ROW [THREADS]

Every line of standard input is a number of seconds to spend; the answer is a line of JSON: the least seconds
of a call, the page faults of a call, and the most memory that the process has had.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Run = Callable[[], Any]


def _ours(work: Any, threads: int) -> tuple[str, dict[str, Run]]:
    import cnnexplain as cx
    from cnnexplain import keras

    from . import listings
    from .work import NETWORKS, network, pixels

    cx.config.threading.set_intra_op_parallelism_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    if work.kind.endswith("listing"):
        return cx.__version__, {"": getattr(listings, work.kind)(cx, keras, model, x, layer)}
    if work.kind in ("train_step", "epoch"):
        labels = (cx.range(len(x)) % 10).numpy()
        adam = keras.optimizers.Adam(1e-4)
        model.compile(optimizer=adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        if work.kind == "epoch":
            return cx.__version__, {"": lambda: model.fit(x, labels, batch_size=32, verbose=0)}
        return cx.__version__, {"": lambda: model.train_on_batch(x, labels)}
    runs: dict[str, Run] = {
        "forward": lambda: model(x, training=False).numpy(),
        "saliency": lambda: cx.explain.saliency(model, x, 7).map,
        "grad_cam": lambda: cx.explain.grad_cam(model, x, 7, layer=layer).map,
    }
    return cx.__version__, {"": runs[work.kind]}


def _pytorch(work: Any, threads: int) -> tuple[str, dict[str, Run]]:
    import torch

    from cnnexplain import keras

    from . import in_torch
    from .work import NETWORKS, network, pixels

    torch.set_num_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    make = getattr(in_torch, work.kind)
    forms = {name: make(model, x, layer, form) for name, form in in_torch.FORMATS.items()}
    return torch.__version__, forms


def _tensorflow(work: Any, threads: int) -> tuple[str, dict[str, Run]]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    from . import listings
    from .work import NETWORKS, network, pixels

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model, x, layer = network(work, keras), pixels(work), NETWORKS[work.network][0]
    return tf.__version__, {"": getattr(listings, work.kind)(tf, keras, model, x, layer)}


SIDES = {"cnnexplain": _ours, "pytorch": _pytorch, "tensorflow": _tensorflow}


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
    from .work import Work

    side, row = sys.argv[1], json.loads(sys.argv[2])
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else len(os.sched_getaffinity(0))
    row["rivals"] = tuple(row["rivals"])
    version, runs = SIDES[side](Work(**row), threads)
    for run in runs.values():
        run()
    for line in sys.stdin:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        times = {name: _spend(run, float(line) / len(runs)) for name, run in runs.items()}
        used = resource.getrusage(resource.RUSAGE_SELF)
        calls = sum(map(len, times.values()))
        answer = {
            "version": version,
            "times": {name: min(spent) for name, spent in times.items()},
            "faults": (used.ru_minflt - before) / calls,
            "peak": used.ru_maxrss / 1024,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
