"""This package against PyTorch and TensorFlow on this machine, in alternation, each side in its own process.

    pip install -e '.[bench]'
    python -m tests.bench [--rounds 5] [--only VGG16] [--threads 1] [--curves] [--json]

For each row the minimum of all rounds, in milliseconds; PyTorch in the better of its two memory formats. A
rival that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from .work import CURVES, TABLE, Work

_PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow"}


def cpu_name() -> str:
    """The CPU's name as Linux reports it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown CPU"


class Side:
    """A process that runs one side of a row."""

    def __init__(self, name: str, work: Work, threads: int):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sides", name, json.dumps(asdict(work)), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"CUDA_VISIBLE_DEVICES": "-1"},
        )
        self.answers: list[dict[str, Any]] = []

    def spend(self, seconds: float) -> None:
        """One round."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended early")
        self.answers.append(json.loads(line))

    @property
    def best(self) -> dict[str, float]:
        """The least seconds of each form."""
        return {
            name: min(answer["times"][name] for answer in self.answers) for name in self.answers[0]["times"]
        }

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(work: Work, rounds: int, seconds: float, threads: int) -> dict[str, Any]:
    """One row: all sides in alternation."""
    rivals = [name for name in work.rivals if importlib.util.find_spec(_PACKAGES[name])]
    sides = {name: Side(name, work, threads) for name in ("cnnexplain", *rivals)}
    try:
        for _ in range(rounds):
            for side in sides.values():
                side.spend(seconds)
        ours = sides["cnnexplain"]
        least = min(ours.best.values())
        found: dict[str, Any] = {
            "work": work.name,
            "must": work.must,
            "aim": work.aim,
            "ms": 1e3 * least,
            "version": ours.answers[-1]["version"],
            "faults": ours.answers[-1]["faults"],
            "peak MB": ours.answers[-1]["peak"],
            "rivals": {},
        }
        for name in rivals:
            best = sides[name].best
            form = min(best, key=lambda key: best[key])
            found["rivals"][name] = {
                "ms": 1e3 * best[form],
                "version": sides[name].answers[-1]["version"],
                "form": form,
                "ratio": best[form] / least,
                "peak MB": sides[name].answers[-1]["peak"],
            }
    finally:
        for side in sides.values():
            side.close()
    return found


def _line(found: dict[str, Any]) -> str:
    start = f"{found['work']:38} {found['ms']:9.2f} ms {found['peak MB']:6.0f} MB {found['faults']:7.0f}"
    if not found["rivals"]:
        return f"{start}   no rival installed"
    for name, rival in found["rivals"].items():
        short = "" if rival["ratio"] >= found["must"] else "   SHORT"
        goal = f" (must {found['must']:g}, aim {found['aim']:g}){short}" if found["must"] else ""
        form = f" {rival['form']}" if rival["form"] else ""
        start += (
            f"   {name} {rival['version']}{form} {rival['ms']:9.2f} ms   ratio {rival['ratio']:5.2f}{goal}"
        )
    return start


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side in a round")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--curves", action="store_true", help="cost by batch and image size instead")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    isa = os.environ.get("CNNEXPLAIN_ISA", "best")
    if not arguments.json:
        print(f"{cpu_name()}, {arguments.threads} threads, ISA {isa}")
        print(f"{'work':38} {'minimum':>12} {'peak':>9} {'faults':>7}")
    rows = []
    for work in CURVES if arguments.curves else TABLE:
        if arguments.only in work.name:
            rows.append(measure(work, arguments.rounds, arguments.seconds, arguments.threads))
            if not arguments.json:
                print(_line(rows[-1]), flush=True)
    if arguments.json:
        about = {"cpu": cpu_name(), "threads": arguments.threads, "isa": isa}
        print(json.dumps(about | {"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
