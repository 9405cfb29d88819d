"""Every operator and form of it computes what ONNX Runtime does, for any batch; what is not read is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import operator_cases
import pytest

import cnnexplain as cx

onnx = pytest.importorskip("onnx")


def read() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "fixtures" / "onnx" / "operators.npz") as file:
        shapes, numbers = json.loads(str(file["index"])), file["numbers"]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(numbers, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


WANTED = read()
CHANNELS_LAST = {"channels last/13"}  # the file itself takes and gives (n, h, w, c)
# outputs with four axes that are no images: they come as in the file
IN_THE_FILE_S_ORDER = CHANNELS_LAST | {
    "Transpose/13", "Transpose places/13", "MatMul of two/13", "MatMul of images/13", "MatMul with many/13",
    "MatMul from the left/13",
}  # fmt: skip


def wanted(case):
    return WANTED[case.name] if case.name in WANTED else WANTED[case.title]


def image(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if array.ndim == 4 else array


@pytest.fixture
def load(tmp_path):
    def loading(case, **settings):
        onnx.save(case.model(), tmp_path / "graph.onnx")
        return cx.models.load_onnx(tmp_path / "graph.onnx", **settings)

    return loading


def run(model, arrays):
    given = [cx.constant(array) for array in arrays]
    return model(given if len(given) > 1 else given[0]).numpy()


@pytest.mark.parametrize("name", operator_cases.CASES)
def test_operator(name, load):
    case = operator_cases.CASES[name]
    model = load(case)
    given = [array if name in CHANNELS_LAST else image(array) for array in case.feeds.values()]
    want = wanted(case) if name in IN_THE_FILE_S_ORDER else image(wanted(case))
    got = run(model, given)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=case.tolerance, atol=case.tolerance)
    assert tuple(model.output.shape)[1:] == want.shape[1:]
    one = run(model, [array[1:2] for array in given])
    np.testing.assert_allclose(one, got[1:2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in operator_cases.CASES if name.endswith("/13")])
def test_in_float64(name, load):
    case = operator_cases.CASES[name]
    model = load(case, dtype="float64")
    given = [array.astype("float64") for array in case.feeds.values()]
    given = given if name in CHANNELS_LAST else list(map(image, given))
    want = wanted(case) if name in IN_THE_FILE_S_ORDER else image(wanted(case))
    got = run(model, given)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", operator_cases.REFUSED)
def test_refused(name, load):
    case = operator_cases.REFUSED[name]
    with pytest.raises(ValueError, match=case.why) as caught:
        load(case)
    assert "graph.onnx" in str(caught.value)
    if "output" not in str(caught.value):
        assert re.search(r"'\w+_\d'", str(caught.value)), "the node is named"


def test_every_operator_has_a_case():
    from cnnexplain.onnx import folding, importing, registry

    importing.load_families()
    cases = (*operator_cases.CASES.values(), *operator_cases.REFUSED.values())
    seen = {node.op_type for case in cases for node in case.model().graph.node}
    assert not {*registry.OPERATORS, *folding.FOLDS} - seen
