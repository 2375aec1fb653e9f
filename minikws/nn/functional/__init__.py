"""The formulas: each layer's forward and backward as functions on arrays.

Activations are (B, T, F, C) by shape: clip, time, frequency, channel. A forward function returns
its output and a cache of what backward needs; backward takes the output's gradient `dy` and the
cache. Where Numba is installed `nn.fast` computes the same numbers, some with the batch as the
last axis in memory (see `memory`).
"""

from minikws.nn.functional.activation import (
    hard_swish,
    hard_swish_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    swish,
    swish_backward,
    tanh,
    tanh_backward,
)
from minikws.nn.functional.attention import AttentionCache, gated_pool, gated_pool_backward
from minikws.nn.functional.conv import (
    ConvCache,
    conv2d,
    conv2d_backward,
    conv2d_backward_input,
    conv2d_backward_params,
)
from minikws.nn.functional.dense import (
    dense,
    dense_backward,
    dense_backward_input,
    dense_backward_params,
)
from minikws.nn.functional.depthwise import (
    DepthwiseCache,
    depthwise_conv2d,
    depthwise_conv2d_backward,
    depthwise_conv2d_backward_input,
    depthwise_conv2d_backward_params,
)
from minikws.nn.functional.dropout import (
    DropoutMask,
    draw_mask,
    dropout,
    dropout_apply,
    dropout_backward,
    dropout_mask,
)
from minikws.nn.functional.fake_quant import (
    FakeQuantCache,
    Grid,
    fake_quant,
    fake_quant_backward,
    fake_quant_backward_input,
    nudge,
)
from minikws.nn.functional.frames import FramesCache, frames, frames_backward
from minikws.nn.functional.memory import add, batch_last, in_order_of
from minikws.nn.functional.norm import (
    NormCache,
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_input,
    batch_norm_backward_params,
    moving_average,
)
from minikws.nn.functional.pool import (
    PoolCache,
    average_pool,
    average_pool_backward,
    global_average_pool,
    global_average_pool_backward,
    global_max_pool,
    global_max_pool_backward,
    max_pool,
    max_pool_backward,
)
from minikws.nn.functional.svdf import (
    SvdfCache,
    svdf,
    svdf_backward,
    svdf_backward_input,
    svdf_backward_params,
    svdf_step,
)
from minikws.nn.functional.window import Padding, Window, window

__all__ = [
    "AttentionCache",
    "ConvCache",
    "DepthwiseCache",
    "DropoutMask",
    "FakeQuantCache",
    "FramesCache",
    "Grid",
    "NormCache",
    "Padding",
    "PoolCache",
    "SvdfCache",
    "Window",
    "add",
    "average_pool",
    "average_pool_backward",
    "batch_last",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_backward_input",
    "batch_norm_backward_params",
    "conv2d",
    "conv2d_backward",
    "conv2d_backward_input",
    "conv2d_backward_params",
    "dense",
    "dense_backward",
    "dense_backward_input",
    "dense_backward_params",
    "depthwise_conv2d",
    "depthwise_conv2d_backward",
    "depthwise_conv2d_backward_input",
    "depthwise_conv2d_backward_params",
    "draw_mask",
    "dropout",
    "dropout_apply",
    "dropout_backward",
    "dropout_mask",
    "fake_quant",
    "fake_quant_backward",
    "fake_quant_backward_input",
    "frames",
    "frames_backward",
    "gated_pool",
    "gated_pool_backward",
    "global_average_pool",
    "global_average_pool_backward",
    "global_max_pool",
    "global_max_pool_backward",
    "hard_swish",
    "hard_swish_backward",
    "in_order_of",
    "max_pool",
    "max_pool_backward",
    "moving_average",
    "nudge",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "svdf",
    "svdf_backward",
    "svdf_backward_input",
    "svdf_backward_params",
    "svdf_step",
    "swish",
    "swish_backward",
    "tanh",
    "tanh_backward",
    "window",
]
