"""Pictures of models, and where a graph begins."""

from __future__ import annotations

import sys
from typing import Any


def plot_model(
    model: Any,
    to_file: Any = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    style: str = "blocks",
) -> Any:
    """Draws a model into a file.

    "blocks" is the drawing of papers: feature maps as boxes in perspective, their sides in proportion to
    rows, columns and channels (to the square roots of rows and columns where the largest map is more than ten
    times the smallest), kernels and pooling windows on the maps that they read, vectors as bars; nested
    models are drawn in place, and a model of more than 36 boxes shows one box for each run of layers of equal
    resolution. "graph" is the flow chart of layers. Neither needs Graphviz.

    Args:
        model: A model whose input shape is known.
        to_file: Path that ends in .svg, .png or .pdf; None writes nothing.
        show_shapes, show_dtype, show_layer_activations, show_trainable: What the flow chart says of each
            layer; the blocks always show shapes and activations.
        show_layer_names: Whether layers are named.
        rankdir: The flow chart's direction, "TB" (down) or "LR" (right).
        expand_nested: Whether the flow chart shows the layers of nested models, in a frame each.
        dpi: Dots per inch of a PNG.
        style: "blocks" or "graph".

    Returns:
        In a notebook the picture, elsewhere None.

    Raises:
        ValueError: For an unknown style, direction or suffix, or a model whose input shape is not known.

    >>> from cnnexplain import keras
    >>> layers = [keras.Input((28, 28, 1)), keras.layers.Conv2D(8, 3), keras.layers.MaxPooling2D()]
    >>> keras.utils.plot_model(keras.Sequential(layers), to_file=None)
    """
    from cnnexplain.plot import save

    from ..drawing.blocks import draw_blocks
    from ..drawing.flow import draw_flow

    if style == "blocks":
        scene = draw_blocks(model, show_layer_names)
    elif style == "graph":
        scene = draw_flow(
            model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested,
            show_layer_activations, show_trainable,
        )  # fmt: skip
    else:
        raise ValueError(f'`style` must be "blocks" or "graph". Received: style={style!r}')
    if to_file is not None:
        save(scene.figure(), to_file, dpi)
    return _shown(scene) if _in_notebook() else None


def get_source_inputs(tensor: Any) -> list:
    """The symbols of the inputs from which a symbol of a functional graph is computed.

    >>> from cnnexplain import keras
    >>> x = keras.Input((4,), name="numbers")
    >>> y = keras.layers.Dense(2)(x * 2.0)
    >>> keras.utils.get_source_inputs(y)[0] is x
    True
    """
    from ..nodes import sources

    return sources([tensor])


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _shown(scene: Any) -> Any:
    """The picture as IPython shows it."""
    import io

    from IPython.display import SVG

    text = io.StringIO()
    scene.figure().savefig(text, format="svg")
    return SVG(text.getvalue())
