"""Networks from ONNX files, saved as `.keras` archives, in real Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx

pytestmark = pytest.mark.parity
pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "fixtures" / "onnx"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz") if path.stem != "operators")


@pytest.mark.parametrize("name", NAMES)
def test_real_keras_opens_what_was_read(name, tensorflow, tmp_path):
    recorded = np.load(FOLDER / f"{name}.npz")
    (tmp_path / "network.onnx").write_bytes(recorded["onnx"].tobytes())
    cx.models.load_onnx(tmp_path / "network.onnx").save(tmp_path / "network.keras")
    x = recorded["x"].astype("float32")
    x = x if x.shape[-1] == 3 else x.transpose(0, 2, 3, 1)
    got = tensorflow.keras.models.load_model(tmp_path / "network.keras")(x).numpy()
    np.testing.assert_allclose(got, recorded["y"], rtol=1e-4, atol=1e-4)
