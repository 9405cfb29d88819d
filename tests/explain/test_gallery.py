"""docs/gallery.md names every method, its figures are there, and the script makes them."""

from __future__ import annotations

import re

import gallery
import numpy as np
import pytest

from cnnexplain import explain

PAGE = (gallery.DOCS / "gallery.md").read_text(encoding="utf-8")
OTHERS = ["deconvnet", "top_activations", "activation_maximization", "compare_classes"]


@pytest.mark.parametrize("name", [*explain.methods(), *OTHERS])
def test_the_page_has_a_sentence_for_every_method(name):
    assert re.search(rf"^- `{name}`: ", PAGE, re.MULTILINE)


def test_the_page_has_every_composite():
    for name in gallery.COMPOSITES:
        assert f'`"{name.removesuffix("_flat")}"`' in PAGE, name


def test_the_figures_are_those_of_the_script():
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", PAGE)
    assert sorted(shown) == sorted(gallery.FIGURES)
    sizes = [(gallery.DOCS / name).stat().st_size for name in shown]
    assert min(sizes) > 10_000 and sum(sizes) < 1_500_000
    assert sorted(path.name for path in gallery.DOCS.glob("gallery-*")) == sorted(shown)


@pytest.mark.parametrize("family", ["relevance", "gradients"])
def test_the_script_makes_a_sheet(family, tmp_path):
    from PIL import Image

    name = f"gallery-lecture-{family}.png"
    (path,) = gallery.main([name], tmp_path)
    made, kept = (np.asarray(Image.open(file).convert("L")) for file in (path, gallery.DOCS / name))
    assert made.shape == pytest.approx(kept.shape, abs=40)  # fonts differ
    assert made.std() > 20


def test_no_panel_of_a_sheet_is_blank():
    for family in ("cams", "early-cams", "classes", "gradients", "relevance"):
        figure = gallery.FAMILIES[family](gallery.lecture())
        panels = [axes for axes in figure.axes if axes.images]
        assert len(panels) > 10 or family == "classes"
        for axes in panels:
            assert np.ptp(axes.images[0].get_array()) > 0.1, (family, axes.get_title())
