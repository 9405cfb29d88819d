"""Tests in which `import tensorflow` means this package."""

from __future__ import annotations

import sys

import pytest

from cnnexplain import as_tensorflow


def _theirs():
    return {n: m for n, m in sys.modules.items() if n.partition(".")[0] in ("tensorflow", "keras")}


@pytest.fixture
def away():
    """No TensorFlow has been imported yet, whatever other tests did; afterwards all is as it was."""
    before = _theirs()
    for name in before:
        del sys.modules[name]
    yield
    as_tensorflow.uninstall()
    for name in _theirs():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def hook(away):
    """The names mean this package, also where TensorFlow is installed."""
    assert as_tensorflow.install(replace=True)
