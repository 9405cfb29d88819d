"""Every operator and every form that opsets 9 to 21 give it, one idea each, odd sizes.

`CASES` is name -> Case. `Case.model()` builds the file, `Case.feeds` are its inputs, drawn by its title. What
they compute is recorded from ONNX Runtime by tests/fixtures/make_onnx_fixtures.py. `REFUSED` are valid graphs
that are not read, with a pattern of the reason.
"""

from __future__ import annotations

import graphs_elementwise
import graphs_layers
import graphs_refused
import graphs_shapes
from graphs import CASES, REFUSED

FAMILIES = (graphs_layers, graphs_elementwise, graphs_shapes, graphs_refused)
__all__ = ["CASES", "FAMILIES", "REFUSED"]
