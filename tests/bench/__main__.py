"""This package against its rivals on this machine, in alternation, each side in its own process.

    pip install -e '.[bench]'
    python -m tests.bench [--only VGG16] [--rounds 5] [--threads 1] [--isa avx2] [--markdown | --json]
    python -m tests.bench --curves

For each row the minimum of all rounds, in milliseconds; PyTorch in the better of its two memory formats. A
rival that is not installed is left out; so is a method that this package does not have. "of peak" is what a
direct computation would multiply and add, by time, by what the machine multiplies and adds at most with the
chosen instruction set: Winograd's algorithm multiplies less, so that more than 100 % is possible. Rows that
fall short say so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import engine
from .report import JsonReport, MarkdownReport, TextReport
from .side import Failed, Side
from .work import CURVES, MOST_FAULTS, TABLE, Work

_PACKAGES = {
    "pytorch": "torch",
    "tensorflow": "tensorflow",
    "pytorch-grad-cam": "pytorch_grad_cam",
    "captum": "captum",
}
_ENOUGH = 40  # seconds of rounds that a row may take before it stops at two of them


def peaks(threads: int) -> dict[str, float]:
    """GFLOP/s by instruction set, and "memory" in GB/s; empty without a C compiler."""
    if shutil.which(engine.COMPILER) is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(__file__).with_name("peak.c")
        flags = ["-O3", "-ffp-contract=fast"]
        program = engine.program(source, [], Path(folder) / "peak", flags)
        lines = subprocess.run([program, str(threads)], capture_output=True, text=True, check=True).stdout
    return {name: float(value) for name, value in map(str.split, lines.splitlines())}


def rows(table: list[Work], only: str) -> Iterator[Work]:
    """Those that are asked for and that can be made here."""
    import cnnexplain as cx

    methods = {
        "forward",
        "train_step",
        "epoch",
        "saliency_listing",
        "grad_cam_listing",
        *cx.explain.methods(),
    }
    for work in table:
        if only in f"{work.name} / {work.rival}" and work.kind in methods:
            yield work


def measure(work: Work, arguments: argparse.Namespace, threads: int, peak: float) -> dict[str, Any]:
    """One row: both sides in alternation, until the rounds are done or the row has taken long enough."""
    rival = work.rival if importlib.util.find_spec(_PACKAGES.get(work.rival, "cnnexplain")) else ""
    found: dict[str, Any] = {"work": work.name, "threads": threads, "must": work.must, "aim": work.aim}
    found["rival"] = {"name": rival}
    sides: list[Side] = []
    try:
        for name in filter(None, ("cnnexplain", rival)):
            sides.append(Side(name, work, threads, arguments.isa, arguments.limit))
        begin = time.perf_counter()
        for done in range(arguments.rounds):
            for side in sides:
                side.spend(arguments.seconds)
            if done and time.perf_counter() - begin > _ENOUGH:
                break
    except Failed as error:
        found |= {"failed": str(error), "short": ["failed"]}
        return found
    finally:
        for side in sides:
            side.close()
    ours = sides[0]
    least = min(ours.best.values())
    found |= {
        "ms": 1e3 * least,
        "version": ours.version,
        "rounds": len(ours.answers),
        "gflops": 1e-9 * ours.flop / least,
        "faults": min(answer["faults"] for answer in ours.answers),
        "peak MB": ours.answers[-1]["peak"],
    }
    found["of peak"] = found["gflops"] / peak if peak else None
    for side in sides[1:]:
        form = min(side.best, key=lambda key: side.best[key])
        found["rival"] |= {
            "ms": 1e3 * side.best[form],
            "version": side.version,
            "form": form,
        }
        if len(side.best) == 1:  # or it holds the network once for each form
            found["rival"]["peak MB"] = side.answers[-1]["peak"]
        found["ratio"] = side.best[form] / least
    found["short"] = short(work, found)
    return found


def short(work: Work, found: dict[str, Any]) -> list[str]:
    """What the row was to reach and does not."""
    missed = []
    if "ratio" in found and found["ratio"] < work.must:
        missed.append("ratio")
    if work.most_mb and found["peak MB"] > work.most_mb:
        missed.append("memory")
    if found["faults"] > MOST_FAULTS:
        missed.append("page faults")
    return missed


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        epilog="\n  ".join(["rows:", *(f"{work.name} / {work.rival}" for work in TABLE)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", help="rows whose name or rival contains this")
    parser.add_argument("--rounds", type=int, default=5, help="at most; a slow row stops at two")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side in a round")
    parser.add_argument("--limit", type=float, default=180, help="seconds that a side may take to answer")
    parser.add_argument("--threads", type=int, nargs="+", help="default: all; with --curves 1 and all")
    parser.add_argument(
        "--isa", default=os.environ.get("CNNEXPLAIN_ISA", ""), help="avx512, avx2 or portable"
    )
    parser.add_argument("--curves", action="store_true", help="cost by batch and image size instead")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--markdown", action="store_true")
    forms.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    from cnnexplain.environment import cpu_name  # --help also where it is not built

    cpus = len(os.sched_getaffinity(0))
    counts = arguments.threads or (sorted({1, cpus}) if arguments.curves else [cpus])
    begin = time.perf_counter()
    report = (JsonReport if arguments.json else MarkdownReport if arguments.markdown else TextReport)()
    for threads in counts:
        peak = peaks(threads)
        isa = arguments.isa or next((name for name in reversed(peak) if name != "memory"), "best")
        report.begin(cpu_name(), threads, isa, peak)
        for work in rows(CURVES if arguments.curves else TABLE, arguments.only):
            report.row(measure(work, arguments, threads, peak.get(isa, 0)))
    report.end(time.perf_counter() - begin)
    sys.exit(0)


if __name__ == "__main__":
    main()
