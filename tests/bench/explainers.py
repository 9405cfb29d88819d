"""The libraries that explain PyTorch networks, as their documentation uses them."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import Any

import numpy as np
import torch

from .in_torch import Network, Run, _image

_DISTRIBUTIONS = {"pytorch-grad-cam": "grad-cam", "captum": "captum"}
_AT_ONCE = 10  # variants of the image in one batch: more take gigabytes and are not faster
# Both import torchvision's operators, which the distributed wheels of it may not match; none is used here.
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))


def version(rival: str) -> str:
    """Of an installed library."""
    return importlib.metadata.version(_DISTRIBUTIONS[rival])


def grad_cam(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """pytorch-grad-cam: the map of class 7."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    network = Network(model).eval().to(memory_format=memory_format)
    image = _image(x, memory_format)
    cam = GradCAM(model=network, target_layers=[network.parts[layer]])
    return lambda: cam(input_tensor=image, targets=[ClassifierOutputTarget(7)] * len(x))


def _for_captum(
    model: Any, x: np.ndarray, memory_format: torch.memory_format
) -> tuple[Network, torch.Tensor]:
    network = Network(model).eval().requires_grad_(False).to(memory_format=memory_format)
    return network, _image(x, memory_format)


def integrated_gradients(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """captum, 50 steps."""
    from captum.attr import IntegratedGradients

    network, image = _for_captum(model, x, memory_format)
    method = IntegratedGradients(network)
    return lambda: method.attribute(image, target=7, n_steps=50, internal_batch_size=_AT_ONCE).numpy()


def smooth_grad(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """captum, 32 samples."""
    from captum.attr import NoiseTunnel, Saliency

    network, image = _for_captum(model, x, memory_format)
    method = NoiseTunnel(Saliency(network))
    options = {"nt_samples": 32, "nt_samples_batch_size": _AT_ONCE, "stdevs": 0.1}
    return lambda: method.attribute(image, target=7, **options).detach().numpy()


def occlusion(model: Any, x: np.ndarray, layer: str, memory_format: torch.memory_format) -> Run:
    """captum at its default of one window at a time, 32 x 32 pixels, 16 apart."""
    from captum.attr import Occlusion

    network, image = _for_captum(model, x, memory_format)
    method = Occlusion(network)
    options = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16)}

    def run() -> np.ndarray:
        with torch.no_grad():
            return method.attribute(image, target=7, **options).numpy()

    return run
