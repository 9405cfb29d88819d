"""WGAN-GP: the gradient of a gradient through convolution, batch norm and LeakyReLU."""

# ruff: noqa: B007, B905, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
images = rng.rand(12, 8, 8, 1).astype("float32")
noise = tf.constant(rng.randn(4, 5).astype("float32"))
mixing = tf.constant(rng.rand(4, 1, 1, 1).astype("float32"))


def conv_block(
    x,
    filters,
    activation,
    kernel_size=(3, 3),
    strides=(1, 1),
    padding="same",
    use_bias=True,
    use_bn=False,
    use_dropout=False,
    drop_value=0.5,
):
    x = layers.Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=use_bias)(x)
    if use_bn:
        x = layers.BatchNormalization()(x)
    x = activation(x)
    if use_dropout:
        x = layers.Dropout(drop_value)(x)
    return x


def critic():
    img_input = layers.Input(shape=(8, 8, 1))
    x = layers.ZeroPadding2D((2, 2))(img_input)
    x = conv_block(x, 4, kernel_size=(5, 5), strides=(2, 2), use_bn=False, activation=layers.LeakyReLU(0.2))
    x = conv_block(x, 6, kernel_size=(5, 5), strides=(2, 2), use_bn=False, activation=layers.LeakyReLU(0.2))
    x = layers.Flatten()(x)
    x = layers.Dense(1)(x)
    return keras.models.Model(img_input, x, name="discriminator")


def make_generator():
    z = layers.Input(shape=(5,))
    x = layers.Dense(2 * 2 * 8, use_bias=False)(z)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Reshape((2, 2, 8))(x)
    x = layers.UpSampling2D((2, 2))(x)
    x = conv_block(x, 4, layers.LeakyReLU(0.2), use_bias=False, use_bn=True)
    x = layers.UpSampling2D((3, 3))(x)
    x = layers.Cropping2D((2, 2))(x)
    x = conv_block(x, 1, layers.Activation("tanh"), use_bias=False)
    return keras.Model(z, x, name="generator")


class WGAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim, discriminator_extra_steps=2, gp_weight=10.0):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.d_steps = discriminator_extra_steps
        self.gp_weight = gp_weight

    def compile(self, d_optimizer, g_optimizer, d_loss_fn, g_loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.d_loss_fn = d_loss_fn
        self.g_loss_fn = g_loss_fn

    def gradient_penalty(self, batch_size, real_images, fake_images):
        alpha = mixing
        diff = fake_images - real_images
        interpolated = real_images + alpha * diff
        with tf.GradientTape() as gp_tape:
            gp_tape.watch(interpolated)
            pred = self.discriminator(interpolated, training=True)
        grads = gp_tape.gradient(pred, [interpolated])[0]
        norm = tf.sqrt(tf.reduce_sum(tf.square(grads), axis=[1, 2, 3]))
        gp = tf.reduce_mean((norm - 1.0) ** 2)
        return gp

    def train_step(self, real_images):
        if isinstance(real_images, tuple):
            real_images = real_images[0]
        batch_size = tf.shape(real_images)[0]
        for i in range(self.d_steps):
            random_latent_vectors = noise
            with tf.GradientTape() as tape:
                fake_images = self.generator(random_latent_vectors, training=True)
                fake_logits = self.discriminator(fake_images, training=True)
                real_logits = self.discriminator(real_images, training=True)
                d_cost = self.d_loss_fn(real_img=real_logits, fake_img=fake_logits)
                gp = self.gradient_penalty(batch_size, real_images, fake_images)
                d_loss = d_cost + gp * self.gp_weight
            d_gradient = tape.gradient(d_loss, self.discriminator.trainable_variables)
            self.d_optimizer.apply_gradients(zip(d_gradient, self.discriminator.trainable_variables))
        with tf.GradientTape() as tape:
            generated_images = self.generator(noise, training=True)
            gen_img_logits = self.discriminator(generated_images, training=True)
            g_loss = self.g_loss_fn(gen_img_logits)
        gen_gradient = tape.gradient(g_loss, self.generator.trainable_variables)
        self.g_optimizer.apply_gradients(zip(gen_gradient, self.generator.trainable_variables))
        return {"d_loss": d_loss, "g_loss": g_loss, "gp": gp}


def discriminator_loss(real_img, fake_img):
    return tf.reduce_mean(fake_img) - tf.reduce_mean(real_img)


def generator_loss(fake_img):
    return -tf.reduce_mean(fake_img)


d, g = known(critic(), 3), known(make_generator(), 4)
wgan = WGAN(discriminator=d, generator=g, latent_dim=5)
wgan.compile(
    d_optimizer=keras.optimizers.SGD(0.002),
    g_optimizer=keras.optimizers.RMSprop(0.001),
    g_loss_fn=generator_loss,
    d_loss_fn=discriminator_loss,
)
h = wgan.fit(images, batch_size=4, epochs=2, shuffle=False, verbose=0)
result.update(
    history=h.history,
    d=d.get_weights(),
    g=g.get_weights(),
    out=g(noise),
    dn=[w.path for w in d.weights],
    built=wgan.built,
)
