"""Image captioning: CNN features, Embedding, LSTM, attention; VQA with two inputs."""

# ruff: noqa: B905, E741, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
images = rng.rand(8, 12, 12, 3).astype("float32")
captions = rng.randint(1, 20, (8, 6))
captions[:, 4:] = np.where(rng.rand(8, 2) > 0.5, 0, captions[:, 4:])

img_in = keras.Input((12, 12, 3), name="image")
f = layers.Conv2D(6, 3, strides=2, activation="relu")(img_in)
f = layers.Reshape((-1, 6))(f)
f = layers.Dense(8, activation="relu", name="features")(f)
seq_in = keras.Input((None,), dtype="int32", name="tokens")
e = layers.Embedding(20, 8, name="embed")(seq_in)
h = layers.LSTM(8, return_sequences=True, name="lstm")(e)
context = layers.Attention(name="att")([h, f])
both = layers.Concatenate()([h, context])
both = layers.LayerNormalization()(both)
out = layers.Dense(20, name="words")(both)
model = known(keras.Model({"image": img_in, "tokens": seq_in}, out))


def masked_loss(labels, preds):
    ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(labels, tf.int32), logits=preds)
    mask = (labels != 0) & (ce < 1e8)
    mask = tf.cast(mask, ce.dtype)
    return tf.reduce_sum(ce * mask) / tf.reduce_sum(mask)


def masked_acc(labels, preds):
    mask = tf.cast(labels != 0, tf.float32)
    preds = tf.argmax(preds, axis=-1)
    labels = tf.cast(labels, tf.int64)
    match = tf.cast(preds == labels, mask.dtype)
    return tf.reduce_sum(match * mask) / tf.reduce_sum(mask)


model.compile(optimizer=keras.optimizers.SGD(0.5), loss=masked_loss, metrics=[masked_acc])
x = {"image": images, "tokens": captions[:, :-1]}
h1 = model.fit(x, captions[:, 1:], epochs=2, batch_size=4, shuffle=False, verbose=0)
tokens = np.ones((1, 1), "int32")
for _ in range(4):
    preds = model.predict({"image": images[:1], "tokens": tokens}, verbose=0)
    tokens = np.concatenate([tokens, preds[:, -1:].argmax(-1)], axis=1)

# VQA
q_in = keras.Input((7,), name="question")
q = layers.Embedding(30, 6)(q_in)
q = layers.Bidirectional(layers.GRU(4))(q)
v_in = keras.Input((12, 12, 3), name="picture")
v = layers.Conv2D(4, 3, activation="relu")(v_in)
v = layers.GlobalMaxPooling2D()(v)
v = layers.Dense(8, activation="tanh")(v)
m = layers.Multiply()([q, v])
m = layers.Dropout(0.0)(m)
a = layers.Dense(5, activation="softmax", name="answer")(m)
vqa = known(keras.Model([v_in, q_in], a), 2)
vqa.compile(
    keras.optimizers.SGD(0.5),
    "categorical_crossentropy",
    metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=2)],
)
questions = rng.randint(0, 30, (8, 7))
answers = keras.utils.to_categorical(rng.randint(0, 5, 8), 5)
h2 = vqa.fit([images, questions], answers, epochs=2, batch_size=4, shuffle=False, verbose=0)


class BahdanauAttention(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.W1 = layers.Dense(units)
        self.W2 = layers.Dense(units)
        self.V = layers.Dense(1)

    def call(self, features, hidden):
        hidden_with_time_axis = tf.expand_dims(hidden, 1)
        attention_hidden_layer = tf.nn.tanh(self.W1(features) + self.W2(hidden_with_time_axis))
        score = self.V(attention_hidden_layer)
        attention_weights = tf.nn.softmax(score, axis=1)
        context_vector = attention_weights * features
        context_vector = tf.reduce_sum(context_vector, axis=1)
        return context_vector, attention_weights


class RNN_Decoder(keras.Model):
    def __init__(self, embedding_dim, units, vocab_size):
        super().__init__()
        self.units = units
        self.embedding = layers.Embedding(vocab_size, embedding_dim)
        self.gru = layers.GRU(
            self.units, return_sequences=True, return_state=True, recurrent_initializer="glorot_uniform"
        )
        self.fc1 = layers.Dense(self.units)
        self.fc2 = layers.Dense(vocab_size)
        self.attention = BahdanauAttention(self.units)

    def call(self, x, features, hidden):
        context_vector, attention_weights = self.attention(features, hidden)
        x = self.embedding(x)
        x = tf.concat([tf.expand_dims(context_vector, 1), x], axis=-1)
        output, state = self.gru(x)
        x = self.fc1(output)
        x = tf.reshape(x, (-1, x.shape[2]))
        x = self.fc2(x)
        return x, state, attention_weights

    def reset_state(self, batch_size):
        return tf.zeros((batch_size, self.units))


decoder = RNN_Decoder(4, 6, 20)
features = tf.constant(rng.rand(8, 9, 5).astype("float32"))
target = tf.constant(captions)
loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
optimizer = keras.optimizers.SGD(0.1)


def loss_function(real, pred):
    mask = tf.math.logical_not(tf.math.equal(real, 0))
    loss_ = loss_object(real, pred)
    mask = tf.cast(mask, dtype=loss_.dtype)
    loss_ *= mask
    return tf.reduce_mean(loss_)


@tf.function
def train_step(features, target):
    loss = 0
    hidden = decoder.reset_state(batch_size=target.shape[0])
    dec_input = tf.expand_dims([1] * target.shape[0], 1)
    with tf.GradientTape() as tape:
        for i in range(1, target.shape[1]):
            predictions, hidden, _ = decoder(dec_input, features, hidden)
            loss += loss_function(target[:, i], predictions)
            dec_input = tf.expand_dims(target[:, i], 1)
    total_loss = loss / int(target.shape[1])
    gradients = tape.gradient(loss, decoder.trainable_variables)
    optimizer.apply_gradients(zip(gradients, decoder.trainable_variables))
    return loss, total_loss


decoder(tf.ones((8, 1)), features, decoder.reset_state(8))
known(decoder, 3)
tot = [train_step(features, target) for _ in range(2)]
result.update(
    h1=h1.history,
    tokens=tokens,
    h2=h2.history,
    tot=[[float(a), float(b)] for a, b in tot],
    dw=decoder.get_weights(),
    w=model.get_weights(),
    shapes=[str(l.output.shape) for l in model.layers],
    pred=vqa.predict([images, questions], verbose=0),
)
