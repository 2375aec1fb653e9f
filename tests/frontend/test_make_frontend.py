from __future__ import annotations

import numpy as np
import pytest

from minikws.errors import SettingsError
from minikws.frontend import FRONTENDS, Micro, make_frontend
from minikws.settings import MicroSettings


@pytest.mark.parametrize("kind", FRONTENDS)
def test_settings_and_their_json_make_the_same_frontend(kind: str) -> None:
    frontend = make_frontend({"kind": kind})
    assert isinstance(frontend, FRONTENDS[kind])
    again = make_frontend(frontend.settings.to_json())
    assert again.settings == frontend.settings == make_frontend(frontend.settings).settings


@pytest.mark.parametrize("kind", FRONTENDS)
def test_what_every_frontend_does(kind: str) -> None:
    frontend = make_frontend({"kind": kind})
    rng = np.random.default_rng(0)
    clips = rng.integers(-3000, 3000, (2, frontend.settings.clip_samples)).astype(np.int16)
    before = clips.copy()
    features = frontend.extract(clips)
    settings = frontend.settings
    assert features.shape == (2, settings.n_frames, settings.n_features)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(frontend.extract(clips[0]), features[0])
    np.testing.assert_array_equal(frontend.stream().push(clips[1]), features[1])
    np.testing.assert_array_equal(clips, before)


def test_settings_are_kept() -> None:
    frontend = make_frontend({"kind": "micro", "n_mels": 20, "variant": "preprocessor"})
    assert isinstance(frontend, Micro)
    assert frontend.settings == MicroSettings(n_mels=20, variant="preprocessor")


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"kind": "micr"}, "unknown frontend 'micr'; did you mean micro"),
        ({}, "unknown frontend None; known are"),
        ({"kind": 7}, "unknown frontend 7"),
        ({"kind": "micro", "n_mel": 3}, "did you mean n_mels"),
        ({"kind": "micro", "n_mels": "many"}, "many"),
    ],
)
def test_bad_descriptions_are_refused(stored: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        make_frontend(stored)


def test_a_kind_alone_means_its_defaults() -> None:
    assert make_frontend("micro").settings == MicroSettings()
