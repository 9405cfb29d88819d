"""FGSM, saliency, SmoothGrad, integrated gradients, Grad-CAM, Grad-CAM++, guided ReLU, by hand."""

# ruff: noqa: F821
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
image = tf.constant(rng.rand(1, 12, 12, 3).astype("float32"))
model = keras.Sequential(
    [
        keras.Input((12, 12, 3)),
        layers.Conv2D(6, 3, activation="relu", padding="same", name="conv1"),
        layers.MaxPooling2D(name="pool1"),
        layers.Conv2D(8, 3, activation="relu", padding="same", name="conv2"),
        layers.GlobalAveragePooling2D(name="gap"),
        layers.Dense(4, activation="softmax", name="out"),
    ],
    name="net",
)
known(model, 3, 0.5)
loss_object = keras.losses.CategoricalCrossentropy()


def create_adversarial_pattern(input_image, input_label):
    with tf.GradientTape() as tape:
        tape.watch(input_image)
        prediction = model(input_image)
        loss = loss_object(input_label, prediction)
    gradient = tape.gradient(loss, input_image)
    return gradient, tf.sign(gradient)


image_probs = model.predict(image, verbose=0)
label = tf.one_hot(int(image_probs.argmax()), image_probs.shape[-1])
label = tf.reshape(label, (1, image_probs.shape[-1]))
g, perturbations = create_adversarial_pattern(image, label)
plt.imshow(perturbations[0] * 0.5 + 0.5)
epsilons = [0, 0.01, 0.1, 0.15]
descriptions = [(f"Epsilon = {eps:0.3f}" if eps else "Input") for eps in epsilons]
adv = []
for i, eps in enumerate(epsilons):
    adv_x = image + eps * perturbations
    adv_x = tf.clip_by_value(adv_x, -1, 1)
    adv.append(float(tf.reduce_max(model(adv_x)[0])))
    plt.figure()
    plt.imshow(adv_x[0] * 0.5 + 0.5)
    plt.title(f"{descriptions[i]} \n {tf.argmax(model(adv_x)[0])} : {adv[-1] * 100:.2f}% Confidence")
result.update(fgsm=g, adv=adv, titles=descriptions)

# Saliency and SmoothGrad
img = tf.Variable(image)
with tf.GradientTape() as tape:
    pred = model(img, training=False)
    class_idxs_sorted = np.argsort(pred.numpy().flatten())[::-1]
    loss = pred[0][class_idxs_sorted[0]]
grads = tape.gradient(loss, img)
dgrad_abs = tf.math.abs(grads)
dgrad_max_ = np.max(dgrad_abs, axis=3)[0]
arr_min, arr_max = np.min(dgrad_max_), np.max(dgrad_max_)
result["saliency"] = (dgrad_max_ - arr_min) / (arr_max - arr_min + 1e-18)
noisy = tf.repeat(image, 5, axis=0) + tf.constant(rng.randn(5, 12, 12, 3).astype("float32")) * 0.1
with tf.GradientTape() as tape:
    tape.watch(noisy)
    p = model(noisy)
    score = tf.gather(p, [1, 1, 1, 1, 1], axis=1, batch_dims=0)[:, 0]
result["smooth"] = tf.reduce_mean(tape.gradient(score, noisy), axis=0)

# Integrated gradients
m_steps = 12
alphas = tf.linspace(start=0.0, stop=1.0, num=m_steps + 1)
baseline = tf.zeros(shape=(12, 12, 3))


def interpolate_images(baseline, image, alphas):
    alphas_x = alphas[:, tf.newaxis, tf.newaxis, tf.newaxis]
    baseline_x = tf.expand_dims(baseline, axis=0)
    input_x = tf.expand_dims(image, axis=0)
    delta = input_x - baseline_x
    return baseline_x + alphas_x * delta


def compute_gradients(images, target_class_idx):
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images)
        probs = tf.nn.softmax(logits, axis=-1)[:, target_class_idx]
    return tape.gradient(probs, images)


def integral_approximation(gradients):
    grads = (gradients[:-1] + gradients[1:]) / tf.constant(2.0)
    return tf.math.reduce_mean(grads, axis=0)


@tf.function
def one_batch(baseline, image, alpha_batch, target_class_idx):
    return compute_gradients(
        images=interpolate_images(baseline, image, alpha_batch), target_class_idx=target_class_idx
    )


gradient_batches = []
for alpha in tf.range(0, len(alphas), 4):
    from_ = alpha
    to = tf.minimum(from_ + 4, len(alphas))
    gradient_batches.append(one_batch(baseline, image[0], alphas[from_:to], 2))
total_gradients = tf.concat(gradient_batches, axis=0)
ig = (image[0] - baseline) * integral_approximation(total_gradients)
attribution_mask = tf.reduce_sum(tf.math.abs(ig), axis=-1)
plt.imshow(attribution_mask, cmap=plt.cm.inferno)
plt.imshow(image[0], alpha=0.4)
result.update(ig=ig, mask=attribution_mask)


# Grad-CAM
def make_gradcam_heatmap(img_array, model, last_conv_layer_name, pred_index=None):
    grad_model = keras.models.Model(
        model.inputs, [model.get_layer(last_conv_layer_name).output, model.layers[-1].output]
    )
    with tf.GradientTape() as tape:
        last_conv_layer_output, preds = grad_model(img_array)
        if pred_index is None:
            pred_index = tf.argmax(preds[0])
        class_channel = preds[:, pred_index]
    grads = tape.gradient(class_channel, last_conv_layer_output)
    pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
    last_conv_layer_output = last_conv_layer_output[0]
    heatmap = last_conv_layer_output @ pooled_grads[..., tf.newaxis]
    heatmap = tf.squeeze(heatmap)
    heatmap = tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)
    return heatmap.numpy()


model.layers[-1].activation = keras.activations.linear
heatmap = make_gradcam_heatmap(image, model, "conv2")
jet = mpl.colormaps["jet"]
jet_heatmap = keras.utils.array_to_img(jet(np.arange(256))[:, :3][np.uint8(255 * heatmap)]).resize((12, 12))
jet_heatmap = keras.utils.img_to_array(jet_heatmap)
superimposed = keras.utils.array_to_img(jet_heatmap * 0.4 + image[0].numpy() * 255)
superimposed.save("cam.jpg")
result.update(
    cam=heatmap,
    cam0=make_gradcam_heatmap(image, model, "conv1", pred_index=0),
    overlay=np.array(superimposed),
    big=tf.image.resize(heatmap[..., None], (24, 24)),
)

# Grad-CAM++
gm = keras.Model(model.inputs, [model.get_layer("conv2").output, model.layers[-1].output])
with tf.GradientTape() as t1:
    with tf.GradientTape() as t2:
        with tf.GradientTape() as t3:
            conv, preds = gm(image)
            s = tf.exp(preds[:, 1] * 0.3)
        d1 = t3.gradient(s, conv)
    d2 = t2.gradient(d1, conv)
d3 = t1.gradient(d2, conv)
global_sum = tf.reduce_sum(conv, axis=(0, 1, 2))
alpha_num = d2[0]
alpha_denom = d2[0] * 2.0 + d3[0] * global_sum
alpha_denom = np.where(alpha_denom != 0.0, alpha_denom, 1e-10)
alphas_ = alpha_num / alpha_denom
alphas_ /= np.sum(alphas_, axis=(0, 1))
weights = np.maximum(d1[0], 0.0)
pp = np.maximum(np.sum(np.sum(weights * alphas_, axis=(0, 1)) * conv[0], axis=2), 0)
result.update(d1=d1, d2=d2, d3=d3, pp=pp / pp.max())


@tf.custom_gradient
def guided_relu(x):
    def grad(dy):
        return tf.cast(dy > 0, "float32") * tf.cast(x > 0, "float32") * dy

    return tf.nn.relu(x), grad


copy = keras.models.clone_model(model)
copy.set_weights(model.get_weights())
for layer in copy.layers:
    if hasattr(layer, "activation") and layer.activation == keras.activations.relu:
        layer.activation = guided_relu
guided_model = keras.Model(copy.inputs, copy.get_layer("conv2").output)
with tf.GradientTape() as tape:
    inputs = tf.cast(image, tf.float32)
    tape.watch(inputs)
    outputs = guided_model(inputs)
guided = tape.gradient(outputs, inputs)[0]
guided = (guided - np.mean(guided)) / (np.std(guided) + 1e-5)
result["guided"] = guided
result["unwatched"] = error(lambda: tape.gradient(outputs, tf.constant(1.0)))
result["no_layer"] = error(lambda: keras.Model(model.inputs, model.get_layer("conv9").output))
with tf.GradientTape() as tape:
    tape.watch(image)
    y = model(image)
result["jac"] = tape.jacobian(y, image)
