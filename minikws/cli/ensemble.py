"""Several models that label together: the mean of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minikws.errors import SettingsError

if TYPE_CHECKING:
    from minikws.pipeline import Model

Record = Mapping[str, Any]


def models_and_clips(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of a command line: the first is a model, and so are .tflite files behind it.

    >>> models_and_clips(["a.tflite", "b.tflite", "yes.wav", "clips"])
    (['a.tflite', 'b.tflite'], ['yes.wav', 'clips'])
    """
    count = 1
    while count < len(words) and words[count].lower().endswith(".tflite"):
        count += 1
    return list(words[:count]), list(words[count:])


def need_alike(names: Sequence[str], models: Sequence[Model]) -> None:
    """Refuse models whose scores have no mean, before the work begins.

    Raises
    ------
    SettingsError : models of other labels, or of other clip lengths.
    """
    first = models[0]
    for name, other in zip(names, models, strict=True):
        if set(first.labels) != set(other.labels):
            raise SettingsError(
                f"{names[0]} has the labels {','.join(first.labels)}, {name} "
                f"{','.join(other.labels)}; only models of the same labels can be averaged"
            )
        lengths = [model.frontend.settings.clip_ms for model in (first, other)]
        if lengths[0] != lengths[1]:
            raise SettingsError(
                f"{names[0]} takes clips of {lengths[0]:g} ms, {name} of {lengths[1]:g}; only "
                "models of the same clip length can be averaged"
            )


def together(answers: Sequence[Sequence[Record]]) -> list[dict[str, Any]]:
    """Return the records of `pipeline.label_clips` with the mean of all models' scores.

    Parameters
    ----------
    answers : the records of each model for the same clips. `output` is the first model's.
    """
    averaged = []
    for same in zip(*answers, strict=True):
        sums = {score["label"]: 0.0 for score in same[0]["scores"]}
        for record in same:
            for score in record["scores"]:
                sums[score["label"]] += score["score"] / len(same)
        ranked = sorted(sums.items(), key=lambda pair: -pair[1])
        scores = [{"label": label, "score": score} for label, score in ranked]
        averaged.append({**same[0], "scores": scores})
    return averaged
