"""What the layers of our networks are called in PyTorch: by torchvision, by timm and in older files.

A rule takes the name of a layer and answers with the name of the module in PyTorch, or None when its network
has no such layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Rule = Callable[[str], "str | None"]


def _rule(fixed: dict[str, str], inner: Rule) -> Rule:
    """A rule of the layers that every such network has once, and of those in its blocks."""
    return lambda layer: fixed.get(layer) or inner(layer)


def _resnet_block(layer: str) -> str | None:
    found = re.fullmatch(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)", layer)
    if found is None:
        return None
    stage, block, place, kind = found.groups()
    last = f"downsample.{int(kind == 'bn')}" if place == "0" else kind + place
    return f"layer{int(stage) - 1}.{int(block) - 1}.{last}"


def _vgg(counts: tuple[int, ...], *dense: str) -> Rule:
    """In a VGG network the modules are counted: convolution, activation, ..., pooling."""

    def block(layer: str) -> str | None:
        found = re.fullmatch(r"block([1-5])_conv([1-4])", layer)
        if found is None:
            return None
        block, place = (int(number) - 1 for number in found.groups())
        if place >= counts[block]:
            return None
        return f"features.{2 * sum(counts[:block]) + block + 2 * place}"

    return _rule(dict(zip(("fc1", "fc2", "predictions"), dense, strict=True)), block)


def _densenet(dot: str) -> Rule:
    """Inside the blocks `dot` stands before the numbers: nothing, or a dot in files of before 2018."""

    def block(layer: str) -> str | None:
        if found := re.fullmatch(r"pool([2-4])_(conv|bn)", layer):
            return f"features.transition{int(found[1]) - 1}.{'conv' if found[2] == 'conv' else 'norm'}"
        found = re.fullmatch(r"conv([2-5])_block(\d+)_(?:([12])_conv|([01])_bn)", layer)
        if found is None:
            return None
        last = f"conv{dot}{found[3]}" if found[3] else f"norm{dot}{int(found[4]) + 1}"
        return f"features.denseblock{int(found[1]) - 1}.denselayer{found[2]}.{last}"

    fixed = {"conv1_conv": "features.conv0", "conv1_bn": "features.norm0", "bn": "features.norm5"}
    return _rule(fixed | {"predictions": "classifier"}, block)


# The parts of an inverted residual. In its first block the expansion is missing.
_MOBILENET_PART = re.compile(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?")
_LITE_PART = re.compile(r"block([1-7])([a-d])_(expand|dw|project)?_?(conv|bn)")
_OF_TIMM = {
    "expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3"),
}  # fmt: skip
_MOBILENET_STAGES = (0, 1, 3, 6, 10, 13, 16)  # the first block of each
_LITE_STAGES = (0, 1, 3, 5, 8, 11, 15)
_FIRST_OF_TIMM = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}


def _mobilenet_block(layer: str) -> str | None:
    found = _MOBILENET_PART.fullmatch(layer)
    if found is None:
        return None
    block, norm = int(found[1] or 0), int(found[3] is not None)
    number = ("expand", "depthwise", "project").index(found[2]) - (block == 0)
    last = number + norm if found[2] == "project" else f"{number}.{norm}"
    return f"features.{block + 1}.conv.{last}"


def _mobilenet_block_of_timm(layer: str) -> str | None:
    found = _MOBILENET_PART.fullmatch(layer)
    if found is None:
        return None
    block = int(found[1] or 0)
    parts = _OF_TIMM if block else _FIRST_OF_TIMM
    stage = sum(block >= first for first in _MOBILENET_STAGES) - 1
    place = block - _MOBILENET_STAGES[stage]
    return f"blocks.{stage}.{place}.{parts[found[2]][found[3] is not None]}"


def _lite_block(layer: str) -> tuple[int, int, str, int] | None:
    """Stage and place in it, both from zero, the part, and 1 for the part's normalization."""
    found = _LITE_PART.fullmatch(layer)
    if found is None:
        return None
    part = found[3] if found[3] in ("expand", "project") else "depthwise"
    return int(found[1]) - 1, ord(found[2]) - ord("a"), part, int(found[4] == "bn")


def _lite_block_of_package(layer: str) -> str | None:
    found = _lite_block(layer)
    if found is None:
        return None
    stage, place, part, norm = found
    last = f"_bn{('expand', 'depthwise', 'project').index(part)}" if norm else f"_{part}_conv"
    return f"_blocks.{_LITE_STAGES[stage] + place}.{last}"


def _lite_block_of_timm(layer: str) -> str | None:
    found = _lite_block(layer)
    if found is None:
        return None
    stage, place, part, norm = found
    return f"blocks.{stage}.{place}.{(_OF_TIMM if stage else _FIRST_OF_TIMM)[part][norm]}"


_ENDS_OF_TIMM = ("conv_stem", "bn1", "conv_head", "bn2", "classifier")


def _ends(layers: str, modules: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(layers.split(), modules, strict=True))


_MOBILENET_ENDS = "Conv1 bn_Conv1 Conv_1 Conv_1_bn predictions"
_LITE_ENDS = "stem_conv stem_bn top_conv top_bn predictions"
_RESNET = _rule({"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}, _resnet_block)


def _vggs(*counts: int) -> tuple[Rule, ...]:
    return (
        _vgg(counts, "classifier.0", "classifier.3", "classifier.6"),
        _vgg(counts, "pre_logits.fc1", "pre_logits.fc2", "head.fc"),
    )


# network: its rules, one of which a file follows
RULES: dict[str, tuple[Rule, ...]] = {
    "vgg16": _vggs(2, 2, 3, 3, 3),
    "vgg19": _vggs(2, 2, 4, 4, 4),
    **dict.fromkeys(("resnet50", "resnet101", "resnet152"), (_RESNET,)),
    **dict.fromkeys(("densenet121", "densenet169", "densenet201"), (_densenet(""), _densenet("."))),
    "mobilenet_v2": (
        _rule(
            _ends(
                _MOBILENET_ENDS,
                ("features.0.0", "features.0.1", "features.18.0", "features.18.1", "classifier.1"),
            ),
            _mobilenet_block,
        ),
        _rule(_ends(_MOBILENET_ENDS, _ENDS_OF_TIMM), _mobilenet_block_of_timm),
    ),
    "efficientnet_lite0": (
        _rule(_ends(_LITE_ENDS, ("_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc")), _lite_block_of_package),
        _rule(_ends(_LITE_ENDS, _ENDS_OF_TIMM), _lite_block_of_timm),
    ),
}

__all__ = ["RULES", "Rule"]
