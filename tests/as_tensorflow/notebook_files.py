"""Notebooks made from text, and `cnnexplain run` on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cnnexplain as cx

COURSEWORK = Path(__file__).with_name("coursework.txt").read_text()


def split(text):
    """Cells of a text in which `# %%` begins each."""
    return [cell.strip("\n") for cell in text.split("# %%\n")[1:]]


def write(path, cells, **metadata):
    """A notebook of code cells, and a text before them."""
    made = [{"cell_type": "markdown", "metadata": {}, "source": ["# Homework"], "id": "title"}]
    for i, source in enumerate(cells):
        cell = {"cell_type": "code", "metadata": {}, "id": f"cell{i}", "outputs": [], "execution_count": None}
        made.append(cell | {"source": source.splitlines(keepends=True)})
    metadata = metadata or {
        "kernelspec": {"name": "tf-gpu", "display_name": "Python (GPU)", "language": "python"}
    }
    path.write_text(json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


def run(folder, *arguments, **environment):
    """`cnnexplain run`, from that folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cx.__file__).parents[1]), **environment}
    command = [sys.executable, "-m", "cnnexplain", "run", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
