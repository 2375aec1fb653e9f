"""The options of `minikws train`, from the command line to the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minikws.checkpoint import load
from minikws.cli.main import main

WORDS = ["--wanted-words", "low,high", "--clip-duration-ms", "250"]
TINY = [*WORDS, "--feature-bin-count", "8", "--batch-size", "4", "--steps", "3", "--no-report"]

OWN = '''
from minikws.nn import Dense, Flatten, Network

def net(*, input_shape, n_labels, rng, dropout_rate, dtype, sigma: float = 0.01):
    """One layer."""
    n_in = input_shape[0] * input_shape[1]
    layers = [("flat", Flatten()), ("fc", Dense(n_in, n_labels, rng=rng, sigma=sigma, dtype=dtype))]
    return Network(layers, input_shape=input_shape)
'''


@pytest.fixture(scope="module")
def run_dir(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("train") / "run"
    assert train(tone_corpus, "--run-dir", path) == 0
    return path


def train(corpus: Path, *options: str | Path) -> int:
    return main(["train", "--data-dir", str(corpus), *TINY, *map(str, options)])


def dry(capsys: pytest.CaptureFixture[str], corpus: Path, *options: str) -> dict[str, Any]:
    """Return the configuration that the options describe."""
    capsys.readouterr()
    argv = ["train", "--data-dir", str(corpus), *WORDS, "--dry-run", "--json", *options]
    assert main(argv) == 0
    config: dict[str, Any] = json.loads(capsys.readouterr().out)["config"]
    return config


def refusal(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    capsys.readouterr()
    assert main(["train", *map(str, argv)]) == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("minikws: error: ")]
    assert len(lines) == 1
    return lines[0]


def test_an_architecture_brings_its_own_features(
    tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry(capsys, tone_corpus)["frontend"]["kind"] == "micro"
    said = "training tiny_conv on micro features, 12 x 40, window 30 ms, hop 20 ms (minikws'"
    main(["train", "--data-dir", str(tone_corpus), *WORDS, "--dry-run"])
    assert capsys.readouterr().err.splitlines()[0].startswith(said)
    # speech_commands.md 1.1: the tutorial's models hear 40 coefficients every 10 ms.
    conv = dry(capsys, tone_corpus, "--model", "conv")["frontend"]
    assert (conv["kind"], conv["hop_ms"], conv["n_mfcc"]) == ("mfcc", 10.0, 40)
    main(["train", "--data-dir", str(tone_corpus), *WORDS, "--dry-run", "--model", "conv"])
    assert "training conv on mfcc features, 23 x 40" in capsys.readouterr().err
    # peers.md 3.1: 40 ms window, 20 ms stride, 10 coefficients.
    small = dry(capsys, tone_corpus, "--model", "ds_cnn")["frontend"]
    assert (small["window_ms"], small["hop_ms"], small["n_mfcc"]) == (40.0, 20.0, 10)
    changed = dry(capsys, tone_corpus, "--model", "ds_cnn", "--window-stride-ms", "10")["frontend"]
    assert (changed["window_ms"], changed["hop_ms"], changed["n_mfcc"]) == (40.0, 10.0, 10)
    other = dry(capsys, tone_corpus, "--model", "conv", "--frontend", "micro")["frontend"]
    assert other["kind"] == "micro"


@pytest.mark.parametrize(
    ("options", "steps", "rates", "schedule"),
    [
        # tiny_conv's recipe is 18000,4000 at 0.001,0.0002.
        ([], [18000, 4000], [0.001, 0.0002], "phases"),
        (["--steps", "30"], [30], [0.001], "phases"),
        (["--learning-rate", "0.01"], [22000], [0.01], "phases"),
        (["--steps", "3,2,1", "--learning-rate", "3,2,1"], [3, 2, 1], [3, 2, 1], "phases"),
        (["--schedule", "cosine"], [22000], [0.001], "cosine"),
        (["--schedule=plateau", "--steps=50", "--learning-rate=0.1"], [50], [0.1], "plateau"),
    ],
)
def test_what_is_left_out_comes_from_the_recipe(
    options: list[str],
    steps: list[int],
    rates: list[float],
    schedule: str,
    tone_corpus: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = dry(capsys, tone_corpus, *options)["train"]
    assert (found["steps"], found["learning_rates"]) == (steps, rates)
    assert found["schedule"] == schedule


def test_a_recipe_brings_its_loss_and_schedule(
    tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """peers.md 3.2: RMSprop, halved on a plateau, smoothing 0.1, L2 1e-5, dropout 0.4."""
    names = ("optimizer", "schedule", "label_smoothing", "l2", "dropout_rate", "batch_size")
    whole = ["--model", "raw_ds_conv", "--clip-duration-ms", "700"]
    found = dry(capsys, tone_corpus, *whole)["train"]
    assert [found[name] for name in names] == ["rmsprop", "plateau", 0.1, 1e-5, 0.4, 384]
    given = [*whole, "--l2", "0", "--label-smoothing=0", "--steps=4,2", "--learning-rate=0.1,0.01"]
    found = dry(capsys, tone_corpus, *given)["train"]
    assert [found[name] for name in names] == ["rmsprop", "phases", 0.0, 0.0, 0.4, 384]


def test_augment_switches_masks_on(tone_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def masks(*options: str) -> list[int]:
        found = dry(capsys, tone_corpus, *options)["augment"]
        names = ("time_masks", "time_mask_frames", "frequency_masks", "frequency_mask_bins")
        return [found[name] for name in names]

    assert masks() == [0, 10, 0, 5]
    assert masks("--augment") == [2, 10, 2, 5]  # 200 ms are 10 frames of 20 ms
    assert masks("--augment=0") == [0, 10, 0, 5]
    assert masks("--augment", "--frontend", "mfcc") == [2, 20, 2, 5]
    assert masks("--augment", "--frontend", "raw")[:3] == [2, 20, 0]
    assert masks("--time-masks", "1", "--time-mask-frames", "3") == [1, 3, 0, 5]


def test_lead_in_is_off_unless_asked_for(
    tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry(capsys, tone_corpus)["augment"]["lead_in_ms"] == 0
    found = dry(capsys, tone_corpus, "--lead-in-ms", "500")["augment"]
    assert (found["lead_in_ms"], found["lead_in_share"]) == (500.0, 0.8)
    found = dry(capsys, tone_corpus, "--lead_in_ms=80", "--lead_in_share=1")["augment"]
    assert (found["lead_in_ms"], found["lead_in_share"]) == (80.0, 1.0)


def test_numbers_and_switches_reach_the_settings(
    tone_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--label_smoothing=0.1 --class_weights=1,2,3,4.5 --l2=1e-4 --quantize=1 --patience=2"
    found = dry(capsys, tone_corpus, *options.split(), "--warmup-steps", "7")["train"]
    assert found["label_smoothing"] == 0.1
    assert found["class_weights"] == [1.0, 2.0, 3.0, 4.5]
    assert (found["l2"], found["quantize"], found["patience"]) == (1e-4, True, 2)
    assert found["warmup_steps"] == 7
    assert dry(capsys, tone_corpus, "--class-weights", "balanced")["train"]["class_weights"] == (
        "balanced"
    )
    svdf = ["--model", "low_latency_svdf", "--rank", "3", "--num-units", "12"]
    assert dry(capsys, tone_corpus, *svdf)["model_options"] == {"rank": 3, "num_units": 12}
    svdf = ["--model", "low_latency_svdf", "--model-options", "rank=4,num_units=6"]
    assert dry(capsys, tone_corpus, *svdf)["model_options"] == {"rank": 4, "num_units": 6}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--schedule", "cosinus"], "unknown schedule 'cosinus'; did you mean cosine?"),
        (["--schedule", "cosine", "--steps", "2,1"], "one number of steps and one rate"),
        (["--optimizer", "adamm"], "unknown optimizer 'adamm'; did you mean adam?"),
        (["--batch-size", "0"], "batch_size=0 is below 1"),
        (["--class-weights", "balance"], "unknown class_weights 'balance'"),
        (["--class-weights", "1,2"], "class_weights holds 2 numbers, the labels are 4"),
        (["--label-smoothing", "1"], "label_smoothing=1 is not in 0 to 1"),
        (["--l2", "-1"], "l2=-1 is not a strength"),
        (["--warmup-steps", "3"], "warmup_steps=3 is not in 0 to 2"),
        (["--rank", "2"], "tiny_conv has no option 'rank'"),
        (["--model-options", "size"], "has no value; write it as NAME=VALUE"),
        (
            ["--model", "low_latency_svdf", "--model-options", "ranks=2"],
            "no option 'ranks'; did you mean rank?",
        ),
        (["--time-mask-frames", "99"], "--time-mask-frames 99 is more than the features have, 12"),
        (["--time-masks", "-1"], "time_masks=-1 is negative"),
        (["--lead-in-ms", "-20"], "lead_in_ms=-20 is not between 0 and 60000"),
        (["--lead-in-ms", "90"], "lead_in_ms=90 is not a multiple of the hop of 20 ms"),
        (["--lead-in-ms", "80", "--frontend", "mfcc"], "changes nothing for mfcc features"),
        (["--lead-in-ms", "600"], "give a lead-in of at most 500 ms"),
        (["--temperature", "2"], "belong to a teacher; name it with --teacher MODEL"),
        (["--threshold", "0.5"], "name their folder with --pseudo-labels DIR"),
        (["--pseudo-labels", "x", "--threshold", "2"], "threshold=2 is not between 0 and 1"),
        (["--pseudo-labels", "/nowhere"], "there is no folder /nowhere"),
        (["--teacher", "/nowhere"], "there is no run or checkpoint /nowhere"),
        (["--start-checkpoint", "/nowhere"], "there is no run or checkpoint /nowhere"),
        (["--model", "gone.py:net"], "gone.py cannot be read"),
        (["--model", "gone.py"], "names no function; write FILE.py:FUNCTION"),
    ],
)
def test_train_refuses_in_one_sentence(
    options: list[str],
    words: str,
    tone_corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--data-dir", tone_corpus, *TINY, "--run-dir", tmp_path / "x", *options]
    assert words in refusal(capsys, *argv)
    assert words in refusal(capsys, *argv, "--dry-run")


def test_warnings_before_a_training(tone_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    nothing = ["--validation-percentage", "0"]
    assert train(tone_corpus, "--dry-run", "--time-shift-ms", "200", *nothing) == 0
    shown = capsys.readouterr().err
    assert "moved by up to 200 ms in clips of 250 ms" in shown
    assert "no clip falls into the validation partition, and its accuracy means nothing" in shown


def test_a_teacher_with_other_labels(
    run_dir: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--data-dir", tone_corpus, *TINY, "--run-dir", tmp_path / "x", "--teacher", run_dir]
    words = refusal(capsys, *argv, "--wanted-words", "high,low")
    assert "this training has _silence_,_unknown_,high,low" in words


def test_helpers_and_event_files(
    run_dir: Path, tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboardX", reason="pip install 'minikws[train]'")
    code = train(
        tone_corpus,
        *("--run-dir", tmp_path / "run"),
        *("--teacher", run_dir),
        *("--pseudo-labels", tone_corpus / "middle"),
        *("--pseudo-models", f"{run_dir},{run_dir}"),
        *("--threshold", "0.2", "--check-nans", "--summaries-dir", tmp_path / "curves"),
    )
    assert code == 0
    config = load(tmp_path / "run").config
    assert config.teacher is not None and config.teacher.model == str(run_dir)
    assert config.pseudo is not None and config.pseudo.models == (str(run_dir), str(run_dir))
    assert "recordings below" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "curves").iterdir()) == ["train", "validation"]


def test_a_report_is_written_where_matplotlib_is(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'minikws[plots]'")
    options = [word for word in TINY if word != "--no-report"]
    argv = ["train", "--data-dir", tone_corpus, *options, "--run-dir", tmp_path / "run", "--json"]
    capsys.readouterr()
    assert main(list(map(str, argv))) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000


def test_an_own_model_is_trained_evaluated_and_resumed(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = tmp_path / "mine.py", tmp_path / "run"
    file.write_text(OWN)
    model = ["--model", f"{file}:net", "--model-options", "sigma=0.02"]
    assert train(tone_corpus, *model, "--run-dir", run, "--save-step-interval", "1") == 0
    assert "training net on micro features" in capsys.readouterr().err
    assert load(run).config.model_options == {"sigma": 0.02}
    for path in sorted((run / "checkpoints").iterdir())[1:]:
        path.unlink()
    file.write_text(OWN + "# edited\n")
    words = refusal(capsys, "--resume", "--run-dir", run, "--model", f"{file}:net")
    assert "mine.py has changed since the run began" in words
    file.unlink()
    assert main(["train", "--resume", "--run-dir", str(run), "--no-report"]) == 0
    assert load(run).step == 3
    assert main(["eval", str(run), "--json"]) == 0
    assert main(["export", str(run), "--out", str(tmp_path / "mine.tflite")]) == 0


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = capsys.readouterr().out
    for option in ("--check-nans", "--teacher", "--pseudo-labels", "--augment", "--model-options"):
        assert option in shown


def test_two_sounds_without_noise_and_other_words(
    tone_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of one's own, as the nursery monitor's: two of the four labels stay empty."""
    (tmp_path / "data").mkdir()
    for word, name in (("low", "silence"), ("high", "crying")):
        shutil.copytree(tone_corpus / word, tmp_path / "data" / name)
    argv = ["train", "--data_dir", str(tmp_path / "data"), "--train_dir", str(tmp_path / "run")]
    argv += [*TINY, "--wanted_words=silence,crying"]
    assert main(argv) == 0
    said = capsys.readouterr().err
    for label in ("silence", "unknown"):
        assert f"the label _{label}_ has no clip and can never be learnt" in said
        assert f"leave the label out with --no-{label}" in said
    run = load(tmp_path / "run")
    assert run.config.labels == ("_silence_", "_unknown_", "silence", "crying")
