"""The micro frontend's compiled loops: 64 frames side by side, one in each lane.

    column      0    1    2  …  15   16          a column is hop_samples of one clip; frame t begins
    row 0      x[0] x[h] x[2h]                   in column t and goes on in t + 1, so sample
    row 1      x[1] x[h+1] …                     s = q * hop + r of 64 neighboring frames
    …                                            is row r, columns q … q + 15: contiguous

Every stage then is a loop over lanes with the same few operations. Lanes run over the columns of all
clips, one clip after the other; those that are no frame (a clip's last columns) hold rubbish that
is never stored. Arithmetic is int32 and storage int16, and a store to int16 is the wrap that kissfft
needs. The second function runs in time order, a clip at a time, with channels as lanes.

Both equal the plain forms in `minikws.dsp.micro_stages`, for every integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minikws._jit import prange

LANES = 64


def levels_loops(clips: Any, settings: Any) -> Any:
    """Twin of `micro_stages.levels`: blocks of 64 frames in parallel."""

    def radix_4(re: Any, im: Any, cosines: Any, sines: Any, n: int, m: int) -> None:
        step = n // (4 * m)
        for k in range(m):
            c1 = np.int16(cosines[k * step])
            s1 = np.int16(sines[k * step])
            c2 = np.int16(cosines[2 * k * step])
            s2 = np.int16(sines[2 * k * step])
            c3 = np.int16(cosines[3 * k * step])
            s3 = np.int16(sines[3 * k * step])
            for i in range(k, n, 4 * m):
                re0, re1, re2, re3 = re[i], re[i + m], re[i + 2 * m], re[i + 3 * m]
                im0, im1, im2, im3 = im[i], im[i + m], im[i + 2 * m], im[i + 3 * m]
                for lane in range(LANES):
                    a0 = np.int32(re0[lane] * 8191 + 16384) >> 15
                    b0 = np.int32(im0[lane] * 8191 + 16384) >> 15
                    x = np.int32(np.int32(re1[lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im1[lane] * 8191 + 16384) >> 15)
                    a1 = np.int32(x * c1 - y * s1 + 16384) >> 15
                    b1 = np.int32(x * s1 + y * c1 + 16384) >> 15
                    x = np.int32(np.int32(re2[lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im2[lane] * 8191 + 16384) >> 15)
                    a2 = np.int32(x * c2 - y * s2 + 16384) >> 15
                    b2 = np.int32(x * s2 + y * c2 + 16384) >> 15
                    x = np.int32(np.int32(re3[lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im3[lane] * 8191 + 16384) >> 15)
                    a3 = np.int32(x * c3 - y * s3 + 16384) >> 15
                    b3 = np.int32(x * s3 + y * c3 + 16384) >> 15
                    re0[lane] = a0 + a2 + (a1 + a3)
                    im0[lane] = b0 + b2 + (b1 + b3)
                    re1[lane] = a0 - a2 + (b1 - b3)
                    im1[lane] = b0 - b2 - (a1 - a3)
                    re2[lane] = a0 + a2 - (a1 + a3)
                    im2[lane] = b0 + b2 - (b1 + b3)
                    re3[lane] = a0 - a2 - (b1 - b3)
                    im3[lane] = b0 - b2 + (a1 - a3)

    def radix_2(re: Any, im: Any) -> None:  # only the innermost stage, whose twiddle is 32767
        for i in range(0, len(re), 2):
            for lane in range(LANES):
                a0 = np.int32(re[i, lane] * 16383 + 16384) >> 15
                b0 = np.int32(im[i, lane] * 16383 + 16384) >> 15
                x = np.int32(np.int32(re[i + 1, lane] * 16383 + 16384) >> 15)
                y = np.int32(np.int32(im[i + 1, lane] * 16383 + 16384) >> 15)
                a1 = np.int32(x * 32767 + 16384) >> 15
                b1 = np.int32(y * 32767 + 16384) >> 15
                re[i, lane] = a0 + a1
                im[i, lane] = b0 + b1
                re[i + 1, lane] = a0 - a1
                im[i + 1, lane] = b0 - b1

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
    n_blocks = (n_columns + LANES - 1) // LANES
    place = np.empty(n, np.int32)  # where a complex sample goes
    for i in range(n):
        place[order[i]] = i
    out = np.empty((n_clips, n_frames, n_mels), np.uint32)

    for block in prange(n_blocks):
        sound = np.zeros((rows, LANES + reach), np.int32)
        re = np.empty((n, LANES), np.int16)
        im = np.empty((n, LANES), np.int16)
        power = np.empty((n + 1, LANES), np.uint32)
        peaks = np.zeros(LANES, np.int32)
        shift = np.empty(LANES, np.int32)
        falling = np.zeros(LANES, np.float64)
        rising = np.zeros(LANES, np.float64)
        level = np.empty((n_mels + 1, LANES), np.uint32)

        # 64 columns and those that their frames reach into, transposed, two samples at a time.
        for j in range(LANES + reach):
            column = block * LANES + j
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
            source = sound[p - q * span, q : q + LANES]
            re_p, im_p = re[place[p]], im[place[p]]
            if preprocessor:
                for lane in range(LANES):
                    x = np.int32(np.int16(source[lane]) * c_even) >> 12
                    y = np.int32((source[lane] >> 16) * c_odd) >> 12
                    re_p[lane] = x
                    im_p[lane] = y
                    top = peaks[lane]
                    top = x if x > top else (np.int16(-x) if -x > top else top)
                    peaks[lane] = y if y > top else (np.int16(-y) if -y > top else top)
            else:
                for lane in range(LANES):
                    x = np.int32(np.int16(source[lane]) * c_even) >> 12
                    y = np.int32((source[lane] >> 16) * c_odd) >> 12
                    re_p[lane] = x
                    im_p[lane] = y
                    x, y = abs(x) & 32767, abs(y) & 32767  # 32768 counts as nothing
                    peaks[lane] = max(peaks[lane], np.int32(max(x, y)))
        for p in range(n_pairs, n):
            re[place[p]] = 0
            im[place[p]] = 0
        for lane in range(LANES):
            top = peaks[lane]
            up = 0 if preprocessor and top <= 0 else 15
            while top > 0:
                top >>= 1
                up -= 1
            shift[lane] = up
        for i in range(n):
            for lane in range(LANES):
                re[i, lane] = np.int32(re[i, lane]) << shift[lane]
                im[i, lane] = np.int32(im[i, lane]) << shift[lane]

        # Literal sizes let the compiler see that the rows of a butterfly are different ones.
        if n == 256:
            radix_4(re, im, cosines, sines, 256, 1)
            radix_4(re, im, cosines, sines, 256, 4)
            radix_4(re, im, cosines, sines, 256, 16)
            radix_4(re, im, cosines, sines, 256, 64)
        else:
            m = 1
            rest = n
            while rest % 4 == 0:
                rest //= 4
            if rest == 2:
                radix_2(re, im)
                m = 2
            while m < n:
                radix_4(re, im, cosines, sines, n, m)
                m *= 4

        # From the complex transform of pairs to the real one's bins, and their energies.
        for lane in range(LANES):
            x = np.int32(re[0, lane] * 16383 + 16384) >> 15
            y = np.int32(im[0, lane] * 16383 + 16384) >> 15
            power[0, lane] = (x + y) * (x + y)
            power[n, lane] = (x - y) * (x - y)
        for k in range(1, n // 2 + 1):
            c, s = np.int16(post_cosines[k - 1]), np.int16(post_sines[k - 1])
            re_k, im_k, re_m, im_m = re[k], im[k], re[n - k], im[n - k]
            low, high = power[k], power[n - k]
            for lane in range(LANES):
                x = np.int32(re_k[lane] * 16383 + 16384) >> 15
                y = np.int32(im_k[lane] * 16383 + 16384) >> 15
                negative = np.int16(-im_m[lane])
                x_m = np.int32(re_m[lane] * 16383 + 16384) >> 15
                y_m = np.int32(negative * 16383 + 16384) >> 15
                fx, fy = np.int32(x + x_m), np.int32(y + y_m)
                dx, dy = np.int32(x - x_m), np.int32(y - y_m)
                tx = np.int16(np.int32(dx * c - dy * s + 16384) >> 15)
                ty = np.int16(np.int32(dx * s + dy * c + 16384) >> 15)
                x, y = np.int32(fx + tx) >> 1, np.int32(fy + ty) >> 1
                low[lane] = np.int32(x * x) + np.int32(y * y)
                x, y = np.int32(fx - tx) >> 1, np.int32(ty - fy) >> 1
                high[lane] = np.int32(x * x) + np.int32(y * y)

        # Each bin goes to the band's falling and rising sums; a channel is the rising sum of one
        # band and the falling sum of the next. Whole numbers below 2**53: float64 is exact.
        i = 0
        for channel in range(n_mels + 1):
            for lane in range(LANES):
                falling[lane] = rising[lane]
                rising[lane] = 0.0
            while i < len(bands) and bands[i] == channel:
                energy = power[first_bin + i]
                w, u = float(weights[i]), float(unweights[i])
                for lane in range(LANES):
                    falling[lane] += energy[lane] * w
                    rising[lane] += energy[lane] * u
                i += 1
            for lane in range(LANES):
                value = falling[lane]
                root = np.rint(np.sqrt(value))
                root = 65535.0 if root == 65536.0 and value < 4294967296.0 else root
                level[channel, lane] = np.uint32(root) >> np.uint32(shift[lane])
        for lane in range(LANES):
            column = block * LANES + lane
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
    share = np.empty(n_mels, np.uint32)
    share[0::2] = noise.even_smoothing
    share[1::2] = noise.odd_smoothing
    rest = (16384 - share.astype(np.int64)).astype(np.uint32)
    out = np.empty((n_clips, n_frames, n_mels), np.uint16)
    after = estimate.copy()

    for clip in prange(n_clips):
        current = after[clip]
        estimates = np.empty((n_frames, n_mels), np.uint32)
        values = np.empty((n_frames, n_mels), np.uint32)
        for t in range(n_frames):
            arriving, estimates_t, values_t = levels[clip, t], estimates[t], values[t]
            for f in range(n_mels):
                signal = np.int64(arriving[f])
                scaled = (signal << smoothing_bits) & 0xFFFFFFFF
                total = scaled * np.int64(share[f]) + np.int64(current[f]) * np.int64(rest[f])
                smooth = (total >> 14) & 0xFFFFFFFF
                current[f] = smooth
                estimates_t[f] = smooth
                remaining = (scaled - min(smooth, scaled)) >> smoothing_bits
                values_t[f] = max(remaining, (signal * least) >> 14)

        flat, flat_estimates, flat_out = values.ravel(), estimates.ravel(), out[clip].ravel()
        floats = np.empty(n_values, np.float64)
        bits = floats.view(np.int64)  # a whole number's bit length stands in its exponent
        if enable_pcan:
            for i in range(n_values):
                floats[i] = flat_estimates[i]
            for i in range(n_values):
                length = max((bits[i] >> 52) - 1022, 0)
                within = ((np.int64(flat_estimates[i]) << 21) >> (length + 10)) & 1023
                rise = (((curves[length] * within) >> 5) + (slopes[length] << 5)) * within
                gain = (((rise + 16384) >> 15) + starts[length]) & 0xFFFFFFFF
                ratio = ((np.int64(flat[i]) * gain) >> snr_shift) & 0xFFFFFFFF
                flat[i] = (ratio * ratio) >> 20 if ratio < 8192 else (ratio >> 6) - 64
        if enable_log:
            for i in range(n_values):
                floats[i] = ((np.int64(flat[i]) << up) >> down) & 0xFFFFFFFF
            for i in range(n_values):
                value = ((np.int64(flat[i]) << up) >> down) & 0xFFFFFFFF
                power = max((bits[i] >> 52) - 1023, 0)
                fraction = ((value << 16) >> power) & 65535
                segment = fraction >> 9
                low = np.int64(log_table[segment])
                bend = ((log_table[segment + 1] - low) * (fraction & 511)) >> 16
                log2 = (power << 16) + fraction + low + bend
                natural = (45426 * log2 + 32768) >> 16
                scaled = (((natural << scale_shift) + 32768) & 0xFFFFFFFF) >> 16
                flat_out[i] = min(scaled, largest) if value > 1 else 0
        else:
            for i in range(n_values):
                flat_out[i] = min(np.int64(flat[i]), largest)
    return out, after
