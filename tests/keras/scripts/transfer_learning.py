"""Transfer learning as tutorials do it: DIRECTORY holds one folder of pictures for each class."""

import cnnexplain as tf
from cnnexplain import keras

SIZE = (64, 64)
train, validation = keras.utils.image_dataset_from_directory(
    DIRECTORY,  # noqa: F821
    validation_split=0.25,
    subset="both",
    seed=1337,
    image_size=SIZE,
    batch_size=8,
)
classes = train.class_names
train = train.cache().shuffle(100, seed=3).prefetch(tf.data.AUTOTUNE)
validation = validation.cache().prefetch(buffer_size=tf.data.AUTOTUNE)

augmentation = keras.Sequential(
    [
        keras.layers.RandomFlip("horizontal", seed=1),
        keras.layers.RandomRotation(0.05, seed=2),
        keras.layers.RandomZoom(0.1, seed=3),
    ],
    name="augmentation",
)
base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=SIZE + (3,))
base.trainable = False

inputs = keras.Input(shape=SIZE + (3,))
x = augmentation(inputs)
x = x / 127.5 - 1
x = base(x, training=False)
x = keras.layers.GlobalAveragePooling2D()(x)
x = keras.layers.Dropout(0.2)(x)
outputs = keras.layers.Dense(len(classes), activation="softmax")(x)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=["accuracy"],
)
model.summary(print_fn=lambda text, **options: None)
frozen = [weight.numpy().copy() for weight in base.weights]
head = model.fit(train, epochs=2, validation_data=validation, verbose=0)
still = [weight.numpy().copy() for weight in base.weights]

base.trainable = True
for layer in base.layers[:-6]:
    layer.trainable = False
model.compile(
    optimizer=keras.optimizers.Adam(1e-5),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=False),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
)
tuned = model.fit(
    train,
    epochs=head.epoch[-1] + 2,
    initial_epoch=head.epoch[-1] + 1,
    validation_data=validation,
    callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
    verbose=0,
)
loss, accuracy = model.evaluate(validation, verbose=0)
images, labels = next(iter(validation))
predictions = model.predict(images, verbose=0)
picture = keras.utils.img_to_array(keras.utils.load_img(PICTURE, target_size=SIZE))  # noqa: F821
probability = float(tf.reduce_max(model(tf.expand_dims(picture, 0), training=False)))
