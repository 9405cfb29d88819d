"""Relevance against zennit on random networks."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import cnnexplain as cx

pytestmark = pytest.mark.torch
keras, L = cx.keras, cx.keras.layers


@pytest.fixture(scope="module")
def both():
    """A network with residual addition, normalisation, poolings and two dense layers, here and in PyTorch.

    The epsilon of the normalisation is tiny: zennit's merging leaves it in what should be the identity.
    """
    torch = pytest.importorskip("torch")
    # a torchvision made for other hardware can be imported without its compiled operators, unused here
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))
    pytest.importorskip("zennit")
    from zennit.layer import Sum

    nn = torch.nn
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 6, 3, padding=1)
            self.n = nn.BatchNorm2d(6, eps=1e-12)
            self.b = nn.Conv2d(6, 6, 3, padding=1, bias=False)
            self.m = nn.BatchNorm2d(6, eps=1e-12)
            self.add = Sum()
            self.c = nn.Conv2d(6, 8, 3)
            self.relu = nn.ModuleList([nn.ReLU() for _ in range(4)])
            self.max, self.mean = nn.MaxPool2d(2), nn.AvgPool2d(2)
            self.f, self.top = nn.Linear(8 * 1 * 2, 7), nn.Linear(7, 4)

        def forward(self, x):
            x = self.relu[0](self.n(self.a(x)))
            x = self.relu[1](self.add(torch.stack([x, self.m(self.b(x))], -1)))
            x = self.relu[2](self.c(self.max(x)))
            return self.top(self.relu[3](self.f(self.mean(x).flatten(1))))

    net = Net().eval()
    for norm in (net.n, net.m):
        for values, low, high in ((norm.weight, 0.5, 2), (norm.bias, -1, 1), (norm.running_mean, -1, 1)):
            values.data.uniform_(low, high)
        norm.running_var.uniform_(0.5, 2)
    net = net.double()  # of weights that float32 holds too

    def weights(module):
        kernel = module.weight.data.numpy()
        if kernel.ndim == 1:
            return [
                v.data.numpy() for v in (module.weight, module.bias, module.running_mean, module.running_var)
            ]
        if kernel.shape[1] == 16:  # a vector of (8, 1, 2) there, of (1, 2, 8) here
            kernel = kernel.reshape(-1, 8, 1, 2).transpose(0, 2, 3, 1).reshape(-1, 16)
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        return [kernel] if module.bias is None else [kernel, module.bias.data.numpy()]

    inputs = keras.Input((9, 13, 3))
    x = L.ReLU()(L.BatchNormalization(epsilon=1e-12)(L.Conv2D(6, 3, padding="same")(inputs)))
    y = L.BatchNormalization(epsilon=1e-12)(L.Conv2D(6, 3, padding="same", use_bias=False)(x))
    x = L.MaxPooling2D(2)(L.ReLU()(L.Add()([x, y])))
    x = L.AveragePooling2D(2)(L.Conv2D(8, 3, activation="relu")(x))
    model = keras.Model(inputs, L.Dense(4)(L.Dense(7, activation="relu")(L.Flatten()(x))))
    modules = (net.a, net.n, net.b, net.m, net.c, net.f, net.top)
    model.set_weights([values for module in modules for values in weights(module)])
    return torch, net, model


@pytest.mark.parametrize(
    "rule, name",
    [
        ("epsilon_plus", "EpsilonPlus"),
        ("epsilon_plus_flat", "EpsilonPlusFlat"),
        ("epsilon_alpha2_beta1", "EpsilonAlpha2Beta1"),
        ("epsilon_alpha2_beta1_flat", "EpsilonAlpha2Beta1Flat"),
        ("epsilon_gamma_box", "EpsilonGammaBox"),
    ],
)
def test_composites(both, rule, name):
    torch, net, model = both
    from zennit import composites
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm

    x = np.random.default_rng(2).normal(size=(4, 9, 13, 3))
    box = {"low": -5.0, "high": 5.0} if name == "EpsilonGammaBox" else {}
    composite = getattr(composites, name)(canonizers=[SequentialMergeBatchNorm()], **box)
    classes = [2, 0, 3, 1]
    with Gradient(model=net, composite=composite) as attributor:
        data = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
        logits, want = attributor(data, torch.eye(4, dtype=torch.float64)[classes])
    want = want.detach().numpy().transpose(0, 2, 3, 1)
    options = {"rules": {model.layers[1]: cx.explain.relevance_rules.ZBox(-5, 5)}} if box else {}
    rule = cx.explain.relevance_rules.Composite("gamma", "epsilon") if box else rule
    e = cx.explain.lrp(model, x, classes, rule=rule, start="one", dtype="float64", **options)
    np.testing.assert_allclose(e.score, logits.detach().numpy()[range(4), classes], atol=1e-9)
    np.testing.assert_allclose(e.raw, want, atol=1e-9 * np.abs(want).max())
    single = cx.explain.lrp(model, x, classes, rule=rule, start="one", **options)
    np.testing.assert_allclose(single.raw, want, atol=1e-3 * np.abs(want).max())
