"""Every operator that minikws runs, by its TFLite name; one module each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from minikws.runtime.node import Kernel
from minikws.runtime.ops import (
    add,
    cast,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    div,
    fully_connected,
    hard_swish,
    logistic,
    mean,
    minimum,
    mul,
    pad,
    pool_2d,
    quantize,
    relu,
    reshape,
    signal_fft,
    signal_filter_bank,
    signal_frames,
    signal_noise,
    signal_window,
    softmax,
    split,
    strided_slice,
    svdf,
    table,
    tanh,
    transpose,
    variables,
)

_alone = partial(Kernel, batches=False)  # a stream's frames come one after the other

OPS: Mapping[str, Kernel] = {
    "ADD": Kernel(add.prepare_add, add.evaluate),
    "ASSIGN_VARIABLE": Kernel(variables.prepare_assign, variables.evaluate_assign, batches=False),
    "AVERAGE_POOL_2D": Kernel(pool_2d.prepare, pool_2d.evaluate_average),
    "CALL_ONCE": Kernel(variables.prepare_call_once, variables.evaluate_call_once, batches=False),
    "CAST": Kernel(cast.prepare, cast.evaluate),
    "CONCATENATION": Kernel(concatenation.prepare, concatenation.evaluate),
    "CONV_2D": Kernel(conv_2d.prepare, conv_2d.evaluate),
    "DEPTHWISE_CONV_2D": Kernel(depthwise_conv_2d.prepare, depthwise_conv_2d.evaluate),
    "DEQUANTIZE": Kernel(quantize.prepare_dequantize, quantize.evaluate_dequantize),
    "DIV": Kernel(div.prepare, div.evaluate),
    "EXPAND_DIMS": Kernel(reshape.prepare, reshape.evaluate),
    "FULLY_CONNECTED": Kernel(fully_connected.prepare, fully_connected.evaluate),
    "HARD_SWISH": Kernel(hard_swish.prepare, table.evaluate),
    "LEAKY_RELU": Kernel(relu.prepare_leaky_relu, table.evaluate),
    "LOGISTIC": Kernel(logistic.prepare, table.evaluate),
    "MAXIMUM": Kernel(minimum.prepare, minimum.evaluate_maximum),
    "MAX_POOL_2D": Kernel(pool_2d.prepare, pool_2d.evaluate_max),
    "MEAN": Kernel(mean.prepare_mean, mean.evaluate_mean),
    "MINIMUM": Kernel(minimum.prepare, minimum.evaluate_minimum),
    "MUL": Kernel(mul.prepare, mul.evaluate),
    "PAD": Kernel(pad.prepare, pad.evaluate),
    "PADV2": Kernel(pad.prepare, pad.evaluate),
    "QUANTIZE": Kernel(quantize.prepare, quantize.evaluate),
    "READ_VARIABLE": Kernel(variables.prepare_read, variables.evaluate_read, batches=False),
    "REDUCE_MAX": Kernel(mean.prepare_max, mean.evaluate_max),
    "RELU": Kernel(relu.prepare_relu, table.evaluate),
    "RELU6": Kernel(relu.prepare_relu6, table.evaluate),
    "RESHAPE": Kernel(reshape.prepare, reshape.evaluate),
    "SignalDelay": _alone(signal_frames.prepare_delay, signal_frames.evaluate_delay),
    "SignalEnergy": _alone(signal_fft.prepare_energy, signal_fft.evaluate_energy),
    "SignalFftAutoScale": _alone(
        signal_window.prepare_auto_scale, signal_window.evaluate_auto_scale
    ),
    "SignalFilterBank": _alone(signal_filter_bank.prepare, signal_filter_bank.evaluate),
    "SignalFilterBankLog": _alone(signal_filter_bank.prepare_log, signal_filter_bank.evaluate_log),
    "SignalFilterBankSpectralSubtraction": _alone(
        signal_noise.prepare_subtraction, signal_noise.evaluate_subtraction
    ),
    "SignalFilterBankSquareRoot": _alone(
        signal_filter_bank.prepare_square_root, signal_filter_bank.evaluate_square_root
    ),
    "SignalFramer": _alone(signal_frames.prepare_framer, signal_frames.evaluate_framer),
    "SignalIrfft": _alone(signal_fft.prepare_irfft, signal_fft.evaluate_irfft),
    "SignalOverlapAdd": _alone(
        signal_frames.prepare_overlap_add, signal_frames.evaluate_overlap_add
    ),
    "SignalPCAN": _alone(signal_noise.prepare_pcan, signal_noise.evaluate_pcan),
    "SignalRfft": _alone(signal_fft.prepare_rfft, signal_fft.evaluate_rfft),
    "SignalStacker": _alone(signal_frames.prepare_stacker, signal_frames.evaluate_stacker),
    "SignalWindow": _alone(signal_window.prepare_window, signal_window.evaluate_window),
    "SOFTMAX": Kernel(softmax.prepare, softmax.evaluate),
    "SPLIT": Kernel(split.prepare_split, split.evaluate),
    "SPLIT_V": Kernel(split.prepare_split_v, split.evaluate),
    "SQUEEZE": Kernel(reshape.prepare, reshape.evaluate),
    "STRIDED_SLICE": Kernel(strided_slice.prepare, strided_slice.evaluate),
    "SUB": Kernel(add.prepare_sub, add.evaluate),
    "SUM": Kernel(mean.prepare_sum, mean.evaluate_sum),
    "SVDF": Kernel(svdf.prepare, svdf.evaluate, batches=False),
    "TANH": Kernel(tanh.prepare, table.evaluate),
    "TRANSPOSE": Kernel(transpose.prepare, transpose.evaluate),
    "VAR_HANDLE": Kernel(variables.prepare_handle, variables.evaluate_handle, batches=False),
}
