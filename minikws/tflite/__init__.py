"""Bytes to `Graph` and back: the .tflite container, its schema, its metadata."""

from minikws.tflite.checks import check_graph
from minikws.tflite.metadata import attach, info_of, labels_of
from minikws.tflite.reader import read_model
from minikws.tflite.writer import write_model

__all__ = ["attach", "check_graph", "info_of", "labels_of", "read_model", "write_model"]
