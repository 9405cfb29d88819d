"""Deep dream, filters and style transfer: gradient ascent on pictures; feature maps."""

# ruff: noqa: B007, B905, C416, E741, F821
import matplotlib.pyplot as plt
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
base = keras.Sequential(
    [
        keras.Input((None, None, 3)),
        layers.Conv2D(6, 3, padding="same", activation="relu", name="block1_conv1"),
        layers.AveragePooling2D(2, name="block1_pool"),
        layers.Conv2D(8, 3, padding="same", activation="relu", name="block2_conv1"),
        layers.Conv2D(8, 3, padding="same", activation="relu", name="block2_conv2"),
    ]
)
known(base, 1, 0.4)
base.trainable = False


class DeepDream(tf.Module):
    def __init__(self, model):
        self.model = model

    @tf.function(
        input_signature=(
            tf.TensorSpec(shape=[None, None, 3], dtype=tf.float32),
            tf.TensorSpec(shape=[], dtype=tf.int32),
            tf.TensorSpec(shape=[], dtype=tf.float32),
        )
    )
    def __call__(self, img, steps, step_size):
        loss = tf.constant(0.0)
        for n in tf.range(steps):
            with tf.GradientTape() as tape:
                tape.watch(img)
                loss = calc_loss(img, self.model)
            gradients = tape.gradient(loss, img)
            gradients /= tf.math.reduce_std(gradients) + 1e-8
            img = img + gradients * step_size
            img = tf.clip_by_value(img, -1, 1)
        return loss, img


def calc_loss(img, model):
    img_batch = tf.expand_dims(img, axis=0)
    layer_activations = model(img_batch)
    if len(layer_activations) == 1:
        layer_activations = [layer_activations]
    losses = []
    for act in layer_activations:
        loss = tf.math.reduce_mean(act)
        losses.append(loss)
    return tf.reduce_sum(losses)


names = ["block1_pool", "block2_conv2"]
outs = [base.get_layer(name).output for name in names]
dream_model = keras.Model(inputs=base.inputs, outputs=outs)
deepdream = DeepDream(dream_model)
original = tf.constant(rng.rand(14, 16, 3).astype("float32"))
img = original
for octave in range(2):
    new_size = tf.cast(tf.convert_to_tensor(tf.shape(original)[:-1]), tf.float32) * (1.3**octave)
    img = tf.image.resize(img, tf.cast(new_size, tf.int32))
    loss, img = deepdream(img, tf.constant(3), tf.constant(0.01))
print(f"Step {3}, loss {loss:.4f}")
shown = tf.cast(255 * (img + 1.0) / 2.0, tf.uint8)


def random_roll(img, maxroll):
    shift = tf.random.uniform(shape=[2], minval=-maxroll, maxval=maxroll, dtype=tf.int32)
    return shift, tf.roll(img, shift=shift, axis=[0, 1])


shift, rolled = random_roll(original, 5)
back = tf.roll(rolled, shift=-shift, axis=[0, 1])
result.update(
    dream=img,
    dream_shape=str(img.shape),
    loss=float(loss),
    range=(int(tf.reduce_min(shown)) >= 0, str(shown.dtype)),
    roll=bool(tf.reduce_all(back == original)),
)


# filters: gradient ascent on an image Variable with total variation
def visualize_filter(filter_index, img):
    img = tf.Variable(img)
    opt = keras.optimizers.Adam(0.05)
    for _ in range(3):
        with tf.GradientTape() as tape:
            activation = extractor(img)
            loss = -tf.reduce_mean(activation[:, 2:-2, 2:-2, filter_index]) + 1e-3 * tf.reduce_sum(
                tf.image.total_variation(img)
            )
        grads = tape.gradient(loss, img)
        grads = tf.math.l2_normalize(grads)
        opt.apply_gradients([(grads, img)])
        img.assign(tf.clip_by_value(img, 0.0, 1.0))
    return float(loss), img.numpy()[0]


extractor = keras.Model(inputs=base.inputs, outputs=base.get_layer("block2_conv1").output)
start = rng.rand(1, 12, 12, 3).astype("float32")
vis = [visualize_filter(k, start) for k in range(2)]
result.update(vis=[v[1] for v in vis], vloss=[v[0] for v in vis])


# style transfer
def gram_matrix(input_tensor):
    res = tf.linalg.einsum("bijc,bijd->bcd", input_tensor, input_tensor)
    input_shape = tf.shape(input_tensor)
    num_locations = tf.cast(input_shape[1] * input_shape[2], tf.float32)
    return res / (num_locations)


class StyleContentModel(keras.models.Model):
    def __init__(self, style_layers, content_layers):
        super().__init__()
        self.vgg = keras.Model(base.inputs, [base.get_layer(n).output for n in style_layers + content_layers])
        self.style_layers, self.content_layers = style_layers, content_layers
        self.num_style_layers = len(style_layers)
        self.vgg.trainable = False

    def call(self, inputs):
        inputs = inputs * 2.0 - 1.0
        outputs = self.vgg(inputs)
        style_outputs, content_outputs = outputs[: self.num_style_layers], outputs[self.num_style_layers :]
        style_outputs = [gram_matrix(s) for s in style_outputs]
        content_dict = {n: v for n, v in zip(self.content_layers, content_outputs)}
        style_dict = {n: v for n, v in zip(self.style_layers, style_outputs)}
        return {"content": content_dict, "style": style_dict}


ex = StyleContentModel(["block1_conv1", "block2_conv1"], ["block2_conv2"])
content = tf.constant(rng.rand(1, 12, 12, 3).astype("float32"))
style = tf.constant(rng.rand(1, 10, 10, 3).astype("float32"))
style_targets, content_targets = ex(style)["style"], ex(content)["content"]
image = tf.Variable(content)
opt = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)


def style_content_loss(outputs):
    s, c = outputs["style"], outputs["content"]
    style_loss = tf.add_n([tf.reduce_mean((s[name] - style_targets[name]) ** 2) for name in s.keys()])
    style_loss *= 1e-1 / 2
    content_loss = tf.add_n([tf.reduce_mean((c[name] - content_targets[name]) ** 2) for name in c.keys()])
    return style_loss + content_loss * 1e2


def clip_0_1(image):
    return tf.clip_by_value(image, clip_value_min=0.0, clip_value_max=1.0)


def high_pass_x_y(image):
    x_var = image[:, :, 1:, :] - image[:, :, :-1, :]
    y_var = image[:, 1:, :, :] - image[:, :-1, :, :]
    return x_var, y_var


@tf.function()
def train_step(image):
    with tf.GradientTape() as tape:
        loss = style_content_loss(ex(image))
        loss += 30 * tf.image.total_variation(image)
        xv, yv = high_pass_x_y(image)
        loss += tf.reduce_sum(tf.abs(xv)) * 1e-3 + tf.reduce_mean(tf.abs(yv))
    grad = tape.gradient(loss, image)
    opt.apply_gradients([(grad, image)])
    image.assign(clip_0_1(image))
    return loss


losses = [train_step(image) for _ in range(4)]
for name, output in sorted(ex(content)["style"].items()):
    print("  ", name)
    print("    shape: ", output.numpy().shape)
    print("    mean: ", round(float(output.numpy().mean()), 3))
result.update(
    style=image.numpy(),
    losses=[l.numpy() for l in losses],
    opt=float(opt.iterations),
    sobel=tf.image.sobel_edges(content),
    tv=tf.image.total_variation(content),
)

# feature maps
activation_model = keras.Model(inputs=base.inputs, outputs=[layer.output for layer in base.layers])
activations = activation_model.predict(content, verbose=0)
for layer, fmap in zip(base.layers, activations):
    if len(fmap.shape) == 4:
        n_features, size = fmap.shape[-1], fmap.shape[1]
        grid = np.zeros((size, size * n_features))
        for i in range(n_features):
            channel = fmap[0, :, :, i].copy()
            channel -= channel.mean()
            channel /= channel.std() + 1e-9
            channel *= 64
            channel += 128
            grid[:, i * size : (i + 1) * size] = np.clip(channel, 0, 255).astype("uint8")
        plt.figure(figsize=(1.0 / size * grid.shape[1], 1.0 / size * grid.shape[0]))
        plt.title(layer.name)
        plt.grid(False)
        plt.imshow(grid, aspect="auto", cmap="viridis")
        plt.savefig(layer.name + ".png")
        plt.close()
filters, biases = base.layers[0].get_weights()
f_min, f_max = filters.min(), filters.max()
result.update(
    acts=activations, filters=(filters - f_min) / (f_max - f_min), kernel=list(base.layers[0].kernel.shape)
)
