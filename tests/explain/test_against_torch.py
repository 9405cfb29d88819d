"""The methods against captum and pytorch-grad-cam, live, on a random network in float64."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import small

import cnnexplain as cx

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
CLASSES = [1, 2, 0]
LAYERS = {"first": 1, "second": 4, "third": 6}  # places of the ReLUs in the twin


@pytest.fixture
def twin(model):
    """The small network as a torch.nn.Sequential of float64."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    parts, before = [], small.CHANNELS
    for i, filters in enumerate(small.FILTERS):
        parts += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU()]
        parts += [nn.MaxPool2d(2)] if i == 0 else []
        before = filters
    network = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, small.CLASSES))
    w = [torch.tensor(np.asarray(value, np.float64)) for value in model.get_weights()]
    with torch.no_grad():
        for layer in (layer for layer in network if hasattr(layer, "weight")):
            kernel, bias = w.pop(0), w.pop(0)
            turned = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
            layer.weight, layer.bias = nn.Parameter(turned.contiguous()), nn.Parameter(bias)
    return network.double().eval()


def to_torch(x):
    import torch

    return torch.tensor(np.asarray(x, np.float64).transpose(0, 3, 1, 2), requires_grad=True)


def from_torch(value):
    return value.detach().numpy().transpose(0, 2, 3, 1)


def close(got, want, tolerance=1e-9):
    np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max())


def ours(method, model, x, **options):
    return cx.explain(model, x, CLASSES, method=method, dtype="float64", **options)


class TestCaptum:
    @pytest.fixture
    def attr(self):
        return pytest.importorskip("captum.attr")

    @pytest.mark.parametrize(
        "method, name",
        [
            ("saliency", "Saliency"),
            ("input_x_gradient", "InputXGradient"),
            ("guided_backprop", "GuidedBackprop"),
            ("rectified_gradient", "Deconvolution"),
        ],
    )
    def test_gradients(self, attr, twin, model, x, method, name):
        options = {"abs": False} if name == "Saliency" else {}
        want = getattr(attr, name)(twin).attribute(to_torch(x), target=CLASSES, **options)
        close(ours(method, model, x).raw, from_torch(want))

    @pytest.mark.parametrize(
        "rule, name, tolerance",
        [
            ("gauss_legendre", "gausslegendre", 1e-9),
            ("left", "riemann_left", 1e-6),  # they keep the points in float32
            ("right", "riemann_right", 1e-6),
            ("middle", "riemann_middle", 1e-6),
        ],
    )
    def test_integrated_gradients(self, attr, twin, model, x, rule, name, tolerance):
        want, gap = attr.IntegratedGradients(twin).attribute(
            to_torch(x),
            to_torch(0 * x + 0.25),
            target=CLASSES,
            n_steps=7,
            method=name,
            return_convergence_delta=True,
        )
        e = ours("integrated_gradients", model, x, steps=7, rule=rule, baseline=0.25)
        close(e.raw, from_torch(want), tolerance)
        np.testing.assert_allclose(e.steps["completeness gap"], gap.detach().numpy(), atol=tolerance)

    @pytest.mark.parametrize(
        "method, name",
        [("smooth_grad", "smoothgrad"), ("square_grad", "smoothgrad_sq"), ("var_grad", "vargrad")],
    )
    @pytest.mark.parametrize(
        "base, inner", [("gradient", "Saliency"), ("input_x_gradient", "InputXGradient")]
    )
    def test_noise(self, attr, twin, model, x, method, name, base, inner, monkeypatch):
        import torch

        x = (x - x.min((1, 2, 3), keepdims=True)) / np.ptp(x, (1, 2, 3), keepdims=True)  # a range of 1
        noise = [cx.random.stateless_normal(x.shape[1:], (5, s)).numpy().astype(np.float64) for s in range(6)]
        noise = torch.tensor(np.tile(np.array(noise), (3, 1, 1, 1)).transpose(0, 3, 1, 2))
        monkeypatch.setattr(torch, "normal", lambda mean, deviation: deviation * noise)
        tunnel = attr.NoiseTunnel(getattr(attr, inner)(twin))
        options = {"abs": False} if inner == "Saliency" else {}
        want = tunnel.attribute(
            to_torch(x), nt_type=name, nt_samples=6, stdevs=0.2, target=torch.tensor(CLASSES), **options
        )
        e = ours(method, model, x, samples=6, noise=0.2, seed=5, base=base)
        close(e.raw, from_torch(want))

    @pytest.mark.parametrize("layer", list(LAYERS))
    @pytest.mark.parametrize("upsampling, name", [("nearest", "nearest-exact"), ("bilinear", "bilinear")])
    def test_guided_grad_cam(self, attr, twin, model, x, layer, upsampling, name):
        guided = attr.GuidedGradCam(twin, twin[LAYERS[layer]])
        want = guided.attribute(to_torch(x), target=CLASSES, interpolate_mode=name)
        e = ours("guided_grad_cam", model, x, layer=layer, upsampling=upsampling)
        close(e.raw, from_torch(want))


class TestGradCam:
    @pytest.fixture
    def package(self):
        # a torchvision made for other hardware can be imported without its compiled operators, unused here
        name = "torchvision._meta_registrations"
        sys.modules.setdefault(name, types.ModuleType(name))
        return pytest.importorskip("pytorch_grad_cam")

    def theirs(self, package, name, twin, x, layer, monkeypatch, eigen=False):
        """Their map before it is scaled."""
        import torch
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        half_pixels = lambda size: torch.nn.Upsample(size=size, mode="bilinear", align_corners=False)  # noqa: E731
        monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", half_pixels)
        maker = getattr(package, name)(model=twin, target_layers=[twin[LAYERS[layer]]])
        seen = []
        monkeypatch.setattr(
            type(maker),
            "aggregate_multi_layers",
            lambda self, maps: seen.append(maps) or maps[0],
        )
        inner = type(maker).get_cam_image
        raw = []

        def recorded(self, *arguments, **options):
            raw.append(np.asarray(inner(self, *arguments, **options)))
            return raw[-1]

        monkeypatch.setattr(type(maker), "get_cam_image", recorded)
        maker(to_torch(x).detach(), targets=[ClassifierOutputTarget(c) for c in CLASSES])
        return raw[0]

    @pytest.mark.parametrize("layer", list(LAYERS))
    @pytest.mark.parametrize(
        "method, name, options, tolerance",
        [
            ("grad_cam", "GradCAM", {}, 1e-9),
            ("grad_cam_plus_plus", "GradCAMPlusPlus", {"epsilon": 1e-6}, 1e-9),
            ("hires_cam", "HiResCAM", {}, 1e-9),
            ("layer_cam", "LayerCAM", {}, 1e-9),
            ("xgrad_cam", "XGradCAM", {"epsilon": 1e-7}, 1e-9),
            ("score_cam", "ScoreCAM", {}, 1e-4),  # they keep scores in float32
            ("ablation_cam", "AblationCAM", {}, 1e-4),
        ],
    )
    def test_against_theirs(
        self, package, twin, model, x, layer, method, name, options, tolerance, monkeypatch
    ):
        want = self.theirs(package, name, twin, x, layer, monkeypatch)
        got = ours(method, model, x, layer=layer, **options).raw
        if method == "layer_cam":
            want, got = np.maximum(want, 0), np.maximum(got, 0)
        close(got, want, tolerance)

    @pytest.mark.parametrize("layer", list(LAYERS))
    def test_eigen_cam(self, package, twin, model, x, layer, monkeypatch):
        """Theirs has whatever sign the decomposition gave it."""
        want = self.theirs(package, "EigenCAM", twin, x, layer, monkeypatch)
        got = ours("eigen_cam", model, x, layer=layer, center=True).raw
        close(np.abs(got), np.abs(want), 1e-5)
