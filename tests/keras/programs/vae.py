"""A variational autoencoder: a sampling layer, add_loss, KL, a custom train_step."""

# ruff: noqa: B905, E741, F821
import numpy as np

import cnnexplain as tf
from cnnexplain import keras
from cnnexplain.keras import layers

rng = np.random.RandomState(0)
x = rng.rand(16, 8, 8, 1).astype("float32")


class Sampling(layers.Layer):
    """Uses (z_mean, z_log_var) to sample z."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        batch = tf.shape(z_mean)[0]
        dim = tf.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + tf.exp(0.5 * z_log_var) * epsilon * 0.0


encoder_inputs = keras.Input(shape=(8, 8, 1))
h = layers.Conv2D(4, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
h = layers.Conv2D(6, 3, activation="relu", strides=2, padding="same")(h)
h = layers.Flatten()(h)
h = layers.Dense(5, activation="relu")(h)
z_mean = layers.Dense(2, name="z_mean")(h)
z_log_var = layers.Dense(2, name="z_log_var")(h)
z = Sampling()([z_mean, z_log_var])
encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")
encoder.summary()

latent_inputs = keras.Input(shape=(2,))
h = layers.Dense(2 * 2 * 6, activation="relu")(latent_inputs)
h = layers.Reshape((2, 2, 6))(h)
h = layers.Conv2DTranspose(6, 3, activation="relu", strides=2, padding="same")(h)
h = layers.Conv2DTranspose(4, 3, activation="relu", strides=2, padding="same")(h)
decoder_outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(h)
decoder = keras.Model(latent_inputs, decoder_outputs, name="decoder")


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = tf.reduce_mean(
                tf.reduce_sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2))
            )
            kl_loss = -0.5 * (1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
            kl_loss = tf.reduce_mean(tf.reduce_sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }


known(encoder, 1, 0.2)
known(decoder, 2, 0.2)
vae = VAE(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam(learning_rate=0.002))
h1 = vae.fit(x, epochs=3, batch_size=8, shuffle=False, verbose=0)
mean, log_var, sample = vae.encoder.predict(x, verbose=0)
grid = decoder.predict(np.array([[0.5, -1.0]]), verbose=0)


class KL(layers.Layer):
    def call(self, inputs):
        mean, log_var = inputs
        kl = -0.5 * tf.reduce_mean(log_var - tf.square(mean) - tf.exp(log_var) + 1)
        self.add_loss(kl)
        return inputs


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.flat = layers.Flatten()
        self.mean, self.log_var = layers.Dense(2), layers.Dense(2)
        self.kl = KL()
        self.out = layers.Dense(64, activation="sigmoid")
        self.shaped = layers.Reshape((8, 8, 1))

    def call(self, inputs):
        f = self.flat(inputs)
        m, v = self.kl([self.mean(f), self.log_var(f)])
        self.add_loss(0.001 * tf.reduce_sum(tf.square(m)))
        return self.shaped(self.out(m))


plain = Plain()
before = plain(x[:2])
known(plain, 5, 0.2)
plain.compile(optimizer="sgd", loss="mse", metrics=["mae"])
h2 = plain.fit(x, x, epochs=2, batch_size=8, shuffle=False, verbose=0)
ev = plain.evaluate(x, x, verbose=0, return_dict=True)
plain(x[:2])
result.update(
    h1=h1.history,
    mean=mean,
    log_var=log_var,
    sample=sample,
    grid=grid,
    h2=h2.history,
    ev=ev,
    losses=[float(l) for l in plain.losses],
    pw=plain.get_weights(),
    ew=encoder.get_weights(),
)
