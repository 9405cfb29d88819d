"""Optimizers that are one formula: names of states, the formula on arrays, and perhaps the engine's name for
it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from .base import Optimizer


class Rule(Optimizer):
    """An optimizer whose step is `_rule`. The engine takes whole steps where it knows the rule."""

    _own: tuple[str, ...] = ()  # settings beside those of every optimizer

    def _take(self, given: dict) -> None:
        """Initializes from the arguments of a constructor, its `locals()`."""
        given = dict(given)
        given.pop("self")
        own = {key: given.pop(key) for key in self._own}
        Optimizer.__init__(self, **given.pop("kwargs"), **given)
        self.__dict__.update(own)

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """The states of a variable: the names in a group are made variable by variable, group after group."""
        return ()

    def _initial(self, name: str) -> Any:
        return "zeros"

    def build(self, variables: Any) -> None:
        """Makes the states for these variables; called by the first step."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._states: list[list] = [[] for _ in variables]
        for names in self._groups():
            for states, variable in zip(self._states, variables, strict=True):
                states.extend(self.add_variable_from_reference(variable, n, self._initial(n)) for n in names)

    def _rule(self, g: Any, w: Any, s: list, rate: float, step: int) -> Any:
        """The new weight from the gradient, the weight and its states, which it replaces in `s`."""
        raise NotImplementedError

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's step: changes the variable and its states."""
        states = self._states[self._get_variable_index(variable)]
        arrays = [np.asarray(state) for state in states]
        gradient = np.asarray(gradient).astype(variable.dtype.name, copy=False)
        weight = self._rule(gradient, np.asarray(variable), arrays, float(learning_rate), self._count() + 1)
        self.assign(variable, weight)
        for state, array in zip(states, arrays, strict=True):
            self.assign(state, array)

    def _engine_rule(self) -> tuple[str, dict] | None:
        """The engine's name for the rule and its attributes."""
        return None

    def engine_step(self, variables: list) -> dict | None:
        """The arguments of the engine's step on these variables; None: only `apply` knows it."""
        around = self.use_ema or self.gradient_accumulation_steps or self.loss_scale_factor is not None
        if around or not type(self).apply.__module__.startswith(__package__):
            return None
        self._prepare(variables)
        return self._call(variables)

    def _call(self, variables: list) -> dict | None:
        if not type(self).update_step.__module__.startswith(__package__):
            return None
        rule = self._engine_rule()
        if rule is None:
            return None
        rate = float(self.learning_rate)
        call = {
            "update": rule[0],
            "attributes": rule[1] | {"learning_rate": rate},
            "state": [self._states[self._indices[variable.id]] for variable in variables],
            "step": self._count() + 1,
        }
        for kind in ("clipnorm", "clipvalue", "global_clipnorm"):
            limit = getattr(self, kind)
            if limit is not None:
                call["clip"] = {kind: float(limit)}
        if self.weight_decay is not None:
            call["decay"] = [float(self._decay_of(variable) or 0.0) * rate for variable in variables]
        return call

    def engine_step_taken(self) -> None:
        """Notes a step of the engine."""
        self._moved()
        super().engine_step_taken()

    def _moved(self) -> None:
        """What changes with a step beside the variables and their states."""

    def _move(self, gradients: list, variables: list) -> None:
        kinds = {variable.dtype.name for variable in variables}
        alike = len(kinds) == 1 and len({variable.id for variable in variables}) == len(variables)
        call = self._call(variables) if alike else None
        if call is None:
            super()._move(gradients, variables)
            return
        key = tuple(variable.id for variable in variables)
        movers = self.__dict__.setdefault("_movers", {})
        if key not in movers:
            movers.clear()
            movers[key] = _mover(variables)
        movers[key].train_step(gradients, movers[key].outputs[0], variables, **call)
        self._moved()

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return super().get_config() | {key: getattr(self, key) for key in self._own}


def _mover(variables: list) -> Any:
    """A program of gradients whose loss has just these gradients: the sum of all <gradient, variable>."""
    gradients = [_core.symbol(tuple(v.shape), v.dtype.name) for v in variables]
    loss: Any = 0.0
    for gradient, variable in zip(gradients, variables, strict=True):
        loss = _core.reduce_sum(_core.multiply(gradient, variable)) + loss
    return _core.Program(gradients, [loss])
