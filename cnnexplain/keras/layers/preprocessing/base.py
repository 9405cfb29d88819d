"""What the layers that prepare pictures share: layouts, single images, one decision for each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core
from cnnexplain._convert import reshape_to

from ... import config, random
from ...convert import as_tensor
from ...ops.image.layout import batch_of_one, channels_last, host, laid_out, only, size_of
from ..base import Layer, real_input


def numbers_between(name: str, value: Any, low: float, high: float) -> tuple[float, ...]:
    """The number or the two numbers that an argument holds, each within its limits."""
    given = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    good = len(given) == (2 if isinstance(value, (list, tuple)) else 1) and all(
        isinstance(item, (int, float, np.number)) and low <= item <= high for item in given
    )
    if not good:
        raise ValueError(
            f"The `{name}` argument should be a number (or a list of two numbers) in the range "
            f"[{low}, {high}]. Received: {name}={value}"
        )
    return given


def span(name: str, value: Any, low: float, high: float, least: float | None = None) -> tuple[float, float]:
    """(lower, upper) of two numbers, or of one number f: (-f, f), cut off at `least`."""
    given = numbers_between(name, value, low, high)
    if len(given) == 2:
        return min(given), max(given)
    size = abs(given[0])
    return max(-size, low if least is None else least), size


def overlapping(name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """`span` that takes two numbers as soon as they reach into the limits."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] <= high and value[1] >= low:
        return min(value), max(value)
    return span(name, value, low, high)


def value_span(value: Any) -> list:
    """The least and the greatest value of pictures, in order."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(
            f"The `value_range` argument should be a list of two numbers. Received: value_range={value}"
        )
    return sorted(value)


def rescaled(x: Any, source: Any, target: Any) -> Any:
    """Values of the range `source` in the range `target`."""
    if source[0] == target[0] and source[1] == target[1]:
        return x
    share = _core.divide(_core.subtract(x, float(source[0])), float(source[1]) - float(source[0]))
    return _core.add(_core.multiply(share, float(target[1]) - float(target[0])), float(target[0]))


def per_image(numbers: Any, x: Any) -> Any:
    """Numbers (n,) or (n, 1, ...) as (n, 1, 1, 1) in the dtype of the images x; booleans stay booleans."""
    numbers = as_tensor(numbers)
    if len(numbers.shape) != 4:
        numbers = reshape_to(numbers, [numbers.shape[0], 1, 1, 1])
    return numbers if numbers.dtype.is_bool else _core.cast(numbers, dtype=x.dtype.name)


class ImageLayer(Layer):
    """A layer of pictures (h, w, c) or (n, h, w, c), or with the channels first.

    Called with a dict of "images" and "labels" or "segmentation_masks", it changes them together.
    Subclasses define `apply(x, transformation)` for a float batch with channels last, and
    `get_random_transformation` where something is drawn; with `moves_masks`, masks change as images do.
    """

    moves_masks = False

    def __init__(self, data_format: str | None = None, bounding_box_format: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.bounding_box_format = bounding_box_format

    def get_config(self) -> dict:
        settings = super().get_config()
        settings["data_format"] = self.data_format
        if self.bounding_box_format is not None:
            settings["bounding_box_format"] = self.bounding_box_format
        return settings

    def sides(self, images: Any) -> tuple[Any, Any]:
        """Height and width of a batch: numbers, or scalar tensors where they are known at run time."""
        first = 1 if self.data_format == "channels_last" else 2
        return size_of(images, first), size_of(images, first + 1)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What `transform_images` shall do with a batch; None: nothing was drawn."""
        return None

    def apply(self, x: Any, transformation: Any) -> Any:
        """The float batch (n, h, w, c) changed as `transformation` says."""
        raise NotImplementedError(f"{type(self).__name__} must define `apply`")

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        """The batch changed as `transformation` says; as it is outside of training."""
        x = real_input(as_tensor(images), self.dtype)
        if not training:
            return x
        return laid_out(self.apply(channels_last(x, self.data_format), transformation), self.data_format)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        """The labels that go with the changed images."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """The masks that go with the changed images."""
        if self.moves_masks:
            return self.transform_images(segmentation_masks, transformation, training)
        return segmentation_masks

    def call(self, data: Any, training: bool | None = True) -> Any:
        parts = data if isinstance(data, dict) else {"images": data}
        if "images" not in parts or "bounding_boxes" in parts:
            raise ValueError(
                f"{type(self).__name__} takes images, or a dict of 'images' and 'labels' or "
                f"'segmentation_masks'; bounding boxes are not offered. Received keys: {sorted(parts)}"
            )
        rank = len(parts["images"].shape)
        if rank not in (3, 4):
            raise ValueError(
                "Expected image tensor to have rank 3 (single image) or 4 (batch of images). Received: "
                f"data.shape={tuple(parts['images'].shape)}"
            )
        batch = {key: as_tensor(value) for key, value in parts.items()}
        if rank == 3:
            batch = {key: batch_of_one(value) for key, value in batch.items()}
        training = bool(training)
        how = self.get_random_transformation(batch["images"], training=training)
        made = dict(batch)
        made["images"] = self.transform_images(batch["images"], how, training)
        if "labels" in batch:
            made["labels"] = self.transform_labels(batch["labels"], how, training)
        if "segmentation_masks" in batch:
            made["segmentation_masks"] = self.transform_segmentation_masks(
                batch["segmentation_masks"], how, training
            )
        if rank == 3:
            made = {key: only(value) for key, value in made.items()}
        return made if isinstance(data, dict) else made["images"]


class _Fork(random.SeedGenerator):
    """A generator that goes on from one draw of another: seeds of its own for any number of draws."""

    def __init__(self, drawn: Any):
        self.pair = [int(number) for number in np.asarray(drawn)]
        self.count = 0

    def next(self, ordered: bool = True) -> Any:
        self.count += 1
        mixed = np.random.SeedSequence([number % 2**64 for number in self.pair]).generate_state(1, np.uint64)
        return _core.tensor(np.array([int(mixed[0] >> np.uint64(1)), self.count], np.int64))


class RandomImageLayer(ImageLayer):
    """An image layer that draws one decision for each image, anew at each call and each training step.

    Args:
        seed: An integer for a repeatable sequence of draws.
    """

    def __init__(self, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = random.SeedGenerator(seed)

    def draw(self, seed: Any = None) -> Any:
        """The (seed, counter) of the next draw; of `seed` when one is given."""
        return random.draw_seed(self.generator if seed is None else seed)

    def uniform(
        self, images: Any, low: float, high: float, seed: Any = None, size: tuple = (), dtype: str = "float32"
    ) -> Any:
        """(n, *size) numbers of [low, high), for a batch whose n may not be known yet."""
        return _core.random_uniform(
            self.draw(seed), images, shape=[-1, *size], low=float(low), high=float(high), dtype=dtype
        )

    def chosen(self, images: Any, share: tuple[float, float], seed: Any = None) -> Any:
        """(n,) booleans, true with a probability that is drawn from `share` for each image."""
        probability = self.uniform(images, *share, seed=seed)
        return _core.less(self.uniform(images, 0.0, 1.0, seed=seed), probability)

    def shuffled(self, images: Any, seed: Any = None) -> Any:
        """(n,) the numbers of the images in random order."""
        return _core.sort(self.uniform(images, 0.0, 1.0, seed=seed, dtype="float64"))[1]

    @staticmethod
    def at_run_time(compute: Any, drawn: Any, x: Any, *inputs: Any) -> Any:
        """compute(x, *inputs, generator) -> a batch like x, in Python, now or at every step of a program.

        `generator` gives any number of seeds that follow from `drawn`, one draw of the layer.
        """

        def node(value: Any, *rest: Any) -> Any:
            return compute(value, *rest[:-1], _Fork(rest[-1]))

        return host(node, x, *inputs, drawn, shape=tuple(x.shape), dtype=x.dtype.name)
