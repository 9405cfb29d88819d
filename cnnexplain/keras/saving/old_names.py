"""Names of layers and settings in files of Keras 1 and 2."""

from __future__ import annotations

CLASSES = {
    "Model": "Functional", "Container": "Functional", "Network": "Functional", "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D", "Convolution2DTranspose": "Conv2DTranspose",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D", "DepthwiseConvolution2D": "DepthwiseConv2D",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "LSTMV2": "LSTM", "GRUV2": "GRU",
    "ThresholdedReLU": "ReLU",
}  # fmt: skip

GONE = {
    "Merge": "it is Keras 1's: its model must be rebuilt with Add, Concatenate and the like",
    "Highway": "it is Keras 1's",
    "MaxoutDense": "it is Keras 1's",
    "AtrousConvolution2D": "it is Keras 1's",
    "TimeDistributedDense": "it is Keras 1's",
    "CuDNNLSTM": "its weights are laid out for a graphics card: save the model with an LSTM",
    "CuDNNGRU": "its weights are laid out for a graphics card: save the model with a GRU",
    "RandomHeight": "it is not part of Keras 3: take it out of the model and save again",
    "RandomWidth": "it is not part of Keras 3: take it out of the model and save again",
    "TensorFlowOpLayer": "it holds a TensorFlow graph: save the model with TensorFlow 2.4 or later",
    "KerasLayer": "it is TensorFlow Hub's",
}

# Settings of Keras 1 that Keras 2 spells otherwise.
KERAS_1 = frozenset(
    "nb_filter nb_row nb_col border_mode subsample dim_ordering W_regularizer b_regularizer U_regularizer "
    "W_constraint b_constraint init inner_init inner_activation forget_bias_init atrous_rate".split()
)

# Settings that are gone: the values that mean what is done today; None: any value.
IDLE: dict[str, tuple | None] = {
    "implementation": None, "input_length": None, "fused": None, "virtual_batch_size": (None,),
    "adjustment": (None,),
    "renorm": (False, None), "renorm_clipping": (None,), "renorm_momentum": None, "synchronized": None,
    "groups": (1, None), "ragged": (False, None), "sparse": (False, None), "time_major": (False, None),
    "query_shape": None, "key_shape": None, "value_shape": None, "experimental_autocast": None,
    "experimental_relax_shapes": None, "zero_output_for_mask": (False, None), "rms_scaling": (False, None),
    "_use_input_spec_as_call_signature": None, "num_gpus": None, "build_input_shape": None, "mask": (None,),
    "reset_after": None, "unroll": None, "build_config": None, "cell_dtype": None, "epsilon": None,
}  # fmt: skip

# Settings of a convolution that its relatives inherited without using them.
UNUSED = {
    "SeparableConv1D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "SeparableConv2D": ("kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "DepthwiseConv1D": ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    "DepthwiseConv2D": ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D"), ("trainable", "noise_shape")),
}

IDLE_ELSEWHERE = frozenset({"dtype", "partition_info"})  # of initializers and the like
