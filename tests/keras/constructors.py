"""How each public class of Keras is made in the tests: arguments that it needs, inputs that a layer takes.

A class that is not named here is made without arguments, a layer without inputs is called on images.
"""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RECORDED = json.loads((FIXTURES / "keras_surface.json").read_text())["families"]
OTHER = {"dtype_policies": ("DTypePolicy", "FloatDTypePolicy")}

FAMILIES = (
    "layers", "losses", "optimizers", "optimizers.schedules", "metrics", "initializers", "regularizers",
    "constraints", "dtype_policies",
)  # fmt: skip

# Bases without arguments of their own, and what has no configuration in Keras.
ABSTRACT = {
    "layers": {"Layer", "InputSpec", "Wrapper"},
    "losses": {"Loss"},
    "optimizers": {"Optimizer"},
    "optimizers.schedules": {"LearningRateSchedule"},
    "metrics": {"Metric"},
    "initializers": {"Initializer"},
    "regularizers": {"Regularizer"},
    "constraints": {"Constraint"},
    "dtype_policies": set(),
}

IMAGES = [(2, 8, 8, 3)]
ROWS = [(2, 6, 4)]
VECTORS = [(2, 5)]
PAIRS = [(2, 5), (2, 5)]


def _same(*names: str, **arguments: Any) -> dict[str, Any]:
    return dict.fromkeys(names, lambda k: arguments)


# family -> class -> function of the keras module that gives the arguments by name
ARGUMENTS: dict[str, dict[str, Any]] = {
    "layers": {
        **_same("Conv1D", "Conv1DTranspose", "SeparableConv1D", filters=2, kernel_size=3, activation="relu"),
        **_same(
            "Conv2D",
            "Conv2DTranspose",
            "SeparableConv2D",
            filters=2,
            kernel_size=(3, 2),
            strides=2,
            padding="same",
            activation="relu",
            use_bias=False,
        ),
        **_same("DepthwiseConv1D", kernel_size=2, depth_multiplier=2),
        **_same("DepthwiseConv2D", kernel_size=2, depth_multiplier=2, activation="gelu"),
        **_same("AveragePooling1D", pool_size=2, padding="same"),
        **_same("AveragePooling2D", pool_size=2, strides=1),
        **_same("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D", output_size=3),
        **_same("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D", output_size=(3, 2)),
        **_same("Dropout", "AlphaDropout", "GaussianDropout", rate=0.3, seed=1),
        **_same("SpatialDropout1D", "SpatialDropout2D", rate=0.3),
        **_same("GaussianNoise", stddev=0.1),
        **_same("LSTM", "GRU", "SimpleRNN", units=3, return_sequences=True),
        **_same("LSTMCell", "GRUCell", "SimpleRNNCell", units=3),
        **_same("RandomBrightness", "RandomContrast", "RandomHue", "RandomRotation", factor=0.2, seed=1),
        **_same("RandomColorDegeneration", "RandomSaturation", "RandomSharpness", factor=0.2, seed=1),
        **_same("RandomPosterization", factor=4, seed=1),
        **_same("CenterCrop", "RandomCrop", "Resizing", height=4, width=5),
        **_same("Embedding", "ReversibleEmbedding", input_dim=9, output_dim=4),
        "Activation": lambda k: {"activation": "tanh"},
        "CategoryEncoding": lambda k: {"num_tokens": 4},
        "Discretization": lambda k: {"bin_boundaries": [0.0, 1.0]},
        "Dense": lambda k: {
            "units": 3,
            "activation": "softmax",
            "kernel_regularizer": k.regularizers.L2(0.02),
            "bias_initializer": "ones",
            "kernel_constraint": k.constraints.MaxNorm(2.0),
        },
        "Dot": lambda k: {"axes": 1, "normalize": True},
        "EinsumDense": lambda k: {"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"},
        "GroupNormalization": lambda k: {"groups": 3},
        "GroupQueryAttention": lambda k: {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 2},
        "InputLayer": lambda k: {"shape": (4, 3), "batch_size": 2},
        "Lambda": lambda k: {"function": k.activations.relu},
        "MultiHeadAttention": lambda k: {"num_heads": 2, "key_dim": 3},
        "Normalization": lambda k: {"mean": 1.0, "variance": 2.0},
        "Permute": lambda k: {"dims": (2, 1)},
        "Pipeline": lambda k: {"layers": [k.layers.Rescaling(2.0)]},
        "RNN": lambda k: {"cell": k.layers.LSTMCell(3)},
        "RandomTranslation": lambda k: {"height_factor": 0.2, "width_factor": 0.1, "seed": 1},
        "RandomZoom": lambda k: {"height_factor": 0.2, "seed": 1},
        "RepeatVector": lambda k: {"n": 3},
        "Rescaling": lambda k: {"scale": 0.1, "offset": 1.0},
        "Reshape": lambda k: {"target_shape": (-1, 6)},
        "Bidirectional": lambda k: {"layer": k.layers.GRU(2), "merge_mode": "sum"},
        "SpectralNormalization": lambda k: {"layer": k.layers.Dense(3)},
        "StackedRNNCells": lambda k: {"cells": [k.layers.GRUCell(2), k.layers.LSTMCell(3)]},
        "TimeDistributed": lambda k: {"layer": k.layers.Dense(3)},
    },
    "losses": {},
    "optimizers": {
        "SGD": lambda k: {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "clipnorm": 1.0},
        "Adam": lambda k: {"learning_rate": k.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)},
        "LossScaleOptimizer": lambda k: {"inner_optimizer": k.optimizers.SGD(0.1)},
    },
    "optimizers.schedules": {
        "CosineDecay": lambda k: {"initial_learning_rate": 0.1, "decay_steps": 5},
        "CosineDecayRestarts": lambda k: {"initial_learning_rate": 0.1, "first_decay_steps": 5},
        **_same(
            "ExponentialDecay", "InverseTimeDecay", initial_learning_rate=0.1, decay_steps=5, decay_rate=0.5
        ),
        "PiecewiseConstantDecay": lambda k: {"boundaries": [2, 4], "values": [0.1, 0.2, 0.3]},
        "PolynomialDecay": lambda k: {"initial_learning_rate": 0.1, "decay_steps": 5},
    },
    "metrics": {
        **_same("IoU", "OneHotIoU", num_classes=3, target_class_ids=[0, 2]),
        **_same("MeanIoU", "OneHotMeanIoU", num_classes=3),
        "MeanMetricWrapper": lambda k: {"fn": k.losses.mean_squared_error, "name": "own"},
        "PrecisionAtRecall": lambda k: {"recall": 0.5},
        "RecallAtPrecision": lambda k: {"precision": 0.5},
        "SensitivityAtSpecificity": lambda k: {"specificity": 0.5},
        "SpecificityAtSensitivity": lambda k: {"sensitivity": 0.5},
    },
    "initializers": {
        "Constant": lambda k: {"value": 0.5},
        "RandomNormal": lambda k: {"mean": 0.1, "stddev": 0.2, "seed": 3},
    },
    "regularizers": {},
    "constraints": {},
    "dtype_policies": {
        "DTypePolicy": lambda k: {"name": "float64"},
        "FloatDTypePolicy": lambda k: {"name": "float64"},
    },
}

# layer -> shapes of its inputs; of those that take integers, how many there are
INPUTS: dict[str, list[tuple]] = {
    **dict.fromkeys(
        [
            "AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D", "AveragePooling1D", "Bidirectional", "Conv1D",
            "Conv1DTranspose", "Cropping1D", "DepthwiseConv1D", "EinsumDense", "GRU",
            "GlobalAveragePooling1D", "GlobalMaxPooling1D", "LSTM", "Masking", "MaxPooling1D",
            "Permute", "RNN", "Reshape", "SeparableConv1D", "SimpleRNN", "SpatialDropout1D",
            "TimeDistributed", "UpSampling1D", "ZeroPadding1D",
        ],
        ROWS,
    ),
    **dict.fromkeys(["Dense", "RepeatVector", "SpectralNormalization", "Softmax", "Normalization"], VECTORS),
    **dict.fromkeys(
        ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"], PAIRS
    ),
    "InputLayer": [(2, 4, 3)],
    "MultiHeadAttention": [(2, 4, 3), (2, 4, 3)],
    "GroupQueryAttention": [(2, 4, 3), (2, 4, 3)],
    "Attention": [(2, 4, 3), (2, 4, 3)],
    "AdditiveAttention": [(2, 4, 3), (2, 4, 3)],
}  # fmt: skip
INTEGERS = {"Embedding": 9, "ReversibleEmbedding": 9, "CategoryEncoding": 4}
APART = {"MultiHeadAttention", "GroupQueryAttention"}  # several inputs as several arguments
CELLS = {"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"}


def classes(keras: Any, family: str) -> dict[str, type]:
    """The public classes of a family that Keras names, each once: by its own name, or its first alias."""
    module = importlib.import_module(f"{keras.__name__}.{family}")
    names = [name for name in RECORDED.get(family, OTHER.get(family, ())) if name not in ABSTRACT[family]]
    things = {name: getattr(module, name, None) for name in names}
    things = {name: thing for name, thing in things.items() if inspect.isclass(thing)}
    own = {thing for name, thing in things.items() if thing.__name__ == name}
    found = {name: thing for name, thing in things.items() if thing.__name__ == name}
    for name, thing in things.items():
        if thing not in own:
            own.add(thing)
            found[name] = thing
    return found


def needs_arguments(cls: type) -> bool:
    """Has the constructor a parameter without a default?"""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return any(p.default is p.empty and p.kind in named for p in parameters)


def make(keras: Any, family: str, name: str) -> Any:
    """An object of the class."""
    cls = classes(keras, family)[name]
    arguments = ARGUMENTS[family].get(name)
    return cls(**(arguments(keras) if arguments else {}))
