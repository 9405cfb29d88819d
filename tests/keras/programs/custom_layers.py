"""Own layers, residual blocks and stateful metrics; saving with custom objects; pickle."""

# ruff: noqa: E741, F821
import pickle

import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.rand(12, 8, 8, 3).astype("float32")
y = rng.randint(0, 3, 12)


@keras.saving.register_keras_serializable(package="course")
class Linear(keras.layers.Layer):
    def __init__(self, units=32, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer="random_normal",
            trainable=True,
            name="w",
            regularizer=keras.regularizers.L2(1e-3),
        )
        self.b = self.add_weight(
            shape=(self.units,),
            initializer="zeros",
            trainable=True,
            name="b",
            constraint=keras.constraints.NonNeg(),
        )
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="calls", dtype="float32"
        )
        super().build(input_shape)

    def call(self, inputs, training=None):
        if training:
            self.calls.assign_add(1.0)
        return self.activation(tf.matmul(inputs, self.w) + self.b)

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units, "activation": keras.activations.serialize(self.activation)})
        return config


@keras.saving.register_keras_serializable(package="course")
class ResidualBlock(layers.Layer):
    def __init__(self, filters, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride
        self.conv1 = layers.Conv2D(filters, 3, strides=stride, padding="same", kernel_initializer="he_normal")
        self.bn1 = layers.BatchNormalization()
        self.conv2 = layers.Conv2D(filters, 3, padding="same")
        self.bn2 = layers.BatchNormalization()
        self.relu = layers.ReLU()
        if stride != 1:
            self.shortcut = keras.Sequential(
                [layers.Conv2D(filters, 1, strides=stride), layers.BatchNormalization()]
            )
        else:
            self.shortcut = lambda x: x

    def call(self, x, training=False):
        y = self.relu(self.bn1(self.conv1(x), training=training))
        y = self.bn2(self.conv2(y), training=training)
        return tf.nn.relu(layers.add([self.shortcut(x), y]))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}


class F1Score(keras.metrics.Metric):
    def __init__(self, name="own_f1", threshold=0.5, **kwargs):
        super().__init__(name=name, **kwargs)
        self.precision = keras.metrics.Precision(thresholds=threshold)
        self.recall = keras.metrics.Recall(thresholds=threshold)
        self.count = self.add_weight(name="count", initializer="zeros")
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), 3)
        self.precision.update_state(y_true, y_pred, sample_weight)
        self.recall.update_state(y_true, y_pred, sample_weight)
        self.count.assign_add(1)
        self.total.assign(self.total + tf.cast(tf.shape(y_pred)[0], self.dtype))

    def result(self):
        p, r = self.precision.result(), self.recall.result()
        return 2 * ((p * r) / (p + r + keras.backend.epsilon()))

    def reset_state(self):
        self.precision.reset_state()
        self.recall.reset_state()
        self.count.assign(0)
        self.total.assign(0.0)


class ResNet(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(4, 3, padding="same")
        self.blocks = [ResidualBlock(4), ResidualBlock(6, stride=2)]
        self.pool = layers.GlobalAveragePooling2D()
        self.head = Linear(classes, "softmax", name="head")

    def call(self, inputs, training=None):
        h = self.stem(inputs)
        for block in self.blocks:
            h = block(h, training=training)
        return self.head(self.pool(h))


model = ResNet(3)
unbuilt = error(lambda: model.weights and model.summary())
model(x[:2])
known(model, 3, 0.2)
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy", F1Score()])
h = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0, validation_data=(x, y))
result.update(
    h=h.history,
    calls=float(model.head.calls),
    w=[np.array(w) for w in model.get_weights()],
    paths=[v.path for v in model.weights],
    names=[l.name for l in model.layers],
    ntrain=len(model.trainable_weights),
    nlosses=len(model.losses),
)

inputs = keras.Input((8, 8, 3))
f = ResidualBlock(4, stride=2, name="res")(inputs)
f = layers.Flatten()(f)
fun = known(keras.Model(inputs, Linear(3, activation="softmax", name="lin")(f)), 4, 0.2)
fun.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=[F1Score(name="f")])
h2 = fun.fit(x, y, epochs=2, batch_size=4, shuffle=False, verbose=0)
fun.save("fun" + SUFFIX)
fun.summary(expand_nested=True)
back = keras.models.load_model("fun" + SUFFIX, custom_objects={"F1Score": F1Score})
result.update(
    h2=h2.history,
    same=np.allclose(back.predict(x, verbose=0), fun.predict(x, verbose=0)),
    config=fun.get_layer("lin").get_config(),
)
layer = Linear.from_config(fun.get_layer("lin").get_config())
result["built"] = (layer.built, fun.get_layer("lin").built, layer.name)
result["json"] = (
    keras.models.model_from_json(fun.to_json(), custom_objects={"F1Score": F1Score}).count_params()
    == fun.count_params()
)
blob = pickle.dumps(keras.Sequential([keras.Input((4,)), layers.Dense(2, name="d")]))
result["pickle"] = pickle.loads(blob).get_layer("d").get_weights()[0].shape


class NoConfig(layers.Layer):
    def __init__(self, a):
        super().__init__()
        self.a = a

    def call(self, x):
        return x * self.a


result["noconfig"] = error(NoConfig(3).get_config)
result["twice"] = error(lambda: Linear(3)(np.ones((2, 4), "float32")) + Linear(3)(np.ones((2, 5), "float32")))
lin = Linear(3)
lin(np.ones((2, 4), "float32"))
result["othershape"] = error(lin, np.ones((2, 5), "float32"))
result["unbuilt"] = unbuilt
d = layers.Dense(3)
d(np.ones((2, 4), "float32"))
result["set_weights"] = error(d.set_weights, [np.ones((3, 4))])
result["set_weights2"] = error(d.set_weights, [np.ones((3, 4)), np.ones(3)])
result["get_layer"] = error(fun.get_layer, "nothing")
result["dense0"] = error(layers.Dense, 0)
result["conv"] = error(layers.Conv2D, 3, (3, 3, 3))
result["pad"] = error(layers.Conv2D, 3, 3, padding="sam")
result["act"] = error(layers.Dense, 3, activation="rellu")
