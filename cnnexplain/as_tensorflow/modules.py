"""The modules that `import tensorflow` and `import keras` find: facades over the modules of this package."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from . import stand_ins

OWN = __name__.partition(".")[0]
FOLLOWED = "2.21.0"  # the TensorFlow whose behaviour is followed: what programs compare `tf.__version__` with
ROOTS = {"tensorflow": OWN, "keras": f"{OWN}.keras"}

# Other places of names, most of them in older releases, and where they are; what is below moves with it.
_MOVED = {
    "tensorflow.compat.v2": "tensorflow",
    "tensorflow.python.keras": "tensorflow.keras",
    "tensorflow.losses": "tensorflow.keras.losses",
    "tensorflow.metrics": "tensorflow.keras.metrics",
    "tensorflow.optimizers": "tensorflow.keras.optimizers",
    "tensorflow.initializers": "tensorflow.keras.initializers",
    "tensorflow.keras.layers.experimental.preprocessing": "tensorflow.keras.layers",
    "tensorflow.keras.optimizers.legacy": "tensorflow.keras.optimizers",
    "tensorflow.keras.optimizers.experimental": "tensorflow.keras.optimizers",
    "keras.layers.experimental.preprocessing": "keras.layers",
    "keras.optimizers.legacy": "keras.optimizers",
    "keras.utils.np_utils": "keras.utils",
    "keras.layers.core": "keras.layers",
    "keras.layers.convolutional": "keras.layers",
    "keras.layers.pooling": "keras.layers",
    "keras.layers.normalization": "keras.layers",
    "keras.layers.merge": "keras.layers",
    "keras.layers.advanced_activations": "keras.layers",
    "keras.engine.topology": "keras.layers",
}
# Names that TensorFlow has and this package has no use for: facade -> its own names.
_ADDED: dict[str, dict[str, Any]] = {
    "tensorflow": {"__version__": FOLLOWED},
    "tensorflow.version": {"VERSION": FOLLOWED, "__version__": FOLLOWED, "GIT_VERSION": f"v{FOLLOWED}"},
    "tensorflow.test": stand_ins.TEST,
    "tensorflow.compat.v1": {},
    "tensorflow.compat.v1.logging": stand_ins.LOGGING,
}
_PARENTS = {name.rpartition(".")[0] for name in (*_MOVED, *_ADDED)}

_made: dict[str, Facade] = {}


class Facade(types.ModuleType):
    """A module under TensorFlow's or Keras's name whose attributes are those of a module of this package."""

    def __init__(self, name: str, target: types.ModuleType | None):
        said = f"{target.__name__} under TensorFlow's name." if target is not None else None
        super().__init__(name, said)
        self.__path__: list[str] = []
        self._target = target
        vars(self).update(_ADDED.get(name, {}))

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [public for public in dir(self) if not public.startswith("_")]
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        below = f"{self.__name__}.{name}"
        if below in _MOVED or below in _ADDED or below in _PARENTS:
            return facade(below)
        if self._target is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(self._target, name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith(f"{OWN}.keras"):
            return facade(below) or value
        return value

    def __dir__(self) -> list[str]:
        own = [name for name in vars(self) if name != "_target"]
        return sorted({*own, *(dir(self._target) if self._target is not None else ())})

    def __repr__(self) -> str:
        target = self._target.__name__ if self._target is not None else OWN
        return f"<module {self.__name__!r}: {target} in its place>"


def facade(name: str) -> Facade | None:
    """The module that stands for this name of TensorFlow or Keras; None where there is none.

    >>> facade("tensorflow.keras.layers")
    <module 'tensorflow.keras.layers': cnnexplain.keras.layers in its place>
    >>> facade("tensorflow.lite") is None
    True
    """
    if name not in _made:
        try:
            target = _target(name)
        except ModuleNotFoundError:
            if name not in _ADDED and name not in _PARENTS:
                return None
            target = None
        _made[name] = Facade(name, target)
    return _made[name]


def _target(name: str) -> types.ModuleType:
    for old, new in _MOVED.items():
        if name == old or name.startswith(f"{old}."):
            name = new + name[len(old) :]
    root, _, rest = name.partition(".")
    if root not in ROOTS:
        raise ModuleNotFoundError(name)
    return importlib.import_module(f"{ROOTS[root]}.{rest}" if rest else ROOTS[root])


class Finder(MetaPathFinder, Loader):
    """Answers the import of TensorFlow's and Keras's modules with facades."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOTS or facade(fullname) is None:
            return None
        return ModuleSpec(fullname, self, origin=OWN, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return facade(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def finders() -> Sequence[Finder]:
    """Those that are installed now: one or none."""
    return [finder for finder in sys.meta_path if isinstance(finder, Finder)]


def forget() -> None:
    """Takes the facades out of what has been imported; who holds one keeps it."""
    for name in [name for name, module in sys.modules.items() if isinstance(module, Facade)]:
        del sys.modules[name]
