"""What a notebook shows of a model."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

import cnnexplain as cx
from cnnexplain import keras

layers = keras.layers


class Table(HTMLParser):
    """Rows of cells; fails on tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag in ("img", "br"):
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_chain():
    text = cx.demo.load_network()._repr_html_()
    rows = Table(text).rows
    assert rows[0] == ["Layer (type)", "Output Shape", "Param #"]
    assert rows[1] == ["conv2d (Conv2D)", "(None, 28, 28, 16)", str(3 * 3 * 16 + 16)] and len(rows) == 10
    assert "Total params: 98,442" in text and "<details open>" in text
    (data,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', text)
    assert b"<svg" in base64.b64decode(data)


def test_graph_has_its_connections_and_names_are_escaped():
    x = keras.Input((4, 4, 1))
    y = layers.Conv2D(1, 1, name="a<b>")(x)
    model = keras.Model(x, layers.Add()([x, y]), name="a & b")
    rows = Table(model._repr_html_()).rows
    assert rows[0][-1] == "Connected to" and rows[3][3].replace(" ", "") == "input_layer[0][0],a<b>[0][0]"
    assert "a &amp; b" in model._repr_html_() and "<b>[" not in model._repr_html_()


def test_long_tables_are_folded():
    model = keras.Sequential([keras.Input((4,)), *(layers.Dense(2) for _ in range(31))])
    assert "<details><summary>31 layers" in model._repr_html_()


@pytest.mark.parametrize("make", [keras.Sequential, lambda: keras.Sequential([layers.Dense(2)])])
def test_without_an_input_shape(make):
    text = make()._repr_html_()
    assert "<img" not in text and "Total params: 0" in text
