"""Every public name has a docstring, Keras's classes also arguments and an example; the examples run."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import json
import pkgutil
from pathlib import Path

import pytest

import cnnexplain
from cnnexplain import _names

SURFACE = json.loads((Path(__file__).parent / "fixtures" / "keras_surface.json").read_text())["families"]
OTHERS = ("models", "saving", "backend", "config", "datasets", "applications", "tree", "preprocessing")
WITH_EXAMPLES = ("layers", "losses", "metrics", "optimizers", "optimizers.schedules", "callbacks")


def modules() -> list[str]:
    found = [info.name for info in pkgutil.walk_packages(cnnexplain.__path__, "cnnexplain.")]
    found = [name for name in found if (importlib.util.find_spec(name).origin or "").endswith(".py")]
    return ["cnnexplain", *sorted(name for name in found if not name.endswith(".__main__"))]


@pytest.mark.parametrize("name", modules())
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert not results.failed, f"{results.failed} of {results.attempted} examples of {name} failed: see above"


def own_docstring(thing) -> str:
    """Not one that a class inherits."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return inspect.cleandoc(text or "")


def of_keras() -> list[tuple[str, str, object]]:
    modules = {family: importlib.import_module(f"cnnexplain.keras.{family}") for family in SURFACE}
    found = [
        (family, name, getattr(modules[family], name, None)) for family in SURFACE for name in SURFACE[family]
    ]
    return [(family, name, thing) for family, name, thing in found if callable(thing)]


def of_other_modules() -> list[tuple[str, str, object]]:
    found = []
    for home in OTHERS:
        module = importlib.import_module(f"cnnexplain.keras.{home}")
        public = getattr(module, "__all__", None) or [
            name for name in dir(module) if not name.startswith("_")
        ]
        found += [(home, name, getattr(module, name)) for name in public]
    ours = [entry for entry in found if getattr(entry[2], "__module__", "").startswith("cnnexplain.")]
    return [(home, name, thing) for home, name, thing in ours if callable(thing)]


def of_tensorflow() -> list[tuple[str, str, object]]:
    found = [("cnnexplain", name, getattr(cnnexplain, name)) for name in _names.PUBLIC]
    for _, home, module in list(found):
        if inspect.ismodule(module) and home != "keras":
            found += [(home, name, getattr(module, name)) for name in getattr(module, "__all__", ())]
    return [
        (home, name, thing) for home, name, thing in found if callable(thing) and not inspect.ismodule(thing)
    ]


def test_every_public_name_is_described():
    bare = [
        f"{home}.{name}" for home, name, thing in of_keras() + of_tensorflow() if not own_docstring(thing)
    ]
    assert not bare, f"no docstring: {bare}"


def test_classes_describe_their_arguments():
    bare = []
    for family, name, thing in of_keras():
        if inspect.isclass(thing) and family in WITH_EXAMPLES and "Args:" not in own_docstring(thing):
            parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
            named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            if set(named) - {"name", "dtype"}:
                bare.append(f"{family}.{name}")
    assert not bare, f"no section Args: {bare}"


def test_classes_have_examples():
    bare = [
        f"{family}.{name}"
        for family, name, thing in of_keras()
        if inspect.isclass(thing) and family in WITH_EXAMPLES and ">>>" not in own_docstring(thing)
    ]
    assert not bare, f"no example: {bare}"
