"""An architecture from a file of one's own: loaded, checked, kept with the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikws.checkpoint import RunConfig
from minikws.errors import RunError, SettingsError, ShapeError
from minikws.models.own import build_own, is_own, own_architecture
from minikws.runs import load_network, open_corpus
from minikws.settings import AugmentSettings, CorpusSettings, MicroSettings, TrainSettings
from minikws.train import Trainer

SOURCE = '''
from minikws.nn import Dense, Flatten, Network, ReLU

def net(*, input_shape, n_labels, rng, dropout_rate, dtype, n_units: int = 3, wide: bool = False):
    """Two dense layers."""
    n_in = input_shape[0] * input_shape[1]
    return Network(
        [
            ("flat", Flatten()),
            ("first", Dense(n_in, n_units, rng=rng, dtype=dtype)),
            ("relu", ReLU()),
            ("last", Dense(n_units, n_labels, rng=rng, dtype=dtype)),
        ],
        input_shape=input_shape,
    )

def takes_little(*, input_shape, n_labels):
    return None

def needs_more(*, input_shape, n_labels, rng, dropout_rate, dtype, size):
    return None

def a_list(**given):
    return [Flatten()]

def divides(**given):
    return 1 // 0

def too_many(*, input_shape, n_labels, rng, dropout_rate, dtype):
    return net(
        input_shape=input_shape, n_labels=n_labels + 1, rng=rng, dropout_rate=0, dtype=dtype
    )

def misfit(*, input_shape, n_labels, rng, dropout_rate, dtype):
    layers = [("flat", Flatten()), ("fc", Dense(7, n_labels, rng=rng, dtype=dtype))]
    return Network(layers, input_shape=input_shape)

NUMBER = 3
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(SOURCE)
    return path


def build(model: str, **options: object) -> object:
    return build_own(
        own_architecture(model),
        input_shape=(6, 4),
        n_labels=3,
        rng=np.random.default_rng(0),
        dropout_rate=0.5,
        options=options,
    )


def test_a_function_of_a_file_is_an_architecture(file: Path) -> None:
    entry = own_architecture(f"{file}:net")
    assert entry.doc == "Two dense layers."
    assert dict(entry.options) == {"n_units": 3, "wide": False}
    assert entry.parse_options("n_units=5,wide=0") == {"n_units": 5, "wide": False}
    network = build(f"{file}:net", n_units=5)
    assert network.n_parameters == 24 * 5 + 5 + 5 * 3 + 3  # type: ignore[attr-defined]
    assert is_own("nets.py") and not is_own("tiny_conv")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("nett", r"nett does not exist in .*nets\.py; did you mean net\?"),
        ("NUMBER", r"NUMBER is not a function in .*nets\.py"),
        ("takes_little", r"does not take rng, dropout_rate, dtype; a builder is called with"),
        ("needs_more", r"has an option size without a default"),
        ("a_list", r"a_list returns list, a Network is expected"),
        ("divides", r"divides raises ZeroDivisionError .* for features \(6, 4\)"),
    ],
)
def test_a_function_that_cannot_be_used(function: str, sentence: str, file: Path) -> None:
    with pytest.raises(SettingsError, match=sentence):
        build(f"{file}:{function}")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("too_many", r"makes \(4,\) of \(6, 4\), the labels and features here need \(3,\)"),
        ("misfit", r"misfit for features \(6, 4\): layer fc: "),
    ],
)
def test_layers_that_do_not_fit(function: str, sentence: str, file: Path) -> None:
    with pytest.raises(ShapeError, match=sentence):
        build(f"{file}:{function}")


def test_an_unknown_option_offers_the_nearest(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"no option 'n_unit'; did you mean n_units\?"):
        build(f"{file}:net", n_unit=4)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"names no function; write FILE\.py:FUNCTION"):
        own_architecture("net.py")
    with pytest.raises(SettingsError, match=r"gone\.py cannot be read \(No such file"):
        own_architecture(f"{tmp_path / 'gone.py'}:net")
    broken = tmp_path / "broken.py"
    broken.write_text("def net(:\n")
    with pytest.raises(SettingsError, match=r"broken\.py is not valid Python .*line 1"):
        own_architecture(f"{broken}:net")
    broken.write_text("import not_there_at_all\n")
    with pytest.raises(SettingsError, match=r"raises ModuleNotFoundError .* when it is read"):
        own_architecture(f"{broken}:net")


def test_a_run_keeps_the_source_it_was_trained_with(
    file: Path, tone_corpus: Path, tmp_path: Path
) -> None:
    config = RunConfig(
        model=f"{file}:net",
        frontend=MicroSettings(clip_ms=250, n_mels=8).to_json(),
        labels=(),
        data_dir=str(tone_corpus),
        corpus_digest="",
        corpus=CorpusSettings(wanted_words=("low", "high")),
        augment=AugmentSettings(time_shift_ms=20),
        train=TrainSettings(
            steps=(4,), learning_rates=(0.01,), batch_size=4, eval_interval=2, save_interval=2
        ),
        model_options={"n_units": 6},
    )
    corpus = open_corpus(config)
    config = replace(config, labels=corpus.labels, corpus_digest=corpus.digest)
    run = tmp_path / "run"
    trainer = Trainer(config, corpus, run)
    trainer.train_step()
    trainer.save()
    file.write_text("raise RuntimeError('edited since')\n")
    assert (run / "model.py").read_text() == SOURCE
    report = Trainer(config, corpus, run, resume=True).run()
    _, _, network = load_network(report.checkpoint)
    assert network.layers[1][1].params["w"].shape[-1] == 6
    (run / "model.py").unlink()
    with pytest.raises(RunError, match=r"model\.py is missing, the copy of .*nets\.py:net"):
        load_network(run)
