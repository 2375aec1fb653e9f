from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minikws.errors import MissingExtraError, RunError
from minikws.summaries import SummaryWriter


def test_two_folders_hold_an_event_file_each(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs pip install 'minikws[train]'")
    with SummaryWriter(tmp_path / "summaries") as summaries:
        summaries.step(1, 1.4, 0.25)
        summaries.validation(1, 1.3, 0.5)
    summaries.close()
    for name in ("train", "validation"):
        (file,) = (tmp_path / "summaries" / name).iterdir()
        assert file.name.startswith("events.out.tfevents.")
        content = file.read_bytes()
        assert b"eval/cross_entropy" in content
        assert b"eval/accuracy" in content


def test_a_resumed_session_writes_a_file_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs pip install 'minikws[train]'")
    SummaryWriter(tmp_path).close()
    SummaryWriter(tmp_path, first_step=101).close()
    assert len(list((tmp_path / "train").iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs pip install 'minikws[train]'")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written to .*file.*; give another --summ"):
        SummaryWriter(tmp_path / "file")


def test_without_tensorboardx_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'minikws\[train\]'"):
        SummaryWriter(tmp_path)
