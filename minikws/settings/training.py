"""The settings of a training: corpus, augmentation, steps and rates, and the models that help."""

from __future__ import annotations

from dataclasses import dataclass

from minikws.errors import nearest
from minikws.settings._require import require, settle_types

DEFAULT_SEED = 59185  # input_data.py, RANDOM_SEED
SCHEDULES = ("phases", "cosine", "plateau")
BALANCED = "balanced"
LONGEST_LEAD_IN_MS = 60_000  # each clip of a batch is longer by it


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Which clips are used, and as what: the rules of TensorFlow's input_data.py.

    wanted_words : folder names, in label order.
    silence, unknown : whether the labels `_silence_` and `_unknown_` exist.
    silence_pct, unknown_pct : size of those two, in percent of the wanted words' clips.
    validation_pct, testing_pct : size of the partitions, by the hash of the speaker's name.
    """

    wanted_words: tuple[str, ...]
    silence: bool = True
    unknown: bool = True
    silence_pct: float = 10.0
    unknown_pct: float = 10.0
    validation_pct: float = 10.0
    testing_pct: float = 10.0

    def __post_init__(self) -> None:
        settle_types(self)
        require(len(self.wanted_words) > 0, "no wanted word; name one or more, such as yes,no")
        for name in ("silence_pct", "unknown_pct"):
            value = getattr(self, name)
            require(0 <= value <= 10_000, f"{name}={value:g} is not a percentage; 10 is usual")
        held_out = self.validation_pct + self.testing_pct
        require(
            self.validation_pct >= 0 and self.testing_pct >= 0 and held_out < 100,
            f"validation {self.validation_pct:g} % and testing {self.testing_pct:g} % leave "
            "nothing to train on; 10 and 10 are usual",
        )


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """What happens to a training clip before its features are computed.

    background_volume : upper end of the uniform volume of mixed-in noise, 0 to 1.
    background_frequency : share of the training clips that get noise, 0 to 1.
    time_shift_ms : clips are shifted by up to this much, either way, zeros filled in.
    lead_in_ms : the clip's own noise sounds this long before it, so that a frontend that remembers
        has heard what surrounds the word, as in a running stream; 0 as published.
    lead_in_share : of the clips that get it, 0 to 1; the others begin from nothing.
    time_masks, frequency_masks : how many stretches of time and bands of frequency are hidden
        from the features of each clip (SpecAugment).
    time_mask_frames, frequency_mask_bins : the widest of each.
    """

    background_volume: float = 0.1
    background_frequency: float = 0.8
    time_shift_ms: float = 100.0
    lead_in_ms: float = 0.0
    lead_in_share: float = 0.8
    time_masks: int = 0
    time_mask_frames: int = 20
    frequency_masks: int = 0
    frequency_mask_bins: int = 5

    def __post_init__(self) -> None:
        settle_types(self)
        for name in ("background_volume", "background_frequency", "lead_in_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name}={value:g} is not between 0 and 1; give a share")
        require(
            0 <= self.time_shift_ms < 1e6,
            f"time_shift_ms={self.time_shift_ms:g} is not a positive time; 100 is usual",
        )
        require(
            0 <= self.lead_in_ms <= LONGEST_LEAD_IN_MS,
            f"lead_in_ms={self.lead_in_ms:g} is not between 0 and {LONGEST_LEAD_IN_MS}; "
            "1000 is usual",
        )
        for name in ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_bins"):
            value = getattr(self, name)
            require(value >= 0, f"{name}={value} is negative; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long, how fast and how a network is trained.

    steps, learning_rates : one of each a phase, "15000,3000" at "0.001,0.0001".
    optimizer : a name of `minikws.nn.OPTIMIZERS`.
    eval_interval, save_interval : steps between validations and between checkpoints.
    quantize : train through the rounding of the int8 export (quantisation-aware training).
    schedule : "phases", each with its rate; "cosine", from the rate down to 0 over all steps;
        "plateau", halved after `patience` evaluations without a better validation accuracy.
    warmup_steps : over the first steps the rate rises from 0, whatever the schedule.
    label_smoothing : share of each label that is spread over all labels, 0 to 1.
    class_weights : one factor a label for its clips' losses, or "balanced": the rarer the label
        among the training clips, the larger.
    l2 : strength of the penalty on the weights' squares.
    """

    steps: tuple[int, ...]
    learning_rates: tuple[float, ...]
    optimizer: str = "momentum"
    batch_size: int = 100
    dropout_rate: float = 0.5
    eval_interval: int = 400
    save_interval: int = 400
    seed: int = DEFAULT_SEED
    quantize: bool = False
    schedule: str = "phases"
    warmup_steps: int = 0
    patience: int = 4
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | str | None = None
    l2: float = 0.0

    def __post_init__(self) -> None:
        settle_types(self)
        require(
            self.schedule in SCHEDULES,
            f"unknown schedule {self.schedule!r}; {nearest(str(self.schedule), SCHEDULES)}",
        )
        n_phases = max(len(self.steps), len(self.learning_rates))
        require(
            self.schedule == "phases" or n_phases == 1,
            f"the {self.schedule} schedule moves one learning rate, found {n_phases} phases; "
            "give one number of steps and one rate",
        )
        require(
            len(self.steps) == len(self.learning_rates),
            f"steps names {len(self.steps)} phases and learning_rate {len(self.learning_rates)}; "
            "give lists of equal length",
        )
        require(
            len(self.steps) > 0 and min(self.steps) >= 0 and sum(self.steps) >= 1,
            f"steps={self.steps} holds no step; give whole numbers above 0, such as 15000,3000",
        )
        require(
            all(0 < rate < 1e6 for rate in self.learning_rates),
            f"learning_rate={self.learning_rates} holds a rate that is not between 0 and 1e6; "
            "0.001 is a usual one",
        )
        for name in ("dropout_rate", "label_smoothing"):
            value = getattr(self, name)
            usual = 0.5 if name == "dropout_rate" else 0.1
            require(
                0 <= value < 1, f"{name}={value:g} is not in 0 to 1, 1 left out; {usual:g} is usual"
            )
        for name in ("batch_size", "eval_interval", "save_interval", "patience"):
            value = getattr(self, name)
            require(value >= 1, f"{name}={value} is below 1; give a whole number above 0")
        require(
            0 <= self.warmup_steps < self.total_steps,
            f"warmup_steps={self.warmup_steps} is not in 0 to {self.total_steps - 1}, the run has "
            f"{self.total_steps} steps; some percent of them are usual",
        )
        require(0 <= self.l2 < 1e6, f"l2={self.l2:g} is not a strength of 0 or more; 1e-4 is usual")
        weights = self.class_weights
        if isinstance(weights, str):
            require(
                weights == BALANCED,
                f"unknown class_weights {weights!r}; write {BALANCED} or a number a label: 1,1,2",
            )
        elif weights is not None:
            require(
                all(0 <= weight < 1e6 for weight in weights) and sum(weights) > 0,
                f"class_weights={weights} are not numbers of 0 or more with one above 0; "
                "1 a label is usual",
            )
        require(self.seed >= 0, f"seed={self.seed} is negative; give 0 or more")

    @property
    def total_steps(self) -> int:
        """Steps of all phases together."""
        return sum(self.steps)


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """Another model whose answers a network is trained on, beside the labels (distillation).

    model : a run's folder, a checkpoint or a .tflite file.
    temperature : both models' logits are divided by it, so that small probabilities show.
    share : of the teacher in the loss, 0 to 1; the labels have the rest.
    """

    model: str
    temperature: float = 4.0
    share: float = 0.5

    def __post_init__(self) -> None:
        settle_types(self)
        require(
            0 < self.temperature <= 1000,
            f"temperature={self.temperature:g} is not above 0 and at most 1000; 2 to 10 are usual",
        )
        require(
            0 <= self.share <= 1,
            f"teacher_share={self.share:g} is not between 0 and 1; 0.5 is usual",
        )


@dataclass(frozen=True, kw_only=True)
class PseudoSettings:
    """Recordings that models labelled, and how much of the training they make.

    folder : WAV files at any depth; without models its folders are the labels.
    models : runs, checkpoints or .tflite files, which must agree.
    threshold : what their mean probability must reach, 0 to 1.
    share : of each batch that is drawn from these recordings, 0 to 1.
    """

    folder: str
    models: tuple[str, ...] = ()
    threshold: float = 0.6
    share: float = 0.6

    def __post_init__(self) -> None:
        settle_types(self)
        for name in ("threshold", "share"):
            value = getattr(self, name)
            require(
                0 <= value <= 1,
                f"the pseudo labels' {name}={value:g} is not between 0 and 1; 0.6 is usual",
            )
