"""The notebooks: every code cell runs, and what is stored in the file is what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.skipif(not NOTEBOOKS, reason="the notebooks are not part of an installed package")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebooks:
    def cells(self, path):
        return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]

    @pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
    def test_every_cell_runs(self, path, monkeypatch):
        pytest.importorskip("scipy")
        monkeypatch.setenv("MPLBACKEND", "agg")
        import matplotlib.pyplot as plt

        namespace = {"__name__": "__main__"}
        with plt.rc_context():
            for i, cell in enumerate(self.cells(path)):
                exec(compile("".join(cell["source"]), f"{path.name}[{i}]", "exec"), namespace)
        plt.close("all")

    def test_it_was_executed_and_is_small(self, path):
        cells = self.cells(path)
        assert all(cell["execution_count"] for cell in cells)
        outputs = [output for cell in cells for output in cell["outputs"]]
        assert not any(output["output_type"] == "error" for output in outputs)
        assert any("image/png" in output.get("data", {}) for output in outputs)
        assert path.stat().st_size < 1_000_000
