"""FlexBuffers: the options of custom operators, a map from names to numbers.

A FlexBuffer ends with its root: one byte of type and one of width; all offsets point
backwards. Only what the Signal operators hold is read and written: one map of integers,
truth values, floats and texts. Reading checks every position; writing gives the bytes that
the usual Python encoder gives.

Source: FlatBuffers' "FlexBuffers" page (schema-less binary format).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from minikws.graph import OptionValue

_INT, _UINT, _FLOAT, _KEY, _STRING, _MAP, _BOOL = 1, 2, 3, 4, 5, 9, 26
_INT_CODES = {1: "<b", 2: "<h", 4: "<i", 8: "<q"}
_UINT_CODES = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}
_FLOAT_CODES = {4: "<f", 8: "<d"}


class FlexBufferError(ValueError):
    """Bytes that are not a map of plain values; the caller says in which file."""


def _read(data: bytes, code: str, at: int) -> int | float:
    if at < 0 or at + struct.calcsize(code) > len(data):
        raise FlexBufferError("a value lies outside the options")
    value: int | float = struct.unpack_from(code, data, at)[0]
    return value


def _offset(data: bytes, at: int, width: int) -> int:
    """Return where the backward offset at `at` points to."""
    return at - int(_read(data, _UINT_CODES[width], at))


def _key(data: bytes, at: int) -> str:
    end = data.find(b"\0", max(at, 0))
    if at < 0 or end < 0:
        raise FlexBufferError("a name lies outside the options")
    try:
        return data[at:end].decode("utf-8")
    except UnicodeDecodeError as error:
        raise FlexBufferError("a name is not UTF-8") from error


def _value(data: bytes, at: int, width: int, packed_type: int) -> OptionValue:
    kind, child_width = packed_type >> 2, 1 << (packed_type & 3)
    if kind == _INT:
        return int(_read(data, _INT_CODES[width], at))
    if kind == _UINT:
        return int(_read(data, _UINT_CODES[width], at))
    if kind == _BOOL:
        return bool(_read(data, _UINT_CODES[width], at))
    if kind == _FLOAT and width in _FLOAT_CODES:
        return float(_read(data, _FLOAT_CODES[width], at))
    if kind == _STRING:
        start = _offset(data, at, width)
        length = int(_read(data, _UINT_CODES[child_width], start - child_width))
        if start + length > len(data):
            raise FlexBufferError("a text lies outside the options")
        try:
            return data[start : start + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise FlexBufferError("a text is not UTF-8") from error
    raise FlexBufferError(f"a value has the type {kind}, expected a number, truth value or text")


def loads(data: bytes) -> dict[str, OptionValue]:
    """Read a map of plain values.

    Raises
    ------
    FlexBufferError : not one map of numbers, truth values and texts, or cut.
    """
    if len(data) < 3:
        raise FlexBufferError(f"{len(data)} bytes are too few for options")
    packed_type, root_width = data[-2], data[-1]
    if packed_type >> 2 != _MAP or root_width not in _UINT_CODES:
        raise FlexBufferError("the options are not a map")
    width = 1 << (packed_type & 3)
    values = _offset(data, len(data) - 2 - root_width, root_width)
    count = int(_read(data, _UINT_CODES[width], values - width))
    if values + count * (width + 1) > len(data):
        raise FlexBufferError(f"{count} values do not fit into the options")
    keys_width = int(_read(data, _UINT_CODES[width], values - 2 * width))
    if keys_width not in _UINT_CODES:
        raise FlexBufferError("the list of names has no known width")
    keys = _offset(data, values - 3 * width, width)
    result: dict[str, OptionValue] = {}
    for i in range(count):
        key = _key(data, _offset(data, keys + i * keys_width, keys_width))
        packed = data[values + count * width + i]
        result[key] = _value(data, values + i * width, width, packed)
    if len(result) != count:
        raise FlexBufferError("a name stands twice")
    return result


def _width_of(value: int) -> int:
    """Bytes that hold `value` as a signed number."""
    return next(
        width for width in (1, 2, 4, 8) if -(1 << (8 * width - 1)) <= value < 1 << (8 * width - 1)
    )


def _unsigned_width_of(value: int) -> int:
    return next(width for width in (1, 2, 4, 8) if value < 1 << (8 * width))


def dumps(options: Mapping[str, OptionValue]) -> bytes:
    """Write a map of integers, truth values and floats, names in alphabetical order.

    Raises
    ------
    FlexBufferError : a value of another type.
    """
    out = bytearray()
    key_starts: dict[str, int] = {}
    for key in options:
        key_starts[key] = len(out)
        out += key.encode("utf-8") + b"\0"
    names = sorted(options, key=lambda name: name.encode("utf-8"))

    def vector_start(width: int, n_prefix: int) -> int:
        """Where the first element lies once `n_prefix` more words have been aligned and written."""
        return len(out) + (-len(out) % width) + n_prefix * width

    # The names: a list of offsets, as wide as the longest of them.
    keys_width = 1
    while any(
        _unsigned_width_of(vector_start(keys_width, 1) + i * keys_width - key_starts[name])
        > keys_width
        for i, name in enumerate(names)
    ):
        keys_width *= 2
    out += bytes(-len(out) % keys_width)
    out += struct.pack(_UINT_CODES[keys_width], len(names))
    keys = len(out)
    for name in names:
        out += struct.pack(_UINT_CODES[keys_width], len(out) - key_starts[name])

    # The values: offset and width of the names, count, values, one type byte for each.
    width = 1
    types = bytearray()
    for name in names:
        value = options[name]
        if isinstance(value, bool):
            kind, needs = _BOOL, 1
        elif isinstance(value, int):
            kind, needs = _INT, _width_of(value)
        elif isinstance(value, float):
            exact = struct.unpack("<f", struct.pack("<f", value))[0] == value
            kind, needs = _FLOAT, 4 if exact else 8
        else:
            raise FlexBufferError(f"{name} is {value!r}, expected a number or truth value")
        width = max(width, needs)
        types.append(kind << 2 | {1: 0, 2: 1, 4: 2, 8: 3}[needs])
    while (
        max(_unsigned_width_of(vector_start(width, 0) - keys), _unsigned_width_of(len(names)))
        > width
    ):
        width *= 2
    if names:
        # A value stored in the map is as wide as the map, whatever it would need alone.
        types = bytearray((kind & ~3) | {1: 0, 2: 1, 4: 2, 8: 3}[width] for kind in types)
    out += bytes(-len(out) % width)
    out += struct.pack(_UINT_CODES[width], len(out) - keys)
    out += struct.pack(_UINT_CODES[width], keys_width)
    out += struct.pack(_UINT_CODES[width], len(names))
    values = len(out)
    for name in names:
        value = options[name]
        if isinstance(value, float):
            out += struct.pack(_FLOAT_CODES[width], value)
        else:
            assert isinstance(value, int)
            out += struct.pack(_INT_CODES[width], value)
    out += types
    root_width = _unsigned_width_of(len(out) - values)
    out += bytes(-len(out) % root_width)
    out += struct.pack(_UINT_CODES[root_width], len(out) - values)
    out.append(_MAP << 2 | {1: 0, 2: 1, 4: 2, 8: 3}[width])
    out.append(root_width)
    return bytes(out)
