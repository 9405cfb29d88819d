"""The lecture's network on Fashion-MNIST in twelve lines."""

from cnnexplain import keras

(x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)])
for filters in (16, 32, 64):
    model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
    model.add(keras.layers.MaxPooling2D())
model.add(keras.layers.Conv2D(128, 3, padding="same", activation="relu"))
model.add(keras.layers.GlobalAveragePooling2D())
model.add(keras.layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, batch_size=32, epochs=EPOCHS, validation_data=(x_test, y_test), verbose=VERBOSE)  # noqa: F821
