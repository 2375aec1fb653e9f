"""Find the clips that a classifier got most wrong, so that a person can listen to them.

Often they are not the network's fault: a clip cut in two, the wrong folder, a word nobody said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minikws._typing import Array, Samples
from minikws.data.corpus import Clip, Corpus
from minikws.data.evaluate import blocks


@dataclass(frozen=True, kw_only=True)
class WrongClip:
    """A clip whose largest score is not that of its own label.

    clip : the corpus's entry; `Corpus.clean([clip])` is what the classifier heard.
    file : the recording; of a silence clip the background recording it is cut from.
    true, predicted : labels.
    probability : what the classifier gave to `predicted`, 0 to 1.
    loss : -ln of the probability it gave to `true`.
    """

    clip: Clip
    file: Path
    true: str
    predicted: str
    probability: float
    loss: float


def worst_clips(
    classify: Callable[[Samples], Array],
    corpus: Corpus,
    clips: Sequence[Clip],
    *,
    n_worst: int = 12,
) -> list[WrongClip]:
    """Return the wrongly labelled clips with the largest losses, the worst first.

    Parameters
    ----------
    classify : from samples (B, N) int16 to logits (B, L).
    clips : clips of the corpus; each is classified once, without augmentation.
    n_worst : how many at most.
    """
    losses, probabilities = [np.zeros(0)], [np.zeros(0)]
    predicted = [np.zeros(0, np.int64)]
    for samples, labels in blocks(corpus, clips):
        logits = np.asarray(classify(samples), np.float64)
        rows = np.arange(len(labels))
        # ln p_i = z_i - max - ln(sum of e^(z - max)); taking the maximum away first, no power
        # of e overflows.
        logits = logits - logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        predicted.append(log_p.argmax(1))
        losses.append(-log_p[rows, labels])
        probabilities.append(np.exp(log_p.max(1)))
    said = np.concatenate(predicted)
    loss, probability = np.concatenate(losses), np.concatenate(probabilities)
    is_wrong = said != corpus.label_indices(clips)
    order = [int(i) for i in np.argsort(-loss, kind="stable") if is_wrong[i]]
    return [
        WrongClip(
            clip=clips[i],
            file=_file_of(clips[i], corpus),
            true=corpus.labels[clips[i].label],
            predicted=corpus.labels[said[i]],
            probability=float(probability[i]),
            loss=float(loss[i]),
        )
        for i in order[:n_worst]
    ]


def _file_of(clip: Clip, corpus: Corpus) -> Path:
    if clip.path is not None:
        return clip.path
    assert clip.segment is not None  # a clip has a recording or a segment
    return corpus.background_paths[clip.segment.background]
