"""Every stage of the micro frontend, kept: a clip comes in, what a board computes goes out.

`micro_stages.levels` and `micro_stages.compress` run the same stages and keep the last one alone.
These integers are what to print on a device whose features differ: the first stage that is not
equal is the one to look at.
"""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Int16
from minikws.dsp.fft import real_fft
from minikws.dsp.framing import frame
from minikws.dsp.micro_stages import (
    UINT32,
    CompressSettings,
    LevelSettings,
    apply_window,
    control_gain,
    energy,
    headroom,
    logarithm,
    peak,
    peak_of_preprocessor,
    reduce_noise,
    shift_up,
    square_root,
)


def trace(clip: Int16, front: LevelSettings, back: CompressSettings) -> dict[str, Array]:
    """Return every stage of one clip by its name, in the order of the data.

    Parameters
    ----------
    clip : (N,) int16, N >= one window.

    Returns
    -------
    Of T frames, W samples, K bins and F channels:
        window (T, W) int16; shift (T, 1) int32, bits to the left;
        fft (T, 2K) int16, real and imaginary part of each bin in turn;
        energy (T, K) uint32, 0 for bins that no channel uses (a board does not compute them);
        filterbank (T, F) uint64; square_root (T, F) uint32, shifted back;
        noise_estimate, noise_reduced (T, F) uint32; pcan (T, F) uint32, unless switched off;
        log (T, F) uint16, the feature: without the logarithm where it is switched off.
    """
    stages: dict[str, Array] = {}
    frames = frame(clip, window_samples=len(front.window), hop_samples=front.hop_samples)
    windowed = stages["window"] = apply_window(frames, front.window)
    shift = headroom(
        peak_of_preprocessor(windowed) if front.preprocessor else peak(windowed),
        silence=0 if front.preprocessor else 15,
    )
    stages["shift"] = shift[:, None].astype(np.int32)
    spectrum = real_fft(shift_up(windowed, shift, 2 * len(front.fft.order)))
    stages["fft"] = spectrum.view(np.float64).astype(np.int16)
    used = slice(front.bank.first_bin, front.bank.first_bin + len(front.bank.bands))
    energies = energy(spectrum[:, used])
    stages["energy"] = np.zeros(spectrum.shape, np.uint32)
    stages["energy"][:, used] = energies
    channels = energies @ front.bank.triangles
    stages["filterbank"] = channels.astype(np.uint64)
    levels = square_root(channels).astype(np.uint32) >> shift[:, None].astype(np.uint32)
    stages["square_root"] = levels

    start = np.zeros((1, levels.shape[1]), np.uint32)
    values, estimates, _ = reduce_noise(levels[None], start, back.noise)
    stages["noise_estimate"] = estimates[0].astype(np.uint32)
    stages["noise_reduced"] = values[0].astype(np.uint32)
    if back.enable_pcan:
        values = control_gain(
            values,
            estimates,
            back.gains,
            gain_bits=back.gain_bits,
            correction_bits=back.correction_bits,
        )
        stages["pcan"] = values[0].astype(np.uint32)
    if back.enable_log:
        bits = back.correction_bits
        scaled = (values << bits if bits > 0 else values >> -bits) & UINT32
        values = logarithm(scaled, scale_shift=back.scale_shift)
    stages["log"] = np.minimum(values[0], back.largest).astype(np.uint16)
    return stages
