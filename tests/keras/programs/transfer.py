"""Transfer learning from directories: augmentation, a frozen base, fine-tuning, saving."""

# ruff: noqa: B007, F821
import os

import matplotlib.pyplot as plt
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
for split, n in (("train", 8), ("validation", 4)):
    for k, c in enumerate(("cats", "dogs")):
        os.makedirs(os.path.join(FOLDER, "data", split, c))
        for i in range(n):
            keras.utils.save_img(
                os.path.join(FOLDER, "data", split, c, f"{i}.png"),
                rng.rand(20, 24, 3) * 100 + 100 * k,
                scale=False,
            )
train_dir = os.path.join(FOLDER, "data", "train")
IMG_SIZE = (16, 16)
train_dataset = keras.utils.image_dataset_from_directory(
    train_dir, shuffle=False, batch_size=4, image_size=IMG_SIZE
)
validation_dataset = tf.keras.utils.image_dataset_from_directory(
    os.path.join(FOLDER, "data", "validation"), shuffle=False, batch_size=4, image_size=IMG_SIZE
)
class_names = train_dataset.class_names
val_batches = tf.data.experimental.cardinality(validation_dataset)
test_dataset = validation_dataset.take(val_batches // 2)
validation_dataset = validation_dataset.skip(val_batches // 2)
counts = "Number of validation batches: %d, test %d" % (
    tf.data.experimental.cardinality(validation_dataset),
    tf.data.experimental.cardinality(test_dataset),
)
plt.figure(figsize=(10, 10))
for images, labels in train_dataset.take(1):
    for i in range(4):
        ax = plt.subplot(3, 3, i + 1)
        plt.imshow(images[i].numpy().astype("uint8"))
        plt.title(class_names[labels[i]])
        plt.axis("off")
AUTOTUNE = tf.data.AUTOTUNE
train_dataset = train_dataset.prefetch(buffer_size=AUTOTUNE)
data_augmentation = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.0)])
for image, _ in train_dataset.take(1):
    first_image = image[0]
    for i in range(2):
        augmented_image = data_augmentation(tf.expand_dims(first_image, 0))
        plt.imshow(augmented_image[0] / 255)

base_in = keras.Input(IMG_SIZE + (3,))
b = layers.Conv2D(4, 3, name="c1", use_bias=False)(base_in)
b = layers.BatchNormalization(name="b1")(b)
b = layers.ReLU(6.0, name="r1")(b)
b = layers.DepthwiseConv2D(3, padding="same", name="d1")(b)
b = layers.BatchNormalization(name="b2")(b)
b = layers.Conv2D(6, 1, name="c2")(b)
base_model = known(keras.Model(base_in, b, name="base"), 1)
image_batch, label_batch = next(iter(train_dataset))
feature_batch = base_model(image_batch)
base_model.trainable = False
preprocess_input = keras.applications.vgg16.preprocess_input
global_average_layer = keras.layers.GlobalAveragePooling2D()
feature_batch_average = global_average_layer(feature_batch)
prediction_layer = keras.layers.Dense(1, activation="sigmoid")
prediction_batch = prediction_layer(feature_batch_average)

inputs = keras.Input(shape=(16, 16, 3))
x = data_augmentation(inputs, training=False)
x = layers.Rescaling(1.0 / 127.5, offset=-1)(x)
x = base_model(x, training=False)
x = global_average_layer(x)
x = layers.Dropout(0.0)(x)
outputs = prediction_layer(x)
model = keras.Model(inputs, outputs)
prediction_layer.set_weights([rng.randn(6, 1) * 0.3, np.zeros(1)])
model.summary(show_trainable=True)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss=keras.losses.BinaryCrossentropy(),
    metrics=[keras.metrics.BinaryAccuracy(threshold=0.5, name="accuracy")],
)
loss0, accuracy0 = model.evaluate(validation_dataset, verbose=0)
print(f"initial loss: {loss0:.2f}")
history = model.fit(train_dataset, epochs=2, validation_data=validation_dataset, verbose=0)
acc = history.history["accuracy"]
plt.figure(figsize=(8, 8))
plt.subplot(2, 1, 1)
plt.plot(acc, label="Training Accuracy")
plt.ylim([min(plt.ylim()), 1])
plt.savefig("curves.png")
ntrain = len(model.trainable_variables)
base_model.trainable = True
print("Number of layers in the base model: ", len(base_model.layers))
for layer in base_model.layers[:4]:
    layer.trainable = False
for layer in base_model.layers:
    if isinstance(layer, layers.BatchNormalization):
        layer.trainable = False
model.compile(
    loss="binary_crossentropy", optimizer=keras.optimizers.RMSprop(learning_rate=0.0001), metrics=["accuracy"]
)
after = len(model.trainable_variables)
model.summary()
history_fine = model.fit(
    train_dataset,
    epochs=4,
    initial_epoch=history.epoch[-1] + 1,
    validation_data=validation_dataset,
    verbose=0,
)
acc += history_fine.history["accuracy"]
loss, accuracy = model.evaluate(test_dataset, verbose=0)
image_batch, label_batch = next(test_dataset.as_numpy_iterator())
predictions = model.predict_on_batch(image_batch).flatten()
predictions = tf.where(predictions < 0.5, 0, 1)
print("Predictions:\n", predictions.numpy())
print("Labels:\n", label_batch)
model.save("transfer" + SUFFIX)
again = keras.models.load_model("transfer" + SUFFIX)
img = keras.utils.load_img(os.path.join(train_dir, "cats", "0.png"), target_size=IMG_SIZE)
img_array = keras.utils.img_to_array(img)
img_array = tf.expand_dims(img_array, 0)
score = float(again.predict(img_array, verbose=0)[0][0])
print(f"This image is {100 * (1 - score):.2f}% cat and {100 * score:.2f}% dog.")
result.update(
    class_names=class_names,
    counts=counts,
    h=history.history,
    hf=history_fine.history,
    epochs=history_fine.epoch,
    ntrain=ntrain,
    after=after,
    loss=loss,
    acc=acc,
    predictions=predictions,
    labels=label_batch,
    shape=str(image_batch.shape),
    dtype=str(image_batch.dtype),
    score=score,
    same=np.allclose(again.predict(test_dataset, verbose=0), model.predict(test_dataset, verbose=0)),
    feature_shape=str(feature_batch.shape),
    spec=str(train_dataset.element_spec),
    base=base_model.get_weights(),
    saved=os.path.exists("curves.png"),
)
result["bad"] = error(keras.utils.image_dataset_from_directory, os.path.join(FOLDER, "nothing"))
