"""Files that networks of torchvision and timm write give our applications their answers and gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch_networks

import cnnexplain as cx
from cnnexplain import keras

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # of PyTorch, torchvision and timm
CASES = torch_networks.CASES | torch_networks.MORE_CASES


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch")
    try:
        torch_networks.torchvision()
    except ImportError:
        pytest.skip("needs torchvision")
    pytest.importorskip("timm")
    return module


@pytest.fixture
def same_floatx():
    before = keras.config.floatx()
    yield
    keras.config.set_floatx(before)


def differs(got, wanted):
    return float(np.abs(np.asarray(got) - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize(
    "case, dtype",
    [(case, "float32") for case in CASES] + [(case, "float64") for case in torch_networks.CASES],
)
@pytest.mark.usefixtures("same_floatx")
def test_the_answers_are_pytorch_s(case, dtype, torch, tmp_path):
    keras.config.set_floatx(dtype)
    asked = CASES[case]
    network = torch_networks.fill(asked.make()).to(getattr(torch, dtype))
    path = tmp_path / f"{case.split('/')[1]}.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    make = getattr(keras.applications, asked.application)
    settings = {"classes": torch_networks.CLASSES, "classifier_activation": None, **asked.settings}
    model = make(weights=path, input_shape=(*asked.sides, 3), **settings)
    assert model.preprocess == asked.preprocess

    x = torch_networks.images(asked).astype(dtype)
    seen = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    wanted = network(seen)
    variable = cx.Variable(x)
    with cx.GradientTape() as tape:
        got = model(variable, training=False)
        total = cx.reduce_sum(got[:, 3])
    if dtype == "float32":
        assert differs(got, wanted.detach().numpy()) < 1e-4
        return
    assert differs(got, wanted.detach().numpy()) < 1e-9
    wanted[:, 3].sum().backward()
    slope = seen.grad.numpy().transpose(0, 2, 3, 1)
    assert differs(tape.gradient(total, variable), slope) < 1e-9


@pytest.mark.parametrize("case", torch_networks.CASES)
def test_the_recorded_names_and_answers(case, torch):
    recorded = np.load(Path(__file__).parents[1] / "fixtures" / "torch_networks.npz")
    network = torch_networks.fill(CASES[case].make()).double()
    names = [f"{name} {tuple(value.shape)}" for name, value in network.state_dict().items()]
    assert recorded[f"{case}/names"].tolist() == names
    x = torch.tensor(torch_networks.images(CASES[case]).transpose(0, 3, 1, 2), dtype=torch.float64)
    with torch.no_grad():
        np.testing.assert_allclose(recorded[f"{case}/answers"], network(x).numpy(), rtol=1e-8)


def test_the_form_of_data_parallel_in_safetensors(torch, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    case = "torchvision/mobilenet_v2"
    network = torch_networks.fill(CASES[case].make())
    path = tmp_path / "model.safetensors"
    safetensors.save_file(torch.nn.DataParallel(network).half().state_dict(), path)
    model = keras.applications.MobileNetV2((66, 71, 3), weights=path, classes=7, classifier_activation=None)
    x = torch_networks.images(CASES[case])
    with torch.no_grad():
        wanted = network.half().float()(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    assert differs(model.predict(x, verbose=0), wanted) < 1e-4


# the module whose output is our default layer's
MAPS = {
    "torchvision/resnet50": lambda network: network.layer4,
    "torchvision/vgg16": lambda network: network.features[29],
    "torchvision/mobilenet_v2": lambda network: network.features[18],
    "timm/efficientnet_lite0": lambda network: network.bn2,
}


@pytest.mark.parametrize("case", MAPS)
def test_grad_cam_is_pytorch_s(case, torch, tmp_path):
    asked = CASES[case]
    network = torch_networks.fill(asked.make())
    path = tmp_path / f"{case.split('/')[1]}.pth"
    torch.save(network.state_dict(), path)
    make = getattr(keras.applications, asked.application)
    model = make(weights=path, input_shape=(*asked.sides, 3), classes=torch_networks.CLASSES)
    x = torch_networks.images(asked).astype("float64")
    kept = []
    hook = MAPS[case](network).register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = network.double()(torch.tensor(x.transpose(0, 3, 1, 2)))
    hook.remove()
    maps = kept[0]
    (slopes,) = torch.autograd.grad(logits[:, 2].sum(), maps)
    wanted = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).detach().numpy()
    got = cx.explain.grad_cam(model, x, 2, dtype="float64").raw
    assert got.shape == wanted.shape and differs(got, wanted) < 1e-9
