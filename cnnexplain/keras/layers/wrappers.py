"""Layers around a layer: along the time axis, and in both directions."""

from __future__ import annotations

from typing import Any

from cnnexplain import _core
from cnnexplain._sizes import sizes, split_rows

from .base import Layer
from .description import plain_data, policy
from .rnn import stack_steps


class Wrapper(Layer):
    """The base class of layers that hold another one, `layer`.

    Args:
        layer: A layer.

    >>> from cnnexplain import keras
    >>> keras.layers.Wrapper(keras.layers.Dense(2, name="inner")).layer.name
    'inner'
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"`layer` of {type(self).__name__} must be a Keras layer. Received: layer={layer} (of type "
                f"{type(layer).__name__})"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict:
        return {**super().get_config(), "layer": plain_data(self.layer)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        from ..saving.serialization import deserialize_keras_object

        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects)
        return cls(layer, **config)


def _sizes(shape: Any) -> list[int]:
    return [-1 if size is None else int(size) for size in shape]


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence, with the same weights.

    Args:
        layer: A layer for one step.

    Input (n, t, ...); output (n, t, ...).

    Raises:
        ValueError: No layer, an input of fewer than 3 axes, or a mask of other sizes than the input.

    >>> from cnnexplain import keras
    >>> video = keras.ops.ones((2, 5, 8, 8, 1))
    >>> tuple(keras.layers.TimeDistributed(keras.layers.Conv2D(3, 3))(video).shape)
    (2, 5, 6, 6, 3)
    """

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape: Any) -> tuple:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"`TimeDistributed` layer '{self.name}' must be called on inputs (batch, time, ...) of at "
                f"least 3 axes. Received: input_shape={input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        one = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (one[0], input_shape[1], *one[1:])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        self._step_shape(tuple(inputs.shape))
        steps = inputs.shape[1]
        spec = type(self.layer)._call_spec
        keywords = {"training": training} if spec.training else {}
        if mask is not None:
            pairs = zip(tuple(mask.shape)[:2], tuple(inputs.shape)[:2], strict=False)
            if len(mask.shape) < 2 or any(None not in (a, b) and a != b for a, b in pairs):
                raise ValueError(
                    f"`mask` of layer '{self.name}' must have the first two axes of the inputs, "
                    f"{tuple(inputs.shape)[:2]}. Received: mask of shape {tuple(mask.shape)}"
                )
        by_steps = (mask is not None and spec.mask) or self.layer.non_trainable_weights
        if steps is None and by_steps:
            raise ValueError(
                f"`TimeDistributed` layer '{self.name}' needs a known number of steps: give it to `Input`. "
                f"Received: inputs of shape {tuple(inputs.shape)}"
            )
        if by_steps:  # what a step leaves in the layer, the next one finds
            outputs = []
            for at in range(steps):
                if mask is not None and spec.mask:
                    keywords["mask"] = mask[:, at]
                outputs.append(self.layer(inputs[:, at], **keywords))
            return stack_steps(outputs)
        # All steps of all examples are examples of one batch.
        batch = inputs.shape[0]
        rows = -1 if batch is None or steps is None else batch * steps
        joined = self.layer(_core.reshape(inputs, shape=[rows, *_sizes(inputs.shape[2:])]), **keywords)
        if batch is None and steps is None:
            return split_rows(joined, *sizes(inputs)[:2])
        return _core.reshape(joined, shape=[*_sizes((batch, steps)), *_sizes(joined.shape[1:])])


class Bidirectional(Layer):
    """Runs a recurrent layer forwards and a copy of it backwards.

    Args:
        layer: An `RNN` layer, or one with `go_backwards`, `return_sequences`, `return_state` and `stateful`.
        merge_mode: "concat", "sum", "mul" or "ave" of the two outputs; None: a tuple of both.
        weights: Initial weights, the forward layer's first.
        backward_layer: The layer that runs backwards; None: made from `layer`.

    Call: as the layer; the first half of `initial_state` is for the forward layer. With `return_sequences`
    both outputs stand in the order of the input.

    Raises:
        ValueError: No layer, an unknown `merge_mode`, or layers that do not go together.

    Schuster & Paliwal, Bidirectional recurrent neural networks, 1997.

    >>> from cnnexplain import keras
    >>> layer = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))
    >>> tuple(layer(keras.ops.ones((2, 5, 4))).shape)
    (2, 5, 6)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and (name == "layer" or value is not None):
                raise ValueError(
                    f"`{name}` of Bidirectional must be a Keras layer. Received: {name}={value} (of type "
                    f"{type(value).__name__})"
                )
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(
                "`merge_mode` must be 'sum', 'mul', 'ave', 'concat' or None. Received: "
                f"merge_mode={merge_mode!r}"
            )
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward")
        self.backward_layer = backward_layer or _copy(layer, "backward", go_backwards=True)
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        if weights:
            half = len(weights) // 2
            self.forward_layer.__dict__["_initial_weights"] = weights[:half]
            self.backward_layer.__dict__["_initial_weights"] = weights[half:]
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "`layer` and `backward_layer` must differ in `go_backwards`. Received: go_backwards="
                f"{forward.go_backwards} for both"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            a, b = getattr(forward, name), getattr(backward, name)
            if a != b:
                raise ValueError(
                    f"`layer` and `backward_layer` must have the same `{name}`. Received: {a} and {b}"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)

    @property
    def states(self) -> Any:
        """The states that `stateful` keeps, the forward layer's first; None without."""
        if self.forward_layer.states and self.backward_layer.states:
            return (*self.forward_layer.states, *self.backward_layer.states)
        return None

    def reset_state(self) -> None:
        """Sets the states that `stateful` keeps to zero."""
        if not self.stateful:
            raise AttributeError(f"Layer '{self.name}' is not stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def compute_mask(self, _: Any, mask: Any = None) -> Any:
        """The mask of the sequence for outputs of every step."""
        if isinstance(mask, list):
            mask = mask[0]
        kept = mask if self.return_sequences else None
        masks = kept if self.merge_mode else (kept, kept)
        if self.return_state and self.states is not None:
            return (*(masks if isinstance(masks, tuple) else (masks,)), *[None] * len(self.states))
        return masks

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple = ()
        if self.return_state:
            shape, states = shape[0], tuple(shape[1:])
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        both = (shape,) if self.merge_mode else (shape, shape)
        if self.return_state:
            return (*both, *states, *states)
        return shape if self.merge_mode else both

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None
    ) -> Any:
        results = []
        half = len(initial_state) // 2 if initial_state is not None else 0
        for layer, part in ((self.forward_layer, slice(half)), (self.backward_layer, slice(half, None))):
            spec = type(layer)._call_spec
            keywords: dict[str, Any] = {"training": training} if spec.training else {}
            if spec.mask:
                keywords["mask"] = mask
            if initial_state is not None:
                keywords["initial_state"] = list(initial_state[part])
            results.append(layer(sequences, **keywords))
        states: tuple = ()
        if self.return_state:
            states = (*results[0][1:], *results[1][1:])
            results = [result[0] for result in results]
        forward, backward = results
        if self.return_sequences:
            backward = _core.reverse(backward, axis=[1])
        if self.merge_mode is None:
            return (forward, backward, *states)
        if self.merge_mode == "concat":
            output = _core.concat(forward, backward, axis=len(forward.shape) - 1)
        elif self.merge_mode == "mul":
            output = forward * backward
        else:
            output = forward + backward
            if self.merge_mode == "ave":
                output = output / 2.0
        return (output, *states) if self.return_state else output

    def get_config(self) -> dict:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": policy(self.dtype),
            "merge_mode": self.merge_mode,
            "layer": plain_data(self.forward_layer),
            "backward_layer": plain_data(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Any:
        from ..saving.serialization import deserialize_keras_object

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _copy(layer: Any, direction: str, **changes: Any) -> Any:
    """A new layer of the same configuration, named after its direction."""
    config = {
        **layer.get_config(),
        **changes,
        "name": f"{direction}_{layer.name.removeprefix(f'{direction}_')}",
    }
    return type(layer).from_config(config)
