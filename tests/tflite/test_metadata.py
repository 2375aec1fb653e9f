"""Labels and description: written, found again, refused where damaged."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minikws.errors import ModelFileError
from minikws.graph import Graph
from minikws.settings import MicroSettings
from minikws.tflite import attach, info_of, labels_of, read_model, write_model
from tests.tflite import tiny

INFO: dict[str, Any] = {
    "labels": ["_silence_", "_unknown_", "ja", "größer"],
    "frontend": MicroSettings().to_json(),
    "sample_rate_hz": 16000,
    "clip_ms": 1000.0,
    "training": {"seed": 59185, "accuracy": 0.9},
}


def with_metadata(**buffers: bytes) -> Graph:
    return replace(tiny.softmax(), metadata=buffers)


def test_what_was_attached_is_found(tmp_path: Path) -> None:
    graph = attach(tiny.softmax(), INFO)
    data = write_model(graph)
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    for model in (graph, read_model(data), data, path):
        info = info_of(model)
        assert info == {"version": 1, **INFO}
        assert labels_of(model) == tuple(INFO["labels"])


def test_equal_graphs_give_equal_files() -> None:
    assert write_model(attach(tiny.softmax(), INFO)) == write_model(attach(tiny.softmax(), INFO))


def test_a_file_of_others_has_neither() -> None:
    assert info_of(tiny.softmax()) is None
    assert labels_of(tiny.softmax()) is None


def test_labels_from_the_associated_file_alone() -> None:
    graph = read_model(write_model(attach(tiny.softmax(), INFO)))
    bare = {name: data for name, data in graph.metadata.items() if name != "minikws"}
    assert labels_of(write_model(replace(graph, metadata=bare))) == tuple(INFO["labels"])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_labels_that_another_zip_writer_appended(method: int) -> None:
    graph = attach(tiny.softmax(), {"labels": ["a", "b", "c", "d"]})
    bare = {name: data for name, data in graph.metadata.items() if name != "minikws"}
    file = io.BytesIO(write_model(replace(graph, metadata=bare, files={})))
    with zipfile.ZipFile(file, "a", method) as archive:
        archive.writestr("labels.txt", "eins\nzwei\r\ndrei\nvier")
    assert labels_of(file.getvalue()) == ("eins", "zwei", "drei", "vier")


@pytest.mark.parametrize("words", ["a file's checksum differs", "list of files"])
def test_a_damaged_archive(words: str) -> None:
    data = bytearray(write_model(attach(tiny.softmax(), INFO)))
    at = data.rfind(b"_silence_") if "checksum" in words else data.rfind(b"PK\1\2")
    data[at] ^= 1
    with pytest.raises(ModelFileError, match=words):
        read_model(bytes(data))


def test_a_missing_label_file_is_noticed() -> None:
    graph = replace(attach(tiny.softmax(), INFO), files={})
    with pytest.raises(ModelFileError, match=r"appended file labels\.txt, which is missing"):
        read_model(write_model(graph))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": "yes,no"}, "labels as a list of words, found 'yes,no'"),
        ({"labels": []}, "labels as a list of words"),
        ({"labels": ["a\nb"]}, "labels as a list of words"),
        ({"labels": [1, 2]}, "labels as a list of words"),
        ({"frontend": "micro"}, "a frontend with its kind, found 'micro'"),
        ({"frontend": {}}, "a frontend with its kind"),
        ({"sample_rate_hz": "16k"}, "sample_rate_hz as a number above 0, found '16k'"),
        ({"clip_ms": -1}, "clip_ms as a number above 0, found -1"),
        ({"training": 3}, "training as an object, found 3"),
        ({"version": 2}, "version 2, this minikws knows up to 1; install a newer"),
        ({"version": "1"}, "its version is '1'"),
    ],
)
def test_fields_of_wrong_types(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        attach(tiny.softmax(), {**INFO, **change})
    stored = json.dumps({"version": 1, **INFO, **change}).encode()
    with pytest.raises(ModelFileError, match=words):
        info_of(with_metadata(minikws=stored))


@pytest.mark.parametrize("stored", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_damaged_json(stored: bytes) -> None:
    with pytest.raises(ModelFileError, match="wrote into the model is not JSON"):
        info_of(with_metadata(minikws=stored))


def test_json_that_is_no_object() -> None:
    with pytest.raises(ModelFileError, match="expected an object, found list"):
        info_of(with_metadata(minikws=b"[]"))


def test_damaged_tflite_metadata() -> None:
    with pytest.raises(ModelFileError, match="TFLite metadata"):
        labels_of(with_metadata(TFLITE_METADATA=b"\x08\0\0\0M002\0\0\0\0"))
