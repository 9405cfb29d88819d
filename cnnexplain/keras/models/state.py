"""A model's settings and variables as plain data and in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np


class ModelState:
    """`get_compile_config`, `get_state_tree`, `save` and their opposites; a part of `Model`."""

    if TYPE_CHECKING:  # what the rest of Model has

        def __getattr__(self, name: str) -> Any: ...

    @property
    def jit_compile(self) -> bool:
        """False: the engine runs whole programs anyway."""
        return False

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        pass

    def get_compile_config(self) -> dict:
        """The arguments of `compile` as plain data; empty before it was called."""
        from ..saving.serialization import serialize_keras_object

        settings = self._compile_settings
        if settings is None:
            return {}
        settings = {**settings, "optimizer": self.optimizer, "run_eagerly": self.run_eagerly}
        return {key: serialize_keras_object(value) for key, value in settings.items()}

    def compile_from_config(self, config: dict) -> None:
        """Compiles as `get_compile_config` described."""
        from ..saving.serialization import deserialize_keras_object

        self.compile(**{key: deserialize_keras_object(value) for key, value in config.items()})
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict:
        """Every variable's value in nested dicts by path.

        Args:
            value_format: "backend_tensor", or "numpy_array" for arrays.

        Returns:
            {"trainable_variables": ..., "non_trainable_variables": ..., "optimizer_variables": ...,
            "metrics_variables": ...}
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ValueError(
                "`value_format` must be 'backend_tensor' or 'numpy_array'. Received: "
                f"value_format={value_format!r}"
            )

        def nested(variables: list) -> dict:
            tree: dict = {}
            for variable in variables:
                *outer, last = getattr(variable, "path", variable.name).split("/")
                place = tree
                for part in outer:
                    place = place.setdefault(part, {})
                place[last] = np.array(variable) if value_format == "numpy_array" else variable.read_value()
            return tree

        return {kind: nested(variables) for kind, variables in self._variable_groups().items()}

    def set_state_tree(self, state_tree: dict) -> None:
        """Sets the variables from what `get_state_tree` gave; groups and variables may be left out.

        Raises:
            ValueError: An unknown group or variable.
        """
        groups = self._variable_groups()
        for kind, tree in state_tree.items():
            if kind not in groups:
                raise ValueError(f"Unknown group {kind!r}. Known are: {', '.join(groups)}")
            by_path = {getattr(v, "path", v.name): v for v in groups[kind]}
            for path, value in _flat(tree):
                if path not in by_path:
                    raise ValueError(f"No variable has the path {path!r}. There are: {', '.join(by_path)}")
                by_path[path].assign(value)

    def _variable_groups(self) -> dict[str, list]:
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self.optimizer is not None else [],
            "metrics_variables": self.metrics_variables,
        }

    def make_train_function(self, force: bool = False) -> Any:
        """A function that takes an iterator of (x, y) batches, trains on the next and returns the logs."""
        self.train_function = lambda iterator: self.train_on_batch(*_batch(iterator), return_dict=True)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """A function that takes an iterator of (x, y) batches, evaluates the next and returns the logs."""
        self.test_function = lambda iterator: self.test_on_batch(*_batch(iterator), return_dict=True)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        """A function that takes an iterator of batches and returns the predictions for the next."""
        self.predict_function = lambda iterator: self.predict_on_batch(_batch(iterator)[0])
        return self.predict_function

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON text."""
        import json

        from ..saving.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Writes the model to a file."""
        from .. import saving

        if zipped is not None:
            kwargs["zipped"] = zipped
        saving.save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Writes the weights to a file; `max_shard_size` is accepted as None: one file holds them."""
        from .. import saving

        if max_shard_size is not None:
            raise ValueError(
                f"`max_shard_size` is not offered: one file holds all weights. Received: {max_shard_size}"
            )
        saving.save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights from a file."""
        from .. import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: Any = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Not offered."""
        raise NotImplementedError("`export` writes files for TensorFlow, which this package does not offer.")


def _batch(iterator: Any) -> tuple:
    batch = next(iterator)
    return tuple(batch) if isinstance(batch, (list, tuple)) else (batch,)


def _flat(tree: dict, start: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        found += _flat(value, f"{start}{key}/") if isinstance(value, dict) else [(f"{start}{key}", value)]
    return found
