"""docs/deconvnet.md: its programs run, its figures are there, and the comparison runs on small networks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pages
from test_deconvnet import HEIGHT, WIDTH, alexnet, built, zfnet

import cnnexplain as cx

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "deconvnet.md").read_text(encoding="utf-8")


def test_the_programs_run():
    assert pages.ran("docs/deconvnet.md").names[-1]["example"].raw[0, 1, 2, 0] == np.float32(0.9)


def test_the_figures_are_there():
    for name in re.findall(r"\]\((\S+\.(?:png|md))\)", PAGE):
        assert (DOCS / name).is_file(), name


def test_the_comparison_of_layer_2():
    images = np.random.default_rng(0).normal(0, 1, (12, HEIGHT, WIDTH, 3))
    first, second = (
        cx.explain.top_activations(built(parts()), images, "relu2", range(4), k=4)
        for parts in (alexnet, zfnet)
    )
    figure = first.plot(second, titles=["AlexNet, layer 2", "ZFNet, layer 2"])
    assert len([axes for axes in figure.axes if axes.images]) == 16
    assert [part._suptitle.get_text() for part in figure.subfigs] == ["AlexNet, layer 2", "ZFNet, layer 2"]
