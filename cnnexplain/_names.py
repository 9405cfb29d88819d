"""What `cnnexplain.<name>` means: where each public name lives, and what to say about one that does not
exist.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

MODULES = frozenset(
    """
    as_tensorflow bitwise config data debugging demo errors explain image io keras linalg math models nest nn
    ops plot random testing version
    """.split()
)

_HOMES = {
    "dtypes": "DType TensorShape float16 bfloat16 float32 float64 int8 int32 int64 uint8 bool as_dtype",
    "tensor": "Tensor Variable",
    "tape": "GradientTape UnconnectedGradients",
    "module": "Module TensorSpec",
    "functions": """
        constant convert_to_tensor cast saturate_cast one_hot zeros ones zeros_like ones_like fill eye range
        linspace identity stop_gradient is_tensor shape shape_n rank size ensure_shape newaxis from_dlpack
    """,
    "control": """
        custom_gradient recompute_grad numpy_function py_function map_fn cond case while_loop function print
        executing_eagerly name_scope device init_scope control_dependencies group no_op get_logger
    """,
    "arrays": """
        squeeze expand_dims reshape transpose broadcast_to broadcast_static_shape concat stack unstack split
        tile repeat pad gather gather_nd reverse roll slice strided_slice boolean_mask meshgrid where
        sequence_mask unravel_index
    """,
    "control.loops": """
        foldl foldr scan switch_case vectorized_map grad_pass_through get_static_value identity_n
    """,
    "scatter": """
        scatter_nd tensor_scatter_nd_update tensor_scatter_nd_add tensor_scatter_nd_sub tensor_scatter_nd_max
        tensor_scatter_nd_min
    """,
    "debugging": "Assert assert_equal assert_greater assert_less assert_rank",
    "ordering": "sort argsort unique unique_with_counts searchsorted",
    "math.reductions": """
        reduce_sum reduce_mean reduce_max reduce_min reduce_prod reduce_any reduce_all reduce_logsumexp argmax
        argmin
    """,
    "math": """
        abs negative square sqrt exp log sigmoid pow sign round floor cumsum add_n
        maximum minimum add subtract multiply divide truediv realdiv scalar_mul
        truncatediv truncatemod equal not_equal greater greater_equal less
        less_equal logical_and logical_or logical_not squared_difference clip_by_value
    """,
    "math.trigonometry": "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh",
    "linalg": "matmul tensordot einsum norm clip_by_norm clip_by_global_norm",
    "keras.tf_initializers": """
        constant_initializer ones_initializer random_normal_initializer random_uniform_initializer
        zeros_initializer
    """,
    "config": "set_threads get_threads clear_caches set_precision get_precision",
    "environment": "show_config",
}
HOMES = {name: home for home, names in _HOMES.items() for name in names.split()}
PUBLIC = sorted({*HOMES, *MODULES, "__version__"})

ADVICE = {
    "Session": "there are no sessions: call functions and models on data, as in TensorFlow 2",
    "placeholder": "use cnnexplain.keras.Input",
    "compat": "there is no TensorFlow 1 interface; write TensorFlow 2 code",
    "get_variable": "use cnnexplain.Variable",
    "global_variables_initializer": "variables have their values from the start",
    "Graph": "there are no graphs to hold: call functions and models on data",
    "string": "strings are not tensors here: keep them in Python lists",
    "strings": "strings are not tensors here: use Python's str",
    "lite": "there is no exporter for mobile devices",
    "saved_model": "use model.save and cnnexplain.keras.models.load_model",
    "train": "use cnnexplain.keras.optimizers and model.save_weights",
    "distribute": "this package computes on one machine's CPU",
    "summary": "use the history that model.fit returns, or a callback",
    "test": "cnnexplain.config.list_physical_devices tells the devices",
    "py_func": "use cnnexplain.py_function",
    "gradients": "use cnnexplain.GradientTape",
    "gradient": "use cnnexplain.GradientTape",
    "GradientTapes": "use cnnexplain.GradientTape",
    "complex64": "there are no complex tensors",
    "complex128": "there are no complex tensors",
    "half": "compute in float32: `array.astype('float32')`",
    "uint16": "use int32",
    "int16": "use int32",
    "uint32": "use int64",
    "uint64": "use int64",
    "RaggedTensor": "tensors are dense: pad to one length",
    "ragged": "tensors are dense: pad to one length",
    "sparse": "tensors are dense",
    "SparseTensor": "tensors are dense",
    "TensorArray": "collect tensors in a Python list and use cnnexplain.stack",
    "contrib": "it is gone from TensorFlow as well",
    "feature_column": "use the layers of cnnexplain.keras.layers",
    "estimator": "use cnnexplain.keras.Model",
    "losses": "it is cnnexplain.keras.losses",
    "layers": "it is cnnexplain.keras.layers",
    "optimizers": "it is cnnexplain.keras.optimizers",
    "metrics": "it is cnnexplain.keras.metrics",
    "Sequential": "it is cnnexplain.keras.Sequential",
    "Model": "it is cnnexplain.keras.Model",
    "inv": "it is cnnexplain.linalg.inv",
    "resize": "it is cnnexplain.image.resize or cnnexplain.ops.resize",
    "grad_cam": "it is cnnexplain.explain.grad_cam, or cnnexplain.ops.grad_cam on arrays",
    "cam": "it is cnnexplain.explain.cam, or cnnexplain.ops.cam on arrays",
    "saliency": "it is cnnexplain.explain.saliency, or cnnexplain.ops.saliency on arrays",
    "array": "use cnnexplain.constant",
    "mean": "it is cnnexplain.reduce_mean",
    "sum": "it is cnnexplain.reduce_sum",
    "max": "it is cnnexplain.reduce_max, or cnnexplain.maximum of two tensors",
    "min": "it is cnnexplain.reduce_min, or cnnexplain.minimum of two tensors",
    "dot": "it is cnnexplain.tensordot or cnnexplain.matmul",
}


def lookup(package: str, name: str) -> Any:
    """The object behind `cnnexplain.<name>`, imported when first asked for."""
    if name in MODULES:
        return importlib.import_module(f"{package}.{name}")
    if name == "__version__":
        return importlib.import_module(f"{package}.version").VERSION
    home = HOMES.get(name)
    if home is None:
        if name.startswith("_") or name in ADVICE or importlib.util.find_spec(f"{package}.{name}") is None:
            refuse(package, name, PUBLIC)
        return importlib.import_module(f"{package}.{name}")
    return getattr(importlib.import_module(f"{package}.{home}"), name)


def refuse(module: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raises AttributeError for a name that does not exist, with what comes nearest to it."""
    text = f"module {module!r} has no attribute {name!r}"
    if name.startswith("_"):
        raise AttributeError(text, name=name, obj=sys.modules.get(module))
    known = [public for public in known if not public.startswith("_")]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if not near:  # the words of the name in other words: logsumexp, reduce_logsumexp
        near = [
            public
            for public in known
            if len(name) > 3 and (name in public or (len(public) > 3 and public in name))
        ]
    if name in ADVICE:
        advice = ADVICE[name]
    elif near:
        advice = "the nearest is " + " or ".join(f"{module}.{public}" for public in near[:3])
    else:
        elsewhere = [f"cnnexplain.{home}.{name}" for home in sorted(MODULES) if _has(home, name)]
        advice = f"it is {elsewhere[0]}" if elsewhere else f"dir({module}) lists what exists"
    raise AttributeError(
        f"{text}; if TensorFlow has this name, it does not exist here: {advice}", name=name, obj=None
    )


def _has(home: str, name: str) -> bool:
    if home in ("keras", "explain", "demo", "plot"):
        return False
    try:
        return name in vars(importlib.import_module(f"cnnexplain.{home}"))
    except ImportError:
        return False


def missing(module: str) -> Callable[[str], Any]:
    """A module's `__getattr__`: names what comes nearest."""

    def attribute(name: str) -> Any:
        refuse(module, name, public(module))

    return attribute


def public(module: str) -> list[str]:
    """The public names of an imported module."""
    return sorted(getattr(sys.modules[module], "__all__", ()))


def defined(module: str) -> list[str]:
    """The public functions and classes that a module or the files of a package define: its `__all__`."""
    names = vars(sys.modules[module])
    return [
        name
        for name, value in names.items()
        if not name.startswith("_") and f"{getattr(value, '__module__', None)}.".startswith(f"{module}.")
    ]


def publish(module: str) -> None:
    """Sets the `__all__` of a module whose names others import by a star to what `defined` finds. Type
    checkers, which cannot compute it, then see every name.
    """
    vars(sys.modules[module])["__all__"] = defined(module)
