"""An autoencoder and a U-Net with Dice loss and MeanIoU."""

# ruff: noqa: F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.rand(12, 16, 16, 3).astype("float32")
mask = (x.mean(-1, keepdims=True) > 0.5).astype("uint8") + (x[..., :1] > 0.8).astype("uint8")


def get_model(img_size, num_classes):
    inputs = keras.Input(shape=img_size + (3,))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous_block_activation = x
    for filters in [6]:
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(filters, 1, strides=2, padding="same")(previous_block_activation)
        x = layers.add([x, residual])
        previous_block_activation = x
    skip = x
    for filters in [6, 4]:
        x = layers.Activation("relu")(x)
        x = layers.Conv2DTranspose(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.UpSampling2D(2)(x)
        residual = layers.UpSampling2D(2)(previous_block_activation)
        residual = layers.Conv2D(filters, 1, padding="same")(residual)
        x = layers.add([x, residual])
        previous_block_activation = x
    up = layers.UpSampling2D(4, interpolation="bilinear")(skip)
    x = layers.concatenate([x, up], axis=-1)
    x = layers.Concatenate()([x, layers.Conv2D(2, 1)(inputs)])
    outputs = layers.Conv2D(num_classes, 3, activation="softmax", padding="same")(x)
    return keras.Model(inputs, outputs)


model = known(get_model((16, 16), 3), 0, 0.3)
model.compile(
    optimizer=keras.optimizers.SGD(0.05),
    loss="sparse_categorical_crossentropy",
    metrics=[
        "accuracy",
        keras.metrics.MeanIoU(num_classes=3, sparse_y_pred=False, name="miou"),
        keras.metrics.IoU(num_classes=3, target_class_ids=[0], sparse_y_pred=False),
    ],
)
h = model.fit(x, mask, validation_split=0.25, batch_size=3, epochs=2, shuffle=False, verbose=0)
model.summary()


def dice_coef(y_true, y_pred, smooth=1.0):
    y_true_f = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "float32")
    y_pred_f = tf.reshape(y_pred, [-1])
    intersection = tf.reduce_sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (tf.reduce_sum(y_true_f) + tf.reduce_sum(y_pred_f) + smooth)


def dice_loss(y_true, y_pred):
    return 1 - dice_coef(y_true, y_pred)


inp = keras.Input((None, None, 3))
c1 = layers.Conv2D(4, 3, padding="same", activation="relu", kernel_initializer="he_normal")(inp)
p1 = layers.MaxPooling2D((2, 2))(c1)
c2 = layers.Conv2D(6, 3, padding="same", activation="relu")(p1)
u1 = layers.Conv2DTranspose(4, (2, 2), strides=(2, 2), padding="same")(c2)
m1 = layers.Concatenate(axis=3)([u1, c1])
seg = keras.Model([inp], [layers.Conv2D(1, 1, activation="sigmoid")(m1)])
known(seg, 3)
seg.compile(
    "adam", loss=dice_loss, metrics=[dice_coef, keras.metrics.BinaryIoU(target_class_ids=[1], threshold=0.5)]
)
binary = (mask > 0).astype("float32")
h2 = seg.fit(x, binary, epochs=2, batch_size=4, shuffle=False, verbose=0)
seg.compile("adam", loss=keras.losses.Dice(), metrics=["binary_accuracy"])
ev = seg.evaluate(x, binary, verbose=0)
odd = seg.predict(x[:2, :14, :12], verbose=0)

auto = keras.Sequential(
    [
        layers.Input((16, 16, 3)),
        layers.Conv2D(4, (3, 3), activation="relu", padding="same"),
        layers.AveragePooling2D((2, 2), padding="same"),
        layers.Conv2DTranspose(4, (3, 3), strides=2, activation="relu", padding="same"),
        layers.Conv2D(3, (3, 3), activation="sigmoid", padding="same"),
    ]
)
known(auto, 4)
auto.compile(optimizer="adam", loss="binary_crossentropy")
h3 = auto.fit(x, x, epochs=2, batch_size=6, shuffle=False, verbose=0, validation_data=(x, x))
m = keras.metrics.MeanIoU(num_classes=3)
m.update_state(mask, np.argmax(model.predict(x, verbose=0), -1)[..., None])
result.update(
    h=h.history,
    h2=h2.history,
    h3=h3.history,
    ev=ev,
    odd=odd,
    iou=float(m.result()),
    values=[np.array(v) for v in m.variables],
    pred=model.predict(x[:2], verbose=0),
    bad=error(seg.predict, x[:2, :15, :13], verbose=0),
)
