"""`cnnexplain demo`: the lecture's figures."""

from __future__ import annotations

import argparse

HELP = "write the lecture's figures, and with the extra [imagenet] photographs explained"
DESCRIPTION = """
Writes the lecture's figures as PNG files: class activation maps, saliency, Grad-CAM, guided backpropagation
and unpooling on pictures of clothes that the package brings; with the extra [imagenet] also photographs, seen
by a network that knows ImageNet's 1,000 classes. Needs no network connection.
"""
EXAMPLES = """
cnnexplain demo
cnnexplain demo --out figures
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "-o", "--out", "--output", metavar="DIR", default="cnnexplain-demo",
        help="folder for the PNG files (%(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Writes the figures and says where they are."""
    from cnnexplain import demo

    demo.run(options.out)
    return 0
