"""The ecosystem's note on a model: which appended file holds the labels of its output.

A metadata buffer named ``TFLITE_METADATA`` is a FlatBuffer of its own; it names the files
zipped behind the model (`minikws.tflite.archive`) and what they are for. minikws writes and
reads one thing in it: the file of labels along the output's axis.

Source: metadata_schema.fbs (identifier M001), tflite-support.
"""

from __future__ import annotations

from minikws.errors import ModelFileError
from minikws.graph import Graph
from minikws.tflite.checks import short
from minikws.tflite.flatbuffer import Number, Record, Records, Source, Table, Text, serialize

ASSOCIATED_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_IDENTIFIER = b"M001"
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS


def describe_labels(graph: Graph) -> bytes:
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


def label_files(graph: Graph, name: str) -> list[str]:
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


def check_associated_files(graph: Graph, name: str) -> None:
    """Make sure that the label files which the metadata lists are there.

    They stand at the file's very end: where they are missing, the file was cut.

    Raises
    ------
    ModelFileError : a listed file is missing, or the list is damaged.
    """
    for file_name in label_files(graph, name):
        if file_name not in graph.files:
            raise ModelFileError(
                f"{name} should end with the appended file {short(file_name)}, which is missing; "
                "the file is damaged or the download incomplete"
            )
