"""README.md and docs/: their programs run, their links lead somewhere, their names exist."""

from __future__ import annotations

import ast
import importlib
import re

import pages
import pytest

PAGES = pages.all_pages()
LANGUAGES = {"", "python", "pycon", "sh", "text", "json", "{toctree}", "{include}", "{raw}"}


def test_what_is_run_are_the_pages():
    assert {"README.md", "docs/index.md", "docs/tutorial/first-map.md", "docs/formats.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_programs_run(page):
    pages.ran(page)


@pytest.mark.skipif(not pages.NEEDS["imagenet"](), reason="the extra [imagenet] is not installed")
def test_the_first_map_is_the_one_that_is_shown():
    import numpy as np
    from PIL import Image

    page = "docs/tutorial/first-map.md"
    files = (pages.ran(page).folder / "map.png", (pages.ROOT / page).with_suffix(".jpg"))
    made, shown = (Image.open(file).convert("L") for file in files)
    assert made.size == pytest.approx(shown.size, abs=40)  # fonts differ
    made, shown = (np.asarray(image.resize((300, 100))).ravel() for image in (made, shown))
    assert np.corrcoef(made, shown)[0, 1] > 0.9


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES)
def test_programs_that_need_torch_run(page, tmp_path):
    blocks = [block for block in pages.programs(page) if block.condition == "needs torch"]
    if not blocks:
        return
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    with pages.inside(tmp_path):
        for block in blocks:
            pages.execute(block, {}, f"{page}:{block.line}")


@pytest.mark.parametrize("page", PAGES)
def test_what_does_not_run_says_why(page):
    for block in pages.fences(page):
        assert block.language in LANGUAGES, f"{page}:{block.line}"
        if block.language in ("python", "pycon"):
            if block.language == "python":
                ast.parse(block.code)
            need = block.condition.removeprefix("needs ")
            assert (
                not block.condition or need in pages.NEEDS or re.match(r"not run: \w+ \w+", block.condition)
            ), f"{page}:{block.line}: {block.condition}"


def test_few_programs_are_not_run():
    left_out = [b for page in PAGES for b in pages.programs(page) if b.condition.startswith("not run")]
    ran = [b for page in PAGES for b in pages.programs(page) if pages.runs(b)]
    assert len(left_out) <= 6 and len(ran) > 60


def anchors(page: str) -> set[str]:
    """Those of headings, as GitHub and MyST make them."""
    plain = pages.FENCE.sub("", pages.text(page))
    titles = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_of_the_repository(page):
    """A page must not need Sphinx: the repository's web view follows the same links."""
    folder = (pages.ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.FENCE.sub("", pages.text(page))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        path = (folder / file).resolve() if file else pages.ROOT / page
        assert path.is_relative_to(pages.ROOT) and path.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(path.relative_to(pages.ROOT).as_posix()), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES)
def test_names_exist(page):
    """`cx.explain.grad_cam`, `explain.metrics.road`, `cnnexplain.keras.layers.Dense` in the text."""
    import cnnexplain

    plain = pages.FENCE.sub("", pages.text(page))
    for name in re.findall(r"`(?:cnnexplain\.|cx\.)((?:[a-z]\w*\.)+\w+)", plain) + re.findall(
        r"`(explain(?:\.\w+)+)", plain
    ):
        thing = cnnexplain
        for part in name.split(".") if not name.endswith(".py") else ():
            assert hasattr(thing, part), f"{page}: {name} has no {part}"
            thing = getattr(thing, part)


def test_every_method_and_metric_has_its_formula():
    from cnnexplain import explain

    page = pages.text("docs/methods.md")
    metrics = set(explain.metrics.__all__) - {"Metric"}
    for name in [*explain.methods(), *metrics, "deconvnet", "top_activations", "activation_maximization"]:
        assert f"`{name}`" in page, name


def test_the_reference_has_every_public_name(monkeypatch):
    """The pages that the build writes describe each of them, or say of which it is another name."""
    from cnnexplain import _names, explain, keras, testing

    monkeypatch.syspath_prepend(str(pages.ROOT / "docs" / "extensions"))
    reference = importlib.import_module("reference_pages").pages()
    public = {"cnnexplain": set(_names.HOMES), "cnnexplain.testing": set(testing.__all__)}
    public["cnnexplain.explain"] = set(explain.__all__) - {"metrics"}
    public["cnnexplain.explain.metrics"] = set(explain.metrics.__all__)
    for family in ("layers", "losses", "optimizers", "metrics", "callbacks", "ops", "utils", "applications"):
        module = getattr(keras, family)
        public[f"cnnexplain.keras.{family}"] = {n for n in module.__all__ if callable(getattr(module, n))}
    for home, names in public.items():
        described = set(re.findall(rf"^\.\. (?:auto|py:)\w+:: {home}\.(\w+)$", reference[home], re.MULTILINE))
        others = set(re.findall(r"^- ``(\w+)``: :py:obj:", reference[home], re.MULTILINE))
        assert names and names <= described | others, (home, names - described - others)
        assert f" <{home}>" in reference["index"]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", ["captum", "pytorch_grad_cam"])
def test_names_of_other_packages_exist(package):
    """Those of the tables in docs/migration.md whose packages can be installed beside this one."""
    pytest.importorskip(package)
    table = pages.text("docs/migration.md")
    names = set(re.findall(rf"`({package}(?:\.\w+)+)", table))
    assert len(names) > 10
    for name in names:
        home, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(home), last), name
