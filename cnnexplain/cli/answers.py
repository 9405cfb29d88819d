"""What a network answers: its most probable classes, whichever of them is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .networks import Network

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answer:
    """A class and its probability."""

    class_index: int
    class_name: str | None
    probability: float

    @property
    def label(self) -> str:
        """The name for people."""
        return plain(self.class_name, self.class_index)


def plain(name: str | None, index: int) -> str:
    """A class for people: its name, else its number."""
    return f"class {index}" if name is None else name.replace("_", " ")


def probabilities(network: Network, images: list[Any], batch_size: int) -> np.ndarray | None:
    """(n, classes) for pictures of one size; None where the output is no list of classes."""
    import numpy as np

    from cnnexplain.explain.arguments import open_session
    from cnnexplain.explain.sampling import first_look

    shared = {"preprocess": network.preprocess, "batch_size": batch_size}
    session = open_session("answers", network.model, images, None, shared)
    target = session.target
    if target.units is None:
        return None
    z = first_look(session, [("logits", target.logits)])["logits"].reshape(len(images), -1).astype(np.float64)
    if target.units == 1:
        p = 1 / (1 + np.exp(-z))
        return np.concatenate([1 - p, p], 1)
    if target.kind == "sigmoid":
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def best(network: Network, row: np.ndarray, count: int) -> list[Answer]:
    """The most probable classes of one picture, the first one first."""
    names = network.class_names
    order = (-row).argsort(kind="stable")[:count]
    return [Answer(int(c), names[c] if names else None, float(row[c])) for c in order]
