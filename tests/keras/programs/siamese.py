"""A siamese network: shared weights, a Lambda distance, contrastive loss; triplets by subclass."""

# ruff: noqa: B905, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
a = rng.rand(20, 8, 8, 1).astype("float32")
b = rng.rand(20, 8, 8, 1).astype("float32")
labels = rng.randint(0, 2, 20).astype("float32")


def euclidean_distance(vects):
    x, y = vects
    sum_square = keras.ops.sum(keras.ops.square(x - y), axis=1, keepdims=True)
    return keras.ops.sqrt(keras.ops.maximum(sum_square, keras.backend.epsilon()))


inp = layers.Input((8, 8, 1))
x = layers.BatchNormalization()(inp)
x = layers.Conv2D(4, (5, 5), activation="tanh")(x)
x = layers.AveragePooling2D(pool_size=(2, 2))(x)
x = layers.Flatten()(x)
x = layers.BatchNormalization()(x)
x = layers.Dense(5, activation="tanh")(x)
embedding_network = keras.Model(inp, x)
known(embedding_network)
input_1, input_2 = layers.Input((8, 8, 1), name="left"), layers.Input((8, 8, 1), name="right")
tower_1, tower_2 = embedding_network(input_1), embedding_network(input_2)
merge_layer = layers.Lambda(euclidean_distance, output_shape=(1,))([tower_1, tower_2])
normal_layer = layers.BatchNormalization()(merge_layer)
output_layer = layers.Dense(1, activation="sigmoid")(normal_layer)
siamese = keras.Model(inputs=[input_1, input_2], outputs=output_layer)


def loss(margin=1):
    def contrastive_loss(y_true, y_pred):
        square_pred = keras.ops.square(y_pred)
        margin_square = keras.ops.square(keras.ops.maximum(margin - (y_pred), 0))
        return keras.ops.mean((1 - y_true) * square_pred + (y_true) * margin_square)

    return contrastive_loss


known(siamese, 7)
siamese.compile(loss=loss(margin=1), optimizer="RMSprop", metrics=["accuracy"])
siamese.summary()
h = siamese.fit(
    [a, b], labels, validation_data=([a, b], labels), batch_size=5, epochs=2, shuffle=False, verbose=0
)
ev = siamese.evaluate([a, b], labels, verbose=0)
p1 = siamese.predict([a, b], verbose=0)
p2 = siamese.predict({"left": a, "right": b}, verbose=0)


class Distance(layers.Layer):
    def call(self, anchor, positive, negative):
        ap = tf.reduce_sum(tf.square(anchor - positive), -1)
        an = tf.reduce_sum(tf.square(anchor - negative), -1)
        return (ap, an)


ia, ip, ineg = [layers.Input(name=n, shape=(8, 8, 1)) for n in ("anchor", "positive", "negative")]
distances = Distance()(embedding_network(ia), embedding_network(ip), embedding_network(ineg))
net = keras.Model(inputs=[ia, ip, ineg], outputs=distances)


class Triplet(keras.Model):
    def __init__(self, siamese_network, margin=0.5):
        super().__init__()
        self.siamese_network, self.margin = siamese_network, margin
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.siamese_network(inputs)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self._compute_loss(data)
        gradients = tape.gradient(loss, self.siamese_network.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.siamese_network.trainable_weights))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def test_step(self, data):
        loss = self._compute_loss(data)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    def _compute_loss(self, data):
        ap_distance, an_distance = self.siamese_network(data)
        loss = ap_distance - an_distance
        return tf.maximum(loss + self.margin, 0.0)

    @property
    def metrics(self):
        return [self.loss_tracker]


ds = tf.data.Dataset.zip(
    (
        tf.data.Dataset.from_tensor_slices(a),
        tf.data.Dataset.from_tensor_slices(b),
        tf.data.Dataset.from_tensor_slices(a[::-1].copy()),
    )
)
ds = ds.batch(5, drop_remainder=False).prefetch(8)
tri = Triplet(net)
tri.compile(optimizer=keras.optimizers.Adam(0.0001))
h2 = tri.fit(ds, epochs=2, validation_data=ds.take(2), verbose=0)
sample = next(iter(ds))
anchor, positive, negative = sample
cos = keras.metrics.CosineSimilarity()
sim = cos(embedding_network(anchor), embedding_network(positive))
result.update(
    h=h.history,
    ev=ev,
    p1=p1,
    p2=p2,
    h2=h2.history,
    sim=sim.numpy(),
    w=siamese.get_weights(),
    ninputs=[i.name for i in siamese.inputs],
)
result["one"] = error(siamese.predict, a, verbose=0)
result["sizes"] = error(siamese.fit, [a, b[:5]], labels, verbose=0)
