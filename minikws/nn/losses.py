"""The loss: how wrong the logits are, in one number, and which way they should move."""

from __future__ import annotations

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import ShapeError


def softmax(logits: Float) -> Float:
    """Turn logits (B, L) into shares of 1: exp(logit) / sum of exp, without overflow.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def softmax_cross_entropy(logits: Float, labels: Array) -> tuple[float, Float]:
    """Return the mean over the batch of -log softmax(logits)[label], and its gradient.

    loss = mean over b of log(sum over l of exp(z[b, l])) - z[b, label[b]]
    dlogits = (softmax(z) - one_hot(label)) / B

    Parameters
    ----------
    logits : (B, L) float32 or float64.
    labels : (B,) integers from 0 to L - 1.

    Returns
    -------
    loss : float; dlogits : (B, L), the logits' dtype.

    Raises
    ------
    ShapeError : no clip, as many labels as clips are not given, or a label is out of range.

    Source: tf.compat.v1.losses.sparse_softmax_cross_entropy.
    """
    n_clips, n_labels = logits.shape
    if n_clips == 0 or labels.shape != (n_clips,):
        raise ShapeError(
            f"logits {logits.shape} need {n_clips} labels, at least one, found shape "
            f"{labels.shape}; give one label a clip"
        )
    if labels.min() < 0 or labels.max() >= n_labels:
        raise ShapeError(
            f"labels go from {labels.min()} to {labels.max()}, the network has {n_labels} outputs "
            f"(0 to {n_labels - 1}); build it with more labels"
        )
    rows = np.arange(n_clips)
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1)
    loss = np.mean(np.log(sums) - shifted[rows, labels])
    dlogits = powers / sums[:, None]
    dlogits[rows, labels] -= 1
    dlogits /= n_clips
    return float(loss), dlogits
