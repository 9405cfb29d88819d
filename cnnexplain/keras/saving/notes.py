"""What this package knows of a model beyond Keras: class names, preprocessing, other names of its layers."""

from __future__ import annotations

from typing import Any

_TABLES = ("facts", "layer_aliases")  # notes that are dicts


def apply(model: Any, notes: Any) -> None:
    """Tells a model what `of` said of it; anything else is ignored."""
    if not isinstance(notes, dict):
        return
    names = notes.get("class_names")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        model.class_names = tuple(names)
    if isinstance(notes.get("preprocess"), str):
        model.preprocess = notes["preprocess"]
    for name in _TABLES:
        if isinstance(notes.get(name), dict):
            setattr(model, name, notes[name])


def of(model: Any) -> dict[str, Any]:
    """The notes on a model, as JSON has them."""
    found: dict[str, Any] = {}
    names = getattr(model, "class_names", None)
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        found["class_names"] = list(names)
    if isinstance(getattr(model, "preprocess", None), str):
        found["preprocess"] = model.preprocess
    for name in _TABLES:
        if isinstance(getattr(model, name, None), dict):
            found[name] = getattr(model, name)
    return found
