"""Runs the commands that a page of the documentation names and puts their tables into it.

    python -m tests.bench.page docs/performance.md [WORD]

A table stands between `<!-- python -m tests.bench ... -->` and `<!-- end -->`. With WORD only the commands
that contain it are run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

TABLE = re.compile(r"(<!-- python (-m tests\.bench.*?) -->\n)(.*?)(<!-- end -->)", re.S)


def main() -> None:
    """Writes the page anew."""
    page, word = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    for _, command, _, _ in TABLE.findall(page.read_text()):
        if word not in command:
            continue
        print(f"python {command}", flush=True)
        done = subprocess.run([sys.executable, *shlex.split(command)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"python {command} failed, the page is as it was")

        def fill(match: re.Match[str], command: str = command, table: str = done.stdout) -> str:
            return f"{match[1]}{table}{match[4]}" if match[2] == command else match[0]

        page.write_text(TABLE.sub(fill, page.read_text()))


if __name__ == "__main__":
    main()
