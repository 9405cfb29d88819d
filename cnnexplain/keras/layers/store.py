"""The variables of one layer as a store of arrays, and what of Keras's layers is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

# Names of Keras that are not offered, and what to do instead.
GONE = {
    "add_metric": "Keep a metric as an attribute and call its `update_state` in `call`.",
    "stateless_call": "It belongs to JAX; variables hold their values: use `set_weights`.",
    "stateless_compute_loss": "It belongs to JAX; use `compute_loss`.",
    "quantize": "Weights are float32 or float64 here.",
    "quantized_build": "Weights are float32 or float64 here.",
    "quantized_call": "Weights are float32 or float64 here.",
    "get_quantization_layer_structure": "Weights are float32 or float64 here.",
    "rematerialized_call": "Values that backward needs and that were not kept are recomputed anyway.",
    "distribute_strategy": "One machine computes.",
    "distribute_reduction_method": "One machine computes.",
    "enable_lora": "Low-rank updates are not offered.",
}


_MADE_BY_BUILD = frozenset(
    (
        "kernel bias gamma beta moving_mean moving_variance depthwise_kernel pointwise_kernel embeddings "
        "alpha scale recurrent_kernel adapt_mean adapt_variance"
    ).split()
)


class Stored:
    """`save_own_variables`, `load_own_variables` and small properties of a layer."""

    if TYPE_CHECKING:  # what the rest of Layer has
        name: str
        built: bool

        def _own_variables(self) -> list: ...

        @property
        def dtype(self) -> str: ...

        @property
        def metrics(self) -> list: ...

    def __getattr__(self, name: str) -> Any:
        if name in GONE:
            raise AttributeError(f"`{name}` is not offered. {GONE[name]}")
        known = getattr(type(self), name, None)
        if isinstance(known, property) and known.fget is not None:
            return known.fget(self)  # it raised AttributeError: again, for its own message
        if name == "name":
            raise RuntimeError(
                f"In '{type(self).__name__}' call `super().__init__()` as the first statement of `__init__`."
            )
        hint = ""
        if name in _MADE_BY_BUILD and not self.__dict__.get("built"):
            hint = ": the layer is not built yet. Call it on data, or `build(input_shape)`, before"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    @property
    def input_dtype(self) -> str:
        """The dtype that inputs are brought to."""
        return self.dtype

    @property
    def quantization_mode(self) -> None:
        """None: weights are floats."""
        return None

    @property
    def metrics_variables(self) -> list:
        """The variables of the metrics."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables, not those of layers inside, to store["0"], store["1"] ..."""
        for place, variable in enumerate(self._own_variables()):
            store[str(place)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        Raises:
            ValueError: Another number of arrays, or a wrong shape.
        """
        variables = self._own_variables()
        if len(store) != len(variables):
            hint = "" if self.built else " The layer has not been built: call it, or `build`, before."
            raise ValueError(
                f"Layer '{self.name}' expected {len(variables)} variables, but received {len(store)} "
                f"variables during loading. Expected: {[v.name for v in variables]}.{hint}"
            )
        for place, variable in enumerate(variables):
            value = np.asarray(store[str(place)])
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"Layer '{self.name}': variable '{variable.name}' has shape {tuple(variable.shape)}, the "
                    f"stored one {value.shape}."
                )
            variable.assign(value.astype(variable.dtype.name))
