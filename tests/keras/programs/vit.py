"""A small ViT (patches, class token, MultiHeadAttention, positions), ConvMixer, squeeze-and-excite."""

# ruff: noqa: E741, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers, ops

rng = np.random.RandomState(0)
x = rng.rand(12, 8, 8, 3).astype("float32")
y = rng.randint(0, 3, (12, 1))


class Patches(layers.Layer):
    def __init__(self, patch_size):
        super().__init__()
        self.patch_size = patch_size

    def call(self, images):
        input_shape = ops.shape(images)
        batch_size = input_shape[0]
        height, width, channels = input_shape[1], input_shape[2], input_shape[3]
        num_patches_h = height // self.patch_size
        num_patches_w = width // self.patch_size
        patches = keras.ops.image.extract_patches(images, size=self.patch_size)
        patches = ops.reshape(
            patches, (batch_size, num_patches_h * num_patches_w, self.patch_size * self.patch_size * channels)
        )
        return patches

    def get_config(self):
        config = super().get_config()
        config.update({"patch_size": self.patch_size})
        return config


class TFPatches(layers.Layer):
    def call(self, images):
        batch_size = tf.shape(images)[0]
        patches = tf.image.extract_patches(
            images=images, sizes=[1, 4, 4, 1], strides=[1, 4, 4, 1], rates=[1, 1, 1, 1], padding="VALID"
        )
        return tf.reshape(patches, [batch_size, -1, patches.shape[-1]])


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches, projection_dim):
        super().__init__()
        self.num_patches = num_patches
        self.projection = layers.Dense(units=projection_dim)
        self.position_embedding = layers.Embedding(input_dim=num_patches, output_dim=projection_dim)

    def call(self, patch):
        positions = ops.expand_dims(ops.arange(start=0, stop=self.num_patches, step=1), axis=0)
        projected_patches = self.projection(patch)
        return projected_patches + self.position_embedding(positions)


class ClassToken(layers.Layer):
    def build(self, input_shape):
        self.cls = self.add_weight(
            shape=(1, 1, input_shape[-1]), initializer="zeros", trainable=True, name="cls"
        )

    def call(self, inputs):
        batch_size = tf.shape(inputs)[0]
        hidden = inputs.shape[-1]
        cls_broadcasted = tf.cast(tf.broadcast_to(self.cls, [batch_size, 1, hidden]), dtype=inputs.dtype)
        again = tf.tile(self.cls, [batch_size, 1, 1])
        third = ops.repeat(self.cls, ops.shape(inputs)[0], axis=0)
        return tf.concat([(cls_broadcasted + again + third) / 3.0, inputs], 1)


def mlp(x, hidden_units, dropout_rate):
    for units in hidden_units:
        x = layers.Dense(units, activation=keras.activations.gelu)(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


def vit(patches):
    inputs = keras.Input(shape=(8, 8, 3))
    encoded = PatchEncoder(4, 8)(patches(inputs))
    encoded = ClassToken()(encoded)
    for _ in range(2):
        x1 = layers.LayerNormalization(epsilon=1e-6)(encoded)
        attention_output = layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.0)(x1, x1)
        x2 = layers.Add()([attention_output, encoded])
        x3 = layers.LayerNormalization(epsilon=1e-6)(x2)
        x3 = mlp(x3, hidden_units=[16, 8], dropout_rate=0.0)
        encoded = layers.Add()([x3, x2])
    representation = layers.LayerNormalization(epsilon=1e-6)(encoded)
    representation = layers.Flatten()(representation)
    logits = layers.Dense(3)(representation)
    return keras.Model(inputs=inputs, outputs=logits)


model = known(vit(Patches(4)), 1, 0.2)
model.compile(
    optimizer=keras.optimizers.AdamW(learning_rate=0.001, weight_decay=0.0001),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[
        keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
        keras.metrics.SparseTopKCategoricalAccuracy(2, name="top-2"),
    ],
)
h = model.fit(x, y, batch_size=4, epochs=2, validation_split=0.25, shuffle=False, verbose=0)
second = vit(lambda t: TFPatches()(t))
second.set_weights(model.get_weights())
model.summary()
scores = layers.MultiHeadAttention(2, 4, name="mha")
o, s = scores(np.ones((1, 3, 8), "float32"), np.ones((1, 3, 8), "float32"), return_attention_scores=True)
result.update(
    h=h.history,
    pred=model.predict(x, verbose=0),
    second=second.predict(x[:3], verbose=0),
    paths=[w.path for w in model.weights],
    scores=str(s.shape),
    patches=TFPatches()(x[:2]),
)


def activation_block(x):
    x = layers.Activation("gelu")(x)
    return layers.BatchNormalization()(x)


def conv_mixer_block(x, filters, kernel_size):
    x0 = x
    x = layers.DepthwiseConv2D(kernel_size=kernel_size, padding="same")(x)
    x = layers.Add()([activation_block(x), x0])
    x = layers.Conv2D(filters, kernel_size=1)(x)
    return activation_block(x)


def se(x):
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Dense(2, activation="relu")(s)
    s = layers.Dense(6, activation="sigmoid")(s)
    return x * s


inputs = keras.Input((8, 8, 3))
z = layers.Rescaling(scale=1.0 / 0.5)(inputs)
z = layers.Conv2D(6, kernel_size=2, strides=2)(z)
z = activation_block(z)
z = conv_mixer_block(z, 6, 3)
z = se(z)
z = ops.mean(z, axis=(1, 2))
z = keras.activations.relu(z)
mixer = known(keras.Model(inputs, layers.Dense(3, activation="softmax")(z)), 2, 0.3)
mixer.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
h2 = mixer.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
result.update(h2=h2.history, w=mixer.get_weights(), names=[l.name for l in mixer.layers])
