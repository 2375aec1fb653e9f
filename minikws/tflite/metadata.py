"""What a model says about itself: labels, frontend, training.

Two forms stand side by side. minikws' own is a metadata buffer named ``minikws``: JSON with
`version`, `labels`, `frontend` (its kind and every setting), `sample_rate_hz`, `clip_ms`,
`training` and `recognizer` (how its scores become words on a stream). The ecosystem's is a
``TFLITE_METADATA`` buffer that says which appended file holds the labels of the output, so that
other tools show the words too.

minikws' own is asked first. The other form's bytes are in `minikws.tflite.associated`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from minikws.errors import ModelFileError
from minikws.graph import Graph
from minikws.tflite.associated import ASSOCIATED_NAME, LABELS_FILE, describe_labels, label_files
from minikws.tflite.checks import short
from minikws.tflite.reader import ModelSource, read_model

INFO_NAME = "minikws"
INFO_VERSION = 1


def attach(graph: Graph, info: Mapping[str, Any]) -> Graph:
    """Return the graph with `info` in its metadata, and its labels as an associated file.

    Parameters
    ----------
    info : `labels` (list of texts), `frontend` (with its `kind`), `sample_rate_hz`, `clip_ms`,
        `training`, `recognizer`, each optional; `version` is added.

    Raises
    ------
    ModelFileError : a field of a wrong type, or labels with line breaks.
    """
    record = {"version": INFO_VERSION, **info}
    _check_info(record, "the model's description")
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    metadata = {**graph.metadata, INFO_NAME: text.encode("utf-8")}
    files = dict(graph.files)
    labels = record.get("labels")
    if labels is not None:
        metadata[ASSOCIATED_NAME] = describe_labels(graph)
        files[LABELS_FILE] = "".join(f"{label}\n" for label in labels).encode("utf-8")
    return replace(graph, metadata=MappingProxyType(metadata), files=MappingProxyType(files))


def info_of(model: Graph | ModelSource) -> dict[str, Any] | None:
    """Return what minikws wrote about a model, None where it did not write the file.

    Parameters
    ----------
    model : a graph, a path, or the bytes of a .tflite file.

    Raises
    ------
    ModelFileError : the JSON is damaged, or a field has a wrong type.
    """
    graph, name = _open(model)
    stored = graph.metadata.get(INFO_NAME)
    if stored is None:
        return None
    try:
        record = json.loads(stored.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"the description that minikws wrote into {name} is not JSON ({error}); "
            "export the model again"
        ) from error
    _check_info(record, f"the description that minikws wrote into {name}")
    return dict(record)


def labels_of(model: Graph | ModelSource) -> tuple[str, ...] | None:
    """Return the labels in output order, None where the file has none.

    Parameters
    ----------
    model : a graph, a path, or the bytes of a .tflite file.

    Raises
    ------
    ModelFileError : the description or the list of label files is damaged.
    """
    graph, name = _open(model)
    info = info_of(graph)
    if info is not None and "labels" in info:
        return tuple(info["labels"])
    for file_name in label_files(graph, name):
        text = graph.files.get(file_name, b"").decode("utf-8", errors="replace")
        labels = tuple(line.strip() for line in text.splitlines() if line.strip())
        if labels:
            return labels
    return None


def _open(model: Graph | ModelSource) -> tuple[Graph, str]:
    """Return the graph, and how messages name it."""
    if isinstance(model, Graph):
        return model, "the model"
    in_memory = isinstance(model, bytes | bytearray | memoryview)
    return read_model(model), "the model" if in_memory else str(model)


def _check_info(record: Any, what: str) -> None:
    def expect(condition: bool, sentence: str) -> None:
        if not condition:
            found = short(sentence, 500)  # a damaged file may hold anything
            raise ModelFileError(f"{what} is wrong: {found}; export the model again")

    def is_number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e12

    expect(isinstance(record, dict), f"expected an object, found {type(record).__name__}")
    version = record.get("version")
    expect(isinstance(version, int) and is_number(version), f"its version is {version!r}")
    if version > INFO_VERSION:
        raise ModelFileError(
            f"{what} has the version {version}, this minikws knows up to {INFO_VERSION}; "
            "install a newer minikws"
        )
    if "labels" in record:
        labels = record["labels"]
        expect(
            isinstance(labels, list | tuple)
            and len(labels) > 0
            and all(isinstance(label, str) and label.strip() for label in labels)
            and not any(len(label.splitlines()) != 1 for label in labels),
            f"expected labels as a list of words, found {labels!r}",
        )
    if "frontend" in record:
        frontend = record["frontend"]
        expect(
            isinstance(frontend, Mapping) and isinstance(frontend.get("kind"), str),
            f"expected a frontend with its kind, found {frontend!r}",
        )
    for field in ("sample_rate_hz", "clip_ms"):
        if field in record:
            expect(
                is_number(record[field]),
                f"expected {field} as a number above 0, found {record[field]!r}",
            )
    for field in ("training", "recognizer"):
        expect(
            isinstance(record.get(field, {}), Mapping),
            f"expected {field} as an object, found {record.get(field)!r}",
        )
