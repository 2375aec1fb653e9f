"""Every default number, once: frozen records that check themselves when they are built."""

from minikws.settings.clip import (
    ClipSettings,
)
from minikws.settings.micro import (
    MICRO_VARIANTS,
    MicroSettings,
    MicroVariant,
)
from minikws.settings.spectral import (
    AVERAGE_ARITHMETICS,
    AverageArithmetic,
    AverageSettings,
    MfccSettings,
    RawSettings,
    SpectrogramSettings,
)
from minikws.settings.training import (
    BALANCED,
    DEFAULT_SEED,
    SCHEDULES,
    AugmentSettings,
    CorpusSettings,
    PseudoSettings,
    TeacherSettings,
    TrainSettings,
)

__all__ = [
    "AVERAGE_ARITHMETICS",
    "BALANCED",
    "DEFAULT_SEED",
    "MICRO_VARIANTS",
    "SCHEDULES",
    "AugmentSettings",
    "AverageArithmetic",
    "AverageSettings",
    "ClipSettings",
    "CorpusSettings",
    "MfccSettings",
    "MicroSettings",
    "MicroVariant",
    "PseudoSettings",
    "RawSettings",
    "SpectrogramSettings",
    "TeacherSettings",
    "TrainSettings",
]
