"""`import tensorflow` and `import keras` mean this package, where TensorFlow is absent.

In a notebook: `%load_ext cnnexplain.as_tensorflow` before the first import of TensorFlow, and
`%unload_ext cnnexplain.as_tensorflow` for the way back. In a program: `install()` and `uninstall()`. From the
command line, without touching the file: `cnnexplain run FILE`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from typing import Any

from .modules import FOLLOWED, OWN, Finder, finders, forget

__all__ = ["install", "installed", "load_ipython_extension", "uninstall", "unload_ipython_extension", "used"]


def tensorflow_version() -> str | None:
    """The version of the TensorFlow that is installed beside this package; None without one.

    Of one whose version nobody can tell it is the empty string.
    """
    if "tensorflow" in sys.modules:  # ours, or imported before
        module = sys.modules["tensorflow"]
        return getattr(module, "__version__", "") if getattr(module, "_target", None) is None else None
    before = finders()
    for finder in before:
        sys.meta_path.remove(finder)
    try:
        found = importlib.util.find_spec("tensorflow")
    finally:
        sys.meta_path[:0] = before
    if found is None or found.origin is None:  # nothing, or a folder of that name
        return None
    for name in ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def installed() -> bool:
    """Whether `import tensorflow` and `import keras` mean this package now."""
    return bool(finders())


def install(replace: bool = False) -> bool:
    """Lets `import tensorflow`, `import keras` and their submodules mean this package.

    Both names change together or not at all. Where TensorFlow is installed nothing happens unless `replace`:
    then the names mean this package for what is imported from now on.

    Args:
        replace: also where TensorFlow is installed.

    Returns:
        Whether the names mean this package now.

    Raises:
        RuntimeError: TensorFlow or Keras has been imported already.

    >>> from cnnexplain import as_tensorflow
    >>> as_tensorflow.install(replace=True)
    True
    >>> import tensorflow as tf
    >>> from tensorflow.keras.layers import Dense
    >>> tf
    <module 'tensorflow': cnnexplain in its place>
    >>> as_tensorflow.uninstall()
    """
    if finders():
        return True
    if not replace and tensorflow_version() is not None:
        return False
    loaded = [name for name in ("tensorflow", "keras") if name in sys.modules]
    if loaded:
        raise RuntimeError(
            f"{loaded[0]} has been imported already: restart the kernel or the program and call this before "
            "the first import of TensorFlow or Keras"
        )
    sys.meta_path.insert(0, Finder())
    return True


def uninstall() -> None:
    """Gives the names back: `import tensorflow` means TensorFlow again, or fails where there is none.

    Modules and models that a program holds stay as they are.
    """
    for finder in finders():
        sys.meta_path.remove(finder)
    forget()


def used(ours: bool | None = None) -> str:
    """One sentence: what `import tensorflow` means.

    Args:
        ours: whether it means this package; None: as it is now.

    >>> from cnnexplain import as_tensorflow
    >>> as_tensorflow.install(replace=True), as_tensorflow.used()
    (True, '`import tensorflow` means cnnexplain ..., which follows TensorFlow ...')
    >>> as_tensorflow.uninstall()
    """
    if installed() if ours is None else ours:
        from ..version import VERSION

        return f"`import tensorflow` means {OWN} {VERSION}, which follows TensorFlow {FOLLOWED}"
    version = tensorflow_version()
    if version is None:
        return "`import tensorflow` means nothing here: TensorFlow is not installed"
    name = f"TensorFlow {version}".rstrip()
    return f"`import tensorflow` means {name}, which is installed here"


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext cnnexplain.as_tensorflow`: installs, says what is used and watches the cells."""
    from .notebook import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext cnnexplain.as_tensorflow`: the way back."""
    from .notebook import unload

    unload(shell)
