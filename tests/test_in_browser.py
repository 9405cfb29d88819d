"""A notebook in a real browser: Chromium runs it in JupyterLab, and sees what a user sees.

    apt-get install chromium chromium-driver
    pip install '.[test,browser]' && pytest -m browser

`--basetemp DIR` keeps the screenshots.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CELLS = {
    "model": "import cnnexplain as cx\nmodel = cx.demo.load_network()\nmodel",
    "explanation": "x, y = cx.demo.load_test_images()\ncx.explain.grad_cam(model, x[:2], 9)",
    "fit": """from cnnexplain import keras
small = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                          keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, "softmax")])
small.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
small.fit(x, y, epochs=2);""",
    "bar": "e = cx.explain.rise(model, x[:2], masks=60, progress=True)",
    "interactive": "cx.explain.interactive(model, x[:3])",
}
MINUTE = 60  # seconds


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    nbformat = pytest.importorskip("nbformat")
    folder = tmp_path_factory.mktemp("notebooks")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS.values()])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "figures.ipynb")
    return folder / "figures.ipynb"


@pytest.fixture(scope="module")
def server(notebook):
    """The address of a JupyterLab that serves the notebook's folder."""
    log = open(notebook.parent / "jupyter.log", "w")
    options = (
        "--no-browser --allow-root --IdentityProvider.token= --LabApp.expose_app_in_browser=True --port=0"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options.split(), f"--ServerApp.root_dir={notebook.parent}"],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "HOME": str(notebook.parent)},
    )
    try:
        yield _address(process, Path(log.name))
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _address(process: subprocess.Popen, log: Path) -> str:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        for line in log.read_text().splitlines():
            if "http://" in line and "/lab" in line:
                address = line[line.index("http://") :].split("/lab")[0]
                urllib.request.urlopen(f"{address}/api", timeout=10).close()
                return address
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def page(server, notebook):
    """The notebook's page, its cells executed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,3400"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(MINUTE)
        driver.get(f"{server}/lab/tree/{notebook.name}?reset")
        ready = (
            "const open = window.jupyterapp?.shell.currentWidget; "
            "return open?.context?.sessionContext?.session?.kernel?.status === 'idle'"
        )
        until(lambda: driver.execute_script(ready), "the kernel is idle")
        driver.execute_script("window.jupyterapp.commands.execute('application:toggle-left-area')")
        driver.execute_async_script(
            "window.jupyterapp.commands.execute('notebook:run-all-cells').then(arguments[0])"
        )
        until(lambda: driver.find_elements("css selector", ".widget-hslider"), "the widget is drawn")
        time.sleep(2)
        driver.save_screenshot(str(notebook.parent / "notebook.png"))
        yield driver
    finally:
        driver.quit()


def until(holds, what: str) -> None:
    for _ in range(MINUTE * 4):
        if holds():
            return
        time.sleep(0.25)
    raise AssertionError(f"waited in vain until {what}")


def output(page, cell: str):
    """The output area of a cell."""
    return page.find_elements("css selector", ".jp-CodeCell")[list(CELLS).index(cell)]


@pytest.mark.browser
class TestNotebook:
    def test_no_cell_fails_or_warns(self, page):
        loud = page.find_elements("css selector", "[data-mime-type='application/vnd.jupyter.error']")
        assert not [element.text for element in loud]
        loud = page.find_elements("css selector", "[data-mime-type='application/vnd.jupyter.stderr']")
        assert not [element.text for element in loud if "Warning" in element.text]

    def test_model_is_a_drawing_and_a_table(self, page):
        cell = output(page, "model")
        (drawing,) = cell.find_elements("css selector", "img")
        assert drawing.get_attribute("alt") == "drawing of lecture_network"
        assert int(drawing.get_attribute("naturalWidth")) > 300  # 0: the browser could not read it
        assert len(cell.find_elements("css selector", "tbody tr")) == 9
        assert "98,442" in cell.text

    def test_explanation_is_a_picture(self, page):
        cell = output(page, "explanation")
        (picture,) = cell.find_elements("css selector", "img")
        assert int(picture.get_attribute("naturalWidth")) > 300
        assert "grad_cam, layer conv2d_3: 2 images, Ankle boot" in cell.text
        assert "no positive evidence for Ankle boot at layer conv2d_3 (image 1)" in cell.text

    def test_fit_overwrites_its_line(self, page):
        text = output(page, "fit").text
        assert text.count("Epoch") == 2 and text.count("accuracy:") == 2

    def test_long_methods_have_a_bar(self, page):
        cell = output(page, "bar")
        assert "100%" in cell.text and cell.find_elements(
            "css selector", ".widget-hprogress, .jupyter-widgets"
        )

    def test_knobs_change_the_picture(self, page, notebook):
        cell = output(page, "interactive")
        select = pytest.importorskip("selenium.webdriver.support.ui").Select

        def source():
            return cell.find_element("css selector", "img").get_attribute("src")

        before = source()
        _, method, *_ = cell.find_elements("css selector", "select")
        select(method).select_by_visible_text("saliency")
        until(
            lambda: "saliency" in cell.find_element("css selector", ".widget-html").text, "the text changed"
        )
        until(lambda: source() != before, "the picture changed")
        select(method).select_by_visible_text("grad_cam")
        until(
            lambda: "layer conv2d_3" in cell.find_element("css selector", ".widget-html").text, "back again"
        )
        page.save_screenshot(str(notebook.parent / "after.png"))
