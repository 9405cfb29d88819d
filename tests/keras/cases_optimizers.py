"""Optimizers with their options, learning rate schedules and trainings, compared with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

# Keras brings settings to float32 on its way to float64: binary fractions are exact there.
BETAS = {"beta_1": 0.875, "beta_2": 0.96875}
DECAY = 2.0**-7
SPARSE = "sparse_categorical_crossentropy"

OPTIMIZERS: dict[str, Any] = {
    "sgd_decay": lambda k: k.optimizers.SGD(0.125, weight_decay=DECAY),
    "sgd_ema": lambda k: k.optimizers.SGD(0.125, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=3),
    "sgd_accumulate": lambda k: k.optimizers.SGD(0.125, momentum=0.5, gradient_accumulation_steps=3),
    "sgd_accumulate_ema": lambda k: k.optimizers.SGD(
        0.125, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=2
    ),
    "sgd_loss_scale": lambda k: k.optimizers.SGD(0.125, loss_scale_factor=4.0, clipnorm=0.5),
    "adam_exact": lambda k: k.optimizers.Adam(0.0625, epsilon=2.0**-10, **BETAS),
    "adam_amsgrad": lambda k: k.optimizers.Adam(0.0625, amsgrad=True, **BETAS),
    "adam_clipvalue_decay": lambda k: k.optimizers.Adam(0.0625, clipvalue=0.5, weight_decay=DECAY, **BETAS),
    "adamw_exact": lambda k: k.optimizers.AdamW(0.0625, weight_decay=DECAY, global_clipnorm=0.5, **BETAS),
    "nadam": lambda k: k.optimizers.Nadam(0.0625, **BETAS),
    "rmsprop_plain": lambda k: k.optimizers.RMSprop(0.0625, rho=0.75),
    "rmsprop_momentum": lambda k: k.optimizers.RMSprop(0.0625, rho=0.75, momentum=0.5, clipnorm=1.0),
    "adagrad_exact": lambda k: k.optimizers.Adagrad(0.0625, initial_accumulator_value=0.5),
    "adadelta_exact": lambda k: k.optimizers.Adadelta(1.0, rho=0.75),
    "adamax_exact": lambda k: k.optimizers.Adamax(0.0625, **BETAS),
    "ftrl": lambda k: k.optimizers.Ftrl(0.0625, initial_accumulator_value=0.125),
    "ftrl_penalties": lambda k: k.optimizers.Ftrl(
        0.0625,
        learning_rate_power=-0.25,
        initial_accumulator_value=0.25,
        l1_regularization_strength=0.5,
        l2_regularization_strength=0.125,
        l2_shrinkage_regularization_strength=0.25,
        beta=0.5,
    ),
    "lion": lambda k: k.optimizers.Lion(0.0625, weight_decay=DECAY, **BETAS),
    "lamb": lambda k: k.optimizers.Lamb(0.0625, **BETAS),
    "adafactor": lambda k: k.optimizers.Adafactor(0.0625),
    "adafactor_schedule": lambda k: k.optimizers.Adafactor(
        k.optimizers.schedules.PolynomialDecay(0.5, 8, end_learning_rate=0.25), clip_threshold=0.5
    ),
    "muon": lambda k: k.optimizers.Muon(
        0.0625, adam_beta_1=0.875, adam_beta_2=0.96875, exclude_embeddings=False
    ),
    "muon_plain": lambda k: k.optimizers.Muon(
        0.0625,
        nesterov=False,
        weight_decay=None,
        adam_weight_decay=None,
        ns_steps=2,
        exclude_embeddings=False,
    ),
    "schedule_free": lambda k: k.optimizers.ScheduleFreeAdamW(0.0625, warmup_steps=4, **BETAS),
    "schedule_callable": lambda k: k.optimizers.SGD(lambda: 0.125),
    "schedule_piecewise": lambda k: k.optimizers.SGD(
        k.optimizers.schedules.PiecewiseConstantDecay([3, 7], [0.5, 0.25, 0.125])
    ),
    "schedule_warm": lambda k: k.optimizers.Adam(
        k.optimizers.schedules.CosineDecay(0.0, 10, alpha=0.125, warmup_target=0.0625, warmup_steps=5),
        **BETAS,
    ),
    "loss_scale": lambda k: k.optimizers.LossScaleOptimizer(
        k.optimizers.SGD(0.125), initial_scale=4.0, dynamic_growth_steps=3
    ),
}

SCHEDULES: dict[str, Any] = {
    "exponential": lambda s: s.ExponentialDecay(0.1, 7, 0.9),
    "exponential_stairs": lambda s: s.ExponentialDecay(0.1, 7, 0.9, staircase=True),
    "inverse": lambda s: s.InverseTimeDecay(0.1, 7, 0.9),
    "inverse_stairs": lambda s: s.InverseTimeDecay(0.1, 7, 0.9, staircase=True),
    "piecewise": lambda s: s.PiecewiseConstantDecay([5, 9, 20], [1.0, 0.5, 0.3, 0.1]),
    "polynomial": lambda s: s.PolynomialDecay(0.1, 9, end_learning_rate=0.01, power=0.5),
    "polynomial_cycle": lambda s: s.PolynomialDecay(0.1, 9, power=2.0, cycle=True),
    "cosine": lambda s: s.CosineDecay(0.1, 13, alpha=0.2),
    "cosine_warm": lambda s: s.CosineDecay(0.01, 13, warmup_target=0.3, warmup_steps=6),
    "restarts": lambda s: s.CosineDecayRestarts(0.1, 5),
    "restarts_same": lambda s: s.CosineDecayRestarts(0.1, 5, t_mul=1.0, m_mul=0.8, alpha=0.1),
    "restarts_lower": lambda s: s.CosineDecayRestarts(0.1, 4, t_mul=1.5, m_mul=0.7),
}


def _rates(make: Any) -> Any:
    def rates(tf: Any, keras: Any) -> Any:
        schedule = make(keras.optimizers.schedules)
        return np.array([np.array(schedule(step)) for step in range(40)])

    return rates


FUNCTIONS = {f"schedule_{name}": _rates(make) for name, make in SCHEDULES.items()}


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(0)
    return rng.standard_normal((24, 5)), rng.randint(0, 3, 24)


def _model(keras: Any, optimizer: Any, **settings: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(6, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.RandomState(1)
    model.set_weights([rng.rand(*weight.shape) for weight in model.get_weights()])
    model.compile(optimizer, SPARSE, metrics=["accuracy"], **settings)
    return model


def _numbers(model: Any, history: Any) -> list:
    return [*(np.array(values) for _, values in sorted(history.history.items())), *model.get_weights()]


def _fit(keras: Any, optimizer: Any, *callbacks: Any, **options: Any) -> list:
    x, y = _data()
    model = _model(keras, optimizer)
    given = {
        "batch_size": 8,
        "epochs": 4,
        "shuffle": False,
        "verbose": 0,
        "validation_data": (x, y),
    } | options
    return _numbers(model, model.fit(x, y, callbacks=list(callbacks), **given))


def _averages(swap_on_epoch: bool) -> Any:
    return lambda tf, k: _fit(
        k,
        k.optimizers.SGD(0.25, use_ema=True, ema_momentum=0.75),
        k.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch),
    )


def _plateau(tf: Any, k: Any) -> list:
    reduce = k.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=10, cooldown=1, min_lr=0.1
    )
    return _fit(k, k.optimizers.SGD(0.5), reduce, epochs=7)


def _stopping(tf: Any, k: Any) -> list:
    stop = k.callbacks.EarlyStopping(
        "val_accuracy", patience=2, restore_best_weights=True, start_from_epoch=1, baseline=0.9
    )
    return _fit(k, k.optimizers.SGD(0.5), stop, epochs=9)


def _scheduled(tf: Any, k: Any) -> list:
    return _fit(k, k.optimizers.SGD(0.5), k.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2))


def _generator(tf: Any, k: Any) -> list:
    x, y = _data()

    def batches() -> Any:
        while True:
            for begin in range(0, 24, 7):
                yield x[begin : begin + 7], y[begin : begin + 7], np.linspace(0, 1, 24)[begin : begin + 7]

    model = _model(k, k.optimizers.SGD(0.5))
    history = model.fit(
        batches(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=(x, y, np.linspace(0, 2, 24))
    )
    return _numbers(model, history)


def _together(tf: Any, k: Any) -> list:
    x, y = _data()
    model = _model(k, k.optimizers.SGD(0.5), weighted_metrics=["accuracy"], steps_per_execution=2)
    weights = np.linspace(0, 1, 24)
    history = model.fit(x, y, sample_weight=weights, batch_size=5, epochs=2, shuffle=False, verbose=0)
    return _numbers(model, history)


def _own_step(tf: Any, k: Any) -> list:
    class Own(k.Model):
        def train_step(self, data: Any) -> dict:
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    x, y = _data()
    inputs = k.Input((5,))
    model = Own(inputs, k.layers.Dense(3, activation="softmax", kernel_constraint="non_neg")(inputs))
    model.set_weights([np.linspace(-1, 1, 15).reshape(5, 3), np.zeros(3)])
    model.compile(k.optimizers.SGD(0.5), SPARSE, metrics=["accuracy"])
    return _numbers(model, model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0))


def _two_outputs(tf: Any, k: Any) -> list:
    x, y = _data()
    inputs = k.Input((5,))
    a = k.layers.Dense(3, activation="softmax", name="a")(inputs)
    b = k.layers.Dense(1, name="b")(inputs)
    model = k.Model(inputs, {"a": a, "b": b})
    model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
    model.compile(
        k.optimizers.SGD(0.125),
        {"a": SPARSE, "b": "mse"},
        loss_weights={"a": 0.5, "b": 2.0},
        metrics={"a": ["accuracy"]},
    )
    history = model.fit(x, {"a": y, "b": x[:, :1]}, batch_size=9, epochs=2, shuffle=False, verbose=0)
    return _numbers(model, history)


def _states(make: Any) -> Any:
    """Every variable of an optimizer, in order, after three steps."""

    def states(tf: Any, keras: Any) -> list:
        rng = np.random.RandomState(3)
        variables = [tf.Variable(rng.standard_normal(shape)) for shape in ((2, 3), (4,))]
        optimizer = make(keras)
        for _ in range(3):
            gradients = [tf.constant(rng.standard_normal(tuple(v.shape))) for v in variables]
            optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        return [np.array(variable).astype("float64") for variable in optimizer.variables]

    return states


FUNCTIONS |= {f"states_{name}": _states(make) for name, make in OPTIMIZERS.items()}
FUNCTIONS |= {
    "fit_averages": _averages(False),
    "fit_averages_by_epoch": _averages(True),
    "fit_plateau": _plateau,
    "fit_stopping": _stopping,
    "fit_scheduled": _scheduled,
    "fit_generator": _generator,
    "fit_steps_together": _together,
    "fit_own_step": _own_step,
    "fit_two_outputs": _two_outputs,
}

TRAININGS: dict[str, tuple] = {
    "exact_adam": (OPTIMIZERS["adam_exact"], SPARSE, {}),
    "exact_adamw": (OPTIMIZERS["adamw_exact"], SPARSE, {}),
    "exact_amsgrad": (OPTIMIZERS["adam_amsgrad"], SPARSE, {}),
    "exact_nadam": (OPTIMIZERS["nadam"], SPARSE, {}),
    "exact_rmsprop": (OPTIMIZERS["rmsprop_plain"], SPARSE, {}),
    "exact_adagrad": (OPTIMIZERS["adagrad_exact"], SPARSE, {}),
    "exact_sgd": (lambda k: k.optimizers.SGD(0.125, momentum=0.5, nesterov=True, clipnorm=0.25), SPARSE, {}),
    "exact_clipvalue": (OPTIMIZERS["adam_clipvalue_decay"], SPARSE, {}),
    "exact_ema": (OPTIMIZERS["sgd_ema"], SPARSE, {}),
    "exact_accumulate": (OPTIMIZERS["sgd_accumulate"], SPARSE, {}),
    "exact_loss_scale": (OPTIMIZERS["sgd_loss_scale"], SPARSE, {}),
    "exact_schedule": (OPTIMIZERS["schedule_piecewise"], SPARSE, {}),
    "sample_weight": (lambda k: k.optimizers.SGD(0.125), SPARSE, {"sample_weight": np.arange(20) / 8.0}),
    "initial_epoch": (lambda k: k.optimizers.SGD(0.125), SPARSE, {"initial_epoch": 1}),
    "steps_per_epoch": (lambda k: k.optimizers.SGD(0.125), SPARSE, {"steps_per_epoch": 2}),
    "validation_freq": (lambda k: k.optimizers.SGD(0.125), SPARSE, {"validation_freq": 2}),
    "validation_batches": (
        lambda k: k.optimizers.SGD(0.125),
        SPARSE,
        {"validation_batch_size": 3, "validation_steps": 2},
    ),
}

_ROUNDED = 1e-6  # Keras brings a setting that is no binary fraction to float32 on its way
LOOSE = {
    **{f"states_{name}": _ROUNDED for name in OPTIMIZERS},
    **{f"schedule_{name}": 1e-5 for name in SCHEDULES},  # float32, a few roundings apart
    "schedule_warm": 1e-5,
    "adafactor_schedule": 1e-5,
    **dict.fromkeys(("nadam", "exact_nadam", "ftrl_penalties"), _ROUNDED),
    "muon": 1e-5,
    "muon_plain": 1e-5,
}
