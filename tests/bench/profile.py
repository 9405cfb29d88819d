"""Where the time of a row goes: the samples of Linux's perf on the process that runs it, in kinds.

python -m tests.bench.profile "VGG16 saliency" [--threads 2] [--seconds 5] [--isa avx2] [--markdown]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from .side import Side
from .work import TABLE

# What the name of a function of the engine says about it; the first that matches.
KINDS = [
    ("waiting for the other threads", r"^(worker|wait_for_workers|cx_parallel|cx_pause)"),
    (
        "matrix products in tiles",
        r"^(along|across|cx_tiles|multiply|run_panels|run_units|run_shared|run_blocks)",
    ),
    ("dense layers: a row by a matrix", r"^(thin|transposed_row)"),
    ("Winograd: images and gradients to frequencies", r"^(input\d|spread|cx_transform|transform)"),
    ("Winograd: frequencies to outputs, finish", r"^(output\d|gather|finish)"),
    ("Winograd: kernels to frequencies", r"^(kernel\d|weigh)"),
    ("depthwise convolutions", r"depthwise"),
    ("pooling", r"^(max_|mean_|average_|scatter|collect|pixels|blocks|.*pool)"),
    ("copies and packing", r"(copy|pack|memcpy|memset|memmove|move)"),
]


def samples(side: Side, seconds: float) -> dict[tuple[str, str], float]:
    """(library, function) -> share of the process's time in a round."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "perf.data"
        command = ["perf", "record", "-q", "-F", "4000", "-o", data, "-p", str(side.process.pid)]
        round_ = threading.Thread(target=side.spend, args=(seconds,))
        round_.start()
        subprocess.run([*command, "--", "sleep", str(seconds)], check=True, capture_output=True)
        round_.join()
        command = ["perf", "report", "-i", data, "--stdio", "--no-children", "-F", "overhead,dso,symbol"]
        done = subprocess.run([*command, "-t", "|"], check=True, capture_output=True, text=True)
    found: dict[tuple[str, str], float] = {}
    for line in done.stdout.splitlines():
        match = re.match(r"\s*([\d.]+)%?\s*\|\s*(\S+)\s*\|\s*(\[.\])\s*(.*\S)", line)
        if match:
            library = "kernel" if match[3] == "[k]" else match[2]
            key = (library, re.sub(r"\.(constprop|part|isra|cold|lto_priv).*", "", match[4]))
            found[key] = found.get(key, 0) + float(match[1]) / 100
    return found


def kind_of(library: str, function: str) -> str:
    """A line of the table."""
    if library == "kernel":
        return "the system: page faults, waking threads"
    if "_core" in library:
        kinds = (name for name, pattern in KINDS if re.search(pattern, function))
        return next(kinds, "other parts of the engine")
    return "copies and packing" if "mem" in function else "Python, NumPy and the C library"


def main() -> None:
    """Prints the kinds and their largest functions."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("row", help="the beginning of a row's name")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--isa", default=os.environ.get("CNNEXPLAIN_ISA", ""))
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    work = next(work for work in TABLE if work.name.startswith(arguments.row))
    side = Side("cnnexplain", work, arguments.threads, arguments.isa, 180)
    side.spend(1)  # the first calls make forms of the weights and ask the system for memory
    found = samples(side, arguments.seconds)
    milliseconds = 1e3 * min(side.best.values())
    side.close()
    kinds: dict[str, dict[str, float]] = {}
    for (library, function), share in found.items():
        functions = kinds.setdefault(kind_of(library, function), {})
        functions[function] = functions.get(function, 0) + share
    whole = sum(found.values())
    start, between, end = ("| ", " | ", " |") if arguments.markdown else ("", "  ", "")
    print(f"{work.name}, {arguments.threads} threads: {milliseconds:.2f} ms a call\n")
    print(start + between.join([f"{'share':>6}", f"{'ms':>8}", f"{'what':46}", "functions"]) + end)
    if arguments.markdown:
        print("|---:|---:|---|---|")
    for name, functions in sorted(kinds.items(), key=lambda pair: -sum(pair[1].values())):
        share = sum(functions.values()) / whole
        if share < 0.005:
            continue
        largest = [
            key for key in sorted(functions, key=lambda key: -functions[key])[:3] if functions[key] > 5e-4
        ]
        text = ", ".join(f"{key} {functions[key] / whole:.1%}" for key in largest)
        print(
            start + between.join([f"{share:6.1%}", f"{share * milliseconds:8.2f}", f"{name:46}", text]) + end
        )


if __name__ == "__main__":
    main()
