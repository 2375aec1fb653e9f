"""The micro frontend's compiled loops: sixteen frames side by side, one in each lane.

    column      0    1    2  …  15   16          a column is hop_samples of one clip; frame t begins
    row 0      x[0] x[h] x[2h]                   in column t and goes on in t + 1, so sample
    row 1      x[1] x[h+1] …                     s = q * hop + r of sixteen neighboring frames
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

LANES = 16


def levels_loops(clips: Any, settings: Any) -> Any:
    """Twin of `micro_stages.levels`: blocks of sixteen frames in parallel."""

    def radix_4(re: Any, im: Any, cosines: Any, sines: Any, n: int, m: int) -> None:
        step = n // (4 * m)
        for k in range(m):
            c1, s1 = cosines[k * step], sines[k * step]
            c2, s2 = cosines[2 * k * step], sines[2 * k * step]
            c3, s3 = cosines[3 * k * step], sines[3 * k * step]
            for i in range(k, n, 4 * m):
                for lane in range(LANES):
                    a0 = np.int32(re[i, lane] * 8191 + 16384) >> 15
                    b0 = np.int32(im[i, lane] * 8191 + 16384) >> 15
                    x = np.int32(np.int32(re[i + m, lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im[i + m, lane] * 8191 + 16384) >> 15)
                    a1 = np.int32(x * c1 - y * s1 + 16384) >> 15
                    b1 = np.int32(x * s1 + y * c1 + 16384) >> 15
                    x = np.int32(np.int32(re[i + 2 * m, lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im[i + 2 * m, lane] * 8191 + 16384) >> 15)
                    a2 = np.int32(x * c2 - y * s2 + 16384) >> 15
                    b2 = np.int32(x * s2 + y * c2 + 16384) >> 15
                    x = np.int32(np.int32(re[i + 3 * m, lane] * 8191 + 16384) >> 15)
                    y = np.int32(np.int32(im[i + 3 * m, lane] * 8191 + 16384) >> 15)
                    a3 = np.int32(x * c3 - y * s3 + 16384) >> 15
                    b3 = np.int32(x * s3 + y * c3 + 16384) >> 15
                    re[i, lane] = a0 + a2 + (a1 + a3)
                    im[i, lane] = b0 + b2 + (b1 + b3)
                    re[i + m, lane] = a0 - a2 + (b1 - b3)
                    im[i + m, lane] = b0 - b2 - (a1 - a3)
                    re[i + 2 * m, lane] = a0 + a2 - (a1 + a3)
                    im[i + 2 * m, lane] = b0 + b2 - (b1 + b3)
                    re[i + 3 * m, lane] = a0 - a2 - (b1 - b3)
                    im[i + 3 * m, lane] = b0 - b2 + (a1 - a3)

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
    window_samples, n = len(window), len(order)
    n_frames = 1 + (n_samples - window_samples) // hop
    reach = (window_samples - 1) // hop  # columns that a frame goes on into
    rows = min(hop, window_samples)
    columns = n_frames + reach  # of one clip
    n_columns = n_clips * columns
    n_blocks = (n_columns + LANES - 1) // LANES
    place = np.empty(n, np.int32)  # where a complex sample goes
    for i in range(n):
        place[order[i]] = i
    out = np.empty((n_clips, n_frames, n_mels), np.uint32)

    for block in prange(n_blocks):
        sound = np.zeros((rows, LANES + reach), np.int16)
        re = np.empty((n, LANES), np.int16)
        im = np.empty((n, LANES), np.int16)
        power = np.empty((n + 1, LANES), np.uint32)
        peaks = np.zeros(LANES, np.int32)
        shift = np.empty(LANES, np.int32)
        falling = np.empty(LANES, np.float64)
        rising = np.empty(LANES, np.float64)

        # Sixteen columns and those that their frames reach into, transposed.
        for j in range(LANES + reach):
            column = block * LANES + j
            clip = column // columns
            if clip < n_clips:
                start = (column - clip * columns) * hop
                source = clips[clip]
                for r in range(min(rows, n_samples - start)):
                    sound[r, j] = source[start + r]

        # Window, and the largest magnitude of each frame.
        for s in range(window_samples):
            coefficient = np.int32(window[s])
            q = s // hop
            source = sound[s - q * hop]
            target = im[place[s >> 1]] if s & 1 else re[place[s >> 1]]
            if preprocessor:
                for lane in range(LANES):
                    value = np.int32(np.int32(source[q + lane] * coefficient) >> 12)
                    target[lane] = value
                    top = peaks[lane]
                    negative = np.int32(-value)
                    wrapped = np.int32(-32768) if negative == 32768 else negative
                    top = value if value > top else (wrapped if negative > top else top)
                    peaks[lane] = top
            else:
                for lane in range(LANES):
                    value = np.int32(np.int32(source[q + lane] * coefficient) >> 12)
                    target[lane] = value
                    magnitude = np.int32(abs(value) & 32767)  # 32768 counts as nothing
                    peaks[lane] = max(peaks[lane], magnitude)
        for s in range(window_samples, 2 * n):
            target = im[place[s >> 1]] if s & 1 else re[place[s >> 1]]
            for lane in range(LANES):
                target[lane] = 0
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
            c, s = post_cosines[k - 1], post_sines[k - 1]
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
            if channel == 0:
                for lane in range(LANES):
                    falling[lane] = 0.0
            while i < len(bands) and bands[i] == channel:
                energy = power[first_bin + i]
                w, u = float(weights[i]), float(unweights[i])
                for lane in range(LANES):
                    falling[lane] += energy[lane] * w
                    rising[lane] += energy[lane] * u
                i += 1
            if channel > 0:
                for lane in range(LANES):
                    value = falling[lane]
                    root = np.rint(np.sqrt(value))
                    root = 65535.0 if root == 65536.0 and value < 4294967296.0 else root
                    power[channel, lane] = np.uint32(root) >> np.uint32(shift[lane])
        for lane in range(LANES):
            column = block * LANES + lane
            clip = column // columns
            t = column - clip * columns
            if clip < n_clips and t < n_frames:
                for channel in range(n_mels):
                    out[clip, t, channel] = power[channel + 1, lane]
    return out


def compress_loops(levels: Any, estimate: Any, settings: Any) -> Any:
    """Twin of `micro_stages.compress`: clips in parallel, frames in order, channels as lanes."""
    n_clips, n_frames, n_mels = levels.shape
    out = np.empty((n_clips, n_frames, n_mels), np.uint16)
    after = np.empty((n_clips, n_mels), np.uint32)
    return out, after
