"""Learning-rate schedules, callbacks of all kinds, checkpoints and reloading, logs in CSV."""

# ruff: noqa: B006, C408, F821
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers
from cnnexplain.keras.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

rng = np.random.RandomState(0)
x = rng.rand(32, 6, 6, 1).astype("float32")
y = rng.randint(0, 2, 32)


def make():
    m = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    return known(m, 1)


class PlotLosses(Callback):
    def on_train_begin(self, logs=None):
        self.i, self.x, self.losses, self.val_losses, self.fig = 0, [], [], [], plt.figure()

    def on_epoch_end(self, epoch, logs={}):
        self.x.append(self.i)
        self.losses.append(logs.get("loss"))
        self.val_losses.append(logs.get("val_loss"))
        self.i += 1
        plt.plot(self.x, self.losses, label="loss")
        plt.plot(self.x, self.val_losses, label="val_loss")
        plt.legend()
        plt.savefig("live.png")


class StopAt(Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_end(self, epoch, logs=None):
        if logs["loss"] < self.at or epoch >= 3:
            print(f"\nReached at epoch {epoch + 1}, lr {self.model.optimizer.learning_rate.numpy():.4f}")
            self.model.stop_training = True


class Order(Callback):
    calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            Order.calls.append(name)
        return object.__getattribute__(self, name)


class LossHistory(Callback):
    def on_train_begin(self, logs=None):
        self.losses, self.lr, self.keys = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        self.keys.append(sorted(logs))
        self.lr.append(
            float(keras.backend.get_value(self.model.optimizer.learning_rate))
            if hasattr(keras.backend, "get_value")
            else float(self.model.optimizer.learning_rate)
        )


m = make()
m.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
hist, stop = LossHistory(), StopAt(0.01)
h = m.fit(
    x,
    y,
    validation_split=0.25,
    epochs=8,
    batch_size=8,
    shuffle=False,
    verbose=0,
    callbacks=[
        PlotLosses(),
        stop,
        hist,
        ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=1, min_lr=0.001, verbose=1),
        CSVLogger("log.csv"),
        TerminateOnNaN(),
        ModelCheckpoint(
            "best" + WEIGHTS,
            save_weights_only=True,
            save_best_only=True,
            monitor="val_accuracy",
            mode="max",
            verbose=1,
        ),
        ModelCheckpoint(filepath="model_{epoch:02d}-{val_loss:.2f}" + SUFFIX, save_best_only=False),
        LambdaCallback(on_epoch_begin=lambda epoch, logs: print("epoch", epoch)),
    ],
)
result.update(
    h=h.history,
    losses=hist.losses,
    lr=hist.lr,
    keys=hist.keys[:2],
    files=len(os.listdir()),
    csv=Path("log.csv").read_text().splitlines()[0],
    params=sorted(h.params.items()),
    epoch=h.epoch,
)
m2 = make()
m2.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
m2.load_weights("best" + WEIGHTS)
result["reloaded"] = m2.evaluate(x, y, verbose=0)
last = keras.models.load_model(sorted(f for f in os.listdir() if f.startswith("model_"))[-1])
result["last"] = np.allclose(last.predict(x, verbose=0), m.predict(x, verbose=0), atol=1e-6)
if last.optimizer is None:
    last.compile(
        keras.optimizers.SGD(float(m.optimizer.learning_rate)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
result["resumed"] = last.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history


def scheduler(epoch, lr):
    return lr if epoch < 2 else lr * float(np.exp(-0.1))


m = make()
m.compile("adam", keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
h = m.fit(
    x,
    y,
    epochs=4,
    batch_size=16,
    shuffle=False,
    verbose=0,
    callbacks=[LearningRateScheduler(scheduler, verbose=1), EarlyStopping("loss", min_delta=10, patience=2)],
)
result["sched"] = h.history
S = keras.optimizers.schedules
schedules = dict(
    exp=S.ExponentialDecay(0.1, 4, 0.9),
    inv=S.InverseTimeDecay(0.1, 3, 0.5),
    pw=S.PiecewiseConstantDecay([2, 5], [0.1, 0.05, 0.01]),
    poly=S.PolynomialDecay(0.1, 6, 0.01, power=2.0),
    cos=S.CosineDecay(0.1, 6, alpha=0.1, warmup_target=0.2, warmup_steps=2),
    cosr=S.CosineDecayRestarts(0.1, 3),
)
result["values"] = {k: [float(s(i)) for i in range(9)] for k, s in schedules.items()}


class Custom(S.LearningRateSchedule):
    def __init__(self, d, warmup=4):
        super().__init__()
        self.d = tf.cast(d, tf.float32)
        self.warmup = warmup

    def __call__(self, step):
        step = tf.cast(step, dtype=tf.float32)
        return tf.math.rsqrt(self.d) * tf.math.minimum(tf.math.rsqrt(step + 1), step * (self.warmup**-1.5))


for name, s in {**schedules, "own": Custom(64)}.items():
    m = make()
    m.compile(keras.optimizers.Adam(s, beta_2=0.98, epsilon=1e-9), "sparse_categorical_crossentropy")
    result["fit_" + name] = m.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"]
order = Order()
m.fit(x, y, epochs=1, batch_size=16, verbose=0, callbacks=[order], validation_data=(x, y))
m.predict(x, verbose=0, callbacks=[order])
result["order"] = [c for c in Order.calls if "batch" not in c]
result["unknown"] = error(make().compile, "adamm", "mse")
mm = make()
mm.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
mm.optimizer.learning_rate = 0.5
mm.optimizer.learning_rate.assign(0.25)
result["lr2"] = float(mm.optimizer.learning_rate), f"{mm.optimizer.learning_rate.numpy():.3f}"
result["not_compiled"] = error(make().fit, x, y)
