"""cnnexplain against PyTorch on this machine, in alternation in one run.

    pip install '.[bench]' torch==2.13.0
    python tests/bench/against_pytorch.py [--rounds 5]

Prints, for each piece of work, the minimum of both sides in milliseconds and their ratio. Both use every CPU
they may; PyTorch runs in the better of its two memory formats, without gradients for weights where only the
input's are asked.
"""

# ruff: noqa: E402  (the environment is cleaned before NumPy loads its BLAS)

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import numpy as np
import torch
from torch import nn

import cnnexplain as cx
from cnnexplain import keras


def cpu_name() -> str:
    """The CPU's name as Linux reports it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown CPU"


def lecture_keras() -> keras.Model:
    """The lecture's network here."""
    layers = [keras.Input((28, 28, 1))]
    for i, filters in enumerate((16, 32, 64, 128)):
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        if i < 3:
            layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential(layers)


def lecture_torch() -> nn.Module:
    """The lecture's network there."""
    layers: list[nn.Module] = []
    channels = 1
    for i, filters in enumerate((16, 32, 64, 128)):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if i < 3 else []
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def epoch_pair(images: int) -> tuple[Callable[[], None], list[Callable[[], None]]]:
    """One epoch at batch 32, shuffled, Adam, on `images` images."""
    rng = np.random.default_rng(0)
    x = rng.random((images, 28, 28, 1), dtype=np.float32)
    y = rng.integers(0, 10, images)
    ours = lecture_keras()
    ours.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    def run_ours() -> None:
        ours.fit(x, y, batch_size=32, epochs=1, verbose=0)

    def theirs(memory_format: torch.memory_format) -> Callable[[], None]:
        model = lecture_torch().to(memory_format=memory_format)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
        criterion = nn.CrossEntropyLoss()
        xt = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        yt = torch.from_numpy(y)

        def run() -> None:
            order = torch.randperm(images)
            correct = 0
            for start in range(0, images, 32):
                pick = order[start : start + 32]
                optimizer.zero_grad(set_to_none=True)
                logits = model(xt[pick])
                loss = criterion(logits, yt[pick])
                loss.backward()
                optimizer.step()
                correct += int((logits.argmax(1) == yt[pick]).sum())

        return run

    return run_ours, [theirs(torch.contiguous_format), theirs(torch.channels_last)]


def vgg16_torch() -> nn.Module:
    """VGG16 there."""
    layers: list[nn.Module] = []
    channels = 3
    for repeats, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [
        nn.Flatten(),
        nn.Linear(25088, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    ]
    return nn.Sequential(*layers)


def vgg16_pair() -> tuple[Callable[[], None], list[Callable[[], None]]]:
    """Forward and input gradient of VGG16 at batch 1."""
    x = np.random.default_rng(1).random((1, 224, 224, 3), dtype=np.float32)
    ours = keras.applications.VGG16(weights=None)

    def run_ours() -> None:
        inputs = cx.convert_to_tensor(x)
        with cx.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            score = ours(inputs).logits[:, 7]
        tape.gradient(score, inputs)

    def theirs(memory_format: torch.memory_format) -> Callable[[], None]:
        model = vgg16_torch().to(memory_format=memory_format).requires_grad_(False)
        xt = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)

        def run() -> None:
            inputs = xt.clone().requires_grad_(True)
            model(inputs)[:, 7].sum().backward()

        return run

    return run_ours, [theirs(torch.contiguous_format), theirs(torch.channels_last)]


def seconds(work: Callable[[], None]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, ours: Callable[[], None], theirs: list[Callable[[], None]], rounds: int) -> float:
    """Alternates, prints the minima and returns ours / theirs."""
    for work in (ours, *theirs):
        work()
    times = [[seconds(work) for work in (ours, *theirs)] for _ in range(rounds)]
    best = np.min(times, axis=0)
    ratio = best[0] / best[1:].min()
    other = " / ".join(f"{1e3 * t:.1f}" for t in best[1:])
    print(
        f"{name:44} cnnexplain {1e3 * best[0]:9.1f} ms   PyTorch (NCHW / NHWC) {other} ms   ratio {ratio:.2f}"
    )
    return float(ratio)


def main() -> None:
    """Runs every comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6016)
    arguments = parser.parse_args()
    print(f"{cpu_name()}, {os.cpu_count()} CPUs, PyTorch {torch.__version__}, cnnexplain {cx.__version__}")
    ours, theirs = epoch_pair(arguments.images)
    compare(f"lecture's network, {arguments.images} images, batch 32", ours, theirs, arguments.rounds)
    ours, theirs = vgg16_pair()
    compare("VGG16 forward + input gradient, batch 1", ours, theirs, arguments.rounds)


if __name__ == "__main__":
    main()
