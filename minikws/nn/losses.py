"""The loss: how wrong the logits are, in one number, and which way they should move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minikws._typing import Array, Float
from minikws.errors import SettingsError, ShapeError
from minikws.nn import functional as fn
from minikws.nn.layers import Layer, leaves


def softmax(logits: Float) -> Float:
    """Turn logits (B, L) into shares of 1: exp(logit) / sum of exp, without overflow.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    return fn.softmax(logits)[0]


def softmax_cross_entropy(
    logits: Float,
    labels: Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: Float | None = None,
) -> tuple[float, Float]:
    """Return the mean over the batch of -log softmax(logits)[label], and its gradient.

    loss[b] = log(sum over l of exp(z[b, l])) - sum over l of q[b, l] z[b, l],
    q = (1 - smoothing) one_hot(label) + smoothing / L: what the shares should be
    loss = sum of v[b] loss[b] / n, v = class_weights[label], n = how many v are not 0
    dlogits = v (softmax(z) - q) / n; without class weights v = 1 and n = B

    Parameters
    ----------
    logits : (B, L) float32 or float64.
    labels : (B,) integers from 0 to L - 1.
    label_smoothing : share of certainty given to all labels alike, 0 to below 1.
    class_weights : (L,), how much a clip of each label counts, 0 or more.

    Returns
    -------
    loss : float; dlogits : (B, L), the logits' dtype.

    Raises
    ------
    ShapeError : no clip, as many labels as clips are not given, a label is out of range, or
        class weights are not one a label.
    SettingsError : smoothing or a class weight that cannot work.

    Source: tf.compat.v1.losses.sparse_softmax_cross_entropy (SUM_BY_NONZERO_WEIGHTS); smoothing
    as in keras.losses.CategoricalCrossentropy.
    """
    _check_labels(logits, labels)
    if not 0 <= label_smoothing < 1:
        raise SettingsError(
            f"label_smoothing={label_smoothing} is not in 0 to below 1; 0.1 is usual"
        )
    n_clips, n_labels = logits.shape
    rows = np.arange(n_clips)
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1)
    certain = 1 - label_smoothing
    aimed = certain * shifted[rows, labels] + label_smoothing * shifted.mean(axis=1)
    losses = np.log(sums) - aimed
    dlogits = powers / sums[:, None]
    dlogits -= logits.dtype.type(label_smoothing / n_labels)
    dlogits[rows, labels] -= logits.dtype.type(certain)
    if class_weights is None:
        dlogits /= n_clips
        return float(np.mean(losses)), dlogits
    weights = _checked_weights(class_weights, n_labels)[labels].astype(logits.dtype)
    n_counted = int(np.count_nonzero(weights)) or 1
    dlogits *= (weights / logits.dtype.type(n_counted))[:, None]
    return float(np.sum(weights * losses) / n_counted), dlogits


def distillation_loss(
    logits: Float,
    teacher: Float,
    labels: Array,
    *,
    temperature: float,
    share: float,
    probabilities: bool = False,
) -> tuple[float, Float]:
    """Return a loss that pulls towards a teacher's answers and the true labels, and its gradient.

    soft = -sum over l of softmax(teacher / T) log softmax(z / T), mean over the batch
    loss = share T^2 soft + (1 - share) softmax_cross_entropy(z, labels)
    dlogits = share T (softmax(z / T) - softmax(teacher / T)) / B + (1 - share) (…)

    T^2 keeps the soft part's gradient as large as it is at T = 1.

    Parameters
    ----------
    logits : (B, L); labels : (B,), as in `softmax_cross_entropy`.
    teacher : (B, L), its logits; or with `probabilities` its shares of 1, such as the mean of
        several networks' answers, whose logarithms serve as logits.
    temperature : T, above 0; larger shows more of what the teacher holds possible.
    share : how much the teacher counts, 0 to 1.

    Raises
    ------
    ShapeError : as `softmax_cross_entropy`, or a teacher of another shape.
    SettingsError : temperature, share or probabilities that cannot work.

    Source: Hinton, Vinyals and Dean 2015, section 2.
    """
    if teacher.shape != logits.shape:
        raise ShapeError(
            f"the teacher's answers are {teacher.shape}, the logits {logits.shape}; "
            "let it answer the same clips with the same labels"
        )
    if not temperature > 0:
        raise SettingsError(f"temperature={temperature} is not above 0; 2 to 5 is usual")
    if not 0 <= share <= 1:
        raise SettingsError(f"the teacher's share={share} is not in 0 to 1; 0.5 is usual")
    hard, dhard = softmax_cross_entropy(logits, labels)
    real = logits.dtype.type
    known = _log_of_shares(teacher) if probabilities else teacher
    aims = softmax(known.astype(logits.dtype) / real(temperature))
    shifted = (logits - logits.max(axis=1, keepdims=True)) / real(temperature)
    log_sums = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    soft = np.mean(np.sum(aims * (log_sums - shifted), axis=1))
    dsoft = np.exp(shifted - log_sums) - aims
    loss = share * temperature**2 * float(soft) + (1 - share) * hard
    dlogits = real(share * temperature / len(logits)) * dsoft + real(1 - share) * dhard
    return loss, np.asarray(dlogits)


def l2_penalty(layers: Sequence[tuple[str, Layer]], strength: float) -> float:
    """Return strength * sum(w^2) over all kernels and add its gradient, 2 strength w, to `grads`.

    Called after backward. What counts as a kernel says each layer's `decays`: not biases, not
    what normalisation learns.

    Raises
    ------
    SettingsError : a strength below 0.

    Source: keras.regularizers.L2.
    """
    if not strength >= 0:
        raise SettingsError(f"L2 strength={strength} is below 0; 1e-5 is usual")
    total = 0.0
    for _, layer in leaves(layers):
        for name in layer.decays:
            if name in layer.params:
                w = layer.params[name]
                total += float(np.sum(np.square(w)))
                layer.grads[name] += w.dtype.type(2 * strength) * w
    return strength * total


def _check_labels(logits: Float, labels: Array) -> None:
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


def _checked_weights(class_weights: Float, n_labels: int) -> Float:
    if class_weights.shape != (n_labels,):
        raise ShapeError(
            f"class weights are {class_weights.shape}, the network has {n_labels} outputs; "
            "give one weight a label"
        )
    if not (np.isfinite(class_weights).all() and class_weights.min() >= 0):
        raise SettingsError(
            f"class weights go from {class_weights.min()} to {class_weights.max()}, expected "
            "finite numbers of 0 or more; leave a label out with 0"
        )
    return class_weights


def _log_of_shares(shares: Float) -> Float:
    """Return the logarithms, a share of 0 counting as 1e-7 (as in Keras)."""
    sums = shares.sum(axis=1)
    # Scores stored in eight bits sum up to 1 within half a step a label.
    if not (shares.min() >= 0 and np.abs(sums - 1).max() <= 0.05):
        raise SettingsError(
            f"the teacher's probabilities go from {shares.min()} to {shares.max()} and sum up to "
            f"{sums.min()} to {sums.max()} a clip, expected shares of 1; give logits without "
            "probabilities=True"
        )
    return np.log(np.maximum(shares, 1e-7))
