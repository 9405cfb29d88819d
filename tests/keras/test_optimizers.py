"""Optimizers beside their formulas: options, subclasses, the engine's step, configurations."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

optimizers = keras.optimizers
ALL = [
    optimizers.SGD, optimizers.RMSprop, optimizers.Adam, optimizers.AdamW, optimizers.Adadelta,
    optimizers.Adagrad, optimizers.Adamax, optimizers.Nadam, optimizers.Ftrl, optimizers.Lion,
    optimizers.Lamb, optimizers.Adafactor, optimizers.Muon, optimizers.ScheduleFreeAdamW,
]  # fmt: skip
COMMON = [
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps", "name",
]  # fmt: skip


def weights():
    return [tf.Variable([[1.0, -2.0], [3.0, 0.5]], name="kernel"), tf.Variable([0.5, -1.0], name="bias")]


def gradients(step):
    rng = np.random.RandomState(step)
    return [rng.standard_normal((2, 2)).astype("float32"), rng.standard_normal(2).astype("float32")]


def network(optimizer, seed=0):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(2)]
    )
    rng = np.random.RandomState(seed)
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    model.compile(optimizer, "mse")
    return model


def data():
    rng = np.random.RandomState(3)
    return rng.standard_normal((20, 4)).astype("float32"), rng.standard_normal((20, 2)).astype("float32")


@pytest.mark.parametrize("cls", ALL)
def test_every_optimizer_takes_every_common_setting(cls):
    assert set(COMMON) <= set(inspect.signature(cls).parameters)
    given = {
        "clipnorm": 0.5, "weight_decay": 0.25, "use_ema": True, "ema_momentum": 0.5,
        "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2, "name": "mine",
    }  # fmt: skip
    config = cls(0.125, **given).get_config()
    assert given.items() <= config.items() and config["learning_rate"] == 0.125
    assert cls.from_config(config).get_config() == config
    again = optimizers.deserialize(optimizers.serialize(cls(0.125, **given)))
    assert type(again) is cls and again.get_config() == config


@pytest.mark.parametrize("cls", ALL)
def test_a_step_lowers_the_loss_of_fit_and_is_the_step_of_apply(cls):
    """`fit`, in the engine or not, and `apply` on the tape's gradients give one result."""
    x, y = data()
    a, b = network(cls(0.01)), network(cls(0.01))
    before = a.evaluate(x, y, verbose=0)
    a.fit(x, y, batch_size=20, epochs=3, shuffle=False, verbose=0)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(b(x) - y))
        b.optimizer.apply(tape.gradient(loss, b.trainable_weights), b.trainable_weights)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=2e-4, atol=2e-5)
    assert a.evaluate(x, y, verbose=0) < before
    assert int(a.optimizer.iterations) == int(b.optimizer.iterations) == 3


def test_weight_decay_leaves_out_what_is_excluded():
    w = weights()
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([np.zeros((2, 2)), np.zeros(2)], w)
    np.testing.assert_array_equal(w[0].numpy(), [[0.75, -1.5], [2.25, 0.375]])
    np.testing.assert_array_equal(w[1].numpy(), [0.5, -1.0])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])
    model = network(optimizers.SGD(0.5, weight_decay=0.5))
    model.optimizer.exclude_from_weight_decay(var_list=[model.layers[1].kernel])
    kept, decayed = model.layers[1].kernel.numpy(), model.layers[0].kernel.numpy()
    model.layers[1].bias.assign([0.0, 0.0])
    x = np.zeros((4, 4), "float32")
    model.fit(x, model.predict(x, verbose=0), verbose=0)
    np.testing.assert_allclose(model.layers[1].kernel.numpy(), kept, atol=1e-6)
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), 0.75 * decayed, atol=1e-6)


def test_accumulated_gradients_make_one_step_of_their_mean():
    a, b = weights(), weights()
    many, one = optimizers.SGD(0.5, gradient_accumulation_steps=2), optimizers.SGD(0.5)
    start = [w.numpy() for w in a]
    many.apply(gradients(0), a)
    for w, value in zip(a, start, strict=True):
        np.testing.assert_array_equal(w.numpy(), value)
    many.apply(gradients(1), a)
    one.apply([(g + h) / 2 for g, h in zip(gradients(0), gradients(1), strict=True)], b)
    for v, w in zip(a, b, strict=True):
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-6)
    assert int(many.iterations) == 1


def test_averages_take_the_place_of_the_weights():
    w = [tf.Variable([0.0])]
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(3):
        optimizer.apply([np.array([-1.0])], w)
    assert w[0].numpy() == 3
    optimizer.finalize_variable_values(w)
    assert w[0].numpy() == (1 * 0.25 + 2 * 0.25 + 3 * 0.5)


class Momentum(optimizers.Optimizer):
    """As the guide to Keras's optimizers writes one."""

    def __init__(self, learning_rate=0.5, momentum=0.5, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = []
        for variable in variables:
            self.momentums.append(
                self.add_variable_from_reference(reference_variable=variable, name="momentum")
            )

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = tf.cast(learning_rate, variable.dtype)
        gradient = tf.cast(gradient, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, m * tf.cast(self.momentum, variable.dtype) - gradient * learning_rate)
        self.assign_add(variable, m)

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum}


@pytest.mark.parametrize("options", [{}, {"clipnorm": 0.1}, {"weight_decay": 0.01}, {"global_clipnorm": 0.1}])
def test_a_subclass_steps_as_the_optimizer_that_it_imitates(options):
    x, y = data()
    a, b = network(Momentum(**options)), network(optimizers.SGD(0.5, momentum=0.5, **options))
    for model in (a, b):
        model.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-5)
    assert [v.name for v in a.optimizer.variables][:2] == ["iteration", "learning_rate"]
    assert len(a.optimizer.variables) == len(b.optimizer.variables) == 6


def test_a_subclass_of_a_rule_changes_its_step():
    class Half(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient * 0.5, variable, learning_rate)

    x, y = data()
    a, b = network(Half(0.5)), network(optimizers.SGD(0.25))
    for model in (a, b):
        model.fit(x, y, shuffle=False, verbose=0)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-5, atol=1e-6)


def test_forgetting_super_is_named():
    class Bad(optimizers.Optimizer):
        def __init__(self):
            self.x = 1

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Bad()


@pytest.mark.parametrize("cls", ALL)
def test_states_are_stored_and_given_back(cls):
    """Twice three steps are six steps, with the variables in a store between."""
    a, b = weights(), weights()
    first, second = cls(0.01), cls(0.01)
    for step in range(6):
        first.apply(gradients(step), a)
    for step in range(3):
        second.apply(gradients(step), b)
    store = {}
    second.save_own_variables(store)
    third = cls(0.01)
    third.build(b)
    third.load_own_variables(store)
    for step in range(3, 6):
        third.apply(gradients(step), b)
    for v, w in zip(a, b, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    fourth = cls(0.01)
    fourth.build(b)
    fourth.set_weights(third.variables)
    for v, w in zip(fourth.variables, third.variables, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        fourth.load_own_variables({"0": np.array(1)})
    again = pickle.loads(pickle.dumps(third))
    assert again.get_config() == third.get_config()


@pytest.mark.parametrize("cls", [optimizers.SGD, optimizers.Adam, optimizers.Nadam])
def test_a_step_without_changes(cls):
    a, b = weights(), weights()
    optimizer, other = cls(0.1), cls(0.1)
    optimizer.build(a)
    new, states = optimizer.stateless_apply(
        [np.array(v) for v in optimizer.variables], gradients(0), [np.array(v) for v in a]
    )
    other.apply(gradients(0), b)
    for v, w, before in zip(new, b, a, strict=True):
        np.testing.assert_array_equal(np.array(v), w.numpy())
        assert (before.numpy() != w.numpy()).any()
    for v, w in zip(states, other.variables, strict=True):
        np.testing.assert_array_equal(np.array(v), w.numpy())
    assert int(optimizer.iterations) == 0


def test_the_scale_of_the_loss_grows_and_falls():
    w = [tf.Variable([1.0])]
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5), initial_scale=4.0, dynamic_growth_steps=2)
    assert float(optimizer.scale_loss(1.0)) == 4.0
    optimizer.apply([np.array([4.0])], w)
    assert w[0].numpy() == 0.5
    optimizer.apply([np.array([4.0])], w)
    assert w[0].numpy() == 0 and float(optimizer.scale_loss(1.0)) == 8.0
    optimizer.apply([np.array([np.inf])], w)
    assert w[0].numpy() == 0 and float(optimizer.scale_loss(1.0)) == 4.0 and int(optimizer.iterations) == 2
    x, y = data()
    a, b = network(optimizers.LossScaleOptimizer(optimizers.SGD(0.25))), network(optimizers.SGD(0.25))
    for model in (a, b):
        model.fit(x, y, shuffle=False, verbose=0)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-5, atol=1e-6)


def test_rates_are_set_and_schedules_are_not():
    optimizer = optimizers.Adam(0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate.assign(0.125)
    assert optimizer.get_config()["learning_rate"] == 0.125
    optimizer.learning_rate = optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    assert float(optimizer.learning_rate) == 0.5 and len(optimizer.variables) == 1
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1
    again = optimizers.Adam.from_config(optimizer.get_config())
    assert again.get_config()["learning_rate"]["class_name"] == "ExponentialDecay"
    assert again.get_config()["learning_rate"]["module"] == "keras.optimizers.schedules"


def test_a_schedule_of_the_user_sees_the_step():
    seen = []

    class Warm(optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            step = tf.cast(step, tf.float32)
            seen.append(float(step))
            return tf.minimum(step / 4.0, 1.0)

    w = [tf.Variable([0.0])]
    optimizer = optimizers.SGD(Warm())
    for _ in range(6):
        optimizer.apply([np.array([-1.0])], w)
    assert w[0].numpy() == 0 + 0.25 + 0.5 + 0.75 + 1 + 1 and seen == [0, 1, 2, 3, 4, 5]
    x, y = data()
    model = network(optimizers.SGD(Warm()))
    model.fit(x, y, batch_size=5, verbose=0)
    assert seen[6:] == [0, 1, 2, 3]
    with pytest.raises(NotImplementedError, match="get_config"):
        Warm().get_config()


def test_schedules_take_many_steps_at_once():
    schedule = optimizers.schedules.CosineDecay(1.0, 4, alpha=0.5)
    np.testing.assert_allclose(
        np.array(schedule(np.arange(6))), [1, 0.926777, 0.75, 0.573223, 0.5, 0.5], rtol=1e-5
    )


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: optimizers.SGD(momentum=2.0), "`momentum` must be a float between"),
        (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "Only one of"),
        (lambda: optimizers.Adam(clipnorm=-1.0), "must be positive"),
        (
            lambda: optimizers.Adam(gradient_accumulation_steps=1),
            "`gradient_accumulation_steps` must be an integer",
        ),
        (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), "`ema_momentum` must be in the range"),
        (
            lambda: optimizers.Adam(use_ema=True, ema_overwrite_frequency=0.5),
            "`ema_overwrite_frequency` must be",
        ),
        (lambda: optimizers.Adam(beta=1), "not recognized"),
        (lambda: optimizers.AdamW(weight_decay=None), "`weight_decay` must be a float"),
        (lambda: optimizers.Ftrl(beta=0.0, learning_rate_power=1.0), "`learning_rate_power` needs"),
        (lambda: optimizers.Lion(beta_1=0.0), "`beta_1` must be"),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0), "on the `inner_optimizer`"),
        (lambda: optimizers.schedules.CosineDecay(0.1, 0), "`decay_steps` must be > 0"),
        (lambda: optimizers.schedules.CosineDecayRestarts(0.1, 0), "`first_decay_steps` must be > 0"),
        (lambda: optimizers.SGD().apply([np.ones(1)]), "already be built"),
        (lambda: optimizers.SGD().apply([None], [tf.Variable([1.0])]), "No gradients provided"),
        (lambda: optimizers.SGD().set_weights([]), "not yet been built"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_missing_gradients_are_told():
    w = weights()
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['bias:0'\]"):
        optimizers.SGD(1.0).apply([np.ones((2, 2)), None], w)
    np.testing.assert_array_equal(w[1].numpy(), [0.5, -1.0])
    with pytest.raises(ValueError, match="Unknown variable: other"):
        optimizer = optimizers.SGD(1.0)
        optimizer.build(w)
        optimizer.apply([np.ones(1)], [tf.Variable([1.0], name="other")])
    optimizers.SGD(1.0).apply([])


def test_constraints_follow_a_step_on_gradients():
    layer = keras.layers.Dense(2, kernel_constraint="non_neg", use_bias=False)
    layer.build((None, 2))
    optimizers.SGD(9.0).apply([np.ones((2, 2))], layer.trainable_weights)
    assert layer.kernel.numpy().min() == 0


def test_a_step_is_not_on_the_tape_and_takes_every_kind_of_variable():
    w, v = tf.Variable([1.0, 2.0]), tf.Variable(np.array([4.0]))
    optimizer = optimizers.SGD(0.5)
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_sum(w * w)
        optimizer.apply([np.array([1.0, 1.0]), np.array([2.0])], [w, v])
        later = tf.reduce_sum(3.0 * w)
    np.testing.assert_array_equal(w.numpy(), [0.5, 1.5])
    assert v.numpy() == 3.0 and v.dtype == "float64"
    np.testing.assert_array_equal(tape.gradient(loss, w).numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(tape.gradient(later, w).numpy(), [3.0, 3.0])


def test_a_step_on_some_of_the_variables():
    w = weights()
    optimizer = optimizers.Adam(0.5)
    optimizer.build(w)
    optimizer.apply([np.ones(2)], [w[1]])
    np.testing.assert_allclose(w[1].numpy(), [0.0, -1.5], atol=1e-5)
    optimizer.apply([np.ones((2, 2)), np.array([np.nan, 1.0])], w)
    assert np.isfinite(w[0].numpy()).all() and np.isnan(w[1].numpy()).tolist() == [True, False]
