"""Pipelines of tf.data and generators; predict in every way; Normalization; time series."""

# ruff: noqa: B905, E741, F821
import math

import matplotlib.pyplot as plt
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.randint(0, 256, (20, 8, 8, 3)).astype("uint8")
y = rng.randint(0, 4, 20)


def preprocess(image, label):
    image = tf.cast(image, tf.float32) / 255.0
    image = tf.image.resize(image, [6, 6])
    return image, tf.one_hot(label, 4)


def augment(image, label):
    image = tf.image.random_flip_left_right(image)
    image = tf.image.random_brightness(image, max_delta=0.1)
    image = tf.image.random_contrast(image, 0.8, 1.2)
    return tf.clip_by_value(image, 0.0, 1.0), label


ds = tf.data.Dataset.from_tensor_slices((x, y))
train = (
    ds.take(16)
    .map(preprocess, num_parallel_calls=tf.data.AUTOTUNE)
    .cache()
    .batch(4)
    .prefetch(tf.data.AUTOTUNE)
)
valid = ds.skip(16).map(preprocess).batch(4)
aug = ds.map(preprocess).map(augment).shuffle(20, seed=1).repeat(2).batch(8)
both = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.from_tensors(1.0).repeat(3)))
shapes = [str(b[0].shape) for b in aug]
total = sum(len(b) for b, _ in aug)
result.update(
    spec=str(train.element_spec),
    specs=str(ds.element_spec),
    shapes=shapes,
    total=total,
    zipped=[(int(a), float(b)) for a, b in both],
    enum=[(int(i), str(b[0].dtype)) for i, b in train.enumerate()][:2],
    npit=[b.dtype.name for b in next(iter(valid.as_numpy_iterator()))],
    card=int(aug.cardinality()),
    filt=len(list(ds.filter(lambda i, l: l > 1))),
    windows=[
        list(w.as_numpy_iterator()) for w in tf.data.Dataset.range(5).window(3, shift=1, drop_remainder=True)
    ],
    flat=[t.numpy().tolist() for t in tf.data.Dataset.range(6).batch(4).unbatch().batch(3)],
    reduce=int(tf.data.Dataset.range(5).reduce(np.int64(0), lambda a, b: a + b)),
    conc=len(ds.concatenate(ds)),
    shard=[int(v) for v in tf.data.Dataset.range(6).shard(2, 1)],
)
model = known(
    keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    ),
    1,
)
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
h = model.fit(train, validation_data=valid, epochs=2, verbose=0)
result.update(h=h.history, ev=model.evaluate(valid, verbose=0))


def gen():
    for i in range(20):
        yield x[i].astype("float32") / 255.0, y[i]


fg = tf.data.Dataset.from_generator(
    gen,
    output_signature=(
        tf.TensorSpec(shape=(8, 8, 3), dtype=tf.float32),
        tf.TensorSpec(shape=(), dtype=tf.int32),
    ),
)
fb = next(iter(fg.batch(5)))
result.update(fg=str(fb[0].shape), fgl=fb[1], fgspec=str(fg.element_spec))


# predict in every way
images = (x / 255.0)[:, :6, :6].astype("float32")


class Batches(keras.utils.PyDataset):
    def __init__(self, x_set, y_set, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.batch_size = x_set, y_set, batch_size

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

    def __getitem__(self, idx):
        low = idx * self.batch_size
        return self.x[low : low + self.batch_size], self.y[low : low + self.batch_size]


def endless():
    while True:
        for i in range(0, 20, 5):
            yield images[i : i + 5], keras.utils.to_categorical(y[i : i + 5], 4)


p = model.predict(images, verbose=0)
py = Batches(images, keras.utils.to_categorical(y, 4), 7)
ways = [
    model.predict(images, batch_size=3, verbose=0),
    model.predict(tf.data.Dataset.from_tensor_slices(images).batch(6), verbose=0),
    model.predict(endless(), steps=4, verbose=0),
    model.predict(py, verbose=0),
    model.predict_on_batch(images),
    model(images).numpy(),
    model(images, training=False),
    np.concatenate([model.predict(images[i : i + 1], verbose=0) for i in range(20)]),
    model.predict(tf.constant(images), verbose=0),
    model.predict(list(images)[0][None], verbose=0),
]
result["ways"] = [bool(np.allclose(w, p[: len(w)], atol=1e-6)) for w in ways]
result["hundred"] = float(sum(model.predict(images[:1], verbose=0)[0, 0] for _ in range(100)))
result["gen"] = model.fit(endless(), steps_per_epoch=4, epochs=2, verbose=0).history
result["pyfit"] = model.fit(py, epochs=1, verbose=0, shuffle=False).history
result["evalgen"] = model.evaluate(endless(), steps=4, verbose=0, return_dict=True)
result["wrong"] = error(model.predict, np.zeros((2, 7, 7, 3, 1)), verbose=0)
result["labels"] = error(model.fit, images, y, verbose=0)
result["sparse"] = error(
    lambda: (
        model.compile("adam", "sparse_categorical_crossentropy"),
        model.fit(images, y + 3, verbose=0, batch_size=20),
    )
)

ImageDataGenerator = tf.keras.preprocessing.image.ImageDataGenerator
datagen = ImageDataGenerator(
    rescale=1.0 / 255, featurewise_center=False, horizontal_flip=False, validation_split=0.2
)
it = datagen.flow(x, keras.utils.to_categorical(y, 4), batch_size=8, shuffle=False, subset="training")
xb, yb = next(it)
result.update(flow=xb, flowy=yb, flown=len(it), flowshapes=[b[0].shape for b, _ in zip(it, range(3))])
gm = known(
    keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, activation="softmax")]),
    2,
    0.1,
)
gm.compile("sgd", "categorical_crossentropy")
it.reset()
result["flowfit"] = gm.fit(
    it,
    epochs=2,
    verbose=0,
    validation_data=datagen.flow(
        x, keras.utils.to_categorical(y, 4), batch_size=8, shuffle=False, subset="validation"
    ),
).history

# regression
features = rng.rand(40, 3).astype("float32") * [1, 10, 100]
target = features @ [1.0, 0.2, 0.03] + 1
normalizer = layers.Normalization(axis=-1)
normalizer.adapt(features)
reg = keras.Sequential([normalizer, layers.Dense(8, activation="relu"), layers.Dense(1)])
reg(features[:2])
for k, l in enumerate(reg.layers[1:]):
    l.set_weights([np.random.RandomState(k).randn(*w.shape) * 0.3 for w in l.get_weights()])
reg.compile(
    loss="mean_absolute_error",
    optimizer=keras.optimizers.Adam(0.01),
    metrics=["mse", "mape", keras.metrics.RootMeanSquaredError(), keras.metrics.R2Score()],
)
hr = reg.fit(features, target, validation_split=0.2, epochs=3, batch_size=8, shuffle=False, verbose=0)
plt.plot(hr.history["loss"], label="loss")
plt.plot(hr.history["val_loss"], label="val_loss")
plt.legend()
plt.savefig("loss.png")
result.update(
    hr=hr.history,
    mean=normalizer.mean.numpy(),
    var=normalizer.variance,
    norm=np.array(normalizer(features[:1])),
    regp=reg.predict(features[:4], verbose=0).flatten(),
)

# time series
series = np.sin(np.arange(60) * 0.3).astype("float32")
wd = (
    tf.data.Dataset.from_tensor_slices(series)
    .window(9, shift=1, drop_remainder=True)
    .flat_map(lambda w: w.batch(9))
    .map(lambda w: (w[:-1, tf.newaxis], w[-1:]))
    .batch(8)
)
ts = keras.Sequential(
    [
        layers.Conv1D(4, 3, activation="relu", padding="causal", input_shape=(8, 1)),
        layers.MaxPooling1D(2),
        layers.LSTM(5, return_sequences=True),
        layers.Bidirectional(layers.LSTM(3)),
        layers.Dense(1),
    ]
)
known(ts, 3)
ts.compile(loss=keras.losses.Huber(), optimizer=keras.optimizers.SGD(0.05, momentum=0.9), metrics=["mae"])
result["ts"] = ts.fit(wd, epochs=2, verbose=0).history
arr = keras.utils.timeseries_dataset_from_array(series[:, None], series[8:], sequence_length=8, batch_size=16)
result["tsa"] = [(str(a.shape), str(b.shape)) for a, b in arr]
result["tsd"] = ts.evaluate(arr, verbose=0)

# lazily built
lazy = keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
result["lazy0"] = (lazy.built, error(lambda: lazy.weights and lazy.count_params()))
lazy.build((None, 6, 6, 3))
result["lazy1"] = (lazy.built, lazy.count_params(), str(lazy.output_shape))
lazy.add(layers.Softmax())
lazy.pop()
result["lazy2"] = (len(lazy.layers), str(lazy(images).shape), lazy.layers[0].name)
