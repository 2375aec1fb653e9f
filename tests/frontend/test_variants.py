"""Which frontend made these features?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minikws._typing import Samples
from minikws.frontend.micro import Micro, to_int8
from minikws.frontend.variants import layout_match, variant_matches
from minikws.settings import MfccSettings, MicroSettings
from minikws.settings.micro import MICRO_VARIANTS

SETTINGS = MicroSettings()


@pytest.fixture(scope="module")
def clip() -> Samples:
    """Loud noise: it shows the few table values in which the variants differ."""
    return np.random.default_rng(2).integers(-32768, 32768, 16000).astype(np.int16)


def as_int8(features: np.ndarray) -> np.ndarray:
    return to_int8(np.round(features * 25.6).astype(np.uint16))


@pytest.mark.parametrize("variant", MICRO_VARIANTS)
def test_each_variant_is_found(variant: str, clip: Samples) -> None:
    dump = Micro(replace(SETTINGS, variant=variant)).extract_int8(clip)
    best, second, *_ = variant_matches(clip, SETTINGS, dump, as_int8)
    assert best.name.endswith(f"variant {variant}")
    assert best.differing == 0 < second.differing


def test_without_pcan_and_with_a_kept_estimate(clip: Samples) -> None:
    dump = Micro(replace(SETTINGS, enable_pcan=False)).extract_int8(clip)
    assert "without PCAN" in variant_matches(clip, SETTINGS, dump, as_int8)[0].name
    maker = Micro(SETTINGS)
    _, estimate = maker._run(clip[None], np.zeros((1, 40), np.uint32))
    values, _ = maker._run(clip[None], estimate)
    best = variant_matches(clip, SETTINGS, to_int8(values[0]), as_int8)[0]
    assert (best.differing, "kept from an earlier clip" in best.name) == (0, True)


def test_another_frontend_has_no_variants(clip: Samples) -> None:
    (match,) = variant_matches(clip, MfccSettings(), np.zeros((98, 40)), lambda features: features)
    assert match.differing > 0


def test_layouts() -> None:
    features = np.arange(-6, 6).reshape(4, 3)
    assert layout_match(features, features.T) == "the same features transposed, (3, 4)"
    assert "128 higher" in str(layout_match(features, features + 128))
    late = np.vstack([np.full((1, 3), 9), features[:-1]])
    assert layout_match(features, late) == "the same features 1 frame later"
    early = np.vstack([features[2:], np.full((2, 3), 9)])
    assert layout_match(features, early) == "the same features 2 frames earlier"
    assert layout_match(features, features[::-1]) is None
