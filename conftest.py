"""Fixtures for both suites: where the shared recordings lie, and a quiet, small thread pool."""

from __future__ import annotations

import hashlib
import os
import tempfile
import wave
from pathlib import Path

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

REPOSITORY = Path(__file__).parent
# Compiled kernels are kept in a folder named after the sources: no stale machine code, and the
# second run of the suite compiles nothing.
_sources = b"".join(p.read_bytes() for p in sorted((REPOSITORY / "minikws").rglob("*.py")))
_cache = Path(tempfile.gettempdir()) / "minikws-numba" / hashlib.sha1(_sources).hexdigest()[:12]
os.environ.setdefault("NUMBA_CACHE_DIR", str(_cache))

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

settings.register_profile("fast", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("brief", max_examples=5, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def shared_folder() -> Path:
    """Return the folder of shared recordings and reference models, which may be absent."""
    return Path(os.environ.get("MINIKWS_SHARED", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the shared recordings and models (speech_commands/, tflm/, cry/)."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip(f"shared recordings absent: no folder {folder}; set MINIKWS_SHARED")
    return folder


@pytest.fixture(scope="session")
def tflm(shared_data: Path) -> Path:
    """Return the folder of TFLite Micro's own models, clips and goldens."""
    return shared_data / "tflm"


def write_tone_corpus(folder: Path, *, n_clips: int = 40, clip_samples: int = 4000) -> Path:
    """Write a small corpus of tones: words low, high and (for unknown) middle, and noise."""
    rng = np.random.default_rng(1)
    time_s = np.arange(clip_samples) / 16_000

    def write(path: Path, sound: NDArray[np.float64]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(np.round(sound).astype("<i2").tobytes())

    for word, hertz in (("low", 300), ("high", 2500), ("middle", 900)):
        for i in range(n_clips):
            tone = np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time_s)
            # Sounding in the middle only: the micro frontend takes what is steady for noise.
            tone *= np.abs(time_s - time_s.mean()) < time_s[-1] / 4
            sound = rng.uniform(3000, 12000) * tone + rng.normal(0, 2, clip_samples)
            speaker = f"{rng.integers(2**32):08x}"
            write(folder / word / f"{speaker}_nohash_{i % 3}.wav", sound)
    write(folder / "_background_noise_" / "white.wav", rng.normal(0, 100, 3 * clip_samples))
    return folder


@pytest.fixture(scope="session")
def tone_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a corpus of 250 ms tones, three words of 40 clips; do not write into it."""
    return write_tone_corpus(tmp_path_factory.mktemp("tones"))
