"""The lessons run, their checks refuse a blank and known slips, and take the answers.

A lesson's exercise is a cell tagged `exercise-N` with `...` in it; the next cell, `check-N`, prints
"right" or "not yet" and a hint; a folded Markdown cell `answer-N` at the end holds the answer as
Python. nbmake runs the lessons as they are committed, with the blanks; here the answers go in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from minikws import _jit

FOLDER = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
names = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


class Cell(NamedTuple):
    kind: str
    source: str
    tag: str
    has_output: bool


def cells_of(path: Path) -> list[Cell]:
    def cell(stored: dict[str, Any]) -> Cell:
        tags = stored["metadata"].get("tags", [""])
        has_output = bool(stored.get("outputs")) or bool(stored.get("execution_count"))
        return Cell(stored["cell_type"], "".join(stored["source"]), tags[0], has_output)

    return [cell(stored) for stored in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def tagged(cells: list[Cell], kind: str) -> dict[str, str]:
    """Return number -> source of the cells `kind-N`."""
    found = [(c.tag.removeprefix(f"{kind}-"), c.source) for c in cells if c.tag.startswith(kind)]
    assert len(dict(found)) == len(found), f"two cells share a tag {kind}-N"
    return dict(found)


def answers_of(cells: list[Cell]) -> dict[str, str]:
    fences = {
        n: re.findall(r"```python\n(.*?)```", s, re.S) for n, s in tagged(cells, "answer").items()
    }
    assert all(len(blocks) == 1 for blocks in fences.values())
    return {number: blocks[0] for number, blocks in fences.items()}


@names
def test_a_lesson_has_the_parts_of_a_lesson(path: Path) -> None:
    cells = cells_of(path)
    assert not any(cell.has_output for cell in cells), "strip the outputs: nbstripout FILE"
    for part in ("What you need to know", "Time:", "Sources:"):
        assert part in cells[0].source
    prose = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    summary = re.search(
        r"## What you have seen\n(.*?)## Questions.*?\n(.*?)## Answers", prose, re.S
    )
    assert summary is not None
    assert len(re.findall(r"^\d\. ", summary[1], re.M)) == 5
    assert len(re.findall(r"^\* ", summary[2], re.M)) == 3
    assert set(tagged(cells, "exercise")) == set(tagged(cells, "check")) == set(answers_of(cells))
    assert max(len(cell.source.splitlines()) for cell in cells if cell.kind == "code") <= 16


# Beginnings of answers that end in a slip.
PLACES = "def same_zeros(n_in, size, stride): n_out = -(-n_in // stride)"
ZEROS = f"{PLACES}; missing = max(0, (n_out - 1) * stride + size - n_in)"
SEND_BACK = (
    "def send_back(dy, weights):\n    dx = np.zeros((5, 5))\n"
    "    for t, f in np.ndindex(3, 3):\n        dx[t : t + 3, f : f + 3]"
)
MEAN_LOSS = "def mean_loss(logits, answers):"
RIGHT_SHARE = f"{MEAN_LOSS} p = shares_of(logits)[np.arange(len(logits)), answers]"
STEP = "def momentum_step(weight, velocity, slope, rate):"
VELOCITY = f"{STEP} v = 0.9 * velocity + slope"
LOW_RANK = "def low_rank(p, rank): u, s, vt = np.linalg.svd(p, full_matrices=False)"
WINDOW = "def take_window(memory, window, w, v): new = window @ w;"
RULER = "def ruler(low, high): low, high = min(low, 0), max(high, 0); scale = (high - low) / 255"
SUMS = "def accumulate(qx, zero, qw, qb): return"
DOWN = "def scale_down(acc, m, shift): high = (acc * m + 2**30) >> 31; half = 2**-shift // 2"
VTABLE = (
    "def find(data, table, slot):\n"
    "    read = lambda kind, at: struct.unpack_from('<' + kind, data, at)[0]\n"
    "    vtable = table - read('i', table)\n"
    "    if 4 + 2 * slot >= read('H', vtable): return None\n"
)
LIST = (
    "def numbers_of(data, at, kind):\n"
    "    start = at + struct.unpack_from('<I', data, at)[0]\n"
    "    n = struct.unpack_from('<I', data, start)[0]\n"
    "    return struct.unpack_from(f'<{n}{kind}', data, start + 4)"
)
NEEDED = "def needed(lives, step): return"
CHOOSE = "def choose_threshold(thresholds, alarms, missed, wished): quiet = alarms <= wished"
NEW = "def is_new(label, average, last, since, threshold=0.7, pause=1500): return"

# What a reader may well write instead of the answer -> a word of the hint it should get.
SLIPS = {
    ("01_from_sound_to_word", "1"): {
        "def n_windows(n, window, hop): return 1 + (n - hop) // window": "swapped",
        "def n_windows(n, window, hop): return (n - window) // hop": "too few",
        "def n_windows(n, window, hop): return n // hop": "too many",
        "def n_windows(n, window, hop): return n // window": "overlap",
        "def n_windows(n, window, hop): return 1 + (n - window) / hop": "//",
        "def n_windows(n, window, hop): return 7": "must be 2",
    },
    ("01_from_sound_to_word", "2"): {
        "def to_real(integer, scale, zero_point): return scale * integer": "missing",
        "def to_real(integer, scale, zero_point): return scale * (integer + zero_point)": "added",
        "def to_real(integer, scale, zero_point): return scale * integer - zero_point": "brackets",
        "def to_real(integer, scale, zero_point): return scale * integer + zero_point": "subtract",
        "def to_real(integer, scale, zero_point): return (integer - zero_point) / scale": "divided",
        "def to_real(integer, scale, zero_point): return scale * (zero_point - integer)": "swapped",
        "def to_real(integer, scale, zero_point): return 7": "marks",
    },
    ("01_from_sound_to_word", "3"): {
        "worst = ('yes', 'yes')": "diagonal",
        "worst = ('yes', 'maybe')": "write two of",
        "matrix = np.diag([9, 9, 9, 9]); matrix[3, 2] = 5; worst = ('yes', 'no')": "swapped",
        "matrix = np.diag([9, 9, 9, 9]); matrix[3, 2] = 5; worst = ('no', '_silence_')": "often",
    },
    ("02_the_fourier_transform_by_hand", "1"): {
        "def bin_of(hz, rate, n): return hz * n / rate": "whole number",
        "def bin_of(hz, rate, n): return hz * n // rate": "cut off",
        "def bin_of(hz, rate, n): return round(hz * rate / n)": "swapped",
        "def bin_of(hz, rate, n): return hz * rate / n": "swapped",
        "def bin_of(hz, rate, n): return round(2 * hz * n / rate)": "twice",
        "def bin_of(hz, rate, n): return rate / n": "width",
        "def bin_of(hz, rate, n): return 7": "bin 1 is",
    },
    ("02_the_fourier_transform_by_hand", "2"): {
        "def inverse_fft(bins): return np.conj(fft(np.conj(bins)))": "division",
        "def inverse_fft(bins): return np.conj(fft(np.conj(bins))) / len(bins) ** 2": "divide once",
        "def inverse_fft(bins): return fft(np.conj(bins)) / len(bins)": "mirror the result",
        "def inverse_fft(bins): return fft(bins) / len(bins)": "and the result",
        "def inverse_fft(bins): return np.conj(fft(bins)) / len(bins)": "mirror the bins first",
        "def inverse_fft(bins): return 7": "twice",
    },
    ("02_the_fourier_transform_by_hand", "3"): {
        "def n_multiplications(n): return n * int(np.log2(n))": "odd half",
        "def n_multiplications(n): return n * n": "matrix",
        "def n_multiplications(n): return n // 2": "one column",
        "def n_multiplications(n): return np.log2(n)": "each column",
        "def n_multiplications(n): return n - 1": "both halves",
        "def n_multiplications(n): return 7": "2 samples need",
    },
    ("03_mel_mfcc_and_the_microcontroller", "1"): {
        "def hz_of_mel(mel): return 700 * np.exp(mel / 1127)": "too high",
        "def hz_of_mel(mel): return np.exp(mel / 1127) - 1": "divided by",
        "def hz_of_mel(mel): return 1127 * (np.exp(mel / 700) - 1)": "swapped",
        "def hz_of_mel(mel): return 700 * np.exp(mel)": "before you take",
        "def hz_of_mel(mel): return 700 * (np.exp(mel) - 1)": "before you take",
        "def hz_of_mel(mel): return 7": "in turn",
    },
    ("03_mel_mfcc_and_the_microcontroller", "2"): {
        "growth = np.log(2)": "sums 40",
        "growth = 40 * np.log(2)": "factor in front",
        "growth = np.sqrt(2 / 40) * np.log(2)": "cosine of 0",
        "growth = 40 * np.sqrt(2 / 40) * np.log(4)": "energies",
        "growth = 40 * np.sqrt(2 / 40)": "natural logarithm",
        "growth = 40 * np.sqrt(2 / 40) * 2": "into a sum",
        "growth = 7": "one l_j",
    },
    ("03_mel_mfcc_and_the_microcontroller", "3"): {
        "def to_int8(v): return v * 256 // 666 - 128": "rounded down",
        "def to_int8(v): return (v * 256 + 333) // 666": "-128",
        "def to_int8(v): return (v * 256 + 333) / 666 - 128": "instead of",
        "def to_int8(v): return v * 256 / 666 - 128": "instead of",
        "def to_int8(v): return (v * 256 + 128) // 666 - 128": "that is 666",
        "def to_int8(v): return (v * 666 + 128) // 256 - 128": "swapped",
        "def to_int8(v): return 7": "one line",
    },
    ("04_a_convolution_forwards_and_backwards", "1"): {
        f"{ZEROS}; return missing - missing // 2, missing // 2": "odd zero goes behind",
        f"{ZEROS}; return missing / 2, missing / 2": "half zero",
        f"{ZEROS}; return missing": "divide it",
        f"{PLACES}; m = (n_out - 1) * stride + size - n_in; return m // 2, m - m // 2": "max(0",
        "def same_zeros(n_in, size, stride): return (size - 1) // 2, size // 2": "last place beg",
        "def same_zeros(n_in, size, stride): return 7": "one on each side",
    },
    ("04_a_convolution_forwards_and_backwards", "2"): {
        "def weight_gradient(patches, dy): return dy.T @ patches": "on its side",
        "def weight_gradient(patches, dy): return patches @ dy": "turned over",
        "def weight_gradient(patches, dy): return patches.T @ dy / len(dy)": "only sum up",
        "def weight_gradient(patches, dy): return np.outer(patches.sum(0), dy.sum(0))": "by place",
        "def weight_gradient(patches, dy): return 7": "in place of the dots",
    },
    ("04_a_convolution_forwards_and_backwards", "3"): {
        f"{SEND_BACK} = dy[t, f] * weights\n    return dx": "overlap",
        f"{SEND_BACK} += dy[t, f] * weights[::-1, ::-1]\n    return dx": "turned round",
        "def send_back(dy, weights): return dy * weights": "one place only",
        "def send_back(dy, weights): return 7": "nine times",
    },
    ("05_training_and_what_it_sees", "1"): {
        f"{RIGHT_SHARE}; return np.log(p).mean()": "minus",
        f"{RIGHT_SHARE}; return -np.log(p).sum()": "sum",
        f"{RIGHT_SHARE}; return -np.log10(p).mean()": "log10",
        f"{RIGHT_SHARE}; return -np.log2(p).mean()": "log2",
        f"{RIGHT_SHARE}; return -np.log(p.mean())": "then the mean",
        f"{MEAN_LOSS} return -np.log(shares_of(logits).max(1)).mean()": "largest share",
        f"{MEAN_LOSS} return -logits[np.arange(len(logits)), answers].mean()": "softmax is missing",
        f"{RIGHT_SHARE}; return -np.log(p)": "one number",
        f"{MEAN_LOSS} return 7": "one number",
    },
    ("05_training_and_what_it_sees", "2"): {
        f"{VELOCITY}; return weight + rate * v, v": "uphill",
        f"{VELOCITY}; return weight - rate * velocity, v": "old one",
        f"{VELOCITY}; return weight - rate * slope, v": "not by the slope",
        f"{VELOCITY}; return v, weight - rate * v": "weight first",
        f"{VELOCITY}; return weight - rate * v": "must become 5.8",
        f"{STEP} v = velocity + slope; return weight - rate * v, v": "loses a tenth",
        f"{STEP} v = 0.9 * velocity + 0.1 * slope; return weight - rate * v, v": "average",
        f"{STEP} return 7, 7": "must become 5.8",
    },
    ("05_training_and_what_it_sees", "3"): {
        "def precision(matrix, k): return matrix[k, k] / matrix[k].sum()": "recall",
        "def precision(matrix, k): return matrix.trace() / matrix.sum()": "accuracy",
        "def precision(matrix, k): return 1 - matrix[k, k] / matrix[:, k].sum()": "false ones",
        "def precision(matrix, k): return matrix[k, k]": "in all",
        "def precision(matrix, k): return matrix[k, k] / matrix.sum()": "column alone",
        "def precision(matrix, k): return 7": "column 1 holds",
    },
    ("06_svdf", "1"): {
        f"{LOW_RANK}; return u * s @ vt": "only the first",
        f"{LOW_RANK}; return u[:, :rank] @ vt[:rank]": "sizes s are missing",
        f"{LOW_RANK}; return u[:, :rank] * s[:rank] ** 2 @ vt[:rank]": "twice",
        f"{LOW_RANK}; return s[rank - 1] * np.outer(u[:, rank - 1], vt[rank - 1])": "second",
        f"{LOW_RANK}; return s[rank] * np.outer(u[:, rank], vt[rank])": "counts from 0",
        f"{LOW_RANK}; return u[:, : rank - 1] * s[: rank - 1] @ vt[: rank - 1]": "too few",
        f"{LOW_RANK}; return 7": "must be (4, 3)",
    },
    ("06_svdf", "2"): {
        f"{WINDOW} return memory @ v, np.append(memory[1:], new)": "before the time filter",
        f"{WINDOW} m = np.append(new, memory[:-1]); return m @ v, m": "to the end",
        f"{WINDOW} m = np.append(memory[:-1], new); return m @ v, m": "moves by one place",
        f"{WINDOW} m = np.append(memory[1:], new); return m[::-1] @ v, m": "turned round",
        f"{WINDOW} m = np.append(memory[1:], new); return m, m @ v": "first the note",
        f"{WINDOW} m = np.append(memory[1:], new); return m @ v, memory": "next memory is",
        f"{WINDOW} return np.append(memory[1:], new) @ v": "next memory is",
        f"{WINDOW} return 7, 7": "new number is 4",
    },
    ("06_svdf", "3"): {
        "def multiplications(f, m): return m * f, f + m": "M more",
        "def multiplications(f, m): return m * f + m, m": "newest window",
        "def multiplications(f, m): return m * f + m, f": "whole memory",
        "def multiplications(f, m): return m * f + m, f * m": "not a product",
        "def multiplications(f, m): return f + m, m * f + m": "swapped",
        "def multiplications(f, m): return m * f + m, m * f + m": "only one window",
        "def multiplications(f, m): return 7, 7": "each time it runs",
    },
    ("07_eight_bits", "1"): {
        f"{RULER}; return scale, -128 - low / scale": "lie on a mark",
        f"{RULER}; return scale, int(-128 - low / scale)": "cuts off",
        f"{RULER}; return scale, round(-low / scale)": "begins at -128",
        f"{RULER}; return scale, round(-128 + low / scale)": "farther right",
        f"{RULER.replace('low, high = min(low, 0), max(high, 0); ', '')}"
        "; return scale, round(-128 - low / scale)": "must be inside",
        f"{RULER.replace('255', '256')}; return scale, round(-128 - low / scale)": "255 gaps",
        "def ruler(low, high): return 7, 7": "lies on mark -64",
    },
    ("07_eight_bits", "2"): {
        f"{SUMS} qw @ qx + qb": "point is missing",
        f"{SUMS} qw @ (qx + zero) + qb": "added",
        f"{SUMS} qw @ (qx - zero)": "bias is missing",
        f"{SUMS} qw @ qx - zero + qb": "before it is multiplied",
        f"{SUMS} qw.T @ (qx - zero) + qb": "swapped",
        f"{SUMS} qw * (qx - zero) + qb": "two sums",
        f"{SUMS} 7": "two sums",
    },
    ("07_eight_bits", "3"): {
        "def scale_down(acc, m, s): return (acc * m + 2 ** (30 - s)) >> (31 - s)": "one rounding",
        "def scale_down(acc, m, shift): return acc * m / 2 ** (31 - shift)": "whole numbers only",
        f"{DOWN.replace(' + 2**30', '')}; "
        "return (1 if high > 0 else -1) * ((abs(high) + half) >> -shift)": "step 1 rounds as well",
        f"{DOWN}; return (high + half) >> -shift": "half below zero",
        f"{DOWN}; return high >> -shift": "to the nearest",
        f"{DOWN}; return (1 if high > 0 else -1) * (abs(high) >> -shift)": "to the nearest",
        f"{DOWN}; return high": "step 1 alone",
        f"{DOWN}; return (abs(high) + half) >> -shift": "sign back",
        "def scale_down(acc, m, shift): return 7": "2.5 goes to 3",
    },
    ("08_inside_a_tflite_file", "1"): {
        f"{VTABLE}    return read('H', vtable + 4 + 2 * slot) or None": "table's start",
        f"{VTABLE.replace('table - read', 'table + read')}    return 7": "subtract",
        f"{VTABLE}    return table + read('H', vtable + 2 * slot)": "two lengths",
        f"{VTABLE}    o = read('H', vtable + 4 + slot)\n"
        "    return table + o if o else None": "two bytes",
        f"{VTABLE}    return table + read('H', vtable + 4 + 2 * slot)": "slot of 0",
        f"{VTABLE.replace('return None', 'pass')}"
        "    o = read('H', vtable + 4 + 2 * slot); return table + o if o else None": "three slots",
        f"{VTABLE.replace('return None', 'pass')}"
        "    return table + read('H', vtable + 4 + 2 * slot)": "and those after",
        "def find(data, table, slot): return 7": "12 + 6",
    },
    ("08_inside_a_tflite_file", "2"): {
        LIST.replace("at + struct", "at; struct"): "follow it first",
        LIST.replace("at + struct", "struct"): "from where it stands",
        LIST.replace("start + 4", "start"): "count is no item",
        LIST.replace("'<{n}", "'>{n}"): "little end",
        LIST.replace("{kind}", "i"): "as the kind says",
        f"{LIST}[0]": "not only the first",
        "def numbers_of(data, at, kind): return 7": "count stands at 12",
    },
    ("08_inside_a_tflite_file", "3"): {
        f"{NEEDED} sum(n for n, first, last in lives if first <= step < last)": "last step",
        f"{NEEDED} sum(n for n, first, last in lives if first < step <= last)": "first step",
        f"{NEEDED} sum(n for n, first, last in lives if first < step < last)": "both ends",
        f"{NEEDED} sum(n for n, first, last in lives)": "only those",
        f"{NEEDED} sum(n for n, first, last in lives if first <= step)": "have ended",
        f"{NEEDED} max(n for n, first, last in lives if first <= step <= last)": "not the largest",
        f"{NEEDED} sum(1 for n, first, last in lives if first <= step <= last)": "not the tensors",
        f"{NEEDED} 7": "first two live",
    },
    ("09_listening_all_day", "1"): {
        "def wrong_per_hour(accuracy, every): return accuracy * 3_600_000 / every": "right ones",
        "def wrong_per_hour(accuracy, every): return 3_600_000 / every": "which share",
        "def wrong_per_hour(accuracy, every): return (1 - accuracy) * 3600 / every": "thousandths",
        "def wrong_per_hour(accuracy, every): return (1 - accuracy) * 60_000 / every": "minute",
        "def wrong_per_hour(accuracy, every): return (1 - accuracy) * 3600 * every": "divide by it",
        "def wrong_per_hour(accuracy, every): return (1 - accuracy) * 3600": "once a second",
        "def wrong_per_hour(accuracy, every): return 7": "how many times",
    },
    ("09_listening_all_day", "2"): {
        f"{NEW} average >= threshold and label != last and since > pause": "exactly 0.7",
        f"{NEW} label != last and since > pause": "rule 1 is missing",
        f"{NEW} average > threshold and since > pause": "rule 2 is missing",
        f"{NEW} average > threshold and label != last": "rule 3 is missing",
        f"{NEW} average > threshold or label != last or since > pause": "`and`, not `or`",
        f"{NEW} average > threshold and label != last and since < pause": "turned round: more",
        f"{NEW} average > threshold and label == last and since > pause": "be another label",
        f"{NEW} 7 < 0": "the first and the last",
    },
    ("09_listening_all_day", "3"): {
        f"{CHOOSE}; return thresholds[quiet][missed[quiet].argmin()]": "of several, the highest",
        f"{CHOOSE}; return thresholds[quiet].min()": "of several, the highest",
        f"{CHOOSE}; return thresholds[quiet].max()": "the quietest",
        f"{CHOOSE.replace('<=', '<')}; return thresholds[quiet].min()": "exactly 5 is allowed",
        f"{CHOOSE}; return thresholds[missed.argmin()]": "12 false alarms",
        f"{CHOOSE}; return thresholds.min()": "30 false alarms",
        f"{CHOOSE}; return missed[quiet].min()": "threshold is asked for",
        f"{CHOOSE}; return thresholds[quiet]": "the quietest",
        f"{CHOOSE}; return 7": "one number",
    },
}


@pytest.fixture
def one_plain_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run plain NumPy forms, draw without a screen, and leave nothing behind."""
    matplotlib = pytest.importorskip("matplotlib", reason="install 'minikws[notebooks]'")
    pytest.importorskip("IPython", reason="install 'minikws[notebooks]'")
    from matplotlib import pyplot

    # A lesson sets the variable for itself; here minikws may be imported already, and other tests
    # follow in this process: the variable is restored, and nothing but the flag is changed.
    monkeypatch.setenv("MINIKWS_JIT", "0")
    monkeypatch.setattr(_jit, "ENABLED", False)
    matplotlib.use("Agg")
    with matplotlib.rc_context():
        yield
    pyplot.close("all")


@pytest.mark.slow
@names
def test_checks_refuse_blanks_and_take_answers(path: Path, one_plain_process: None) -> None:
    cells = cells_of(path)
    checks, answers = tagged(cells, "check"), answers_of(cells)
    lesson: dict[str, Any] = {}

    def run(source: str) -> str:
        plain = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
        with redirect_stdout(StringIO()) as printed:
            exec(compile(plain, path.name, "exec"), lesson)
        return printed.getvalue()

    try:
        for cell in (cell for cell in cells if cell.kind == "code"):
            printed = run(cell.source)
            if not cell.tag.startswith("check-"):
                continue
            number = cell.tag.removeprefix("check-")
            assert printed.startswith("not yet:"), f"check {number} took the blank"
            run(answers[number])
            assert run(checks[number]).startswith("right"), f"check {number} refuses the answer"
            for slip, word in SLIPS.get((path.stem, number), {}).items():
                run(slip)
                hint = run(checks[number])
                assert hint.startswith("not yet:"), slip
                assert word in hint, slip
            run(answers[number])
    finally:
        if "workshop" in lesson:
            lesson["workshop"].cleanup()
