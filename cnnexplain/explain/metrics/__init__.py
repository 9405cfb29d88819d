"""Numbers that judge explanations. Each is a `Metric` that says which way is better.

Of maps: `insertion`, `deletion`, `road`, `average_drop`, `increase_in_confidence`, and `pointing_game`
against masks of the objects. Of attributions as amounts: `completeness`, `infidelity`. Of a method:
`max_sensitivity`, `model_randomization`.
"""

from .again import max_sensitivity, model_randomization
from .amounts import completeness, infidelity
from .confidence import average_drop, increase_in_confidence
from .curves import deletion, insertion
from .pointing import pointing_game
from .result import Metric
from .road import road

__all__ = [
    "Metric",
    "average_drop",
    "completeness",
    "deletion",
    "increase_in_confidence",
    "infidelity",
    "insertion",
    "max_sensitivity",
    "model_randomization",
    "pointing_game",
    "road",
]
