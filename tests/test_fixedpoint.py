"""The integer arithmetic against a literal transcription of its definition, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikws import fixedpoint as fp
from minikws.errors import SettingsError

int32s = st.integers(-(2**31), 2**31 - 1)


def srdhm(a: int, b: int) -> int:
    """The C++ code, line by line: nudge by sign, divide, truncate toward zero, saturate."""
    if a == b == -(2**31):
        return 2**31 - 1
    product = a * b
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    return abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)


def rdp(x: int, exponent: int) -> int:
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def mbqm(x: int, multiplier: int, shift: int) -> int:
    shifted = (x << max(shift, 0)) & 0xFFFFFFFF
    wrapped = shifted - 2**32 if shifted >= 2**31 else shifted
    return rdp(srdhm(wrapped, multiplier), max(-shift, 0))


@given(a=int32s, b=int32s)
def test_rounding_multiply_is_the_nudged_one(a: int, b: int) -> None:
    assert fp.rounding_multiply(a, b) == srdhm(a, b)
    assert fp.rounding_multiply(np.array([a], np.int64), b)[0] == srdhm(a, b)


def test_rounding_multiply_saturates_once() -> None:
    assert fp.rounding_multiply(-(2**31), -(2**31)) == 2**31 - 1


@given(x=int32s, bits=st.integers(0, 31))
def test_rounding_shift_is_the_masked_one(x: int, bits: int) -> None:
    assert fp.rounding_shift(x, bits) == rdp(x, bits)
    assert fp.rounding_shift(np.array([x], np.int64), np.array([bits]))[0] == rdp(x, bits)


@given(x=int32s, multiplier=st.integers(2**30, 2**31 - 1), shift=st.integers(-31, 8))
def test_requantize_rounds_twice_and_wraps(x: int, multiplier: int, shift: int) -> None:
    expected = mbqm(x, multiplier, shift)
    assert fp.requantize(x, multiplier, shift) == expected
    found = fp.requantize(*(np.array([n], np.int64) for n in (x, multiplier, shift)))
    assert found.dtype == np.int64 and found[0] == expected


@pytest.mark.parametrize(
    ("real", "pair"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (1 - 2**-40, (2**30, 1)),  # rounds up to 2**31, which does not fit
        (2.0**-32, (2**30, -31)),
        (2.0**-33, (0, 0)),
    ],
)
def test_quantize_multiplier_at_its_edges(real: float, pair: tuple[int, int]) -> None:
    assert fp.quantize_multiplier(real) == pair


def test_quantize_multiplier_of_micro_speech() -> None:
    # tensors of micro_speech_quantized: first_weights[0], final_fc_weights, softmax
    scale_in, scale_relu, scale_logits = (
        0.10171568393707275,
        0.08418698608875275,
        0.09173192083835602,
    )
    assert fp.quantize_multiplier(scale_in * 0.000622243678662926 / scale_relu) == (
        1653229999,
        -10,
    )
    assert fp.quantize_multiplier(scale_relu * 0.0004787050711456686 / scale_logits) == (
        1932201080,
        -11,
    )
    assert fp.quantize_multiplier(scale_logits * 2**26) == (1575942400, 23)


@pytest.mark.parametrize("real", [-1.0, math.inf, math.nan])
def test_quantize_multiplier_refuses(real: float) -> None:
    with pytest.raises(SettingsError, match="cannot be a multiplier"):
        fp.quantize_multiplier(real)


@given(
    values=st.lists(st.floats(-1000, 1000, width=32), max_size=8),
    scale=st.floats(0.0078125, 10, width=32),
    zero_point=st.integers(-128, 127),
)
def test_dequantize_is_within_half_a_step(
    values: list[float], scale: float, zero_point: int
) -> None:
    low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
    integers = fp.quantize(values, scale, zero_point)
    back = fp.dequantize(integers, scale, zero_point)
    assert integers.dtype == np.int8 and back.dtype == np.float32
    clamped = np.clip(np.array(values, np.float64), low, high)
    assert np.all(np.abs(back - clamped) <= scale * 0.5001 + 1e-4)


def test_quantize_rounds_halves_away_and_clamps() -> None:
    assert fp.quantize([0.5, 1.5, -0.5, -1.5, 1e30, -1e30], 1.0, 0).tolist() == [
        1,
        2,
        -1,
        -2,
        127,
        -128,
    ]
    assert fp.quantize([0.0, 2.0], 0.5, 10, "uint8").tolist() == [10, 14]


def test_the_device_rule_equals_quantizing_the_features() -> None:
    # micro features v count 10/256 each; the device computes (v*256 + 333) // 666 - 128
    v = np.arange(0, 2000, dtype=np.int64)
    device = np.clip((v * 256 + 333) // 666 - 128, -128, 127)
    features = (v * (10 / 256)).astype(np.float32)
    np.testing.assert_array_equal(fp.quantize(features, 666 / (256 * 25.6), -128), device)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-8, 127)), ("RELU6", (-8, 52)), ("RELU_N1_TO_1", (-18, 2))],
)
def test_activation_range(name: str, expected: tuple[int, int]) -> None:
    assert fp.activation_range(name, 0.1, -8) == expected


def test_activation_range_stays_inside_the_type() -> None:
    assert fp.activation_range("RELU6", 0.001, 100) == (100, 127)


def test_an_activation_without_integer_form_is_named() -> None:
    with pytest.raises(SettingsError, match="'TANH' has no integer form; known are NONE"):
        fp.activation_range("TANH", 0.1, 0)


def test_a_scale_too_small_for_the_limits_of_an_activation() -> None:
    with pytest.raises(SettingsError, match="'RELU6' at the scale 1e-10 has limits outside"):
        fp.activation_range("RELU6", 1e-10, 0)


@pytest.mark.parametrize("integer_bits", [0, 4, 5, 6])
def test_exp_negative_is_the_exponential(integer_bits: int) -> None:
    real = -np.linspace(0, min(20.0, 2.0**integer_bits * 0.999), 500)
    fixed = np.round(real * 2.0 ** (31 - integer_bits)).astype(np.int64)
    found = fp.exp_negative(fixed, integer_bits) / 2**31
    # the argument's own step, and the polynomial's error of a few 1e-7
    np.testing.assert_allclose(found, np.exp(real), atol=2.0 ** (integer_bits - 31) + 1e-6)
    assert fp.exp_negative(np.zeros(1, np.int64), integer_bits)[0] == 2**31 - 1


def test_exp_negative_vanishes_far_below() -> None:
    assert fp.exp_negative(np.array([-(2**31)]), 6)[0] == 0


@given(a=st.integers(0, 2**31 - 1))
def test_one_over_one_plus(a: int) -> None:
    found = fp.one_over_one_plus(a)
    assert abs(found / 2**31 - 1 / (1 + a / 2**31)) < 1e-8
    assert fp.one_over_one_plus(np.array([a], np.int64))[0] == found
