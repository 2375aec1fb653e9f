"""The page of a run: what stands in it, that nothing escapes, and that it needs no other file."""

from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from conftest import write_tone_corpus
from minikws._typing import Array, Samples
from minikws.audio import read_wav
from minikws.data.corpus import Corpus
from minikws.data.evaluate import evaluate
from minikws.errors import MissingExtraError, RunError
from minikws.report import write_report
from minikws.settings import CorpusSettings

PNG = b"\x89PNG\r\n\x1a\n"
NASTY = "<b>&$x$"  # a folder's name may be anything


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = write_tone_corpus(tmp_path_factory.mktemp("tones"))
    (folder / "low").rename(folder / NASTY)
    settings = CorpusSettings(
        wanted_words=(NASTY, "high"), silence_pct=25, unknown_pct=25, testing_pct=30
    )
    return Corpus(folder, settings, 16_000, 4000)


def always_high(samples: Samples) -> Array:
    return np.tile(np.log([1.0, 1.0, 2.0, 4.0]), (len(samples), 1))


@pytest.fixture
def run_dir(corpus: Corpus, tmp_path: Path) -> Path:
    """Return the folder of a run as `Trainer` leaves it."""
    folder = tmp_path / "run & co"
    folder.mkdir()
    config = {
        "format": 1,
        "model": "tiny_conv",
        "frontend": {"kind": "micro", "n_mels": 40},
        "labels": list(corpus.labels),
        "train": {"steps": [20, 10], "learning_rates": [0.01, 0.001]},
    }
    matrix = evaluate(always_high, corpus, corpus.partitions["testing"])
    report = {
        "labels": list(corpus.labels),
        "steps": 30,
        "seconds": 180.0,
        "train_accuracy": 0.5,
        "validation_accuracy": 0.25,
        "test_accuracy": matrix.trace() / matrix.sum(),
        "confusion_matrix": matrix.tolist(),
        "parameters": 16652,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "metrics.csv").write_text(
        "step,learning_rate,seconds,loss,training_accuracy,validation_accuracy\n"
        "20,0.01,1.0,1.2,0.4,0.5\n30,0.001,2.0,1.0,0.5,0.5\n"
    )
    return folder


class Page(HTMLParser):
    """Collects the cells of all tables, the sources, the links and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.in_cell = False
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True
        for name, value in attrs:
            if name == "src":
                self.sources.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False


@pytest.fixture(autouse=True)
def _matplotlib(request: pytest.FixtureRequest) -> None:
    if "without" not in request.node.name:
        pytest.importorskip("matplotlib", reason="needs pip install 'minikws[plots]'")


def test_the_page_holds_everything_itself(corpus: Corpus, run_dir: Path) -> None:
    path = write_report(run_dir, corpus, always_high)
    assert path == run_dir / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    pictures = [s for s in page.sources if s.startswith("data:image/png;base64,")]
    sounds = [s for s in page.sources if s.startswith("data:audio/wav;base64,")]
    assert len(pictures) == 2
    assert len(sounds) == 12
    assert len(page.sources) == 14
    for name, source in zip(("curves", "confusion_matrix"), pictures, strict=True):
        content = base64.b64decode(source.partition(",")[2])
        assert content.startswith(PNG)
        assert content == (run_dir / f"{name}.png").read_bytes()


def test_facts_and_labels(corpus: Corpus, run_dir: Path) -> None:
    page = Page(write_report(run_dir, corpus, always_high).read_text(encoding="utf-8"))
    matrix = evaluate(always_high, corpus, corpus.partitions["testing"])
    n_high, n_clips = int(matrix[3].sum()), int(matrix.sum())
    assert f"{100 * n_high / n_clips:.1f} %" in page.text
    assert f"{n_clips} clips" in page.text
    assert "in 3 min" in page.text
    assert "16,652" in page.text
    # Everything is called high: its recall is 1, its precision its share of the clips.
    assert ["high", str(n_high), f"{100 * n_high / n_clips:.1f} %", "100.0 %"] in page.rows
    assert [NASTY, str(matrix[2].sum()), "-", "0.0 %"] in page.rows
    assert ["frontend.n_mels", "40"] in page.rows
    assert ["train.steps", "20, 10"] in page.rows


def test_wrong_clips_are_listed_with_their_sound(corpus: Corpus, run_dir: Path) -> None:
    testing = corpus.partitions["testing"]
    wrong = [clip for clip in testing if clip.word != "high"]
    text = write_report(run_dir, corpus, always_high, n_wrong=len(wrong)).read_text("utf-8")
    page = Page(text)
    rows = [row for row in page.rows if len(row) == 6 and row[0] != "sound"]
    assert f"All {len(wrong)}, the largest loss first" in page.text
    assert len(rows) == len(wrong)
    assert {tuple(row[3:5]) for row in rows} == {("high", "50.0 %")}
    # The true label got 1/8 (silence, unknown) or 2/8: -ln gives 2.08 or 1.39, the larger first.
    assert [row[5] for row in rows] == sorted((row[5] for row in rows), reverse=True)
    assert {(row[2], row[5]) for row in rows} == {
        ("_silence_", "2.08"),
        ("_unknown_", "2.08"),
        (NASTY, "1.39"),
    }
    silence = next(row for row in rows if row[2] == "_silence_")
    assert re.fullmatch(
        r"_background_noise_/white\.wav, from \d\.\d\d s, volume 0\.\d\d", silence[1]
    )
    last = [clip for clip in wrong if clip.word == NASTY][-1]
    assert rows[-1][1] == last.path.relative_to(corpus.folder).as_posix()
    assert page.links[-1] == last.path.resolve().as_uri()
    sound = read_wav(base64.b64decode(page.sources[-1].partition(",")[2]), name="page")
    np.testing.assert_array_equal(sound.samples[:, 0], corpus.clean([last])[0])
    assert sound.sample_rate_hz == 16_000


def test_names_are_escaped(corpus: Corpus, run_dir: Path) -> None:
    text = write_report(run_dir, corpus, always_high).read_text(encoding="utf-8")
    assert "b" not in Page(text).tags
    assert "&lt;b&gt;&amp;$x$" in text
    assert "<title>run &amp; co</title>" in text


def test_no_wrong_clip_is_good_news(corpus: Corpus, run_dir: Path) -> None:
    answers = {corpus.clean([clip]).tobytes(): clip.label for clip in corpus.partitions["testing"]}

    def all_right(samples: Samples) -> Array:
        return np.eye(4)[[answers[row.tobytes()] for row in samples]]

    page = Page(write_report(run_dir, corpus, all_right).read_text(encoding="utf-8"))
    assert "None: every clip of the test partition got its label." in page.text


def test_a_run_that_is_not_finished_is_refused(corpus: Corpus, run_dir: Path) -> None:
    (run_dir / "report.json").unlink()
    with pytest.raises(RunError, match=r"report\.json and metrics\.csv of a finished run, found"):
        write_report(run_dir, corpus, always_high)


def test_without_matplotlib_the_extra_is_named_at_once(
    corpus: Corpus, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(samples: Samples) -> Array:
        raise AssertionError

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        MissingExtraError, match=r"report\.html needs the package.*pip install 'minikws\[plots\]'"
    ):
        write_report(run_dir, corpus, never)
