"""How evenly the engine deals the convolutions of a network to more threads than this machine has.

    python -m tests.bench.split [--network ResNet50] [--threads 4 8 16] [--isa avx2] [--markdown]

Each part of each parallel region is timed on one thread (split.c); a layer's threads are idle for the share
1 - alone / (threads * longest), alone being what a single thread takes for the layer and longest the sum over
its regions of the longest part, with what is not parallel counted in full: work that exists only because the
layer was split counts as idle too. Waiting at barriers and memory that threads share are not in it. Batch 1;
equal layers are shown once.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from . import engine

MOST_IDLE = 0.25


def layers(name: str) -> dict[str, list[str]]:
    """The different convolutions of a network, as split.c reads them, and the layers that are so."""
    from cnnexplain import keras

    from .work import Work, network

    found: dict[str, list[str]] = {}
    for layer in network(Work(name, "forward"), keras).layers:
        if type(layer).__name__ != "Conv2D":
            continue
        (_, height, width, channels), (rows, columns) = layer.input.shape, layer.kernel_size
        strides, same = layer.strides, int(layer.padding == "same")
        numbers = (height, width, channels, layer.filters, rows, columns, *strides, same)
        found.setdefault(" ".join(map(str, numbers)), []).append(layer.name)
    return found


Times = dict[int, float]  # by threads: of the longest parts


def deal(numbers: dict[str, list[str]], threads: list[int], isa: str, repeats: int) -> dict[tuple, Times]:
    """By layer and direction; also for one thread."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        flags = [*engine.FAST, "-Wl,--wrap=cx_parallel"]
        program = engine.program(
            Path(__file__).with_suffix(".c"), engine.objects(folder, flags), folder / "split", flags
        )
        given = "".join(f"{names[0]} {line}\n" for line, names in numbers.items())
        command = [program, isa, str(repeats), *map(str, sorted({1, *threads}))]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: dict[tuple, Times] = {}
    for line in done.stdout.splitlines():
        name, direction, count, longest = line.split()
        found.setdefault((name, direction), {})[int(count)] = float(longest)
    return found


def idle(threads: int, times: Times) -> float:
    """The share of the threads' time."""
    return max(0.0, 1 - times[1] / (threads * times[threads]))


def shown(share: float, markdown: bool) -> str:
    """A cell of the table, marked if the share is too large."""
    text, much = f"{100 * share:.0f} %", share > MOST_IDLE
    if markdown:
        return f"**{text}**" if much else text
    return f"{text + ('!' if much else ' '):>12}"


def main() -> None:
    """Prints a line for each layer and direction, those that leave threads idle too long marked."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.split",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--network", default="ResNet50")
    parser.add_argument("--threads", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--isa", default="", help="avx512, avx2 or portable; the best if not given")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    numbers = layers(arguments.network)
    found = deal(numbers, arguments.threads, arguments.isa, arguments.repeats)
    start, between, end = ("| ", " | ", " |") if arguments.markdown else ("", "  ", "")
    head = [f"{'layer':20}", f"{'image':13}", f"{'kernel':16}", f"{'direction':14}"]
    head += [f"{f'idle of {count}':>12}" for count in arguments.threads]
    print(start + between.join(head) + end)
    if arguments.markdown:
        print("|" + "---|" * 4 + "---:|" * len(arguments.threads))
    short = 0
    about = {names[0]: (line.split(), len(names)) for line, names in numbers.items()}
    total: dict[str, Times] = {}
    for (name, direction), times in found.items():
        (height, width, channels, filters, rows, columns, stride, *_), layers_so = about[name]
        cells = [f"{name:20}", f"{f'{height}x{width}x{channels}':13}"]
        cells += [f"{f'{rows}x{columns} {filters}' + f' /{stride}' * (stride != '1'):16}", f"{direction:14}"]
        sums = total.setdefault(direction, dict.fromkeys(times, 0.0))
        for count, longest in times.items():
            sums[count] += layers_so * longest
        shares = [idle(count, times) for count in arguments.threads]
        short += sum(share > MOST_IDLE for share in shares)
        cells += [shown(share, arguments.markdown) for share in shares]
        print(start + between.join(cells) + end)
    for direction, times in total.items():
        cells = [f"{'all layers':20}", f"{'':13}", f"{'':16}", f"{direction:14}"]
        cells += [shown(idle(count, times), arguments.markdown) for count in arguments.threads]
        print(start + between.join(cells) + end)
    cells_shown = len(found) * len(arguments.threads)
    print(f"\n{short} of {cells_shown} leave their threads idle more than {MOST_IDLE:.0%}.")


if __name__ == "__main__":
    main()
