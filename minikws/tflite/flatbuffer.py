"""FlatBuffers, both ways: bounded reading of tables, and writing a tree of them.

A FlatBuffer is a file of *tables*, *vectors* and *strings* that point forward to each other.
A table starts with the distance back to its *vtable*, a list of where each field (its *slot*)
lies; a field that is missing there has its default. `Table` reads one and checks every
position against the end of the file; `serialize` lays out a tree of `Record` and friends,
parents before children, so that alignment is counted from the start of the file.

Source: FlatBuffers' "Internals" page (binary format).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from minikws.errors import ModelFileError

_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")


class Source:
    """The bytes of a file, its name for messages, and how much may still be read of it.

    Parts of a FlatBuffer may be shared. A damaged file could share so much that reading it
    never ends, so everything that is read counts against a budget of eight times the size.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self._budget = 8 * len(data) + 65_536

    def damaged(self, sentence: str) -> ModelFileError:
        """Return the error for a file that contradicts itself."""
        return ModelFileError(f"{self.name} is damaged: {sentence}; export it or download it again")

    def need(self, at: int, n_bytes: int, what: str) -> None:
        """Make sure that `n_bytes` at `at` lie inside the file."""
        missing = at + n_bytes - len(self.data)
        if at < 0:
            raise self.damaged(f"{what} would lie {-at} bytes before the file's start")
        if missing > 0:
            raise ModelFileError(
                f"{self.name} is {missing} bytes too short for {what} at offset {at:#x}; "
                "the file is damaged or the download incomplete"
            )

    def spend(self, n_bytes: int, what: str) -> None:
        """Count what was read against the budget."""
        self._budget -= n_bytes
        if self._budget < 0:
            raise self.damaged(f"the same bytes are used over and over, last by {what}")

    def u32(self, at: int, what: str) -> int:
        """Read an unsigned 32-bit number."""
        self.need(at, 4, what)
        return int(_U32.unpack_from(self.data, at)[0])

    def follow(self, at: int, what: str) -> int:
        """Return where the forward offset at `at` points to."""
        offset = self.u32(at, what)
        if offset == 0:
            raise self.damaged(f"{what} at offset {at:#x} points to itself")
        return at + offset

    def root(self, identifier: bytes, what: str) -> Table:
        """Return the root table, after checking the file identifier at bytes 4 to 7."""
        self.need(0, 8, f"the header of {what}")
        if self.data[4:8] != identifier:
            raise self.damaged(
                f"{what} should carry the identifier {identifier.decode()}, "
                f"bytes 4 to 7 are {self.data[4:8]!r}"
            )
        return Table(self, self.follow(0, what), what)


class Table:
    """One table of a file; every read is checked, missing fields give the default."""

    __slots__ = ("at", "n_slots", "size", "source", "vtable", "what")

    def __init__(self, source: Source, at: int, what: str) -> None:
        self.source, self.at, self.what = source, at, what
        source.spend(4, what)
        source.need(at, 4, what)
        if at % 4:
            raise source.damaged(f"{what} lies at offset {at:#x}, which is no multiple of 4")
        self.vtable = at - _I32.unpack_from(source.data, at)[0]
        source.need(self.vtable, 4, f"the field list of {what}")
        length, self.size = struct.unpack_from("<HH", source.data, self.vtable)
        if length < 4 or length % 2 or self.size < 4:
            raise source.damaged(f"the field list of {what} has the length {length}")
        source.need(self.vtable, length, f"the field list of {what}")
        source.need(at, self.size, what)
        self.n_slots = (length - 4) // 2

    def find(self, slot: int, n_bytes: int) -> int | None:
        """Return where a field lies in the file, None where it is missing."""
        if slot >= self.n_slots:
            return None
        offset = int(_U16.unpack_from(self.source.data, self.vtable + 4 + 2 * slot)[0])
        if offset == 0:
            return None
        if offset < 4 or offset + n_bytes > self.size:
            raise self.source.damaged(f"field {slot} of {self.what} lies outside its table")
        return self.at + offset

    def scalar(self, slot: int, code: str, default: int | float) -> int | float:
        """Read a number; `code` is a struct letter (b B ? h H i I q Q f)."""
        at = self.find(slot, struct.calcsize(code))
        if at is None:
            return default
        value: int | float = struct.unpack_from("<" + code, self.source.data, at)[0]
        return value

    def integer(self, slot: int, code: str, default: int = 0) -> int:
        """Read a whole number."""
        return int(self.scalar(slot, code, default))

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int] | None:
        at = self.find(slot, 4)
        if at is None:
            return None
        what = f"field {slot} of {self.what}"
        start = self.source.follow(at, what)
        count = self.source.u32(start, what)
        self.source.need(start + 4, count * item_bytes, what)
        self.source.spend(4 + count * item_bytes, what)
        return start + 4, count

    def string(self, slot: int, default: str = "") -> str:
        """Read a UTF-8 string."""
        found = self._vector(slot, 1)
        if found is None:
            return default
        start, count = found
        self.source.need(start + count, 1, f"the end of a text in {self.what}")
        if self.source.data[start + count] != 0:
            raise self.source.damaged(f"a text in {self.what} does not end with a zero byte")
        try:
            return self.source.data[start : start + count].decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.source.damaged(f"a text in {self.what} is not UTF-8") from error

    def blob(self, slot: int) -> memoryview | None:
        """Return a vector of bytes without copying it."""
        found = self._vector(slot, 1)
        if found is None:
            return None
        start, count = found
        return memoryview(self.source.data)[start : start + count]

    def numbers(self, slot: int, code: str) -> tuple[int | float, ...]:
        """Read a vector of numbers; empty where missing."""
        found = self._vector(slot, struct.calcsize("<" + code))
        if found is None:
            return ()
        start, count = found
        return struct.unpack_from(f"<{count}{code}", self.source.data, start)

    def integers(self, slot: int, code: str) -> tuple[int, ...]:
        """Read a vector of whole numbers; empty where missing."""
        return tuple(int(number) for number in self.numbers(slot, code))

    def table(self, slot: int, what: str) -> Table | None:
        """Return the table a field points to."""
        at = self.find(slot, 4)
        return None if at is None else Table(self.source, self.source.follow(at, what), what)

    def tables(self, slot: int, what: str) -> list[Table]:
        """Return a vector of tables, "what 0", "what 1" … in messages; empty where missing."""
        found = self._vector(slot, 4)
        if found is None:
            return []
        start, count = found
        labels = [f"{what} {i}" for i in range(count)]
        return [
            Table(self.source, self.source.follow(start + 4 * i, labels[i]), labels[i])
            for i in range(count)
        ]


@dataclass(frozen=True)
class Number:
    """A number inside a table, with its struct letter."""

    code: str
    value: int | float


@dataclass(frozen=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True)
class Vector:
    """Numbers side by side; `code` is their struct letter."""

    code: str
    values: Sequence[int | float]


@dataclass(frozen=True)
class Blob:
    """Bytes, the first of which lies at a multiple of `alignment` in the file."""

    data: bytes
    alignment: int = 16


@dataclass(frozen=True)
class Records:
    """A vector of tables."""

    values: Sequence[Record]


@dataclass(frozen=True)
class Record:
    """A table: slot -> field; fields left out have their default when read."""

    fields: Mapping[int, Node]


Node: TypeAlias = Number | Text | Vector | Blob | Records | Record


def serialize(root: Record, identifier: bytes) -> bytes:
    """Write a tree of records as a FlatBuffer; the same tree gives the same bytes.

    Returns
    -------
    bytes whose length is a multiple of 4; every `Blob` at a multiple of its alignment.
    """
    writer = _Writer()
    writer.out += b"\0\0\0\0" + identifier
    _U32.pack_into(writer.out, 0, writer.write(root))
    writer.align(4)
    return bytes(writer.out)


class _Writer:
    """Appends one node after the other, parents first, and fills in the offsets."""

    def __init__(self) -> None:
        self.out = bytearray()
        self._vtables: dict[bytes, int] = {}

    def align(self, alignment: int, ahead: int = 0) -> None:
        """Pad with zeros until the end, plus `ahead` bytes, is a multiple of `alignment`."""
        self.out += bytes(-(len(self.out) + ahead) % alignment)

    def write(self, node: Node) -> int:
        """Append a node and all below it; return where it starts."""
        if isinstance(node, Record):
            return self._record(node)
        if isinstance(node, Records):
            self.align(4)
            start = len(self.out)
            self.out += _U32.pack(len(node.values)) + bytes(4 * len(node.values))
            for i, record in enumerate(node.values):
                self._point(start + 4 + 4 * i, record)
            return start
        if isinstance(node, Text):
            return self._bytes(node.value.encode("utf-8") + b"\0", 1, 4)
        if isinstance(node, Blob):
            return self._bytes(node.data, 0, node.alignment)
        if isinstance(node, Vector):
            self.align(max(4, struct.calcsize("<" + node.code)), ahead=4)
            start = len(self.out)
            self.out += _U32.pack(len(node.values))
            self.out += struct.pack(f"<{len(node.values)}{node.code}", *node.values)
            return start
        raise TypeError(f"{type(node).__name__} stands inside a table, not alone")

    def _bytes(self, data: bytes, terminator: int, alignment: int) -> int:
        self.align(max(alignment, 4), ahead=4)
        start = len(self.out)
        self.out += _U32.pack(len(data) - terminator) + data
        return start

    def _point(self, at: int, node: Node) -> None:
        """Write `node` at the end and its offset at `at`."""
        _U32.pack_into(self.out, at, self.write(node) - at)

    def _record(self, record: Record) -> int:
        places: dict[int, int] = {}
        size = 4  # the distance to the vtable comes first

        def width(slot: int) -> int:
            field = record.fields[slot]
            return struct.calcsize(field.code) if isinstance(field, Number) else 4

        # Wide fields first: each then lies at a multiple of its own width without padding.
        for slot in sorted(record.fields, key=lambda slot: (-width(slot), slot)):
            size += -size % width(slot)
            places[slot] = size
            size += width(slot)
        n_slots = max(record.fields, default=-1) + 1
        vtable = struct.pack(
            f"<{2 + n_slots}H", 4 + 2 * n_slots, size, *(places.get(i, 0) for i in range(n_slots))
        )
        if vtable not in self._vtables:
            self.align(2)
            self._vtables[vtable] = len(self.out)
            self.out += vtable
        self.align(4)
        start = len(self.out)
        self.out += _I32.pack(start - self._vtables[vtable]) + bytes(size - 4)
        for slot in sorted(record.fields):
            field = record.fields[slot]
            if isinstance(field, Number):
                struct.pack_into("<" + field.code, self.out, start + places[slot], field.value)
            else:
                self._point(start + places[slot], field)
        return start
