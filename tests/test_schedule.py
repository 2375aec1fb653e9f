"""The learning rate of every step."""

from __future__ import annotations

import math
from typing import Any

import pytest

from minikws.errors import SettingsError
from minikws.schedule import make_schedule
from minikws.settings import TrainSettings


def rates(n_steps: int | None = None, **given: Any) -> list[float]:
    settings = TrainSettings(**given)
    schedule = make_schedule(settings)
    return [schedule.rate_at(step) for step in range(1, (n_steps or settings.total_steps) + 1)]


def test_phases_hold_their_rates() -> None:
    assert rates(steps=(3, 2), learning_rates=(0.1, 0.01)) == [0.1, 0.1, 0.1, 0.01, 0.01]
    assert rates(6, steps=(3, 2), learning_rates=(0.1, 0.01))[-1] == 0.01


def test_the_cosine_goes_down_along_a_quarter_of_the_circle_after_the_other() -> None:
    root = math.sqrt(0.5)
    expected = [1.0, 0.5 + root / 2, 0.5, 0.5 - root / 2]
    found = rates(steps=(4,), learning_rates=(1.0,), schedule="cosine")
    assert found == pytest.approx(expected, abs=1e-15)


def test_the_warm_up_rises_to_the_full_rate_whatever_follows() -> None:
    cosine = rates(steps=(6,), learning_rates=(1.0,), schedule="cosine", warmup_steps=2)
    assert cosine[:3] == [0.5, 1.0, 1.0]
    assert cosine[4] == pytest.approx(0.5, abs=1e-15)
    phases = rates(steps=(3, 2), learning_rates=(0.4, 0.1), warmup_steps=4)
    assert phases == pytest.approx([0.1, 0.2, 0.3, 0.1, 0.1], abs=1e-15)


def test_the_plateau_halves_after_patience_and_ends_at_its_floor() -> None:
    settings = TrainSettings(steps=(9,), learning_rates=(3e-5,), schedule="plateau", patience=2)
    schedule = make_schedule(settings)
    heard = []
    for accuracy in (0.5, 0.6, 0.6, 0.5, 0.7, 0.6, 0.7, 0.7, 0.7):
        schedule.evaluated(accuracy)
        heard.append(schedule.rate_at(1))
    assert heard == [3e-5] * 3 + [1.5e-5] * 3 + [1e-5] * 3


def test_a_first_rate_below_the_floor_is_kept() -> None:
    settings = TrainSettings(steps=(9,), learning_rates=(1e-6,), schedule="plateau", patience=1)
    schedule = make_schedule(settings)
    for _ in range(3):
        schedule.evaluated(0.0)
    assert schedule.rate_at(1) == 1e-6


def test_a_plateau_goes_on_where_it_stopped() -> None:
    settings = TrainSettings(steps=(9,), learning_rates=(0.1,), schedule="plateau", patience=2)
    whole, first, second = (make_schedule(settings) for _ in range(3))
    accuracies = (0.5, 0.4, 0.4, 0.3, 0.6, 0.2, 0.2)
    for accuracy in accuracies:
        whole.evaluated(accuracy)
    for accuracy in accuracies[:4]:
        first.evaluated(accuracy)
    second.load_state(first.state())
    for accuracy in accuracies[4:]:
        second.evaluated(accuracy)
    assert second.state() == whole.state()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"schedule": "cosin"}, r"unknown schedule 'cosin'; did you mean cosine\?"),
        ({"schedule": "linear"}, r"known are phases, cosine, plateau"),
        (
            {"schedule": "cosine", "steps": (3, 2), "learning_rates": (0.1, 0.01)},
            r"cosine schedule moves one learning rate, found 2 phases; give one number",
        ),
        ({"warmup_steps": 5}, r"warmup_steps=5 is not in 0 to 4, the run has 5 steps"),
        ({"warmup_steps": -1}, r"warmup_steps=-1"),
        ({"patience": 0}, r"patience=0 is below 1"),
        ({"label_smoothing": 1.0}, r"label_smoothing=1 is not in 0 to 1"),
        ({"l2": -1.0}, r"l2=-1 is not a strength"),
        ({"class_weights": "balance"}, r"unknown class_weights 'balance'; write balanced or"),
        ({"class_weights": (0.0, 0.0)}, r"class_weights=\(0\.0, 0\.0\) are not numbers"),
    ],
)
def test_what_cannot_work_is_said(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        TrainSettings(**{"steps": (5,), "learning_rates": (0.1,), **given})
