"""What a model says about itself: labels, frontend, training.

Two forms stand side by side. minikws' own is a metadata buffer named ``minikws``: JSON with
`version`, `labels`, `frontend` (its kind and every setting), `sample_rate_hz`, `clip_ms` and
`training`. The ecosystem's is a ``TFLITE_METADATA`` buffer that says which appended file
holds the labels of the output, so that other tools show the words too.

Source of the second: metadata_schema.fbs (identifier M001), tflite-support.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from minikws.errors import ModelFileError
from minikws.graph import Graph
from minikws.tflite.flatbuffer import Number, Record, Records, Source, Table, Text, serialize

INFO_NAME = "minikws"
INFO_VERSION = 1
ASSOCIATED_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_IDENTIFIER = b"M001"
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS


def attach(graph: Graph, info: Mapping[str, Any]) -> Graph:
    """Return the graph with `info` in its metadata, and its labels as an associated file.

    Parameters
    ----------
    info : `labels` (list of texts), `frontend` (with its `kind`), `sample_rate_hz`, `clip_ms`,
        `training`, each optional; `version` is added.

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
        metadata[ASSOCIATED_NAME] = _associated_metadata(graph)
        files[LABELS_FILE] = "".join(f"{label}\n" for label in labels).encode("utf-8")
    return replace(graph, metadata=MappingProxyType(metadata), files=MappingProxyType(files))


def info_of(graph: Graph, name: str = "the model") -> dict[str, Any] | None:
    """Return what minikws wrote about the model, None where it did not write the file.

    Raises
    ------
    ModelFileError : the JSON is damaged, or a field has a wrong type.
    """
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


def labels_of(graph: Graph, name: str = "the model") -> tuple[str, ...] | None:
    """Return the labels in output order, None where the file has none.

    minikws' own description is asked first, then the associated file of the output tensor.

    Raises
    ------
    ModelFileError : either of them is damaged.
    """
    info = info_of(graph, name)
    if info is not None and "labels" in info:
        return tuple(info["labels"])
    for file_name in _label_files(graph, name):
        text = graph.files[file_name].decode("utf-8", errors="replace")
        labels = tuple(line.strip() for line in text.splitlines() if line.strip())
        if labels:
            return labels
    return None


def check_associated_files(graph: Graph, name: str) -> None:
    """Make sure that the label files which the metadata lists are there.

    They stand at the file's very end: where they are missing, the file was cut.

    Raises
    ------
    ModelFileError : a listed file is missing, or the list is damaged.
    """
    for file_name in _label_files(graph, name):
        if file_name not in graph.files:
            raise ModelFileError(
                f"{name} should end with the appended file {file_name}, which is missing; "
                "the file is damaged or the download incomplete"
            )


def _check_info(record: Any, what: str) -> None:
    def expect(condition: bool, sentence: str) -> None:
        if not condition:
            raise ModelFileError(f"{what} is wrong: {sentence}; export the model again")

    def is_number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and value > 0

    expect(isinstance(record, dict), f"expected an object, found {type(record).__name__}")
    version = record.get("version")
    expect(isinstance(version, int) and version >= 1, f"its version is {version!r}")
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
            isinstance(frontend, dict) and isinstance(frontend.get("kind"), str),
            f"expected a frontend with its kind, found {frontend!r}",
        )
    for field in ("sample_rate_hz", "clip_ms"):
        if field in record:
            expect(
                is_number(record[field]),
                f"expected {field} as a number above 0, found {record[field]!r}",
            )
    if "training" in record:
        expect(
            isinstance(record["training"], dict),
            f"expected training as an object, found {record['training']!r}",
        )


def _associated_metadata(graph: Graph) -> bytes:
    """Return the metadata FlatBuffer: the first output tensor is labelled by labels.txt."""
    names = graph.main.tensors
    label_file = Record(
        {
            0: Text(LABELS_FILE),
            1: Text("The label of each value of the output, one a line."),
            2: Number("b", _AXIS_LABELS),
        }
    )
    inputs = [Record({0: Text(names[index].name)}) for index in graph.main.inputs]
    outputs = [
        Record({0: Text(names[index].name), **({6: Records([label_file])} if i == 0 else {})})
        for i, index in enumerate(graph.main.outputs)
    ]
    subgraph = Record({2: Records(inputs), 3: Records(outputs)})
    model = Record({0: Text("keyword spotting"), 3: Records([subgraph]), 7: Text("1.0.0")})
    return serialize(model, _IDENTIFIER)


def _label_files(graph: Graph, name: str) -> list[str]:
    """Return the names of the files that label an output tensor."""
    stored = graph.metadata.get(ASSOCIATED_NAME)
    if stored is None:
        return []
    source = Source(stored, f"the TFLite metadata in {name}")
    root = source.root(_IDENTIFIER, "the TFLite metadata")
    outputs: list[Table] = []
    for subgraph in root.tables(3, "subgraph metadata")[:1]:
        outputs = subgraph.tables(3, "output metadata")
    return [
        file.string(0)
        for output in outputs
        for file in output.tables(6, "associated file")
        if file.integer(2, "b") == _AXIS_LABELS
    ]
