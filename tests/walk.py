"""A newcomer's walk, timed: three commands from a copy of this repository to an explained photograph.

    python tests/walk.py [--install WHAT] [--photo FILE] [--weights FILE] [--keep DIR]

In a new folder, with nothing of this Python's packages: make an environment, install, explain a photograph by
a network that knows ImageNet's 1,000 classes. WHAT is the repository by default, which is compiled; a wheel
may be given instead. Without a network connection for pip's packages and the weights, set PIP_FIND_LINKS and
PIP_NO_INDEX, and give the weights of EfficientNetLite0 as a file. Prints the seconds of each command, by
the clock and of the CPUs, and fails when the photograph was not explained or all of it took more than three
minutes: on a machine that does other things too, the CPUs' seconds say what it takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST = 180  # seconds
_SEEN = "military uniform"  # in the photograph that matplotlib brings
_BUILT = ("build", "dist", "*.so", "*.egg-info", ".*", "__pycache__")


def main() -> int:
    """Walks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--install", type=Path, default=ROOT)
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the environment and the result, kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        home = Path(options.keep or passing).resolve()
        home.mkdir(parents=True, exist_ok=True)
        return walk(options, home)


def walk(options: argparse.Namespace, home: Path) -> int:
    """The three commands, each with its seconds."""
    what = str(options.install.resolve())
    if options.install.is_dir():  # a clone: what was compiled here is not part of it
        shutil.copytree(what, home / "cnnexplain", ignore=shutil.ignore_patterns(*_BUILT))
        what = "./cnnexplain"
    extra = "" if options.weights else "[imagenet]"
    photo = options.photo.resolve() if options.photo else "photo.jpg"
    weights = ["--weights", str(options.weights.resolve())] if options.weights else []
    commands = [
        ["python3", "-m", "venv", "env"],
        ["env/bin/pip", "install", f"{what}{extra}"],
        ["env/bin/cnnexplain", "explain", "EfficientNetLite0", str(photo), *weights],
    ]
    total = work = 0.0
    text = ""
    for command in commands:
        if command[0] == "env/bin/cnnexplain" and not options.photo:
            found = next((home / "env").rglob("sample_data/grace_hopper.jpg"))
            shutil.copy(found, home / "photo.jpg")
        seconds, busy, text = timed(command, home)
        total, work = total + seconds, work + busy
        print(f"{seconds:6.1f} s  {' '.join(command)}  ({busy:.1f} s of CPU)", flush=True)
    print(f"{total:6.1f} s  ({work:.1f} s of CPU) on {cpu(home)}, load {os.getloadavg()[0]:.1f}")
    print(text, end="")
    size = sum(f.stat().st_size for f in (home / "env").rglob("*") if f.is_file() and not f.is_symlink())
    print(f"the environment has {size / 1e6:.0f} MB")
    assert (home / "explanation.png").stat().st_size > 10_000
    assert options.photo or _SEEN in text, text
    return 0 if total < MOST else 1


def timed(command: list[str], home: Path) -> tuple[float, float, str]:
    """The seconds of a command by the clock and of the CPUs, and what it printed."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")}
    program = sys.executable if command[0] == "python3" else str(home / command[0])
    begin, before = time.perf_counter(), os.times()
    done = subprocess.run([program, *command[1:]], cwd=home, env=clean, capture_output=True, text=True)
    seconds, after = time.perf_counter() - begin, os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    busy = sum(after[i] - before[i] for i in (2, 3))  # of children, in programs and in the system
    return seconds, busy, done.stdout


def cpu(home: Path) -> str:
    """The CPU, as the installed package calls it."""
    code = "from cnnexplain.environment import cpu_name; print(cpu_name())"
    name = timed(["env/bin/python", "-c", code], home)[2].strip()
    return f"{name}, {len(os.sched_getaffinity(0))} CPUs"


if __name__ == "__main__":
    sys.exit(main())
