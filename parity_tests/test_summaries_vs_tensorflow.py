"""TensorFlow reads our event files back: the tutorial's names, steps and values."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="oracle absent: pip install 'minikws[parity]'")
pytest.importorskip("tensorboardX", reason="needs pip install 'minikws[train]'")

import tensorflow as tf

from minikws.summaries import SummaryWriter


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, value.simple_value)
        for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]


def test_names_steps_and_values(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as summaries:
        summaries.step(1, 2.5, 0.0625)
        summaries.step(2, 1.25, 0.5)
        summaries.validation(2, 0.75, 0.875)
    assert scalars(tmp_path / "train") == [
        ("eval/cross_entropy", 1, 2.5),
        ("eval/accuracy", 1, 0.0625),
        ("eval/cross_entropy", 2, 1.25),
        ("eval/accuracy", 2, 0.5),
    ]
    assert scalars(tmp_path / "validation") == [
        ("eval/cross_entropy", 2, 0.75),
        ("eval/accuracy", 2, 0.875),
    ]


def test_a_resumed_session_takes_back_later_steps(tmp_path: Path) -> None:
    SummaryWriter(tmp_path).close()
    SummaryWriter(tmp_path, first_step=101).close()
    # A session's START at step s tells TensorBoard to forget all points from s on.
    starts = [
        event.step
        for file in (tmp_path / "train").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(file))
        if event.HasField("session_log")
        and event.session_log.status == tf.compat.v1.SessionLog.START
    ]
    assert starts == [101]
