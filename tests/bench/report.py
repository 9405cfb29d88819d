"""The table as text, as Markdown and as JSON."""

from __future__ import annotations

import json
from typing import Any


def _rival(found: dict[str, Any]) -> str:
    rival = found["rival"]
    return " ".join(filter(None, (rival["name"], rival.get("version"), rival.get("form"))))


def _goal(found: dict[str, Any]) -> str:
    if not found["must"]:
        return ""
    return f"{found['must']:.3g}" + f" / {found['aim']:g}" * bool(found["aim"])


class TextReport:
    """A line for each row, printed when it is known."""

    columns = (("work", 38), ("ms", 9), ("rival", 32), ("its ms", 9), ("ratio", 6), ("must/aim", 11))
    columns += (("of peak", 8), ("MB", 6), ("its MB", 6), ("faults", 7))

    def begin(self, cpu: str, threads: int, isa: str, peak: dict[str, float]) -> None:
        """What the rows that follow were measured on."""
        units = {name: "GB/s" if name == "memory" else "GFLOP/s" for name in peak}
        measured = ", ".join(f"{name} {value:.0f} {units[name]}" for name, value in peak.items())
        print(f"{cpu}, {threads} thread{'s' * (threads > 1)}, {isa}. At most: {measured or 'unknown'}")
        self.head()

    def head(self) -> None:
        """The names of the columns."""
        print(self.padded([name for name, _ in self.columns]))

    def padded(self, cells: list[str]) -> str:
        """Cells below each other, words at the left and numbers at the right."""
        pairs = zip(cells, self.columns, strict=False)
        return " ".join(f"{cell:<{w}}" if w > 20 else f"{cell:>{w}}" for cell, (_, w) in pairs)

    def cells(self, found: dict[str, Any]) -> list[str]:
        """One for each column; what is missing is empty."""
        rival, of_peak = found["rival"], found["of peak"]
        return [
            found["work"],
            f"{found['ms']:.2f}",
            _rival(found) or "none installed",
            f"{rival['ms']:.2f}" if "ms" in rival else "",
            f"{found['ratio']:.2f}" if "ratio" in found else "",
            _goal(found),
            f"{of_peak:.0%}" if of_peak else "",
            f"{found['peak MB']:.0f}",
            f"{rival['peak MB']:.0f}" if "peak MB" in rival else "",
            f"{found['faults']:.0f}",
        ]

    def row(self, found: dict[str, Any]) -> None:
        """A row that was measured."""
        if "failed" in found:
            self.line([found["work"], found["failed"]], found["short"])
        else:
            self.line(self.cells(found), found["short"])

    def line(self, cells: list[str], short: list[str]) -> None:
        """Cells, and what falls short."""
        print(self.padded(cells) + f"   SHORT: {', '.join(short)}" * bool(short), flush=True)

    def end(self, seconds: float) -> None:
        """How long all of it took."""
        print(f"in {seconds / 60:.0f} minutes")


class MarkdownReport(TextReport):
    """The same as a table for the documentation."""

    def head(self) -> None:
        print()
        print("| " + " | ".join(name for name, _ in self.columns) + " | short |")
        print("|" + "".join("---|" if width > 20 else "---:|" for _, width in self.columns) + "---|")

    def line(self, cells: list[str], short: list[str]) -> None:
        cells = cells + [""] * (len(self.columns) - len(cells))
        print("| " + " | ".join(cells) + f" | {', '.join(short)} |", flush=True)

    def end(self, seconds: float) -> None:
        print()
        super().end(seconds)


class JsonReport(TextReport):
    """One object for each number of threads, printed at the end."""

    def __init__(self) -> None:
        self.tables: list[dict[str, Any]] = []

    def begin(self, cpu: str, threads: int, isa: str, peak: dict[str, float]) -> None:
        self.tables.append({"cpu": cpu, "threads": threads, "isa": isa, "peak": peak, "rows": []})

    def row(self, found: dict[str, Any]) -> None:
        self.tables[-1]["rows"].append(found)

    def end(self, seconds: float) -> None:
        print(json.dumps({"seconds": seconds, "tables": self.tables}, indent=1))
