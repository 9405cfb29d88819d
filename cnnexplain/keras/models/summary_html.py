"""What a notebook shows of a model: its drawing, and its summary as a table."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

from .summary import Listing, listing, totals

_OPEN = 30  # rows; longer tables are folded


def model_html(model: Any) -> str:
    """HTML of the summary under the drawing, which a model without a known input shape has not."""
    found = listing(model)
    heading = f"<p><b>{escape(type(model).__name__)}</b> {escape(model.name)}</p>"
    count = f"{len(found.rows)} layers" if len(found.rows) != 1 else "1 layer"
    about = "<br>".join(escape(line.strip()) for line in totals(model))
    state = " open" if len(found.rows) <= _OPEN else ""
    return (
        f"{heading}{_drawing(model)}<details{state}><summary>{count}</summary>{_table(found)}</details>"
        f"<p>{about}</p>"
    )


def _table(found: Listing) -> str:
    def row(cells: list[str], tag: str) -> str:
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell).replace("   ", "&emsp;")}</{tag}>'
            for cell, side in zip(cells, found.align, strict=True)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in found.rows)
    return f"<table><thead><tr>{row(found.header, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def _drawing(model: Any) -> str:
    from ..drawing.blocks import draw_blocks

    try:
        scene = draw_blocks(model)
    except (ValueError, NotImplementedError):  # no input shape, or nothing that has a shape
        return ""
    picture = io.BytesIO()
    scene.figure().savefig(picture, format="svg")
    data = base64.b64encode(picture.getvalue()).decode()
    style = "max-width:100%;background:white"
    return (
        f'<img style="{style}" src="data:image/svg+xml;base64,{data}" alt="drawing of {escape(model.name)}">'
    )
