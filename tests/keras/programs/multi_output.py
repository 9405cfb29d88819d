"""Several outputs: dicts of losses, metrics, weights and targets; k-fold with clone_model; class weights."""

# ruff: noqa: F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.rand(24, 8, 8, 1).astype("float32")
shape_y = rng.randint(0, 3, 24)
colour_y = keras.utils.to_categorical(rng.randint(0, 4, 24), num_classes=4)
size_y = rng.rand(24, 1).astype("float32")

inputs = keras.Input((8, 8, 1), name="img")
h = layers.Conv2D(4, 3, activation="relu")(inputs)
h = layers.GlobalAveragePooling2D()(h)
o1 = layers.Dense(3, activation="softmax", name="shape")(h)
o2 = layers.Dense(4, activation="softmax", name="colour")(h)
o3 = layers.Dense(1, name="size")(h)
model = known(keras.Model(inputs, [o1, o2, o3], name="multi"))
model.compile(
    optimizer="adam",
    loss={
        "shape": "sparse_categorical_crossentropy",
        "colour": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "size": "mse",
    },
    loss_weights={"shape": 1.0, "colour": 0.5, "size": 2.0},
    metrics={
        "shape": ["accuracy"],
        "colour": ["accuracy", keras.metrics.Precision(name="prec")],
        "size": keras.metrics.MeanAbsoluteError(name="mae"),
    },
)
y = {"shape": shape_y, "colour": colour_y, "size": size_y}
h1 = model.fit(x, y, validation_split=0.25, epochs=2, batch_size=6, shuffle=False, verbose=0)
e1 = model.evaluate(x, y, verbose=0)
e2 = model.evaluate(x, [shape_y, colour_y, size_y], verbose=0, return_dict=True)
h3 = model.fit(
    x,
    [shape_y, colour_y, size_y],
    epochs=1,
    batch_size=6,
    shuffle=False,
    verbose=0,
    sample_weight=[np.ones(24), np.linspace(0, 1, 24), np.ones(24)],
)
ds = tf.data.Dataset.from_tensor_slices(({"img": x}, y)).batch(6)
h4 = model.fit(ds, epochs=1, verbose=0)
p = model.predict(x[:3], verbose=0)
dictm = keras.Model(inputs, {"shape": o1, "size": o3})
dictm.compile(
    "sgd", loss={"shape": "sparse_categorical_crossentropy", "size": "mae"}, metrics={"shape": "accuracy"}
)
h5 = dictm.fit(x, {"shape": shape_y, "size": size_y}, epochs=1, batch_size=6, shuffle=False, verbose=0)
pd = dictm.predict(x[:2], verbose=0)
result.update(
    h1=h1.history,
    e1=e1,
    e2=e2,
    h3=h3.history,
    h4=h4.history,
    p=p,
    h5=h5.history,
    pd=pd,
    outnames=model.output_names,
    train_batch=model.train_on_batch(x[:4], {k: v[:4] for k, v in y.items()}, return_dict=True),
    test_batch=model.test_on_batch(x[:4], {k: v[:4] for k, v in y.items()}),
)
result["wrong_count"] = error(model.fit, x, [shape_y, colour_y], verbose=0)
result["bad_loss"] = error(model.compile, "adam", loss={"nothing": "mse"})


# k-fold
def folds(n, k):
    order = np.arange(n)
    for i in range(k):
        test = order[i::k]
        yield np.setdiff1d(order, test), test


small = known(
    keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        name="small",
    ),
    5,
)
scores = []
for train, test in folds(24, 3):
    m = keras.models.clone_model(small)
    m.set_weights(small.get_weights())
    m.compile(
        optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    m.fit(x[train], shape_y[train], epochs=2, batch_size=8, shuffle=False, verbose=0)
    loss, acc = m.evaluate(x[test], shape_y[test], verbose=0)
    scores.append([loss, acc])
result["scores"] = scores
result["mean"] = "%.2f%% (+/- %.2f%%)" % (
    np.mean([s[1] * 100 for s in scores]),
    np.std([s[1] * 100 for s in scores]),
)

# imbalanced
yb = (rng.rand(24) > 0.75).astype("float32")
neg, pos = np.bincount(yb.astype(int))
METRICS = [
    keras.metrics.TruePositives(name="tp"),
    keras.metrics.FalsePositives(name="fp"),
    keras.metrics.TrueNegatives(name="tn"),
    keras.metrics.FalseNegatives(name="fn"),
    keras.metrics.BinaryAccuracy(name="accuracy"),
    keras.metrics.Precision(name="precision"),
    keras.metrics.Recall(name="recall"),
    keras.metrics.AUC(name="auc"),
    keras.metrics.AUC(name="prc", curve="PR"),
]
output_bias = keras.initializers.Constant(np.log([pos / neg])[0])
im = keras.Sequential(
    [
        layers.Flatten(input_shape=(8, 8, 1)),
        layers.Dense(6, activation="relu"),
        layers.Dropout(0.0),
        layers.Dense(1, activation="sigmoid", bias_initializer=output_bias),
    ]
)
result["bias"] = im.layers[-1].get_weights()[1]
known(im, 6)
im.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1e-2),
    loss=keras.losses.BinaryCrossentropy(),
    metrics=METRICS,
)
early_stopping = keras.callbacks.EarlyStopping(
    monitor="val_prc", verbose=1, patience=2, mode="max", restore_best_weights=True
)
total = neg + pos
class_weight = {0: (1 / neg) * (total / 2.0), 1: (1 / pos) * (total / 2.0)}
h6 = im.fit(
    x,
    yb,
    batch_size=8,
    epochs=6,
    callbacks=[early_stopping],
    validation_data=(x, yb),
    class_weight=class_weight,
    shuffle=False,
    verbose=0,
)
result["h6"] = h6.history
result["e6"] = im.evaluate(x, yb, batch_size=8, verbose=0)
result["cm"] = tf.math.confusion_matrix(yb, (im.predict(x, verbose=0)[:, 0] > 0.5).astype(int), num_classes=2)
result["cw_multi"] = error(model.fit, x, y, class_weight={0: 1.0}, verbose=0)
