"""Give every tensor a place in one arena, as TFLite Micro's memory planner does.

In comes a graph; out comes a `Plan`: for each buffer its bytes, the first and the last moment
at which it is needed, and its offset. Buffers whose lives do not meet share memory. A device
must reserve `arena_bytes`, the planned "head" of its arena; what the runtime keeps beside it
(the "tail") depends on the machine's word size and is not planned here.

Source: micro_allocation_info.cc (lives), greedy_memory_planner.cc (places), TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

from minikws.errors import ModelFileError
from minikws.graph import Graph, Op, Subgraph
from minikws.tflite.checks import offline_offsets
from minikws.tflite.schema import n_bytes_of

ALIGNMENT = 16
_UNSET = -1


@dataclass(frozen=True)
class PlannedBuffer:
    """A tensor's (or an operator's scratch) place in the arena.

    name : the tensor's, or "scratch of op 4".
    subgraph, tensor : where it stands in the graph; tensor -1 for scratch.
    n_bytes : rounded up to 16.
    first, last : steps of the run at which it must exist, both included.
    offset : bytes from the arena's start.
    """

    name: str
    subgraph: int
    tensor: int
    n_bytes: int
    first: int
    last: int
    offset: int


@dataclass(frozen=True)
class Step:
    """A step of the run: the operator at work; -1 of the main subgraph while inputs come in."""

    subgraph: int
    op: int
    name: str

    @property
    def label(self) -> str:
        """Number from 1 and name, such as "2 CONV_2D"; "1:2 CONV_2D" of subgraph 1."""
        if self.op == -1:
            return self.name
        where = f"{self.subgraph}:" if self.subgraph else ""
        return f"{where}{self.op + 1} {self.name}"


@dataclass(frozen=True)
class Plan:
    """Every buffer that needs memory, in the order of the graph, and what happens at each step."""

    buffers: tuple[PlannedBuffer, ...]
    steps: tuple[Step, ...]

    @property
    def arena_bytes(self) -> int:
        """Memory for all of them: the arena's head."""
        return max((buffer.offset + buffer.n_bytes for buffer in self.buffers), default=0)

    @property
    def needed_bytes(self) -> tuple[int, ...]:
        """Bytes of the buffers that must exist at each step; gaps between them not counted."""
        return tuple(
            sum(buffer.n_bytes for buffer in self.buffers if buffer.first <= step <= buffer.last)
            for step in range(len(self.steps))
        )

    @property
    def peak(self) -> int:
        """The first step that needs the most memory."""
        needed = self.needed_bytes
        return needed.index(max(needed))


@dataclass
class _Life:
    """A buffer while its life is being found."""

    name: str
    subgraph: int
    tensor: int
    n_bytes: int
    first: int = _UNSET
    last: int = _UNSET
    offset: int = _UNSET  # set where an offline plan fixes it

    def meets(self, other: _Life) -> bool:
        """Whether both must exist at some step."""
        return self.first <= other.last and self.last >= other.first


def plan(graph: Graph, name: str = "the model") -> Plan:
    """Plan the arena of a graph, all its subgraphs in one.

    Raises
    ------
    ModelFileError : an offline plan in the metadata puts two living buffers on one place.
    """
    lives, steps = _find_lives(graph, name)
    _place(lives, name)
    return Plan(tuple(PlannedBuffer(**vars(life)) for life in lives), tuple(steps))


def _find_lives(graph: Graph, name: str) -> tuple[list[_Life], list[Step]]:
    """Walk the operators with one counter and note when each tensor is made and last used."""
    tensors: list[list[_Life]] = []
    for s, subgraph in enumerate(graph.subgraphs):
        tensors.append(
            [
                _Life(tensor.name, s, t, n_bytes_of(tensor.dtype, tensor.shape))
                for t, tensor in enumerate(subgraph.tensors)
            ]
        )
    for s, offsets in offline_offsets(graph, name).items():
        for life, offset in zip(tensors[s], offsets, strict=True):
            life.offset = offset
    scratch: list[_Life] = []
    walked: set[int] = set()  # a subgraph that is called once is planned once
    steps = [Step(0, -1, "input")]
    scope = 0

    def walk(s: int) -> None:
        nonlocal scope
        subgraph = graph.subgraphs[s]
        for index in subgraph.inputs:
            tensors[s][index].first = tensors[s][index].last = scope
        for number, op in enumerate(subgraph.ops):
            scope += 1
            steps.append(Step(s, number, op.name))
            start = scope
            for index in op.outputs:
                if tensors[s][index].first == _UNSET:
                    tensors[s][index].first = scope
            if op.name == "CALL_ONCE" and not op.custom:
                scope += 1
                steps.append(Step(s, number, op.name))
                target = op.options.get("init_subgraph_index", 0)
                assert isinstance(target, int)
                if target not in walked:
                    walked.add(target)
                    walk(target)
            for index in (*op.inputs, *op.outputs):
                if index != -1:
                    tensors[s][index].last = scope
            for n_bytes in scratch_bytes(op, subgraph):
                scratch.append(_Life(f"scratch of op {number + 1}", s, -1, n_bytes, start, scope))
        for index in subgraph.outputs:
            tensors[s][index].last = scope

    walk(0)
    needed = [
        life for s, rows in enumerate(tensors) for life in rows if _needs_memory(graph, s, life)
    ]
    for life in needed + scratch:
        life.n_bytes += -life.n_bytes % ALIGNMENT
    return needed + scratch, steps


def _needs_memory(graph: Graph, s: int, life: _Life) -> bool:
    """Whether a tensor lives in the arena's head: no constant, variable, handle or empty one."""
    tensor = graph.subgraphs[s].tensors[life.tensor]
    return (
        tensor.data is None
        and not tensor.is_variable
        and tensor.dtype != "resource"
        and life.n_bytes > 0
        and life.first != _UNSET
        and life.last != _UNSET
    )


def scratch_bytes(op: Op, subgraph: Subgraph) -> tuple[int, ...]:
    """Return the bytes of work memory that TFLite Micro's reference kernel of `op` asks for."""

    def shape(index: int) -> tuple[int, ...]:
        return subgraph.tensors[index].shape

    def count(index: int) -> int:
        return n_bytes_of("int8", shape(index))

    # An operator that lacks what it needs is refused where it is prepared.
    if op.name == "SignalRfft" and op.inputs and op.inputs[0] != -1:
        length = op.options["fft_length"]
        assert isinstance(length, int)
        return (n_bytes_of(subgraph.tensors[op.inputs[0]].dtype, (length,)),)
    if len(op.inputs) < 2 or -1 in op.inputs[:2] or not op.outputs:
        return ()
    if op.name == "SVDF" and len(op.inputs) == 5 and shape(op.inputs[0]) and shape(op.inputs[1]):
        rank = op.options.get("rank", 1)
        assert isinstance(rank, int)
        batch, filters = shape(op.inputs[0])[0], shape(op.inputs[1])[0]
        if subgraph.tensors[op.inputs[0]].dtype == "int8":
            return 4 * batch * filters, 4 * batch * (filters // max(rank, 1))
        return (4 * batch * filters,)
    if op.name in ("MEAN", "SUM") and len(op.inputs) == 2:
        return 4 * count(op.outputs[0]), 4 * len(shape(op.inputs[0])), 4 * count(op.inputs[1])
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        weights = subgraph.tensors[op.inputs[1]]
        if weights.dtype == "int4":
            return (n_bytes_of("int8", weights.shape),)
    return ()


def _place(lives: list[_Life], name: str) -> None:
    """Place the largest first, each at the lowest offset where no living buffer is in the way."""
    offline = [life for life in lives if life.offset != _UNSET]
    # TFLite Micro fills its list from the back and sorts it stably: equals come in reverse.
    online = sorted(
        (life for life in reversed(lives) if life.offset == _UNSET), key=lambda life: -life.n_bytes
    )
    placed: list[_Life] = []
    for life in offline:
        for other in placed:
            if (
                life.meets(other)
                and life.offset < other.offset + other.n_bytes
                and other.offset < life.offset + life.n_bytes
            ):
                raise ModelFileError(
                    f"the offline memory plan of {name} puts {life.name!r} and {other.name!r} on "
                    "one place while both are needed; export the model again"
                )
        _insert(placed, life)
    for life in online:
        candidate = 0
        for other in placed:
            if not life.meets(other):
                continue
            if other.offset - candidate >= life.n_bytes:
                break
            candidate = max(candidate, other.offset + other.n_bytes)
        life.offset = candidate
        _insert(placed, life)


def _insert(placed: list[_Life], life: _Life) -> None:
    """Keep the list sorted by offset, a new one after those with an equal one."""
    at = next((i for i, other in enumerate(placed) if other.offset > life.offset), len(placed))
    placed.insert(at, life)
