"""A training loop by hand: tf.function, two optimizers, metrics, a data pipeline."""

# ruff: noqa: B007, B905, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.rand(40, 8, 8, 1).astype("float32")
y = (x[:, :4].mean((1, 2, 3)) > x[:, 4:].mean((1, 2, 3))).astype("int64")
train = tf.data.Dataset.from_tensor_slices((x[:32], y[:32])).batch(12)
valid = tf.data.Dataset.from_tensor_slices((x[32:], y[32:])).batch(4)

inputs = keras.Input(shape=(8, 8, 1), name="digits")
h = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
h = layers.BatchNormalization(name="bn")(h)
h = layers.Flatten()(h)
outputs = layers.Dense(2, name="logits", kernel_regularizer=keras.regularizers.l2(0.01))(h)
model = known(keras.Model(inputs, outputs))

body = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
head = keras.optimizers.Adam(
    learning_rate=keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5, staircase=True)
)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_acc = keras.metrics.SparseCategoricalAccuracy()
valid_acc = keras.metrics.SparseCategoricalAccuracy(name="valid")
mean_loss = keras.metrics.Mean(name="loss")
head_vars = model.get_layer("logits").trainable_variables
body_vars = [v for v in model.trainable_variables if not any(v is w for w in head_vars)]


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss = loss_fn(y, logits)
        loss += sum(model.losses)
    grads = tape.gradient(loss, body_vars + head_vars)
    body.apply_gradients(zip(grads[: len(body_vars)], body_vars))
    head.apply_gradients(zip(grads[len(body_vars) :], head_vars))
    train_acc.update_state(y, logits)
    mean_loss(loss)
    return loss


@tf.function
def test_step(x, y):
    valid_acc.update_state(y, model(x, training=False))


lines, losses = [], []
for epoch in range(3):
    for step, (xb, yb) in enumerate(train):
        loss_value = train_step(xb, yb)
        losses.append(float(loss_value))
        if step % 2 == 0:
            lines.append(f"step {step}: {loss_value:.3f} seen {(step + 1) * 12}")
    lines.append("acc %.4f" % (float(train_acc.result()),))
    for xb, yb in valid:
        test_step(xb, yb)
    lines.append(f"val {valid_acc.result().numpy():.3f} {float(mean_loss.result()):.3f}")
    train_acc.reset_state()
    valid_acc.reset_state()
    mean_loss.reset_state()
result.update(
    lines=lines,
    losses=losses,
    weights=model.get_weights(),
    names=[v.name for v in model.trainable_variables],
    paths=[v.path for v in model.trainable_variables],
    iterations=int(body.iterations),
    lr=float(head.learning_rate),
    nlosses=len(model.losses),
    card=int(tf.data.experimental.cardinality(train)),
    length=len(train),
    spec=str(train.element_spec),
    opt=[v.path for v in head.variables],
    optname=(body.name, head.name),
    loss_dtype=str(loss_value.dtype),
    shape=str(loss_value.shape),
)
result["mistake_shape"] = error(model, np.zeros((2, 8, 8, 2), "float32"))
result["mistake_rank"] = error(model, np.zeros((8, 8), "float32"))
result["mistake_none"] = error(body.apply_gradients, [(None, v) for v in body_vars])
with tf.GradientTape() as tape:
    v = tf.constant(3.0) * 2
result["none"] = tape.gradient(v, model.trainable_variables[0])
result["twice"] = error(lambda: (tape.gradient(v, []), tape.gradient(v, [])))
