"""The networks of torchvision in full size, exported by the installed PyTorch: scores and Grad-CAM.

Those after the first eight are of the same parts; they run with `-m slow`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import cnnexplain as cx
from cnnexplain.keras.tracing import trace

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def exporter():
    """The module that writes the committed files; its functions export, too."""
    for package in ("onnx", "torch", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    sys.path.insert(0, str(FIXTURES))
    try:
        import make_onnx_fixtures

        pytest.importorskip("torchvision")  # which that module makes importable beside any build of PyTorch
        return make_onnx_fixtures
    finally:
        sys.path.remove(str(FIXTURES))


def statistics(network) -> None:
    """Batch normalizations as after training; scales that keep activations of the order of 1."""
    import torch

    generator = torch.Generator().manual_seed(5)

    def uniform(like, least, most):
        return like.copy_(torch.rand(like.shape, generator=generator) * (most - least) + least)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                uniform(module.running_mean, -0.2, 0.2)
                uniform(module.running_var, 0.5, 1.5)
                uniform(module.weight, 0.6, 1.0)
                uniform(module.bias, -0.1, 0.3)


OLD, NEW = {"dynamo": False}, {"dynamo": True}
# name of the network: side of the images, the module whose maps are explained, settings of the exporter
NETWORKS = {
    "resnet50": (96, "layer4", {**OLD, "opset_version": 17}),
    "vgg16": (224, "features.29", {**OLD, "opset_version": 13}),
    "mobilenet_v2": (96, "features.18", {**OLD, "opset_version": 12}),
    "mobilenet_v3_small": (96, "features.12", {**NEW, "opset_version": 18}),
    "efficientnet_b0": (96, "features.8", {**OLD, "opset_version": 15}),
    "densenet121": (96, "features.norm5", {**OLD, "opset_version": 11}),
    "inception_v3": (139, "Mixed_7c", {**OLD, "opset_version": 16}),
    "convnext_tiny": (96, "features.7", {**NEW, "opset_version": 18}),
    "resnet18": (96, "layer4", {**NEW, "opset_version": 20}),
    "alexnet": (224, "features.11", {**OLD, "opset_version": 9}),
    "mobilenet_v3_large": (96, "features.16", {**OLD, "opset_version": 14}),
    "efficientnet_v2_s": (96, "features.7", {**OLD, "opset_version": 16}),
    "googlenet": (96, "inception5b", {**OLD, "opset_version": 12}),
    "regnet_y_400mf": (96, "trunk_output", {**OLD, "opset_version": 17}),
    "mnasnet0_5": (96, "layers.16", {**OLD, "opset_version": 10}),
    "shufflenet_v2_x0_5": (96, "conv5", {**OLD, "opset_version": 13}),
    "squeezenet1_0": (96, "features.12", {**OLD, "opset_version": 17}),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.torch if place < 8 else pytest.mark.slow)
        for place, name in enumerate(NETWORKS)
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_network(name, exporter, tmp_path):
    import onnx
    import torch
    import torchvision

    side, module, settings = NETWORKS[name]
    own = {"aux_logits": False, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    torch.manual_seed(3)
    network = getattr(torchvision.models, name)(weights=None, **own)
    if name == "vgg16":  # 400 MB less to write and read
        linear = torch.nn.Linear
        network.classifier = torch.nn.Sequential(linear(25088, 64), torch.nn.ReLU(), linear(64, 1000))
    statistics(network)
    network.eval()
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    y, maps, cam = exporter.grad_cam(network, network.get_submodule(module), images)
    model = exporter.export(network, images, **settings)
    onnx.save(model, tmp_path / "network.onnx")
    _, output = exporter.place_of(model, {"image": images.numpy()}, maps)
    del model, network

    ours = cx.models.load_onnx(tmp_path / "network.onnx")
    x = np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))
    got = ours.predict(x, verbose=0)
    assert np.abs(got - y).max() <= 1e-4 * max(1, np.abs(y).max())
    explained = cx.explain.grad_cam(ours, x, list(y.argmax(1)), layer=output)
    assert explained.raw.shape == cam.shape
    assert np.abs(explained.raw - cam).max() <= 1e-4 * np.abs(cam).max()
    moved = [
        operator for operator, *_ in trace(ours, training=False).program.nodes if operator == "transpose"
    ]
    assert not moved or name.startswith("shufflenet")
