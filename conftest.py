"""Fixtures for both suites: where the shared recordings lie, and a quiet, small thread pool."""

from __future__ import annotations

import os
from pathlib import Path

for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest
from hypothesis import settings

settings.register_profile("fast", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("deep", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

REPOSITORY = Path(__file__).parent


def shared_folder() -> Path:
    """Return the folder of shared recordings and reference models, which may be absent."""
    return Path(os.environ.get("MINIKWS_SHARED", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Shared recordings and reference models (speech_commands/, tflm/, cry/)."""
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip(f"shared recordings absent: no folder {folder}; set MINIKWS_SHARED")
    return folder


@pytest.fixture(scope="session")
def tflm(shared_data: Path) -> Path:
    """TFLite Micro's own models, clips and goldens."""
    return shared_data / "tflm"
