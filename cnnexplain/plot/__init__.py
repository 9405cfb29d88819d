"""Pictures: figures of matplotlib, which is imported when one is made; they need no window and no pyplot.

`history` and `confusion_matrix` show a training, `feature_maps` and `filters` what a layer holds, `overlay`
lays maps over images. Explanations, comparisons and metrics draw themselves: `explanation.plot()`.
"""

from __future__ import annotations

from .colours import HEAT, checked_alpha, colour_map, overlay, to_rgb
from .explanations import class_label, explanation_figure
from .figures import bar, bare_image, chosen_axes, new_figure, png, positive, save, values
from .grids import feature_maps, filters
from .lecture import lecture_panels, picture_rows, probabilities, unpooling_figure
from .training import confusion_matrix, history

__all__ = [
    "HEAT",
    "bar",
    "bare_image",
    "checked_alpha",
    "chosen_axes",
    "class_label",
    "colour_map",
    "confusion_matrix",
    "explanation_figure",
    "feature_maps",
    "filters",
    "history",
    "lecture_panels",
    "new_figure",
    "overlay",
    "picture_rows",
    "png",
    "positive",
    "probabilities",
    "save",
    "to_rgb",
    "unpooling_figure",
    "values",
]
