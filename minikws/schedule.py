"""The learning rate of every step: in phases, along a cosine, or halved when nothing improves.

In: the training's settings, and for `Plateau` the validation accuracy of each evaluation. Out: a
rate a step. What a schedule remembers goes into every checkpoint, so that a resumed run takes the
same steps as an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from minikws.settings import TrainSettings

# Experiment 195 of the Speech Commands challenge halves, and stops halving at this rate.
PLATEAU_FACTOR = 0.5
PLATEAU_FLOOR = 1e-5


class Schedule:
    """What every schedule offers; steps count from 1."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, the warm-up included."""
        warmup = self.settings.warmup_steps
        rate = self._rate_at(step)
        return rate * step / warmup if step < warmup else rate

    def _rate_at(self, step: int) -> float:
        raise NotImplementedError

    def evaluated(self, validation_accuracy: float) -> None:
        """Hear how good the network is now."""

    def state(self) -> dict[str, float]:
        """Return what must be kept to go on."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Take back what `state` gave."""


class Phases(Schedule):
    """One constant rate after the other: the tutorial's `--how_many_training_steps=15000,3000`."""

    def _rate_at(self, step: int) -> float:
        end = 0
        for n_steps, rate in zip(self.settings.steps, self.settings.learning_rates, strict=True):
            end += n_steps
            if step <= end:
                return rate
        return self.settings.learning_rates[-1]


class Cosine(Schedule):
    """Half a cosine, from the full rate after the warm-up towards 0 at the end.

    rate(step) = peak / 2 * (1 + cos(pi * done)), done = (step - 1 - warmup) / (total - warmup)

    The first step has the whole rate, the last one still moves a little, as tf.keras'
    CosineDecay, whose steps count from 0. Source of the formula: Loshchilov and Hutter 2016,
    arXiv 1608.03983, equation 5, without restarts.
    """

    def _rate_at(self, step: int) -> float:
        settings = self.settings
        after = max(0, step - 1 - settings.warmup_steps)
        done = min(1.0, after / (settings.total_steps - settings.warmup_steps))
        return settings.learning_rates[0] * 0.5 * (1 + math.cos(math.pi * done))


class Plateau(Schedule):
    """Halve the rate when the validation accuracy has not risen for `patience` evaluations.

    It never falls below 1e-5 (or the first rate, where that is smaller). Source: Keras'
    ReduceLROnPlateau, as the Speech Commands challenge's best Raspberry Pi model was trained.
    """

    def __init__(self, settings: TrainSettings) -> None:
        super().__init__(settings)
        self.rate = settings.learning_rates[0]
        self.best = -1.0
        self.since_best = 0

    def _rate_at(self, step: int) -> float:
        return self.rate

    def evaluated(self, validation_accuracy: float) -> None:
        """Count the evaluations since the best; halve and count anew when patience is over."""
        if validation_accuracy > self.best:
            self.best, self.since_best = validation_accuracy, 0
            return
        self.since_best += 1
        if self.since_best >= self.settings.patience:
            floor = min(PLATEAU_FLOOR, self.settings.learning_rates[0])
            self.rate = max(floor, self.rate * PLATEAU_FACTOR)
            self.since_best = 0

    def state(self) -> dict[str, float]:
        """Return the rate, the best accuracy and how long ago it was."""
        return {"rate": self.rate, "best": self.best, "since_best": self.since_best}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Take back what `state` gave."""
        self.rate, self.best = state["rate"], state["best"]
        self.since_best = int(state["since_best"])


_SCHEDULES: dict[str, type[Schedule]] = {"phases": Phases, "cosine": Cosine, "plateau": Plateau}


def make_schedule(settings: TrainSettings) -> Schedule:
    """Return the schedule that the settings name."""
    return _SCHEDULES[settings.schedule](settings)
