"""Every operator that minikws runs, by its TFLite name; one module each."""

from __future__ import annotations

from collections.abc import Mapping

from minikws.runtime.node import Kernel
from minikws.runtime.ops import (
    add,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    logistic,
    mean,
    mul,
    pool_2d,
    relu,
    reshape,
    softmax,
    table,
    tanh,
)

OPS: Mapping[str, Kernel] = {
    "ADD": Kernel(add.prepare_add, add.evaluate),
    "AVERAGE_POOL_2D": Kernel(pool_2d.prepare, pool_2d.evaluate_average),
    "CONCATENATION": Kernel(concatenation.prepare, concatenation.evaluate),
    "CONV_2D": Kernel(conv_2d.prepare, conv_2d.evaluate),
    "DEPTHWISE_CONV_2D": Kernel(depthwise_conv_2d.prepare, depthwise_conv_2d.evaluate),
    "FULLY_CONNECTED": Kernel(fully_connected.prepare, fully_connected.evaluate),
    "LEAKY_RELU": Kernel(relu.prepare_leaky_relu, table.evaluate),
    "LOGISTIC": Kernel(logistic.prepare, table.evaluate),
    "MAX_POOL_2D": Kernel(pool_2d.prepare, pool_2d.evaluate_max),
    "MEAN": Kernel(mean.prepare_mean, mean.evaluate_mean),
    "MUL": Kernel(mul.prepare, mul.evaluate),
    "REDUCE_MAX": Kernel(mean.prepare_max, mean.evaluate_max),
    "RELU": Kernel(relu.prepare_relu, table.evaluate),
    "RELU6": Kernel(relu.prepare_relu6, table.evaluate),
    "RESHAPE": Kernel(reshape.prepare, reshape.evaluate),
    "SOFTMAX": Kernel(softmax.prepare, softmax.evaluate),
    "SUB": Kernel(add.prepare_sub, add.evaluate),
    "SUM": Kernel(mean.prepare_sum, mean.evaluate_sum),
    "TANH": Kernel(tanh.prepare, table.evaluate),
}
