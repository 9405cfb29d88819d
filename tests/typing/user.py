"""A student's program, which mypy --strict accepts and which runs: `python tests/typing/user.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import cnnexplain as tf
from cnnexplain import explain, keras
from cnnexplain.keras import layers

Pictures = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def pictures(count: int, seed: int = 0) -> tuple[Pictures, Labels]:
    """Squares in one of three rows of the picture."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    x = rng.random((count, 12, 12, 1)).astype(np.float32) * 0.2
    for k, label in enumerate(labels):
        x[k, 4 * label : 4 * label + 4, 4:8] += 0.8
    return x, labels


def scaled(x: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(x / 0.5 - 1.0, -1.0, 1.0)


def pairs(x: Pictures, y: Labels, batch: int) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.shuffle(len(x), seed=1).map(lambda image, label: (tf.cast(image, tf.float32), label))
    return data.batch(batch).prefetch(tf.data.AUTOTUNE)


class Squeeze(layers.Layer):
    """Channels weighted by their means."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units, activation="relu")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        means = tf.reduce_mean(inputs, axis=[1, 2])
        weights: tf.Tensor = self.dense(means)
        return tf.nn.sigmoid(weights) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Smoothed(keras.losses.Loss):
    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        wanted = tf.one_hot(tf.cast(y_true, tf.int32), 3) * 0.9 + 0.1 / 3
        return -tf.reduce_sum(wanted * tf.math.log(y_pred + 1e-6), axis=-1)


class Hits(keras.metrics.Metric):
    def __init__(self, name: str = "hits") -> None:
        super().__init__(name=name)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        same = tf.equal(tf.argmax(y_pred, axis=-1), tf.cast(y_true, tf.int64))
        self.total.assign_add(tf.reduce_sum(tf.cast(same, tf.float32)))

    def result(self) -> tf.Tensor:
        return tf.identity(self.total)


class Log(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append((logs or {})["loss"])


class Weighted(keras.Model):
    """A model with a training step of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu")
        self.squeeze = Squeeze(4)
        self.out = layers.Dense(3, activation="softmax")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        output: tf.Tensor = self.out(self.squeeze(self.conv(inputs)))
        return output

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def sequential() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(8, (3, 3), activation="relu", padding="same", name="conv"),
            layers.MaxPooling2D(),
            layers.Dropout(0.1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def functional() -> keras.Model:
    inputs = keras.Input(shape=(12, 12, 1))
    x = layers.Conv2D(4, 3, activation=keras.activations.relu, padding="same")(inputs)
    x = layers.Add()([x, layers.Conv2D(4, 1)(inputs)])
    x = keras.ops.relu(layers.BatchNormalization()(x))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    return keras.Model(inputs, outputs)


def saliency(model: keras.Model, x: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = tf.reduce_max(model(x), axis=-1)
    gradient = tape.gradient(scores, x)
    return tf.reduce_max(tf.abs(gradient), axis=-1)


@tf.function
def norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x))) + keras.ops.mean(x)


def main() -> None:
    keras.utils.set_random_seed(1)
    x, y = pictures(48)
    model = sequential()
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate=keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2)],
    )
    log = Log()
    history = model.fit(
        pairs(x, y, 16), epochs=2, verbose=0, callbacks=[log, keras.callbacks.EarlyStopping(monitor="loss")]
    )
    best: float = max(history.history["accuracy"])
    loss, *_ = model.evaluate(x, y, verbose=0)
    classes = model.predict(x, verbose=0).argmax(axis=-1)
    print(f"{best:.2f} {loss:.2f} {np.mean(classes == y):.2f} {log.losses[-1]:.2f}")

    other = functional()
    other.compile("sgd", Smoothed(), metrics=[Hits()])
    other.fit(x, y, epochs=1, verbose=0)
    weighted = Weighted()
    weighted.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    weighted.fit(x, y, batch_size=24, verbose=0)

    image = scaled(tf.constant(x[:1]))
    print(saliency(model, image).shape, float(norm(image)))
    result = explain.grad_cam(model, x[:1], layer="conv")
    print(result.map.shape)
    explain.saliency(model, x[:2]).plot()


if __name__ == "__main__":
    main()
