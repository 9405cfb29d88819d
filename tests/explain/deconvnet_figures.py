"""Makes the figures of docs/deconvnet.md: python tests/explain/deconvnet_figures.py."""

from __future__ import annotations

from pathlib import Path

import cnnexplain as cx
from cnnexplain.plot import png

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    network = cx.demo.load_network()
    images, _ = cx.demo.load_test_images()
    e = cx.explain.deconvnet(network, images[[0, 5, 9]], "conv2d_2")
    figures = {
        "deconvnet": e.plot(),
        "deconvnet-steps": e[0].plot_steps(),
        "deconvnet-top": cx.explain.top_activations(network, images, "conv2d_2", range(8)).plot(),
    }
    for name, figure in figures.items():
        (DOCS / f"{name}.png").write_bytes(png(figure, 72))


if __name__ == "__main__":
    main()
