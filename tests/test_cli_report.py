"""The HTML report: one file with everything in it, whatever the pictures are called."""

from __future__ import annotations

import base64
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from command_line import answers, clothes
from PIL import Image

import cnnexplain as cx
from cnnexplain import cli, demo, explain


class Read(HTMLParser):
    """Texts, images and the tags that are open at the end."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [given[name] for name in ("src", "href", "srcset", "action") if name in given]
        if tag == "img":
            self.images.append(given)
        if tag not in ("img", "meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*arguments) -> tuple[str, Read]:
    cli.main([*arguments, "--report", "r.html"])
    with open("r.html", encoding="utf-8") as file:
        text = file.read()
    return text, Read(text)


def test_it_says_what_was_computed_and_how(here):
    images = clothes(here / "in", 3, damaged=True)
    text, page = written("explain", "lecture", "in", "--top", "2")
    said = " ".join(page.texts)
    network, p = demo.load_network(), answers(images)
    for expected in (
        "lecture",
        "grad_cam",
        "conv2d_3",
        "logit",
        "x / 255",
        cx.__version__,
        "damaged, or no picture",
    ):
        assert expected in said, expected
    for row in p:
        for index in row.argsort()[:-6:-1]:
            assert network.class_names[index] in page.texts and f"{row[index]:.3f}" in said
    assert not page.open and len(page.images) == 3 * (1 + 2 * 2)
    assert '<meta name="viewport"' in text and "prefers-color-scheme: dark" in text


def test_nothing_is_outside_of_it(here):
    clothes(here / "in", 2)
    for arguments in (("explain", "lecture", "in"), ("compare", "lecture", "in", "--metrics", "deletion")):
        text, page = written(*arguments)
        assert page.links and all(link.startswith("data:image/") for link in page.links)
        assert not re.search(
            r"https?:|//[a-z]|url\(|@import|<link|<script", re.sub(r"base64,[^\"]*", "", text)
        )


def test_its_pictures_are_the_pictures_and_the_maps(here):
    images = clothes(here, 1)
    _, page = written("explain", "lecture", "0.png")
    photo, again, heat = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))))
        for image in page.images
    )
    assert np.array_equal(photo, images[0]) and np.array_equal(again, photo)
    e = explain.grad_cam(demo.load_network(), images / np.float32(255))[0]
    lightness = heat @ [0.299, 0.587, 0.114]
    ranks = [values[e.map > 0.05].argsort().argsort() for values in (lightness, e.map)]
    assert np.corrcoef(*ranks)[0, 1] > 0.99


def test_single_pixels_are_not_laid_over_the_picture(here):
    clothes(here, 1)
    text, _ = written("explain", "lecture", "0.png", "--method", "saliency")
    assert 'class="map alone"' in text and 'type="range"' not in text
    text, _ = written("explain", "lecture", "0.png")
    assert 'class="map"' in text and 'type="range"' in text


def test_names_are_escaped(here):
    clothes(here, 1)
    name = "<b>&\"x'.png"
    (here / "0.png").rename(name)
    text, page = written("explain", "lecture", name)
    assert name in page.texts and "<b>&" not in text and not page.open


def test_a_large_photograph_is_made_small(here):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).resize((3000, 2000)).save("large.jpg")
    text, page = written("explain", "lecture", "large.jpg")
    assert page.images[0]["width"] == "640" and page.images[0]["height"] == "427" and len(text) < 500_000


def test_the_table_of_a_comparison(here):
    images = clothes(here, 1)
    _, page = written("compare", "lecture", "0.png", "--methods", "cam,saliency", "--metrics", "deletion")
    network, x = demo.load_network(), images / np.float32(255)
    for name in ("cam", "saliency"):
        e = explain.by_name(network, x, method=name)
        value = f"{explain.metrics.deletion(network, x, e).value:.4g}"
        assert any(text.startswith(value) for text in page.texts) and name in page.texts
    assert "deletion (lower)" in page.texts and not page.open


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1200])
def test_in_a_browser(here, width, tmp_path_factory):
    """It fits a telephone and a screen, asks for nothing, and its slider turns the maps."""
    webdriver = pytest.importorskip("selenium.webdriver")
    clothes(here / "in", 2, damaged=True)
    arguments = ("compare", "lecture", "in", "--methods", "grad_cam,layer_cam,saliency")
    written(*arguments, "--metrics", "deletion")
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        sizes = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
        driver.get(f"file://{here}/r.html")
        driver.save_screenshot(str(here / f"report-{width}.png"))
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.execute_script("return [...document.images].every(i => i.naturalWidth > 0)")
        assert driver.execute_script("return performance.getEntriesByType('resource').map(r => r.name)") == []
        opacity = "return getComputedStyle(document.querySelector('.map')).opacity"
        slide = (
            "const s = document.querySelector('input'); s.value = 0.9; s.dispatchEvent(new Event('input'))"
        )
        assert driver.execute_script(opacity) == "0.5"
        driver.execute_script(slide)
        assert driver.execute_script(opacity) == "0.9"
    finally:
        driver.quit()
