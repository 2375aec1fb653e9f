"""The int16 FFT against a word for word, value by value transcription of kissfft's recursion."""

from __future__ import annotations

import numpy as np
import pytest

from minikws.dsp.fft import fft_tables, radices, real_fft
from minikws.errors import ShapeError

Pair = tuple[int, int]


def s16(v: int) -> int:
    return ((v + 32768) & 65535) - 32768


def q15(v: int) -> int:
    return s16((v + 16384) >> 15)


def times(a: Pair, b: Pair) -> Pair:
    return q15(a[0] * b[0] - a[1] * b[1]), q15(a[0] * b[1] + a[1] * b[0])


def plus(a: Pair, b: Pair) -> Pair:
    return s16(a[0] + b[0]), s16(a[1] + b[1])


def minus(a: Pair, b: Pair) -> Pair:
    return s16(a[0] - b[0]), s16(a[1] - b[1])


def part(a: Pair, share: int) -> Pair:
    return q15(a[0] * share), q15(a[1] * share)


def complex_fft(f: list[Pair], twiddles: list[Pair], stride: int) -> list[Pair]:
    n = len(f)
    if n == 1:
        return f
    p = radices(n)[0]
    m = n // p
    subs = [complex_fft(f[j::p], twiddles, stride * p) for j in range(p)]
    out: list[Pair] = [(0, 0)] * n
    for k in range(m):
        if p == 2:
            f0, f1 = (part(sub[k], 16383) for sub in subs)
            t = times(f1, twiddles[k * stride])
            out[k], out[k + m] = plus(f0, t), minus(f0, t)
            continue
        f0, f1, f2, f3 = (part(sub[k], 8191) for sub in subs)
        a, b, c = (times(v, twiddles[(j + 1) * k * stride]) for j, v in enumerate((f1, f2, f3)))
        d, e, g, h = minus(f0, b), plus(f0, b), plus(a, c), minus(a, c)
        out[k], out[k + 2 * m] = plus(e, g), minus(e, g)
        out[k + m] = s16(d[0] + h[1]), s16(d[1] - h[0])
        out[k + 3 * m] = s16(d[0] - h[1]), s16(d[1] + h[0])
    return out


def literal_real_fft(samples: np.ndarray) -> np.ndarray:
    tables = fft_tables(len(samples))
    twiddles = list(zip(*tables.twiddles.tolist(), strict=True))
    post = list(zip(*tables.post_twiddles.tolist(), strict=True))
    x = samples.tolist()
    n = len(x) // 2
    f = complex_fft([(x[2 * k], x[2 * k + 1]) for k in range(n)], twiddles, 1)
    out: list[Pair] = [(0, 0)] * (n + 1)
    first = part(f[0], 16383)
    out[0], out[n] = (s16(first[0] + first[1]), 0), (s16(first[0] - first[1]), 0)
    for k in range(1, n // 2 + 1):
        a = part(f[k], 16383)
        b = part((f[n - k][0], s16(-f[n - k][1])), 16383)
        total, difference = plus(a, b), minus(a, b)
        t = times(difference, post[k - 1])
        out[k] = (total[0] + t[0]) >> 1, (total[1] + t[1]) >> 1
        out[n - k] = (total[0] - t[0]) >> 1, (t[1] - total[1]) >> 1
    return np.array([complex(*pair) for pair in out])


def signals(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    wave = np.where(np.sin(np.arange(n) * 0.7) > 0, 32767, -32768)
    impulse = np.zeros(n, np.int64)
    impulse[n // 3] = -32768
    return np.stack(
        [
            rng.integers(-32768, 32768, n),
            rng.choice([-32768, 32767], n),
            rng.integers(-40, 40, n),
            wave,
            np.full(n, -32768),
            impulse,
            np.zeros(n, np.int64),
        ]
    ).astype(np.int16)


@pytest.mark.parametrize("size", [4, 8, 16, 32, 64, 128, 256, 512, 1024])
def test_every_bin_equals_the_literal_recursion(size: int) -> None:
    frames = signals(size)
    expected = np.stack([literal_real_fft(samples) for samples in frames])
    np.testing.assert_array_equal(real_fft(frames), expected)


def test_it_is_the_dft_over_n() -> None:
    frames = np.random.default_rng(0).integers(-30000, 30000, (5, 512)).astype(np.int16)
    exact = np.fft.rfft(frames.astype(np.float64)) / 512
    # Four rounded stages and the post pass: each leaves at most about one unit.
    assert np.abs(real_fft(frames) - exact).max() < 4


def test_leading_axes_are_kept_and_the_input_is_not_changed() -> None:
    frames = np.random.default_rng(0).integers(-3000, 3000, (2, 3, 64)).astype(np.int16)
    before = frames.copy()
    spectrum = real_fft(frames)
    assert spectrum.shape == (2, 3, 33)
    np.testing.assert_array_equal(spectrum[1, 2], real_fft(frames[1, 2]))
    np.testing.assert_array_equal(real_fft(frames[:, ::2]), spectrum[:, ::2])
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("size", [0, 2, 12, 480])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ShapeError, match=f"a power of two from 4 on, found {size}"):
        real_fft(np.zeros(size, np.int16))


def test_fours_are_taken_out_first() -> None:
    assert radices(512) == [4, 4, 4, 4, 2]
    assert radices(64) == [4, 4, 4]
    assert sorted(fft_tables(512).order.tolist()) == list(range(256))
