"""The reference: a page for every public module, written from the package's own names before Sphinx reads.

No list of names is kept by hand: the modules are found from `cnnexplain`, their names are their `__all__`. A
thing with several names is described where its name is shortest, `cnnexplain.reduce_sum` rather than
`cnnexplain.math.reduce_sum`; its other names point there.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import escaped

FOLDER = "generated"
ALONE = ("cnnexplain.explain.relevance_rules", "cnnexplain.testing")  # imported by their own names
EXPLAINING = ("explain", "ops", "plot", "models", "demo", "testing")
KINDS = {"function": "Functions", "class": "Classes", "data": "Values"}
COPIES = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}  # of the top level, as pages


def public_names(module: ModuleType) -> list[str]:
    if module.__name__ == "cnnexplain":
        from cnnexplain import _names

        return list(_names.PUBLIC)
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(set(listed))
    return sorted(
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    )


def public_modules() -> dict[str, ModuleType]:
    """All that can be reached from `cnnexplain` by public names, and those of `ALONE` that there are."""
    found: dict[str, ModuleType] = {}

    def visit(name: str, module: ModuleType) -> None:
        if name in found or any(module is other for other in found.values()):
            return
        found[name] = module
        for child in public_names(module):
            thing = getattr(module, child)
            if inspect.ismodule(thing) and thing.__name__.startswith("cnnexplain"):
                visit(f"{name}.{child}", thing)

    visit("cnnexplain", importlib.import_module("cnnexplain"))
    for name in ALONE:
        if importlib.util.find_spec(name):
            visit(name, importlib.import_module(name))
    return found


def public_things(modules: dict[str, ModuleType]) -> list[tuple[str, str, Any]]:
    """(module, name, thing), the thing's own and shortest name first."""

    def rank(entry: tuple[str, str, Any]) -> tuple:
        home, name, thing = entry
        return getattr(thing, "__name__", name) != name, home.count("."), home, name

    found = [
        (home, name, getattr(module, name))
        for home, module in modules.items()
        for name in public_names(module)
    ]
    return sorted((entry for entry in found if not inspect.ismodule(entry[2])), key=rank)


def pages() -> dict[str, str]:
    """The text of each page, by its name."""
    modules = public_modules()
    things = public_things(modules)
    classes = [thing for _, _, thing in things if inspect.isclass(thing)]
    homes: dict[int, str] = {}
    entries: dict[str, dict[str, list[str]]] = {home: {kind: [] for kind in KINDS} for home in modules}
    others: dict[str, list[str]] = {home: [] for home in modules}
    for home, name, thing in things:
        full = f"{home}.{name}"
        first = homes.setdefault(id(thing), full) if callable(thing) else full
        if first != full:
            others[home].append(f"- ``{name}``: :py:obj:`{first.removeprefix('cnnexplain.')} <{first}>`")
        elif not callable(thing):
            entry = f".. py:data:: {full}\n   :no-typesetting:\n\n- ``{name}``: {value(thing)}\n"
            entries[home]["data"].append(entry)
        elif inspect.isclass(thing):
            members = own_members(thing, classes)
            option = f"   :members: {', '.join(members)}\n" if members else ""
            entries[home]["class"].append(f".. autoclass:: {full}\n{option}")
        else:
            entries[home]["function"].append(f".. autofunction:: {full}\n")
    made = {home: page(home, entries[home], others[home]) for home in modules}
    return made | {"index": index(modules)}


def own_members(kind: type, public: list[Any]) -> list[str]:
    """What a class adds to its public bases: `call` of a layer is described at `Layer`."""
    inherited = {
        part
        for base in kind.__mro__[1:]
        if base in public or not base.__module__.startswith("cnnexplain")
        for part in base.__mro__
    }
    known = {name for part in inherited for name in vars(part)}
    found: dict[str, Any] = {}
    for part in kind.__mro__:
        if part not in inherited:
            found = dict(vars(part)) | found
    return [
        name
        for name, thing in found.items()
        if not name.startswith("_") and name not in known and is_member(thing) and thing.__doc__
    ]


def is_member(thing: Any) -> bool:
    return inspect.isroutine(thing) or isinstance(thing, property)


def value(thing: Any) -> str:
    text = repr(thing)
    return f"``{text}``" if len(text) < 60 and "\n" not in text else f"of type ``{type(thing).__name__}``"


def heading(title: str, line: str) -> str:
    return f"{title}\n{line * len(title)}\n"


def page(home: str, entries: dict[str, list[str]], others: list[str]) -> str:
    parts = [heading(home, "="), f".. automodule:: {home}\n   :no-members:\n"]
    for kind, title in KINDS.items():
        if entries[kind]:
            parts += [heading(title, "-"), *sorted(entries[kind], key=str.lower)]
    if others:
        parts += [heading("Other names", "-"), *sorted(others, key=str.lower)]
    return "\n".join(parts) + "\n"


def index(modules: dict[str, ModuleType]) -> str:
    """What each module is for, and the tree of the pages."""
    parts = [
        heading("Reference", "="),
        "Every public name, from the docstrings. ``import cnnexplain as cx`` and "
        "``import cnnexplain as tf`` are both usual.\n",
    ]
    groups: dict[str, list[str]] = {"Explanations": [], "Keras": [], "TensorFlow's functions": []}
    for home in modules:
        part = home.partition(".")[2].partition(".")[0]
        title = (
            "Explanations" if part in EXPLAINING else "Keras" if part == "keras" else "TensorFlow's functions"
        )
        groups[title].append(home)
    for title, homes in groups.items():
        homes.sort(key=lambda home: (not home.startswith("cnnexplain.explain"), home))
        parts += [heading(title, "-"), ".. list-table::\n   :widths: 35 65\n"]
        for home in homes:
            first = (inspect.getdoc(modules[home]) or "").split("\n\n")[0]
            about = " ".join(escaped(first).split())
            parts.append(f"   * - :doc:`{home.removeprefix('cnnexplain.')} <{home}>`\n     - {about}")
        tree = "\n".join(f"   {home.removeprefix('cnnexplain.')} <{home}>" for home in homes)
        parts.append(f"\n.. toctree::\n   :hidden:\n\n{tree}\n")
    return "\n".join(parts)


def write(app: Any) -> None:
    """Only what has changed, so that the next build reads only that."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    texts = {f"{name}.rst": text for name, text in pages().items()}
    for name, file in COPIES.items():
        text = (folder.parents[1] / file).read_text(encoding="utf-8")
        texts[f"{name}.md"] = text.replace("](docs/", "](../").replace("](notebooks/", "](../../notebooks/")
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for file, text in texts.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def to_copies(app: Any, page: str, source: list[str]) -> None:
    """Pages point to files of the repository: some are pages here, the others become downloads."""
    up = "../" * page.count("/")
    for name, file in COPIES.items():
        source[0] = source[0].replace(f"]({up}../{file}", f"]({up}{FOLDER}/{name}.md")
    source[0] = source[0].replace(f"]({up}../", f"](path:{up}../")


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", write)
    app.connect("source-read", to_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
