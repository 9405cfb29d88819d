"""How far float32 convolutions are from float64, for each kind of layer of the networks.

    python -m tests.bench.errors [--networks VGG16 ResNet50] [--isa avx2] [--markdown]

For random data, for a smooth image and for a smooth image under filters that answer 0 to a plane (high-
pass): the largest |y - y64| by the largest |x| conv |w|, which is what "fast" promises to keep below 1e-6,
and by the largest |y64|, which no algorithm keeps small where large terms cancel. The same for the
gradients of the input and of the kernel, from a random or a smooth dy. float64 is computed here, with
NumPy. The layers of a class have one size of kernel and one stride; the worst of them is shown, and at most
`--most` of a class are tried.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

DIRECTIONS = ("output", "input gradient", "kernel gradient")
DATA = ("random", "smooth", "high-pass")


def layers(network: str, most: int) -> dict[str, list[tuple]]:
    """Class -> (image, kernel, strides, padding) of the first layer, the last and some between."""
    from cnnexplain import keras

    from .work import Work
    from .work import network as made

    classes: dict[str, list[tuple]] = {}
    for layer in made(Work(network, "forward"), keras).layers:
        if type(layer).__name__ != "Conv2D":
            continue
        shape = (layer.input.shape[1:], tuple(layer.kernel.shape), layer.strides, layer.padding)
        size = "{}x{}".format(*layer.kernel_size)
        few = ", few channels" if layer.input.shape[3] < 16 else ""
        name = size + f" stride {layer.strides[0]}" * (layer.strides[0] > 1) + few
        if shape not in classes.setdefault(name, []):
            classes[name].append(shape)
    picked = {}
    for name, shapes in classes.items():
        places = np.unique(np.linspace(0, len(shapes) - 1, min(most, len(shapes))).astype(int))
        picked[name] = [shapes[i] for i in places]
    return picked


def smooth(shape: tuple) -> np.ndarray:
    """Positive waves of several pixels, others in each channel."""
    i, j = np.mgrid[: shape[1], : shape[2]] / 9
    waves = [np.sin(i + c) + np.cos(j * (1 + c % 3)) + 2 for c in range(shape[3])]
    return np.stack(waves, axis=-1)[None].astype(np.float32)


def data(kind: str, image: tuple, kernel: tuple, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image and a kernel of this kind, in float32."""
    k = rng.normal(size=kernel) * np.sqrt(2 / np.prod(kernel[:3]))
    if kind == "random":
        return rng.normal(size=(1, *image)).astype(np.float32), k.astype(np.float32)
    if kind == "high-pass":
        k -= k.mean((0, 1, 2) if kernel[0] * kernel[1] == 1 else (0, 1), keepdims=True)
    return smooth((1, *image)), k.astype(np.float32)


def exact(x: np.ndarray, k: np.ndarray, dy: np.ndarray, strides: tuple, pads: tuple) -> Iterator[np.ndarray]:
    """Output and both gradients in float64, tap by tap."""
    (top, bottom), (left, right) = pads
    padded = np.pad(x.astype(np.float64), ((0, 0), (top, bottom), (left, right), (0, 0)))
    k, dy = k.astype(np.float64), dy.astype(np.float64)
    rows, columns = dy.shape[1:3]
    y, dx, dk = np.zeros_like(dy), np.zeros_like(padded), np.empty_like(k)
    for p in range(k.shape[0]):
        for q in range(k.shape[1]):
            down = slice(p, p + (rows - 1) * strides[0] + 1, strides[0])
            across = slice(q, q + (columns - 1) * strides[1] + 1, strides[1])
            part = padded[:, down, across]
            y += part @ k[p, q]
            dx[:, down, across] += dy @ k[p, q].T
            dk[p, q] = part.reshape(-1, k.shape[2]).T @ dy.reshape(-1, k.shape[3])
    yield y
    yield dx[:, top : dx.shape[1] - bottom, left : dx.shape[2] - right]
    yield dk


def errors(shape: tuple, kind: str, precision: str) -> list[tuple[float, float]]:
    """For each direction the error by |x| conv |w| and by the largest value."""
    import cnnexplain as cx
    from cnnexplain import _core

    image, kernel, strides, padding = shape
    rng = np.random.default_rng(kernel[3])
    x, k = data(kind, image, kernel, rng)
    pads = [(0, 0), (0, 0)]
    if padding == "same":
        for d in range(2):
            total = max((-(-image[d] // strides[d]) - 1) * strides[d] + kernel[d] - image[d], 0)
            pads[d] = (total // 2, total - total // 2)
    cx.set_precision(precision)
    image_tensor, kernel_tensor = cx.Variable(x), cx.Variable(k)
    with cx.GradientTape() as tape:
        out = _core.conv2d(image_tensor, kernel_tensor, strides=list(strides), padding=padding)
        random = kind == "random"
        dy = rng.normal(size=out.shape).astype(np.float32) if random else smooth(tuple(out.shape))
        score = cx.reduce_sum(out * dy)
    got = [out.numpy(), *(g.numpy() for g in tape.gradient(score, [image_tensor, kernel_tensor]))]
    cx.set_precision("fast")
    found = []
    weights = exact(abs(x), abs(k), abs(dy), strides, tuple(pads))
    for value, want, weight in zip(got, exact(x, k, dy, strides, tuple(pads)), weights, strict=True):
        error = abs(value - want).max()
        found.append((float(error / weight.max()), float(error / abs(want).max())))
    return found


def main() -> None:
    """Prints a line for each network, class of layers, kind of data and precision."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.errors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--networks", nargs="+", default=["VGG16", "ResNet50", "InceptionV3"])
    parser.add_argument("--most", type=int, default=3, help="layers of a class")
    parser.add_argument("--isa", default="", help="avx512, avx2 or portable")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    if arguments.isa:
        os.environ["CNNEXPLAIN_ISA"] = arguments.isa
    start, between, end = ("| ", " | ", " |") if arguments.markdown else ("", "  ", "")
    titles = [f"{'network':11}", f"{'layers':26}", f"{'data':9}", f"{'precision':9}"]
    print(start + between.join([*titles, *(f"{name:>17}" for name in DIRECTIONS)]) + end)
    if arguments.markdown:
        print("|" + "---|" * 4 + "---:|" * 3)
    worst: dict[str, float] = {}
    for network in arguments.networks:
        for name, shapes in layers(network, arguments.most).items():
            for kind in DATA:
                for precision in ("fast", "strict"):
                    all_of: Any = np.array([errors(shape, kind, precision) for shape in shapes]).max(0)
                    worst[precision] = max(worst.get(precision, 0), all_of[:, 0].max())
                    cells = [f"{network:11}", f"{name:26}", f"{kind:9}", f"{precision:9}"]
                    cells += [f"{a:8.1e} {b:8.1e}" for a, b in all_of]
                    print(start + between.join(cells) + end, flush=True)
    print("\nworst by |x| conv |w|: " + ", ".join(f"{name} {value:.1e}" for name, value in worst.items()))


if __name__ == "__main__":
    main()
