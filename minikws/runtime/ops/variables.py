"""VAR_HANDLE, ASSIGN_VARIABLE, READ_VARIABLE, CALL_ONCE: what a streaming model remembers.

A handle names a variable; the variable's values outlive the run. CALL_ONCE runs a subgraph at
the first run of all, which gives the variables their first values.

Source: var_handle.cc, assign_variable.cc, read_variable.cc, call_once.cc and
micro_resource_variable.cc of TFLite Micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minikws._typing import Array
from minikws.runtime.node import NOT_HELD, Inputs, Node, Outputs, Shared


def prepare_handle(node: Node) -> Array:
    """Give the variable that container and name stand for its number."""
    node.expect_counts((0,), 1)
    key = str(node.options["container"]), str(node.options["shared_name"])
    shared = node.shared
    number = shared.ids.setdefault(key, len(shared.ids))
    shared.handles[node.subgraph, node.op.outputs[0]] = number
    return np.array([number], np.int32)


def evaluate_handle(number: Array, inputs: Inputs) -> Outputs:
    """() -> the variable's number."""
    return (number,)


@dataclass(frozen=True)
class State:
    """Which variable, and what holds its values; the operator that uses it."""

    shared: Shared
    number: int
    node: Node


def prepare_assign(node: Node) -> State:
    """Make the variable, of the value's size, unless an operator before did.

    Raises
    ------
    ModelFileError : no handle, or a value of another size than the variable's.
    """
    node.expect_counts((2,), 0)
    number, value = _number(node), node.input(1, "value")
    node.expect(value.dtype not in NOT_HELD, f"assigns {value.dtype}, which no array holds")
    shared = node.shared
    if number not in shared.variables:
        # TFLite Micro fills with the lowest byte of the zero point, whatever the type.
        fill = value.zero_point[0] & 0xFF if value.zero_point else 0
        shared.fills[number] = fill
        shared.variables[number] = np.zeros(value.shape, value.dtype)
        shared.variables[number].view(np.uint8)[...] = fill
    variable = shared.variables[number]
    node.expect(
        variable.nbytes == np.zeros(value.shape, value.dtype).nbytes,
        f"assigns {value.dtype} {value.shape} to a variable of {variable.dtype} {variable.shape}",
    )
    return State(shared, number, node)


def evaluate_assign(state: State, inputs: Inputs) -> Outputs:
    """(handle, value) -> (); the variable holds the value from now on."""
    value = inputs[1]
    assert value is not None
    variable = state.shared.variables[state.number]
    variable.reshape(-1).view(np.uint8)[...] = (
        np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    )
    return ()


def prepare_read(node: Node) -> State:
    """Find the variable.

    Raises
    ------
    ModelFileError : no handle.
    """
    node.expect_counts((1,), 1)
    return State(node.shared, _number(node), node)


def evaluate_read(state: State, inputs: Inputs) -> Outputs:
    """(handle) -> a copy of the variable's values.

    Raises
    ------
    ModelFileError : no operator of the model assigns it, or the output has another size.
    """
    variable = state.shared.variables.get(state.number)
    y = state.node.outputs[0]
    if variable is None or variable.shape != y.shape or variable.dtype != y.dtype:
        found = "nothing" if variable is None else f"{variable.dtype} {variable.shape}"
        raise state.node.refuse(f"reads {y.dtype} {y.shape} from a variable that holds {found}")
    return (variable.copy(),)


def _number(node: Node) -> int:
    number = node.shared.handles.get((node.subgraph, node.op.inputs[0]))
    if number is None:
        raise node.refuse("has a first input that no VAR_HANDLE made")
    return number


class Once:
    """A subgraph that runs at the first call and never again."""

    def __init__(self, shared: Shared, subgraph: int) -> None:
        self.shared, self.subgraph = shared, subgraph
        self.is_done = False

    def __call__(self) -> None:
        """Run it, if it has not been run."""
        if not self.is_done:
            self.is_done = True
            self.shared.call(self.subgraph)


def prepare_call_once(node: Node) -> Once:
    """Return the call; that its subgraph exists was checked with the file."""
    node.expect_counts((0,), 0)
    return Once(node.shared, node.number("init_subgraph_index"))


def evaluate_call_once(once: Once, inputs: Inputs) -> Outputs:
    """() -> ()."""
    once()
    return ()
