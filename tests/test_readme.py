"""README's code gives what the text beside it says. That it runs, test_docs.py shows."""

from __future__ import annotations

import numpy as np
import pages


def test_grad_cam_in_ten_lines_is_the_map_of_the_one_call():
    ran = pages.ran("README.md")
    first, _, _ = pages.programs("README.md")
    assert len(first.code.splitlines()) <= 10
    heatmap, explanation = ran.names[1]["heatmap"].numpy(), ran.names[1]["explanation"]
    # the probability is nearly 1, so 1 - p, a factor of both, keeps only three digits fewer than float32 has
    np.testing.assert_allclose(np.maximum(explanation.raw[0], 0), heatmap, atol=1e-4 * heatmap.max())
    assert explanation.map.shape == (1, 28, 28) and explanation.map.max() == 1
    assert (ran.folder / "model.svg").stat().st_size > 10_000
