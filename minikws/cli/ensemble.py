"""Several models that label together: the mean of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minikws.errors import SettingsError

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


def together(names: Sequence[str], answers: Sequence[Sequence[Record]]) -> list[dict[str, Any]]:
    """Return the records of `pipeline.label_clips` with the mean of all models' scores.

    Parameters
    ----------
    names : of the models, for messages.
    answers : the records of each model for the same clips. `output` is the first model's.

    Raises
    ------
    SettingsError : models of other labels, or of other clip lengths.
    """
    first, *others = answers
    for name, other in zip(names[1:], others, strict=True):
        if _labels(first) != _labels(other):
            raise SettingsError(
                f"{names[0]} has the labels {','.join(sorted(_labels(first)))}, {name} "
                f"{','.join(sorted(_labels(other)))}; only models of the same labels can be "
                "averaged"
            )
        if _stretches(first) != _stretches(other):
            raise SettingsError(
                f"{names[0]} and {name} cut the clips into other stretches; only models of the "
                "same clip length can be averaged"
            )
    averaged = []
    for same in zip(first, *others, strict=True):
        sums = {score["label"]: 0.0 for score in same[0]["scores"]}
        for record in same:
            for score in record["scores"]:
                sums[score["label"]] += score["score"] / len(same)
        ranked = sorted(sums.items(), key=lambda pair: -pair[1])
        scores = [{"label": label, "score": score} for label, score in ranked]
        averaged.append({**same[0], "scores": scores})
    return averaged


def _labels(records: Sequence[Record]) -> set[str]:
    return {score["label"] for score in records[0]["scores"]}


def _stretches(records: Sequence[Record]) -> list[tuple[str, int]]:
    return [(record["file"], record.get("start_ms", 0)) for record in records]
