"""The micro frontend's compiled loops: 64 frames side by side, one in each lane.

    column     0     1     2   …  63    64     a column is hop_samples of one clip; frame t begins
    row 0     x[0]  x[h]  x[2h]                in column t and goes on in t + 1, so pair
    row 1     x[2]  x[h+2]  …                  p = q * rows + r of 64 neighboring frames is
    …                                          row r, columns q … q + 63: contiguous

An entry holds two samples, the real and the imaginary part of one input of the complex FFT. Every
stage is then a loop over lanes with the same few operations. Lanes run over the columns of all
clips, one clip after the other; those that are no frame (a clip's last columns) hold rubbish that
is never stored. Arithmetic is int32 and storage int16, and a store to int16 is the wrap that
kissfft needs. The second function runs in time order, a clip at a time, with channels as lanes.

Both equal the plain forms in `minikws.dsp.micro_stages`, for every integer. On one core a clip of
a second takes about 45 us here and 1.1 ms there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikws._jit import prange

LANES = 64


def levels_loops(clips: Any, settings: Any) -> Any:
    """Twin of `micro_stages.levels`: blocks of 64 frames in parallel."""

    # Numba widens int32 products and sums to 64 bits: each line narrows them again.
    def quarter(v: Any) -> Any:
        return np.int32(np.int32(v * 8191 + 16384) >> 15)

    def half(v: Any) -> Any:
        return np.int32(np.int32(v * 16383 + 16384) >> 15)

    def real_part(x: Any, y: Any, c: Any, s: Any) -> Any:
        return np.int32(np.int32(np.int32(x * c) - np.int32(y * s) + 16384) >> 15)

    def imaginary_part(x: Any, y: Any, c: Any, s: Any) -> Any:
        return np.int32(np.int32(np.int32(x * s) + np.int32(y * c) + 16384) >> 15)

    def times_one(v: Any) -> Any:  # the twiddle of no turn is 32767, not 32768
        return np.int32(np.int32(v * 32767 + 16384) >> 15)

    hop, window = settings.hop_samples, settings.window
    order = settings.fft.order
    cosines, sines = settings.fft.twiddles[0], settings.fft.twiddles[1]
    post_cosines, post_sines = settings.fft.post_twiddles[0], settings.fft.post_twiddles[1]
    first_bin, bands = settings.bank.first_bin, settings.bank.bands
    weights, unweights = settings.bank.weights, settings.bank.unweights
    preprocessor = settings.preprocessor
    n_mels = settings.bank.triangles.shape[1]

    n_clips, n_samples = clips.shape
    n = len(order)
    n_frames = 1 + (n_samples - len(window)) // hop
    n_pairs = (len(window) + 1) // 2
    even, odd = np.zeros(n_pairs, np.int16), np.zeros(n_pairs, np.int16)  # the window's halves
    even[:] = window[0::2]
    odd[: len(window) // 2] = window[1::2]
    # Columns share samples only where a hop is whole pairs; else each holds a whole window.
    span = hop // 2 if hop % 2 == 0 else n_pairs
    reach = (n_pairs - 1) // span  # columns that a frame goes on into
    rows = min(span, n_pairs)
    columns = n_frames + reach  # of one clip
    n_columns = n_clips * columns
    lanes = min(LANES, n_columns)  # a stream has one frame at a time
    n_blocks = (n_columns + lanes - 1) // lanes
    two_first = n & 0x55555555 == 0  # n = 2 * 4**j
    place = np.empty(n, np.int32)  # where a complex sample goes
    for i in range(n):
        place[order[i]] = i
    out = np.empty((n_clips, n_frames, n_mels), np.uint32)

    for block in prange(n_blocks):
        sound = np.zeros((rows, lanes + reach), np.int32)
        re = np.empty((n, lanes), np.int16)
        im = np.empty((n, lanes), np.int16)
        work = np.empty((8, lanes), np.int16)
        power = np.empty((n + 1, lanes), np.uint32)
        peaks = np.zeros(lanes, np.int32)
        shift = np.empty(lanes, np.int32)
        falling = np.zeros(lanes, np.float64)
        rising = np.zeros(lanes, np.float64)
        level = np.empty((n_mels + 1, lanes), np.uint32)

        # 64 columns and those that their frames reach into, transposed, two samples at a time.
        for j in range(lanes + reach):
            column = block * lanes + j
            clip = column // columns
            if clip < n_clips:
                source = clips[clip, (column - clip * columns) * hop :]
                n_whole = min(rows, len(source) // 2)
                for p in range(n_whole):
                    sound[p, j] = (np.int32(source[2 * p + 1]) << 16) | (source[2 * p] & 0xFFFF)
                if n_whole < rows and len(source) % 2 == 1:
                    sound[n_whole, j] = source[2 * n_whole] & 0xFFFF

        # Window, and the largest magnitude of each frame.
        for p in range(n_pairs):
            c_even, c_odd = even[p], odd[p]
            q = p // span
            source = sound[p - q * span, q : q + lanes]
            re_p, im_p = re[place[p]], im[place[p]]
            if preprocessor:
                for lane in range(lanes):
                    x = np.int32(np.int32(np.int16(source[lane]) * c_even) >> 12)
                    y = np.int32(np.int32(np.int32(source[lane] >> 16) * c_odd) >> 12)
                    re_p[lane], im_p[lane] = x, y
                    top = peaks[lane]
                    top = x if x > top else (np.int32(np.int16(-x)) if -x > top else top)
                    peaks[lane] = y if y > top else (np.int32(np.int16(-y)) if -y > top else top)
            else:
                for lane in range(lanes):
                    x = np.int32(np.int32(np.int16(source[lane]) * c_even) >> 12)
                    y = np.int32(np.int32(np.int32(source[lane] >> 16) * c_odd) >> 12)
                    re_p[lane], im_p[lane] = x, y
                    x, y = np.int32(abs(x) & 32767), np.int32(abs(y) & 32767)  # not 32768
                    peaks[lane] = max(peaks[lane], max(x, y))
        for p in range(n_pairs, n):
            re[place[p]] = 0
            im[place[p]] = 0
        for lane in range(lanes):
            top = peaks[lane]
            up = 0 if preprocessor and top <= 0 else 15
            while top > 0:
                top >>= 1
                up -= 1
            shift[lane] = up
        for i in range(n):
            for lane in range(lanes):
                re[i, lane] = np.int32(re[i, lane]) << shift[lane]
                im[i, lane] = np.int32(im[i, lane]) << shift[lane]

        # The complex FFT. A butterfly's rows are copied to one small array and back: there the
        # compiler sees that they are different rows, and uses whole vectors.
        m = 1
        if two_first:
            m = 2
            for i in range(0, n, 2):
                for lane in range(lanes):
                    x0, y0 = half(re[i, lane]), half(im[i, lane])
                    x1 = times_one(half(re[i + 1, lane]))
                    y1 = times_one(half(im[i + 1, lane]))
                    re[i, lane], im[i, lane] = x0 + x1, y0 + y1
                    re[i + 1, lane], im[i + 1, lane] = x0 - x1, y0 - y1
        while m < n:
            step = n // (4 * m)
            for k in range(m):
                c1, s1 = np.int16(cosines[k * step]), np.int16(sines[k * step])
                c2, s2 = np.int16(cosines[2 * k * step]), np.int16(sines[2 * k * step])
                c3, s3 = np.int16(cosines[3 * k * step]), np.int16(sines[3 * k * step])
                for i in range(k, n, 4 * m):
                    for j in range(4):
                        re_j, im_j = re[i + j * m], im[i + j * m]
                        work_re, work_im = work[j], work[4 + j]
                        for lane in range(lanes):
                            work_re[lane], work_im[lane] = re_j[lane], im_j[lane]
                    for lane in range(lanes):
                        x0, y0 = quarter(work[0, lane]), quarter(work[4, lane])
                        x, y = quarter(work[1, lane]), quarter(work[5, lane])
                        x1, y1 = real_part(x, y, c1, s1), imaginary_part(x, y, c1, s1)
                        x, y = quarter(work[2, lane]), quarter(work[6, lane])
                        x2, y2 = real_part(x, y, c2, s2), imaginary_part(x, y, c2, s2)
                        x, y = quarter(work[3, lane]), quarter(work[7, lane])
                        x3, y3 = real_part(x, y, c3, s3), imaginary_part(x, y, c3, s3)
                        ex, ey = np.int32(x0 + x2), np.int32(y0 + y2)
                        dx, dy = np.int32(x0 - x2), np.int32(y0 - y2)
                        gx, gy = np.int32(x1 + x3), np.int32(y1 + y3)
                        hx, hy = np.int32(x1 - x3), np.int32(y1 - y3)
                        work[0, lane], work[4, lane] = np.int32(ex + gx), np.int32(ey + gy)
                        work[1, lane], work[5, lane] = np.int32(dx + hy), np.int32(dy - hx)
                        work[2, lane], work[6, lane] = np.int32(ex - gx), np.int32(ey - gy)
                        work[3, lane], work[7, lane] = np.int32(dx - hy), np.int32(dy + hx)
                    for j in range(4):
                        re_j, im_j = re[i + j * m], im[i + j * m]
                        work_re, work_im = work[j], work[4 + j]
                        for lane in range(lanes):
                            re_j[lane], im_j[lane] = work_re[lane], work_im[lane]
            m *= 4

        # From the complex transform of pairs to the real one's bins, and their energies.
        for lane in range(lanes):
            x, y = half(re[0, lane]), half(im[0, lane])
            power[0, lane] = np.int32(x + y) * np.int32(x + y)
            power[n, lane] = np.int32(x - y) * np.int32(x - y)
        for k in range(1, n // 2 + 1):
            c, s = np.int16(post_cosines[k - 1]), np.int16(post_sines[k - 1])
            re_k, im_k, re_m, im_m = re[k], im[k], re[n - k], im[n - k]
            low, high = power[k], power[n - k]
            for lane in range(lanes):
                x, y = half(re_k[lane]), half(im_k[lane])
                x_m, y_m = half(re_m[lane]), half(np.int16(-im_m[lane]))
                fx, fy = np.int32(x + x_m), np.int32(y + y_m)
                dx, dy = np.int32(x - x_m), np.int32(y - y_m)
                tx = np.int32(np.int16(real_part(dx, dy, c, s)))
                ty = np.int32(np.int16(imaginary_part(dx, dy, c, s)))
                x, y = np.int32(np.int32(fx + tx) >> 1), np.int32(np.int32(fy + ty) >> 1)
                low[lane] = np.int32(np.int32(x * x) + np.int32(y * y))
                x, y = np.int32(np.int32(fx - tx) >> 1), np.int32(np.int32(ty - fy) >> 1)
                high[lane] = np.int32(np.int32(x * x) + np.int32(y * y))

        # Each bin goes to the band's falling and rising sums; a channel is the rising sum of one
        # band and the falling sum of the next. Whole numbers below 2**53: float64 is exact.
        i = 0
        for channel in range(n_mels + 1):
            for lane in range(lanes):
                falling[lane] = rising[lane]
                rising[lane] = 0.0
            while i < len(bands) and bands[i] == channel:
                energy = power[first_bin + i]
                w, u = float(weights[i]), float(unweights[i])
                for lane in range(lanes):
                    falling[lane] += energy[lane] * w
                    rising[lane] += energy[lane] * u
                i += 1
            for lane in range(lanes):
                value = falling[lane]
                root = np.rint(np.sqrt(value))
                root = 65535.0 if root == 65536.0 and value < 4294967296.0 else root
                level[channel, lane] = np.uint32(root) >> np.uint32(shift[lane])
        for lane in range(lanes):
            column = block * lanes + lane
            clip = column // columns
            t = column - clip * columns
            if clip < n_clips and t < n_frames:
                for channel in range(n_mels):
                    out[clip, t, channel] = level[channel + 1, lane]
    return out


def compress_loops(levels: Any, estimate: Any, settings: Any) -> Any:
    """Twin of `micro_stages.compress`: clips in parallel, frames in order, channels as lanes."""
    noise = settings.noise
    smoothing_bits, least = noise.smoothing_bits, noise.min_signal_remaining
    enable_pcan, enable_log = settings.enable_pcan, settings.enable_log
    snr_shift = settings.gain_bits - settings.correction_bits - 12
    up, down = max(settings.correction_bits, 0), max(-settings.correction_bits, 0)
    scale_shift, largest = settings.scale_shift, settings.largest
    starts = settings.gains[0].astype(np.int32)
    slopes = settings.gains[1].astype(np.int32)
    curves = settings.gains[2].astype(np.int32)
    log_table = settings.log_table

    n_clips, n_frames, n_mels = levels.shape
    n_values = n_frames * n_mels
    arriving = np.ascontiguousarray(levels).reshape((n_clips, n_values))
    share = np.empty(n_mels, np.uint32)
    share[0::2] = noise.even_smoothing
    share[1::2] = noise.odd_smoothing
    out = np.empty((n_clips, n_values), np.uint16)
    after = estimate.copy()

    for clip in prange(n_clips):
        signals, finished = arriving[clip], out[clip]
        estimates = np.empty(n_values, np.uint32)
        values = np.empty(n_values, np.uint32)
        floats = np.empty(n_values, np.float64)
        bits = floats.view(np.int64)  # a whole number's bit length stands in its exponent

        # The only step that needs the frame before; few arrays a loop, or it is not vectorized.
        before = after[clip]
        for t in range(n_frames):
            signals_t = signals[t * n_mels : (t + 1) * n_mels]
            estimates_t = estimates[t * n_mels : (t + 1) * n_mels]
            for f in range(n_mels):
                scaled = (np.int64(signals_t[f]) << smoothing_bits) & 0xFFFFFFFF
                new = np.int64(share[f])
                estimates_t[f] = (scaled * new + np.int64(before[f]) * (16384 - new)) >> 14
            before = estimates_t
        after[clip] = before

        for i in range(n_values):
            signal, smooth = np.int64(signals[i]), np.int64(estimates[i])
            scaled = (signal << smoothing_bits) & 0xFFFFFFFF
            remaining = (scaled - min(smooth, scaled)) >> smoothing_bits
            values[i] = max(remaining, (signal * least) >> 14)
        if enable_pcan:
            for i in range(n_values):
                floats[i] = estimates[i]
            for i in range(n_values):
                length = max((bits[i] >> 52) - 1022, 0)
                within = ((np.int64(estimates[i]) << 21) >> (length + 10)) & 1023
                rise = (((curves[length] * within) >> 5) + (slopes[length] << 5)) * within
                gain = (((rise + 16384) >> 15) + starts[length]) & 0xFFFFFFFF
                ratio = ((np.int64(values[i]) * gain) >> snr_shift) & 0xFFFFFFFF
                parabola, line = (ratio * ratio) >> 20, (ratio >> 6) - 64
                values[i] = parabola if ratio < 8192 else line
        if enable_log:
            for i in range(n_values):
                values[i] = ((np.int64(values[i]) << up) >> down) & 0xFFFFFFFF
                floats[i] = values[i]
            for i in range(n_values):
                value = np.int64(values[i])
                power = max((bits[i] >> 52) - 1023, 0)
                fraction = ((value << 16) >> power) & 65535
                segment = fraction >> 9
                low, high = np.int64(log_table[segment]), np.int64(log_table[segment + 1])
                log2 = (power << 16) + fraction + low + (((high - low) * (fraction & 511)) >> 16)
                natural = (45426 * log2 + 32768) >> 16
                scaled = (((natural << scale_shift) + 32768) & 0xFFFFFFFF) >> 16
                scaled = min(scaled, largest)
                finished[i] = scaled if value > 1 else 0
        else:
            for i in range(n_values):
                finished[i] = min(np.int64(values[i]), largest)
    return out.reshape((n_clips, n_frames, n_mels)), after
