"""Layers that prepare and disturb pictures, and encode numbers."""

from .color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    Solarization,
)
from .encoding import CategoryEncoding, Discretization
from .filters import RandomGaussianBlur, RandomSharpness
from .framing import CenterCrop, RandomCrop, Resizing
from .histogram import AutoContrast, ContrastLimitedAdaptiveHistogramEqualization, Equalization
from .mixing import CutMix, MixUp, RandomErasing
from .normalization import Normalization
from .policies import AugMix, Pipeline, RandAugment
from .rescaling import Rescaling
from .warping import (
    RandomElasticTransform,
    RandomFlip,
    RandomPerspective,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)

__all__ = [
    "AugMix", "AutoContrast", "CategoryEncoding", "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "Discretization", "Equalization", "MixUp",
    "Normalization", "Pipeline", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing",
    "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "Rescaling", "Resizing", "Solarization",
]  # fmt: skip
