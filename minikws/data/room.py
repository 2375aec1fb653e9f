"""Sound that is not sterile: a room's echo, a microphone's floor and level, coloured noise.

In come dry speech or nothing and a generator; out come clips and background recordings for the
demo corpus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Float64, Samples
from minikws.audio import from_float
from minikws.data.noise import colored_noise

SAMPLE_RATE_HZ = 16_000
CLIP_SAMPLES = 16_000
NOISE_SECONDS = 30
NOISES = {"white_noise": 0.0, "pink_noise": 1.0, "brown_noise": 2.0, "humming": 1.0}


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where someone speaks.

    level_db : peak of the speech below full scale.
    floor_db, floor_slope : the microphone's noise below full scale; its power falls as 1/f**slope.
    echo_db, echo_ms : the echo's loudness below the speech, the time in which it dies away.
    """

    level_db: float
    floor_db: float
    floor_slope: float
    echo_db: float
    echo_ms: float


def in_a_room(speech: Float64, room: Room, rng: np.random.Generator) -> Samples:
    """Place speech (N,) somewhere in a clip, with the room's echo, level and noise floor.

    Returns (CLIP_SAMPLES,) int16. The word lies whole in the clip, near its middle.
    """
    spare = CLIP_SAMPLES - speech.shape[0]
    onset = int(np.clip(spare / 2 + rng.uniform(-1, 1) * 0.12 * SAMPLE_RATE_HZ, 0, spare))
    placed = np.zeros(CLIP_SAMPLES, np.float64)
    placed[onset : onset + speech.shape[0]] = speech
    n_echo = int(room.echo_ms * SAMPLE_RATE_HZ / 1000)
    echo = rng.standard_normal(n_echo) * 10 ** (-3 * np.arange(n_echo) / n_echo)  # dies by 60 dB
    echo *= 10 ** (room.echo_db / 20) / np.sqrt(np.sum(echo**2))
    echo[0] += 1.0  # the direct way from mouth to microphone
    heard = _convolve(placed, echo)
    heard *= 10 ** ((room.level_db + rng.uniform(-2, 2)) / 20) / np.abs(heard).max()
    floor = colored_noise(CLIP_SAMPLES, room.floor_slope, rng, sample_rate_hz=SAMPLE_RATE_HZ)
    floor *= 10 ** (room.floor_db / 20)
    return from_float(heard + floor)


def _convolve(sound: Float64, response: Float64) -> Float64:
    """Return the sound as heard through a response, as long as the sound."""
    n_fft = 1 << (sound.shape[0] + response.shape[0] - 1).bit_length()
    product = np.fft.rfft(sound, n_fft) * np.fft.rfft(response, n_fft)
    return np.fft.irfft(product, n_fft)[: sound.shape[0]]


def background(name: str, slope: float, rng: np.random.Generator) -> Samples:
    """Return one background recording, (N,) int16 at 20 dB below full scale."""
    n_samples = NOISE_SECONDS * SAMPLE_RATE_HZ
    noise = colored_noise(n_samples, slope, rng, sample_rate_hz=SAMPLE_RATE_HZ)
    if name == "humming":  # mains: 50 Hz and its multiples, swelling slowly, over soft noise
        seconds = np.arange(n_samples) / SAMPLE_RATE_HZ
        swell = 1 + 0.4 * np.sin(2 * np.pi * 0.23 * seconds)
        hum = sum(np.sin(2 * np.pi * 50 * k * seconds + k) / k for k in range(1, 20))
        noise = 0.1 * noise + swell * hum
        noise /= np.sqrt(np.mean(noise**2))
    return from_float(noise * 0.1)
