"""`cnnexplain draw`: the drawing of a network."""

from __future__ import annotations

import argparse

from . import options as shared
from .networks import untrained
from .output import check_file, named

HELP = "draw a network, as papers do or as a flow chart"
DESCRIPTION = """
Draws a network into an SVG, PNG or PDF file: its feature maps as boxes in perspective, as papers show them,
or a flow chart of its layers. Needs neither Graphviz nor trained weights.
"""
EXAMPLES = """
cnnexplain draw network.keras
cnnexplain draw VGG16 --out vgg16.pdf
cnnexplain draw ResNet50 --style graph --shapes --out resnet50.svg
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    shared.model(parser, weights=False)
    parser.add_argument(
        "--style", choices=["blocks", "graph"], default="blocks", help="boxes or a flow chart (%(default)s)"
    )
    parser.add_argument(
        "--shapes", action="store_true", help="shapes in the flow chart; boxes always have them"
    )
    parser.add_argument("--names", action="store_true", help="the layers' names")
    parser.add_argument(
        "--nested", action="store_true", help="in the flow chart, the layers of nested models"
    )
    parser.add_argument(
        "--dpi", type=shared.positive, default=200, metavar="N", help="of a PNG (%(default)s)"
    )
    shared.out(parser, "FILE", ".svg, .png or .pdf (%(default)s)", "model.svg")


def run(options: argparse.Namespace) -> int:
    """Writes the drawing and says where it is."""
    from cnnexplain.keras.utils import plot_model

    check_file(options.out, (".svg", ".png", ".pdf"), "--out")
    network = untrained(options.model, blank=True)
    with named(options.out):
        plot_model(
            network.model,
            options.out,
            show_shapes=options.shapes,
            show_layer_names=options.names,
            expand_nested=options.nested,
            dpi=options.dpi,
            style=options.style,
        )
    print(f"written: {options.out}")
    return 0
