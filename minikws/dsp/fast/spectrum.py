"""The float frontends' compiled loops: 64 frames side by side, one in each lane.

    column     0     1     2   …  63    64     a column is hop_samples of one clip; frame t begins
    row 0     x[0]  x[h]  x[2h]                in column t and goes on in t + 1, so sample
    row 1     x[1]  x[h+1]  …                  i = q * hop + r of 64 neighboring frames is
    …                                          row r, columns q … q + 63: contiguous

Every step is then a loop over lanes with the same few operations. Lanes run over the columns of all
clips, one clip after the other; those that are no frame (a clip's last columns) hold rubbish that
is never stored. A complex value is two neighboring rows.

Each operation is the plain form's (`minikws.dsp.spectrum`, `ordered_fft`, `mfcc`) in its order, so
the numbers are equal to the bit, the logarithm aside: this one errs by less than a unit in the last
place, and is not the C library's. On one core a clip of a second takes about 0.08 ms here, and 2 ms
there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LANES = 64
LN_2_HIGH, LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
SMALLEST_NORMAL = np.float32(2.0**-126)
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


def spectral_features_loops(clips: Any, settings: Any, out: Any) -> Any:
    """Twin of `spectrum.spectral_features`: 64 frames at a time."""

    def flush(value: Any) -> Any:
        return value if value >= SMALLEST_NORMAL else np.float32(0.0)

    def row_of(values: Any, i: Any) -> Any:  # unsigned: no test for an index from the end
        return values[np.uint64(i >> 2), np.uint64(i & 3)]

    hop, window = settings.hop_samples, settings.window
    sizes, halves, twiddles = settings.fft.sizes, settings.fft.halves, settings.fft.twiddles
    order, post_twiddles = settings.fft.order, settings.fft.post_twiddles
    magnitude, edges = settings.magnitude, settings.edges
    bands, weights, first_bin = settings.bank.bands, settings.bank.weights, settings.bank.first_bin
    n_mels, dct = settings.bank.n_mels, settings.dct

    n_clips, n_samples = clips.shape
    n = len(order)
    n_window = len(window)
    n_frames = 1 + (n_samples - n_window) // hop
    reach = (n_window - 1) // hop  # columns that a frame goes on into
    rows = min(hop, n_window)
    columns = n_frames + reach  # of one clip
    n_blocks = (n_clips * columns + LANES - 1) // LANES
    n_mfcc = len(dct)
    n_passes = len(sizes)
    n_rows = max(n, 4)
    padded_dct = np.zeros((n_mfcc, n_mels + 3), np.float64)
    for i in range(n_mfcc):
        for channel in range(n_mels):
            padded_dct[i, channel] = dct[i, channel]
    n_features = out.shape[2]

    # A butterfly's four results are neighbors in the other array: the compiler then sees that they
    # are different rows from the inputs, and uses whole vectors. So block b of pass p finds its
    # values 4 rows apart.
    def run_pass(p: Any, source: Any, target: Any) -> None:
        size, step = sizes[p], 4 if p > 0 else 1
        quarter = size // 4
        for b in range(n // size):
            half = halves[p, b]
            start = 4 * (b // 4) * size + b % 4
            if size == 2:
                x0, x1 = row_of(source, start), row_of(source, start + step)
                y0, y1 = row_of(target, 2 * b), row_of(target, 2 * b + 1)
                for lane in range(LANES):
                    re = -x1[1, lane] if half else x1[0, lane]
                    im = x1[0, lane] if half else x1[1, lane]
                    y0[0, lane], y0[1, lane] = x0[0, lane] + re, x0[1, lane] + im
                    y1[0, lane], y1[1, lane] = x0[0, lane] - re, x0[1, lane] - im
            for j in range(quarter):
                w = twiddles[p, :, :, j]
                x0 = row_of(source, start + step * j)
                x1 = row_of(source, start + step * (j + quarter))
                x2 = row_of(source, start + step * (j + 2 * quarter))
                x3 = row_of(source, start + step * (j + 3 * quarter))
                done = target[np.uint64(b * quarter + j)]
                if half:
                    c0, s0, h0 = w[2, 0], w[2, 1], w[2, 2]
                    c1, s1, h1 = w[3, 0], w[3, 1], w[3, 2]
                    c2, s2, h2 = w[4, 0], w[4, 1], w[4, 2]
                    c3, s3, h3 = w[5, 0], w[5, 1], w[5, 2]
                    for lane in range(LANES):
                        re, im = x0[0, lane] - x2[1, lane], x0[1, lane] + x2[0, lane]
                        ar, ai = h0 * (c0 * re - s0 * im), h0 * (c0 * im + s0 * re)
                        re, im = x1[0, lane] - x3[1, lane], x1[1, lane] + x3[0, lane]
                        br, bi = h1 * (c1 * re - s1 * im), h1 * (c1 * im + s1 * re)
                        done[0, 0, lane], done[0, 1, lane] = ar + br, ai + bi
                        done[1, 0, lane], done[1, 1, lane] = ar - br, ai - bi
                        re, im = x0[0, lane] + x2[1, lane], x0[1, lane] - x2[0, lane]
                        ar, ai = h2 * (c2 * re - s2 * im), h2 * (c2 * im + s2 * re)
                        re, im = x1[0, lane] + x3[1, lane], x1[1, lane] - x3[0, lane]
                        br, bi = h3 * (c3 * re - s3 * im), h3 * (c3 * im + s3 * re)
                        done[2, 0, lane], done[2, 1, lane] = ar + br, ai + bi
                        done[3, 0, lane], done[3, 1, lane] = ar - br, ai - bi
                else:
                    c0, s0, h0 = w[0, 0], w[0, 1], w[0, 2]
                    c1, s1, h1 = w[1, 0], w[1, 1], w[1, 2]
                    for lane in range(LANES):
                        ar, ai = x0[0, lane] + x2[0, lane], x0[1, lane] + x2[1, lane]
                        br, bi = x1[0, lane] + x3[0, lane], x1[1, lane] + x3[1, lane]
                        done[0, 0, lane], done[0, 1, lane] = ar + br, ai + bi
                        done[1, 0, lane], done[1, 1, lane] = ar - br, ai - bi
                        ar, ai = x0[0, lane] - x2[0, lane], x0[1, lane] - x2[1, lane]
                        br, bi = x1[0, lane] - x3[0, lane], x1[1, lane] - x3[1, lane]
                        re, im = ar - bi, ai + br
                        done[2, 0, lane] = h0 * (c0 * re - s0 * im)
                        done[2, 1, lane] = h0 * (c0 * im + s0 * re)
                        re, im = ar + bi, ai - br
                        done[3, 0, lane] = h1 * (c1 * re - s1 * im)
                        done[3, 1, lane] = h1 * (c1 * im + s1 * re)

    sound = np.zeros((rows, LANES + reach), np.int16)
    z = np.empty((n_rows // 4, 4, 2, LANES), np.float64)
    y = np.empty((n_rows // 4, 4, 2, LANES), np.float64)
    exponents = np.empty(LANES, np.float64)
    power = np.empty((n + 1, LANES), np.float32)
    features = np.zeros((n_features, LANES), np.float32)
    energy = np.empty((n_mels + 5, LANES), np.float64)
    bits = energy.view(np.int64)
    cosines = np.empty((n_mfcc, LANES), np.float64)

    for block in range(n_blocks):
        # 64 columns and those that their frames reach into, transposed. What a block beyond the
        # last clip leaves unwritten is rubbish from the block before, never stored.
        for j in range(LANES + reach):
            column = block * LANES + j
            clip = column // columns
            if clip < n_clips:
                source = clips[clip, (column - clip * columns) * hop :]
                for r in range(min(rows, len(source))):
                    sound[r, j] = source[r]

        for q in range(reach + 1):
            for r in range(min(rows, n_window - q * hop)):
                i = q * hop + r
                source, target = sound[np.uint64(r)], row_of(z, i >> 1)[np.uint64(i & 1)]
                factor = window[i] / 32768.0  # a power of two: rounded all the same
                for lane in range(LANES):
                    target[lane] = source[lane + q] * factor
        for i in range(n_window, 2 * n):
            target = row_of(z, i >> 1)[np.uint64(i & 1)]
            for lane in range(LANES):
                target[lane] = 0.0

        # The passes of the FFT, from one array to the other and back.
        for p in range(0, n_passes, 2):
            run_pass(p, z, y)
            if p + 1 < n_passes:
                run_pass(p + 1, y, z)
        if n_passes % 2 == 1:
            for i in range(n):
                x0, x1 = row_of(y, i), row_of(z, i)
                for lane in range(LANES):
                    x1[0, lane], x1[1, lane] = x0[0, lane], x0[1, lane]

        # From the complex transform of pairs to the real one's bins, and their squares.
        for lane in range(LANES):
            low = z[0, 0, 0, lane] + z[0, 0, 1, lane]
            high = z[0, 0, 0, lane] - z[0, 0, 1, lane]
            power[0, lane] = flush(np.float32(low * low))
            power[n, lane] = flush(np.float32(high * high))
        for k in range(1, n // 2 + 1):
            x0, x1 = row_of(z, order[k]), row_of(z, order[n - k])
            low_power, high_power = power[k], power[n - k]
            c, s = post_twiddles[0, k], post_twiddles[1, k]
            if 2 * k == n:
                c, s = 0.0, 0.0
            for lane in range(LANES):
                re, im = x0[0, lane] - x1[0, lane], x0[1, lane] + x1[1, lane]
                yr, yi = c * re - s * im, c * im + s * re
                re, im = x0[0, lane] - yr, x0[1, lane] - yi
                low_power[lane] = flush(np.float32(re * re + im * im))
                re, im = x1[0, lane] + yr, x1[1, lane] - yi
                high_power[lane] = flush(np.float32(re * re + im * im))

        if n_mfcc > 0:
            # Each bin's falling part goes to row band + 1, its rising part to the next one; the
            # first and the last row are no channel's.
            for i in range(n_mels + 5):
                for lane in range(LANES):
                    energy[i, lane] = 0.0
            for i in range(len(bands)):
                source = power[first_bin + i]
                falling, rising = energy[bands[i] + 1], energy[bands[i] + 2]
                weight = weights[i]
                for lane in range(LANES):
                    value = np.sqrt(np.float64(source[lane]))
                    part = value * weight
                    falling[lane] += part
                    rising[lane] += value - part
            # ln(2**e (1 + f)) = e ln 2 + f - f² / 2 + …, the rest by the series of atanh in
            # s = f / (2 + f); f runs from -0.3 to 0.41. Source: the method of fdlibm's e_log.c.
            for channel in range(1, n_mels + 1):
                values, value_bits = energy[channel], bits[channel]
                for lane in range(LANES):
                    values[lane] = max(values[lane], 1e-12)
                for lane in range(LANES):
                    e = (value_bits[lane] - SQRT_HALF_BITS) >> 52
                    exponents[lane] = e
                    value_bits[lane] -= e << 52
                for lane in range(LANES):
                    e = exponents[lane]
                    f = values[lane] - 1.0
                    s = f / (2.0 + f)
                    t = s * s
                    r = 2 / 15 + t * (2 / 17 + t * (2 / 19))
                    r = 2 / 9 + t * (2 / 11 + t * (2 / 13 + t * r))
                    r = t * (2 / 3 + t * (2 / 5 + t * (2 / 7 + t * r)))
                    h = 0.5 * f * f
                    values[lane] = e * LN_2_HIGH - ((h - (s * (h + r) + e * LN_2_LOW)) - f)
            for i in range(n_mfcc):
                for lane in range(LANES):
                    cosines[i, lane] = 0.0
            for channel in range(0, n_mels, 4):  # the cosines of what is beyond are 0
                values = energy[channel + 1 : channel + 5]
                for i in range(n_mfcc):
                    sums = cosines[i]
                    f0, f1 = padded_dct[i, channel], padded_dct[i, channel + 1]
                    f2, f3 = padded_dct[i, channel + 2], padded_dct[i, channel + 3]
                    for lane in range(LANES):
                        total = sums[lane] + f0 * values[0, lane]
                        total = total + f1 * values[1, lane]
                        total = total + f2 * values[2, lane]
                        sums[lane] = total + f3 * values[3, lane]
            for i in range(n_mfcc):
                for lane in range(LANES):
                    features[i, lane] = cosines[i, lane]
        else:
            if magnitude:
                for k in range(n + 1):
                    for lane in range(LANES):
                        power[k, lane] = np.sqrt(power[k, lane])
            for i in range(n_features):
                sums = features[i]
                for lane in range(LANES):
                    sums[lane] = 0.0
                for k in range(edges[i], edges[i + 1]):
                    source = power[k]
                    for lane in range(LANES):
                        sums[lane] += source[lane]
                count = np.float32(edges[i + 1] - edges[i])
                for lane in range(LANES):
                    sums[lane] = flush(sums[lane] / count)

        for lane in range(LANES):
            column = block * LANES + lane
            clip = column // columns
            t = column - clip * columns
            if clip < n_clips and t < n_frames:
                for i in range(n_features):
                    out[clip, t, i] = features[i, lane]
    return out
