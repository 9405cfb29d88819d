"""What `import cnnexplain` costs beyond `import numpy`: medians of alternating fresh processes.

python tests/bench/import_time.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time


def seconds(module: str) -> float:
    """Wall time of a fresh interpreter that imports module."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], cwd=tempfile.gettempdir(), check=True)
    return time.perf_counter() - start


def main() -> None:
    """Prints both medians and their difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    modules = ("numpy", "cnnexplain", "cnnexplain.keras")
    times = {module: [] for module in modules}
    for module in modules:
        seconds(module)
    for _ in range(rounds):
        for module in modules:
            times[module].append(seconds(module))
    base = statistics.median(times["numpy"])
    for module in modules:
        median = statistics.median(times[module])
        print(f"import {module:18} {median:.3f} s   beyond numpy {median - base:+.3f} s")


if __name__ == "__main__":
    main()
