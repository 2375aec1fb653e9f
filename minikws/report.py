"""The page at the end of a training: curves, confusion matrix, and the clips it got most wrong.

In: a finished run's folder (see `checkpoint`), its corpus, its network as a function. Out, in the
same folder: `curves.png`, `confusion_matrix.png`, and `report.html`, which holds pictures and
sounds itself and can be sent to somebody.
"""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from minikws._typing import Array, Samples
from minikws.audio import wav_bytes
from minikws.data.corpus import Corpus
from minikws.data.wrong import WrongClip, worst_clips
from minikws.errors import RunError, import_extra
from minikws.files import write_file
from minikws.metrics import precision_recall, wilson_interval
from minikws.plots import draw_confusion_matrix, draw_curves

CURVES = ("loss", "validation_loss", "training_accuracy", "validation_accuracy")
AT_THE_TOP = ("format", "labels")  # of config.json: not repeated under the settings


def write_report(
    run_dir: str | Path,
    corpus: Corpus,
    classify: Callable[[Samples], Array],
    *,
    n_wrong: int = 12,
) -> Path:
    """Draw a finished run and write its `report.html`; return that file.

    Parameters
    ----------
    run_dir : holds config.json, metrics.csv and report.json.
    corpus : the run's own; its test partition is classified once.
    classify : from samples (B, N) int16 to logits (B, L).
    n_wrong : how many wrong clips at most; each adds its sound to the page.

    Raises
    ------
    MissingExtraError : Matplotlib is not installed; nothing was computed yet.
    RunError : a file of the run is missing or damaged, or the folder cannot be written.
    """
    import_extra("matplotlib", extra="plots", purpose="the run's report.html")
    folder = Path(run_dir)
    config, report, metrics = _read_run(folder)
    labels, matrix = report["labels"], np.array(report["confusion_matrix"], np.int64)
    curves, confusions = folder / "curves.png", folder / "confusion_matrix.png"
    draw_curves(
        [int(row["step"]) for row in metrics],
        learning_rates=[float(row["learning_rate"]) for row in metrics],
        path=curves,
        **{name: [float(row.get(name) or "nan") for row in metrics] for name in CURVES},
    )
    draw_confusion_matrix(matrix, labels, title="test partition", path=confusions)
    wrong = worst_clips(classify, corpus, corpus.partitions["testing"], n_worst=n_wrong)
    page = _template().substitute(
        title=_text(folder.resolve().name),
        lead=_text(f"{config['model']} on {config['frontend']['kind']}: {', '.join(labels)}"),
        facts=_facts(report, matrix),
        curves=_data_uri("image/png", curves.read_bytes()),
        matrix=_data_uri("image/png", confusions.read_bytes()),
        labels=_label_rows(labels, matrix),
        wrong=_wrong_table(wrong, corpus, int(matrix.sum() - matrix.trace())),
        settings=_setting_rows(config),
    )
    return write_file(folder / "report.html", page)


def _read_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, str]]]:
    """Return config.json, report.json and the rows of metrics.csv."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return config, report, list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder} is expected to hold config.json, report.json and metrics.csv of a finished "
            f"run, found a file missing or damaged ({error}); go on with the run, or train again"
        ) from error


def _template() -> Template:
    return Template(files("minikws").joinpath("report_template.html").read_text(encoding="utf-8"))


def _facts(report: Mapping[str, Any], matrix: Array) -> str:
    n_right, n_clips = int(matrix.trace()), int(matrix.sum())
    low, high = wilson_interval(n_right, n_clips)
    facts = [
        (
            "test accuracy",
            _percent(report["test_accuracy"]),
            f"95 % interval {_percent(low)} to {_percent(high)}, {n_clips:,} clips",
        ),
        ("validation", _percent(report["validation_accuracy"]), ""),
        ("training", _percent(report["train_accuracy"]), "without augmentation"),
        ("steps", f"{report['steps']:,}", f"in {_duration(report['seconds'])}"),
        ("parameters", f"{report['parameters']:,}", ""),
    ]
    return "\n".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)} <small>{_text(note)}</small></dd></div>"
        for name, value, note in facts
    )


def _label_rows(labels: Sequence[str], matrix: Array) -> str:
    precision, recall = precision_recall(matrix)
    return "\n".join(
        f'<tr><td>{_text(label)}</td><td class="number">{matrix[i].sum()}</td>'
        f'<td class="number">{_percent(precision[i])}</td>'
        f'<td class="number">{_percent(recall[i])}</td></tr>'
        for i, label in enumerate(labels)
    )


def _wrong_table(wrong: Sequence[WrongClip], corpus: Corpus, n_wrong: int) -> str:
    if not wrong:
        return "<p>None: every clip of the test partition got its label.</p>"
    if len(wrong) < n_wrong:
        shown = f"The worst {len(wrong)} of {n_wrong}, the largest loss first"
    else:
        shown = f"All {n_wrong}, the largest loss first" if n_wrong > 1 else "It is the only one"
    rows = "\n".join(_wrong_row(clip, corpus) for clip in wrong)
    return f"""<p>{shown}. The probability is that of what the network said;
the loss is -ln of the one it gave to the true label. You hear what the network heard; the name
leads to the file. Listen before you blame the network: a clip may be cut, empty, or in the wrong
folder.</p>
<div class="wide"><table>
<tr><th>sound</th><th>file</th><th>it is</th><th>it said</th><th class="number">probability</th>
<th class="number">loss</th></tr>
{rows}
</table></div>"""


def _wrong_row(wrong: WrongClip, corpus: Corpus) -> str:
    sound = wav_bytes(corpus.clean([wrong.clip])[0], corpus.sample_rate_hz)
    path, segment = wrong.file.resolve(), wrong.clip.segment
    root = corpus.folder.resolve()
    name = str(path.relative_to(root) if path.is_relative_to(root) else path)
    if segment is not None:
        name += f", from {segment.start / corpus.sample_rate_hz:.2f} s, volume {segment.volume:.2f}"
    return (
        f'<tr><td><audio controls preload="none" src="{_data_uri("audio/wav", sound)}"></audio>'
        f'</td><td class="file"><a href="{escape(path.as_uri())}">{_text(name)}</a></td>'
        f"<td>{_text(wrong.true)}</td><td>{_text(wrong.predicted)}</td>"
        f'<td class="number">{_percent(wrong.probability)}</td>'
        f'<td class="number">{wrong.loss:.2f}</td></tr>'
    )


def _setting_rows(config: Mapping[str, Any]) -> str:
    return "\n".join(
        f"<tr><td>{_text(name)}</td><td><code>{_text(value)}</code></td></tr>"
        for name, value in _flat(config)
        if name not in AT_THE_TOP
    )


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting as (dotted name, text)."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, ", ".join(map(str, value))
        else:
            yield prefix + name, str(value)


def _text(value: str) -> str:
    """Return text for the page: escaped, and a file name's undecodable bytes made visible."""
    return escape(value.encode("utf-8", "backslashreplace").decode("utf-8"))


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode('ascii')}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
