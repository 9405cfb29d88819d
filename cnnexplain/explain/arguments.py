"""What the methods take, stated and documented once.

A method lists its own arguments and `**shared: Unpack[Shared]`; `@method` writes the shared ones into its
signature and all that it does not describe itself into its docstring, and `open_session` starts from them.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, cast

import numpy as np

from .progress import Progress
from .session import Session
from .target import Score

Function = TypeVar("Function", bound=Callable[..., Any])


class Shared(TypedDict, total=False):
    """The arguments of every method, beside the model, the images and the class."""

    score: Score
    input: Any
    output: Any
    preprocess: Any
    class_names: Sequence[str] | None
    dtype: Any
    batch_size: int
    progress: Progress


DEFAULTS: dict[str, Any] = {
    "score": "logit",
    "input": None,
    "output": None,
    "preprocess": None,
    "class_names": None,
    "dtype": None,
    "batch_size": 32,
    "progress": None,
}

DESCRIPTIONS = {
    "model": "a keras Model or Sequential.",
    "images": """(n,H,W,C), (H,W,C), for one-channel models also (n,H,W) and (H,W), used as they are; or paths
        and PIL images, resized and preprocessed.""",
    "class_index": """None (each image's own arg max), an integer or one per image; of an output (n, words,
        vocabulary) a tuple (position, word), both likewise.""",
    "maps": """an Explanation of these images, whose classes are taken unless `class_index` is given, or an
        array (n,H,W) or (H,W) of which only the order of the values counts.""",
    "layer": """None (the last layer whose output is 4-D with more than one pixel and not the pooling of an
        earlier layer's; `layer` of the result says which), a name, "outer/inner" inside a nested model, an
        index or a layer.""",
    "layers": """None (the last layer whose output is 4-D with more than one pixel and not the pooling of an
        earlier layer's; `layer` of the result says which), a name, "outer/inner" inside a nested model, an
        index or a layer; or a list of these, whose maps become one.""",
    "fuse": """how the maps of several layers become one: "mean" or "max" of the enlarged maps, each divided
        by its maximum.""",
    "reduce": '"sum" or "max", over the channels\' absolute values, for the finished map.',
    "samples": "how many noisy copies of each image.",
    "noise": """standard deviation of the normal noise, as a part of each image's range (maximum minus
        minimum) in the values that the model takes.""",
    "seed": """of the noise: the same seed gives the same bits, whatever `batch_size` is. Sample s of every
        image has the same noise, times its image's range.""",
    "fallback": """what to do at activations that are no ReLU (silu, gelu, elu, tanh, ...), for which the
        method is not defined: None refuses the model, "gradient" takes their true gradient.""",
    "score": """"logit" (also when softmax is fused into the last layer), "probability", "log_probability",
        "loss" (the cross-entropy) or a callable of the output tensor.""",
    "input, output": "name or index, when the model has several.",
    "preprocess": """"caffe", "tf", "torch", "lite", "none" or a callable of (n,H,W,C) in 0..255; for paths
        and PIL images. None: what the model remembers, as the networks of keras.applications do.""",
    "class_names": "one for each class.",
    "dtype": '"float32" or "float64"; default the model\'s.',
    "batch_size": "most images that run at once; noisy, masked and other copies of an image count as images.",
    "progress": """True for a bar, False for none, or a callable of (done, total); None: a bar in notebooks
        and terminals where the call takes more than a second.""",
}
_ANNOTATIONS = [getattr(a, "__forward_arg__", a) for a in Shared.__annotations__.values()]
_LAST = ("score", "input, output", "preprocess", "class_names", "dtype", "batch_size", "progress")


def method(function: Function) -> Function:
    """Completes a method's signature and the `Args` of its docstring, and keeps NumPy silent about overflow.

    What is not finite counts as 0 or is refused, with a sentence of its own.
    """

    @functools.wraps(function)
    def quiet(*args: Any, **options: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return function(*args, **options)

    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=annotation)
        for (name, value), annotation in zip(DEFAULTS.items(), _ANNOTATIONS, strict=True)
    ]
    quiet.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    quiet.__annotations__ = {k: v for k, v in function.__annotations__.items() if k != "shared"}
    quiet.__doc__ = _described(function.__doc__, [p.name for p in own])
    return cast(Function, quiet)


def _described(text: str | None, own: Sequence[str]) -> str | None:
    """The docstring with every argument: those of `own` that it does not describe, and the shared ones."""
    if text is None:  # python -OO
        return None
    text = inspect.cleandoc(text) + "\n"
    section = re.search(r"Args:\n((?:    .*\n)*)\n", text)
    begin, end = section.span() if section else (text.index("Returns:\n"),) * 2
    described = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section[1] if section else "", re.M))
    entries = []
    for name in [*own, *(name for name in _LAST if name not in own)]:
        key = "layers" if name == "layer" and "fuse" in own else name
        words = " ".join((described.get(name) or DESCRIPTIONS[key]).split())
        entries.append(
            textwrap.fill(
                f"{name}: {words}",
                106,
                initial_indent=" " * 4,
                subsequent_indent=" " * 8,
                break_on_hyphens=False,
                break_long_words=False,
            )
        )
    return text[:begin] + "Args:\n" + "\n".join(entries) + "\n\n" + text[end:]


def open_session(
    name: str, model: Any, images: Any, class_index: Any, shared: Mapping[str, Any] | Shared
) -> Session:
    """The session of a method, from the shared arguments that its caller gave."""
    unknown = [key for key in shared if key not in DEFAULTS]
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
    return Session(model, images, class_index, **(DEFAULTS | cast(dict, shared)))
