"""Several layers in a row: given, or drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnexplain import _core

from ...convert import as_tensor
from ...ops.image.layout import channels_last, laid_out
from ...saving.serialization import deserialize_keras_object, serialize_keras_object
from ..base import Layer, real_input
from .base import RandomImageLayer, overlapping
from .color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    Solarization,
    clipped,
)
from .filters import RandomSharpness
from .histogram import AutoContrast, Equalization
from .warping import RandomRotation, RandomShear, RandomTranslation


class Pipeline(Layer):
    """Layers one after the other, at all times with `training=True` unless said otherwise.

    Args:
        layers: The layers.
        name: Name of the pipeline.

    >>> from cnnexplain import keras
    >>> layers = [keras.layers.Resizing(4, 4), keras.layers.Rescaling(1 / 255)]
    >>> tuple(keras.layers.Pipeline(layers)(keras.ops.ones((1, 8, 8, 3))).shape)
    (1, 4, 4, 3)
    """

    def __init__(self, layers: Any, name: str | None = None):
        super().__init__(name=name)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list:
        """The layers."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool | None = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            inputs = layer(inputs, training=training) if layer._call_spec.training else layer(inputs)
        return inputs

    def get_config(self) -> dict:
        return {
            "layers": [serialize_keras_object(layer) for layer in self._pipeline_layers],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        if not isinstance(config.get("layers"), (list, tuple)):
            raise ValueError(
                "`Pipeline` config must contain a `layers` key mapping to a list of serialized layers. "
                f"Received config with layers={config.get('layers')}."
            )
        layers = [deserialize_keras_object(item) for item in config["layers"]]
        return cls(**{**config, "layers": layers})


class PolicyLayer(RandomImageLayer):
    """Draws among eleven layers of one strength."""

    def __init__(self, factor: Any, value_range: Any, interpolation: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = overlapping("factor", factor, 0, 1)
        self.value_range = value_range
        self.interpolation = interpolation
        amount: dict[str, Any] = {"factor": self.factor, "seed": self.seed}
        values: dict[str, Any] = {"value_range": value_range}
        common: dict[str, Any] = {"dtype": self.dtype, "data_format": "channels_last"}
        moved = {"interpolation": interpolation, "seed": self.seed, **common}
        coloured = {**amount, **values, **common}
        self._choices: dict[str, Any] = {
            "random_shear": RandomShear(x_factor=self.factor, y_factor=self.factor, **moved),
            "random_translation": RandomTranslation(self.factor, self.factor, **moved),
            "random_rotation": RandomRotation(self.factor, **moved),
            "random_brightness": RandomBrightness(**coloured),
            "random_color_degeneration": RandomColorDegeneration(**coloured),
            "random_contrast": RandomContrast(**coloured),
            "random_sharpness": RandomSharpness(**coloured),
            "random_posterization": RandomPosterization(
                **{**coloured, "factor": max(1, int(8 * self.factor[1]))}
            ),
            "solarization": Solarization(
                addition_factor=self.factor, threshold_factor=self.factor, seed=self.seed, **values, **common
            ),
            "auto_contrast": AutoContrast(**values, **common),
            "equalization": Equalization(**values, **common),
        }

    def changed(self, x: Any, name: str, generator: Any, masks: bool) -> Any:
        """The batch x, of masks or of images, after one draw of a layer."""
        layer = self._choices[name]
        how = layer.get_random_transformation(x, True, generator)
        return layer.transform_segmentation_masks(x, how, True) if masks else layer.apply(x, how)

    def mixed(self, x: Any, generator: Any, masks: bool = False) -> Any:
        """The batch x (n, h, w, c), of masks or of images, after this call's draws."""
        raise NotImplementedError(f"{type(self).__name__} must define `mixed`")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"seed": self.draw(seed)} if training else None

    def apply(self, x: Any, transformation: Any) -> Any:
        return self.at_run_time(self.mixed, transformation["seed"], x)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        x = channels_last(real_input(as_tensor(segmentation_masks), self.dtype), self.data_format)

        def moved(masks: Any, generator: Any) -> Any:
            return self.mixed(masks, generator, True)

        return laid_out(self.at_run_time(moved, transformation["seed"], x), self.data_format)

    @staticmethod
    def dice(generator: Any) -> np.random.Generator:
        """NumPy's generator, seeded by the next draw."""
        return np.random.default_rng([int(number) % 2**64 for number in np.asarray(generator.next())])


class RandAugment(PolicyLayer):
    """In training `num_ops` of eleven random layers, drawn anew at each call (Cubuk et al., NeurIPS 2020).

    They shear, shift, turn, lighten, grey, change the contrast, sharpen, posterize, solarize, stretch or
    equalize; each image gets its own strength.

    Args:
        value_range: The least and the greatest value.
        num_ops: How many layers, one after the other.
        factor: Strength of all, f for (0, f).
        interpolation: "bilinear" or "nearest".
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.random.uniform((2, 8, 8, 3), 0, 255)
    >>> tuple(keras.layers.RandAugment(seed=1)(x, training=True).shape)
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(factor, value_range, interpolation, seed=seed, data_format=data_format, **kwargs)
        self.num_ops = num_ops

    def mixed(self, x: Any, generator: Any, masks: bool = False) -> Any:
        names = list(self._choices)
        for place in self.dice(generator).integers(0, len(names), self.num_ops):
            x = self.changed(x, names[place], generator, masks)
        return x


class AugMix(PolicyLayer):
    """In training mixes images with chains of random layers (Hendrycks et al., ICLR 2020).

    weight * x + (1 - weight) * sum_k share_k * chain_k(x), the weight drawn from the beta, the shares from
    the Dirichlet distribution.

    Args:
        value_range: The least and the greatest value; the result is cut off there.
        num_chains: How many chains.
        chain_depth: Most layers of a chain.
        factor: Strength of the layers, f for (0, f).
        alpha: Parameter of both distributions.
        all_ops: Whether brightness, grey, contrast and sharpness are among the layers.
        interpolation: "bilinear" or "nearest".
        seed: An integer for repeatable draws.
        data_format: "channels_last" or "channels_first".

    >>> from cnnexplain import keras
    >>> x = keras.ops.ones((1, 4, 4, 3)) * 100.0
    >>> tuple(keras.layers.AugMix(num_chains=2)(x, training=True).shape)
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(factor, value_range, interpolation, seed=seed, data_format=data_format, **kwargs)
        self.num_chains = num_chains
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def mixed(self, x: Any, generator: Any, masks: bool = False) -> Any:
        extra = ("random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness")
        names = [name for name in self._choices if self.all_ops or name not in extra]
        dice = self.dice(generator)
        shares = dice.dirichlet([self.alpha] * self.num_chains)
        weight = float(dice.beta(self.alpha, self.alpha))
        total = _core.multiply(x, weight)
        for share in shares:
            chain = x
            for place in dice.integers(0, len(names) + 1, self.chain_depth):
                chain = chain if place == len(names) else self.changed(chain, names[place], generator, masks)
            total = _core.add(total, _core.multiply(chain, float(share) * (1 - weight)))
        return total if masks else clipped(total, self.value_range)
