"""The examples in the docstrings of every module."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil

import pytest

import cnnexplain


def modules() -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(cnnexplain.__path__, "cnnexplain.")]
    found = [name for name in found if (importlib.util.find_spec(name).origin or "").endswith(".py")]
    return ["cnnexplain", *sorted(name for name in found if not name.endswith(".__main__"))]


@pytest.mark.parametrize("name", modules())
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert not results.failed, f"{results.failed} of {results.attempted} examples of {name} failed: see above"
