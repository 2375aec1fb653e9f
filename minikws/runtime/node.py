"""One operator with its tensors, as its `prepare` sees it, and the questions all of them ask.

An operator module offers two functions. `prepare(node)` runs once: it checks the tensors,
refuses what TFLite Micro refuses, and returns whatever `evaluate` needs. `evaluate(state,
inputs)` runs often: arrays in, a tuple of arrays out, for one clip or for a batch of B that
takes the place of a leading 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minikws._typing import Array, Int64
from minikws.errors import ModelFileError
from minikws.graph import Op, OptionValue, Subgraph, Tensor
from minikws.tflite.checks import describe, short
from minikws.tflite.schema import OPAQUE_TYPES, complete_options

NOT_HELD = (*OPAQUE_TYPES, "int4")  # types that no NumPy array has
MAX_MEMORY_BYTES = 2**24  # of all operators; far above any device

Inputs: TypeAlias = Sequence[Array | None]
Outputs: TypeAlias = tuple[Array, ...]


class Kernel(NamedTuple):
    """The two functions of an operator's module, and how it takes a batch.

    batches : evaluates B clips at once where every tensor has a leading 1.
    """

    prepare: Callable[[Node], Any]
    evaluate: Callable[[Any, Inputs], Outputs]
    batches: bool = True


@dataclass
class Shared:
    """What operators of several subgraphs share.

    ids : of resource variables, by (container, name).
    handles : (subgraph, tensor) -> the id of the variable that the tensor stands for.
    variables : the variables' values by id; the first operator that assigns one makes it.
    fills : the byte that each is filled with at first.
    memories : what single operators remember; all 0 at first.
    call : runs a subgraph that has neither inputs nor outputs.
    """

    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    handles: dict[tuple[int, int], int] = field(default_factory=dict)
    variables: dict[int, Array] = field(default_factory=dict)
    fills: dict[int, int] = field(default_factory=dict)
    memories: list[Array] = field(default_factory=list)
    call: Callable[[int], None] = lambda index: None

    def reset(self) -> None:
        """Give every variable and every memory its first values again."""
        for number, array in self.variables.items():
            array.view(np.uint8)[...] = self.fills[number]
        for array in self.memories:
            array[...] = 0


@dataclass(frozen=True)
class Node:
    """An operator, its tensors, and how messages name it.

    inputs : None where the file omits an optional one.
    options : complete, defaults filled in.
    shared : what it shares with other operators; subgraph : the number of its own subgraph.
    is_moved : its int8 tensors are uint8 in the file, see `runtime.uint8`.
    """

    op: Op
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, OptionValue]
    what: str
    shared: Shared = field(default_factory=Shared)
    subgraph: int = 0
    is_moved: bool = False

    @classmethod
    def of(
        cls,
        subgraph: Subgraph,
        index: int,
        name: str,
        shared: Shared | None = None,
        number: int = 0,
    ) -> Node:
        """Return operator number `index` of a subgraph; `name` is the file's."""
        op = subgraph.ops[index]
        what = describe(op, index, subgraph, name)
        return cls(
            op=op,
            inputs=tuple(None if i == -1 else subgraph.tensors[i] for i in op.inputs),
            outputs=tuple(subgraph.tensors[i] for i in op.outputs),
            options=complete_options(op, what),
            what=what,
            shared=shared or Shared(),
            subgraph=number,
        )

    def refuse(self, sentence: str) -> ModelFileError:
        """Return the error for an operator that TFLite Micro would refuse, too."""
        inputs = [tensor for tensor in self.inputs if tensor is not None]
        names = f"{_names(inputs)} -> {_names(self.outputs)}"
        found = short(sentence, 500)  # a damaged file may have long lists
        return ModelFileError(f"{self.what} {found} (tensors {names}); export the model again")

    def expect(self, condition: bool, sentence: str) -> None:
        """Raise the error unless `condition` holds."""
        if not condition:
            raise self.refuse(sentence)

    def expect_counts(self, inputs: tuple[int, ...], outputs: int) -> None:
        """Check how many tensors go in and out."""
        self.expect(
            len(self.inputs) in inputs and len(self.outputs) == outputs,
            f"has {len(self.inputs)} inputs and {len(self.outputs)} outputs, expected "
            f"{' or '.join(map(str, inputs))} and {outputs}",
        )

    def input(self, index: int, what: str) -> Tensor:
        """Return an input that must be there."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise self.refuse(f"lacks its {what}")
        return tensor

    def constant(self, index: int, what: str) -> tuple[Tensor, Array]:
        """Return an input that must be a constant, and its values."""
        tensor = self.input(index, what)
        if tensor.data is None:
            raise self.refuse(f"computes its {what}, expected a constant")
        return tensor, tensor.data

    def weights(self, x: Tensor, y: Tensor) -> tuple[Tensor, Array]:
        """Return the weights (input 1) and their values, of the type of input and output."""
        w, values = self.constant(1, "weights")
        self.expect(
            x.dtype == w.dtype == y.dtype and x.dtype in ("int8", "uint8", "float32"),
            f"runs {x.dtype} with {w.dtype} weights to {y.dtype}, expected all int8, all uint8 or "
            "all float32",
        )
        return w, values

    def weight_scales(self, w: Tensor, n_outputs: int, axis: int) -> tuple[float, ...]:
        """Return the scales of integer weights: one, or in int8 one an output along `axis`."""
        single = len(w.scale) == 1
        if w.dtype == "uint8":
            self.expect(single, f"has {len(w.scale)} scales for uint8 weights, expected 1")
        self.expect(
            single or (len(w.scale) == n_outputs and w.axis == axis),
            f"has {len(w.scale)} weight scales along dimension {w.axis}, expected 1 or "
            f"{n_outputs} along {axis}",
        )
        return w.scale

    def centered(self, w: Tensor, values: Array) -> Int64:
        """Return a convolution's weights as int64, those of uint8 less their zero point."""
        if w.dtype == "uint8":
            return values.astype(np.int64) - w.zero_point[0]
        self.expect(not any(w.zero_point), "has weights with a zero point other than 0")
        return values.astype(np.int64)

    def bias(self, dtype: str, n_outputs: int, index: int = 2) -> tuple[Tensor, Array] | None:
        """Return the bias and its values, None where it is omitted."""
        if len(self.inputs) <= index or self.inputs[index] is None:
            return None
        tensor, values = self.constant(index, "bias")
        self.expect(
            tensor.dtype == dtype and values.size == n_outputs,
            f"has a bias of {tensor.dtype} {tensor.shape}, expected {dtype} ({n_outputs},)",
        )
        self.expect(
            not any(tensor.zero_point), f"has a bias with the zero point {tensor.zero_point}"
        )
        return tensor, values

    def ratio(self, *factors: float, over: float = 1.0) -> float:
        """Return the product of some scales over another, all float32 in the file.

        TFLite Micro computes it in float64. LiteRT computes it in float32 for the operators on
        uint8 that call this function, and in float64 for the rest, which do not.
        """
        is_uint8 = self.is_moved or self.outputs[0].dtype == "uint8"
        real = np.float32 if is_uint8 else np.float64
        with np.errstate(over="ignore"):
            ratio = float(np.prod(np.array(factors, real)) / real(over))
        self.expect(ratio < np.inf, f"has scales whose ratio is {ratio:g}, expected a finite one")
        return ratio

    def number(self, option: str) -> int:
        """Return a whole-number option."""
        value = self.options[option]
        assert isinstance(value, int)
        return value

    def memory(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return zeros that the operator keeps between runs, until the interpreter is reset."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        others = sum(array.nbytes for array in self.shared.memories)
        self.expect(
            n_bytes + others <= MAX_MEMORY_BYTES,
            f"remembers {n_bytes} bytes beside {others} of others, expected up to "
            f"{MAX_MEMORY_BYTES} in all",
        )
        array = np.zeros(shape, dtype)
        self.shared.memories.append(array)
        return array

    def scale(self, tensor: Tensor, what: str) -> float:
        """Return the one scale of an activation tensor."""
        self.expect(
            len(tensor.scale) == 1, f"has {len(tensor.scale)} scales for its {what}, expected one"
        )
        return tensor.scale[0]

    def zero_point(self, tensor: Tensor, what: str) -> int:
        """Return the one zero point of an activation tensor."""
        self.scale(tensor, what)
        return tensor.zero_point[0]


def _names(tensors: Sequence[Tensor]) -> str:
    """Return the names of the first tensors, cut where a damaged file makes them long."""
    names = [repr(short(tensor.name)) for tensor in tensors[:6]]
    return ", ".join([*names, "..."] if len(tensors) > 6 else names or ["none"])
