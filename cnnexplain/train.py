"""Trains the lecture's network, and writes the weights that the package ships."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

FILTERS = (16, 32, 64, 128)
BATCH = 64
FIRST_RATE, LAST_RATE = 2e-3, 2e-5


def lecture_network(
    classes: int = 10, shape: tuple[int, int, int] = (28, 28, 1), *, pixels: bool = False
) -> Any:
    """The lecture's network: four 3x3 convolutions with ReLU, three poolings, global mean, softmax.

    98,442 parameters for images 28x28x1 and ten classes.

    Args:
        classes: how many.
        shape: (H, W, channels) of the images.
        pixels: whether it takes 0..255, which a first layer scales, and not 0..1.

    >>> lecture_network().count_params()
    98442
    """
    from .keras import Sequential, layers

    stack: list[Any] = [layers.Input(shape)]
    if pixels:
        stack.append(layers.Rescaling(1 / 255, name="rescaling"))
    for i, filters in enumerate(FILTERS):
        number = f"_{i}" if i else ""
        stack.append(layers.Conv2D(filters, 3, activation="relu", padding="same", name="conv2d" + number))
        if i < len(FILTERS) - 1:
            stack.append(layers.MaxPooling2D(2, name="max_pooling2d" + number))
    stack.append(layers.GlobalAveragePooling2D(name="global_average_pooling2d"))
    stack.append(layers.Dense(classes, activation="softmax", name="dense"))
    return Sequential(stack, name="lecture_network")


def learning_rate(progress: float) -> float:
    """A half cosine from the first rate to the last over progress 0..1, after a linear start."""
    warm = min(1.0, progress / 0.02 + 1e-2)
    return warm * (LAST_RATE + (FIRST_RATE - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress)))


def train_fashion_mnist(
    epochs: int = 14,
    seed: int = 0,
    output: str | os.PathLike[str] | None = None,
    report: Callable[[str], Any] = print,
) -> tuple[Any, dict[str, Any]]:
    """Trains the lecture's network on Fashion-MNIST's 60,000 images with Adam, tests it on the other 10,000.

    Args:
        epochs: passes over the images.
        seed: of the weights, of the order of the images and of what is flipped.
        output: a .keras file for the network and how it came about; None writes none.
        report: is given a line of text per epoch.

    Returns:
        The network, and the facts that the file holds too: command, seed, epochs, accuracy.
    """
    from .keras.datasets import fashion_mnist

    _check(epochs)
    train, test = (
        (x[..., None].astype(np.float32) / 255, y.reshape(-1)) for x, y in fashion_mnist.load_data()
    )
    return _trained(
        train, test, fashion_mnist.class_names, "fashion-mnist", epochs, seed, output, report, pixels=False
    )


def train_pictures(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    class_names: Sequence[str],
    name: str,
    epochs: int = 14,
    seed: int = 0,
    output: str | os.PathLike[str] | None = None,
    report: Callable[[str], Any] = print,
    *,
    mirror: bool = True,
) -> tuple[Any, dict[str, Any]]:
    """Trains the lecture's network on pictures; the network takes pixels 0..255 and remembers that.

    Args:
        train, test: images uint8 (n,H,W,1 or 3) and labels (n,) in 0..classes-1.
        class_names: one for each class.
        name: what they are called on the command line.
        epochs, seed, output, report: as for `train_fashion_mnist`.
        mirror: whether half of the images are mirrored: not for digits or letters.

    Returns:
        The network and the facts, as `train_fashion_mnist`.

    Raises:
        KeyboardInterrupt: it was interrupted; what was learned by then has been written.
    """
    _check(epochs)
    return _trained(train, test, class_names, name, epochs, seed, output, report, pixels=True, mirror=mirror)


def _check(epochs: int) -> None:
    if epochs < 1:
        raise ValueError(f"`epochs` must be a positive integer. Received: epochs={epochs}")


def _trained(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    class_names: Sequence[str],
    name: str,
    epochs: int,
    seed: int,
    output: str | os.PathLike[str] | None,
    report: Callable[[str], Any],
    *,
    pixels: bool,
    mirror: bool = True,
) -> tuple[Any, dict[str, Any]]:
    from . import __version__, keras

    x_train, y_train = train
    keras.utils.set_random_seed(seed)
    network = lecture_network(len(class_names), x_train.shape[1:], pixels=pixels)
    if pixels:
        network.preprocess = "none"
    done, interrupted = 0, False
    try:
        for line in _epochs(network, x_train, y_train, epochs, seed, mirror):
            report(line)
            done += 1
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    x_test, y_test = test
    accuracy = float((network.predict(x_test, batch_size=500, verbose=0).argmax(1) == y_test).mean())
    facts = {
        "command": f"cnnexplain train {name} --epochs {epochs} --seed {seed}",
        "version": __version__,
        "seed": seed,
        "epochs": done,
        "images": len(x_train),
        "test_images": len(x_test),
        "test_accuracy": round(accuracy, 4),
        "optimizer": f"Adam, batches of {BATCH}, learning rate {FIRST_RATE} to {LAST_RATE} by a half cosine",
        "class_names": list(class_names),
    }
    report(f"accuracy on {len(x_test)} test images: {accuracy:.4f}")
    if output is not None:
        save_network(network, facts, output)
        report(f"written: {output}")
    if interrupted:
        raise KeyboardInterrupt
    return network, facts


def _epochs(
    network: Any, x_train: np.ndarray, y_train: np.ndarray, epochs: int, seed: int, mirror: bool
) -> Iterator[str]:
    """Trains; yields a line of text after each epoch."""
    from . import keras

    steps = math.ceil(len(x_train) / BATCH) * epochs
    optimizer = keras.optimizers.Adam(FIRST_RATE)

    class Rate(keras.callbacks.Callback):
        """Sets the learning rate before every batch."""

        step = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            optimizer.learning_rate = learning_rate(Rate.step / steps)
            Rate.step += 1

    network.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(seed)
    rate = Rate()
    begin = time.perf_counter()
    for epoch in range(epochs):
        shown = x_train
        if mirror:  # half of the images, another half in every epoch
            chosen = (rng.random(len(x_train)) < 0.5)[:, None, None, None]
            shown = np.where(chosen, x_train[:, :, ::-1], x_train)
        history = network.fit(shown, y_train, batch_size=BATCH, epochs=1, verbose=0, callbacks=[rate])
        line = ", ".join(f"{name} {value[-1]:.4f}" for name, value in history.history.items())
        yield f"epoch {epoch + 1}/{epochs}: {line}, {time.perf_counter() - begin:.0f} s"


def save_network(network: Any, facts: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes the network, its classes and the facts, without the optimizer's state."""
    network.class_names = tuple(facts["class_names"])
    network.facts = facts
    network.save(path, include_optimizer=False)


def select_images(images: np.ndarray, labels: np.ndarray, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The first count / 10 images of each class, in the order of the data set."""
    each = count // 10
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(10)]))
    return images[chosen], labels[chosen]
