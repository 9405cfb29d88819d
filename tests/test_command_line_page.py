"""docs/command-line.md: every command of it runs, in its order, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil

import numpy as np
import pages
import pytest
from command_line import shipped_bytes
from PIL import Image

from cnnexplain import cli, demo, photographs
from cnnexplain.cli.commands import COMMANDS

PAGE = "docs/command-line.md"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What the page's reader has."""
    monkeypatch.chdir(tmp_path)
    images, labels = shipped_bytes()
    sneaker = images[np.flatnonzero(labels == 7)[3]]
    Image.fromarray(sneaker).save("sneaker.png")
    Image.fromarray(255 - sneaker).resize((280, 280)).save("light-ground.jpg")
    for name, label in (("sneaker", 7), ("bag", 8)):
        folder = tmp_path / "wardrobe" / name
        folder.mkdir(parents=True)
        for place in np.flatnonzero(labels == label)[:4]:
            Image.fromarray(images[place]).save(folder / f"{place}.png")
    demo.load_network().save("network.keras")
    shutil.copy(photographs.sample_photographs()["grace_hopper"], "photo.jpg")
    return tmp_path


def printed(line: str) -> str:
    words, _, file = line.partition(" > ")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert cli.main(shlex.split(words)[1:]) == 0, line
    return "" if file else text.getvalue()


def like(found: str, expected: str) -> bool:
    """Equal but for the last digits of numbers."""
    numbers = [[float(n) for n in re.findall(r"\d+\.\d+", text)] for text in (found, expected)]
    words = [re.sub(r"\d+\.\d+", "#", text).strip() for text in (found, expected)]
    return words[0] == words[1] and numbers[0] == pytest.approx(numbers[1], abs=2e-3)


def blocks() -> list[tuple[pages.Block, str | None]]:
    """The page's commands, and what it says that they print."""
    found = [block for block in pages.fences(PAGE) if block.language in ("sh", "text")]
    after = [*found[1:], None]
    return [
        (block, answer.code if answer is not None and answer.language == "text" else None)
        for block, answer in zip(found, after, strict=True)
        if block.language == "sh"
    ]


def lines(block: pages.Block) -> list[str]:
    return [line.removeprefix("env/bin/") for line in block.code.splitlines() if "cnnexplain " in line]


@pytest.mark.parametrize("block, answer", blocks(), ids=lambda value: getattr(value, "code", "")[:40])
def test_commands(here, block, answer):
    if block.condition.startswith("not run: ") or block.code.startswith("cnnexplain demo"):
        for line in lines(block):  # test_cli.py runs the demo
            cli.parser().parse_args(shlex.split(line)[1:])
        return
    if block.condition and not pages.NEEDS[block.condition.removeprefix("needs ")]():
        pytest.skip(f"it {block.condition}")
    said = "".join(printed(line) for line in lines(block))
    assert answer is None or like(said, answer), said
    if "evaluate" in block.code:
        results = (here / "results.jsonl").read_text().splitlines()
        assert len(results) == 1 + 2 * 8 * 2
        assert "average_drop" not in results[16] and "deletion" not in results[17]


def test_every_command_is_shown():
    shown = {shlex.split(line)[1] for block, _ in blocks() for line in lines(block)}
    assert shown == set(COMMANDS) - {"run"}  # which has a page of its own


def test_the_table_lists_the_commands():
    assert re.findall(r"^\| \[`(\w+)`\]", pages.text(PAGE), re.MULTILINE) == list(COMMANDS)
