"""What show_config says."""

from __future__ import annotations

import numpy as np
import pytest

import cnnexplain as cx


def test_dicts():
    found = cx.show_config("dicts")
    assert found["cnnexplain"] == cx.__version__ and found["packages"]["numpy"] == np.__version__
    assert found["threads"] == cx.get_threads() and found["precision"] == cx.get_precision()
    assert found["cpu"] and found["cpus"] >= 1 and found["isa"] in ("portable", "avx2", "avx512")


def test_printed(capsys, monkeypatch):
    monkeypatch.setenv("CNNEXPLAIN_ISA", "portable")
    assert cx.show_config() is None
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"cnnexplain:  {cx.__version__}"
    assert "environment: CNNEXPLAIN_ISA portable" in ", ".join(told)
    assert all(line.strip() and not line.endswith(":") for line in told)


def test_unknown_mode():
    with pytest.raises(ValueError, match="`mode` must be one of: stdout, dicts. Received: mode='json'"):
        cx.show_config("json")


def test_where_linux_does_not_say(monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", lambda self: "processor: 0\n\n")
    assert cx.environment.cpu_name() not in ("", None)
