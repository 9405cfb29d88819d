"""README's code runs as it stands and gives what the text beside it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_grad_cam_in_ten_lines_is_the_map_of_the_one_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3 and len(blocks[0].splitlines()) <= 10
    for block in blocks:
        exec(block, names)
    heatmap, explanation = names["heatmap"].numpy(), names["explanation"]
    # the probability is nearly 1, so 1 - p, a factor of both, keeps only three digits fewer than float32 has
    np.testing.assert_allclose(np.maximum(explanation.raw[0], 0), heatmap, atol=1e-4 * heatmap.max())
    assert explanation.map.shape == (1, 28, 28) and explanation.map.max() == 1
    assert (tmp_path / "model.svg").stat().st_size > 10_000
