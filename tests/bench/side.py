"""A process that runs one side of a row, asked for one round at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import Any

from .engine import ROOT
from .work import Work

# Away from the sources, which would hide the package that is installed.
_START = f"import sys; sys.path.append({str(ROOT / 'tests')!r}); from bench.sides import main; main()"


class Failed(Exception):
    """A side that ended or that took too long."""


class Side:
    """Starts the process and waits until it is ready."""

    def __init__(self, name: str, work: Work, threads: int, isa: str, limit: float):
        self.name, self.limit = name, limit
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "CNNEXPLAIN_ISA": isa}
        self.folder, self.said = tempfile.TemporaryDirectory(), tempfile.TemporaryFile()
        self.buffer = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, name, json.dumps(asdict(work)), str(threads)],
            cwd=self.folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env=environment,
        )
        self.answers: list[dict[str, Any]] = []
        try:
            ready = self._answer()
        except Failed:
            self.close()
            raise
        self.version: str = ready["version"]
        self.flop: float = ready["flop"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        end = time.monotonic() + self.limit
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))
            if not ready:
                raise Failed(f"{self.name} took more than {self.limit:g} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                self.said.seek(0)
                last = self.said.read().decode(errors="replace").strip().splitlines()[-1:]
                raise Failed(f"{self.name} ended: {''.join(last)}")
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def spend(self, seconds: float) -> None:
        """One round."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{seconds}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        self.answers.append(self._answer())

    @property
    def best(self) -> dict[str, float]:
        """The least seconds of each form."""
        return {
            name: min(answer["times"][name] for answer in self.answers) for name in self.answers[0]["times"]
        }

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.communicate()
        self.said.close()
        self.folder.cleanup()
