"""Tiny models for tests: one operator each, from a seed, and the same for TFLite Micro."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from minikws.graph import Graph, Op, Subgraph, Tensor

RUNTIME_VERSION = b"1.14.0".ljust(16, b"\0")


def graph_of(
    tensors: list[Tensor], ops: list[Op], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> Graph:
    """A graph with a signature and the metadata that the writer would add."""
    names = {"inputs": inputs, "outputs": outputs}
    return Graph(
        subgraphs=(Subgraph(tuple(tensors), tuple(ops), inputs, outputs),),
        description="tiny",
        metadata={"min_runtime_version": RUNTIME_VERSION},
        signature={
            side: {f"{side[:-1]}_{i}": index for i, index in enumerate(indices)}
            for side, indices in names.items()
        },
    )


def float32(value: float) -> float:
    return float(np.float32(value))


def activation(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, "int8", (float32(scale),), (zero_point,))


def constant(
    name: str, values: Any, dtype: str, scale: tuple[float, ...] = (), axis: int = 0
) -> Tensor:
    data = np.asarray(values, dtype)
    scales = tuple(float32(s) for s in scale)
    return Tensor(name, data.shape, dtype, scales, (0,) * len(scales), axis, data)


def out_size(size: int, k: int, stride: int, dilation: int, padding: str) -> int:
    reach = (k - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else -(-(size - reach + 1) // stride)


def conv(
    *,
    seed: int = 0,
    depthwise: bool = False,
    hw: tuple[int, int] = (9, 7),
    channels: int = 1,
    outputs: int = 4,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    fused: str = "NONE",
    per_channel: bool = True,
    has_bias: bool = True,
    zero_points: tuple[int, int] = (-3, 5),
    out_scale: float = 0.1,
    extreme: bool = False,
    dtype: str = "int8",
) -> Graph:
    """A CONV_2D, or DEPTHWISE_CONV_2D with `outputs` for each input channel."""
    rng = np.random.default_rng(seed)
    n_outputs = channels * outputs if depthwise else outputs
    shape = (1, *kernel, n_outputs) if depthwise else (n_outputs, *kernel, channels)
    out_hw = [out_size(*sizes, padding) for sizes in zip(hw, kernel, stride, dilation, strict=True)]
    options: dict[str, Any] = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "fused_activation_function": fused,
    }
    if depthwise:
        options["depth_multiplier"] = outputs
    if dtype == "float32":
        x = Tensor("x", (1, *hw, channels), dtype)
        y = Tensor("y", (1, *out_hw, n_outputs), dtype)
        w = constant("w", rng.normal(size=shape), dtype)
        b = constant("b", rng.normal(size=n_outputs), dtype)
    else:
        count = n_outputs if per_channel else 1
        scales = tuple(float32(s) for s in rng.uniform(0.002, 0.02, count))
        values = rng.choice([-127, 127], shape) if extreme else rng.integers(-127, 128, shape)
        x = activation("x", (1, *hw, channels), 0.05, zero_points[0])
        y = activation("y", (1, *out_hw, n_outputs), out_scale, zero_points[1])
        w = constant("w", values, dtype, scales, 3 if depthwise else 0)
        reach = 2**30 if extreme else 4000
        b = constant(
            "b",
            rng.integers(-reach, reach, n_outputs),
            "int32",
            tuple(x.scale[0] * s for s in scales),
        )
    op = Op(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        # TFLite Micro dies of a depthwise bias that is omitted by -1.
        (0, 1, 2) if has_bias else (0, 1) if depthwise else (0, 1, -1),
        (3,),
        options,
        version=1 if dtype == "float32" else 3,
    )
    return graph_of([x, w, b, y], [op], (0,), (3,))


def dense(
    *,
    seed: int = 0,
    depth: int = 20,
    outputs: int = 4,
    rows: int = 1,
    fused: str = "NONE",
    per_channel: bool = False,
    has_bias: bool = True,
    zero_points: tuple[int, int, int] = (-3, 0, 5),
    out_scale: float = 0.3,
    extreme: bool = False,
    dtype: str = "int8",
) -> Graph:
    """A FULLY_CONNECTED; zero points of input, weights, output."""
    rng = np.random.default_rng(seed)
    options = {"fused_activation_function": fused}
    if dtype == "float32":
        x, y = Tensor("x", (rows, depth), dtype), Tensor("y", (rows, outputs), dtype)
        w = constant("w", rng.normal(size=(outputs, depth)), dtype)
        b = constant("b", rng.normal(size=outputs), dtype)
    else:
        scales = tuple(float32(s) for s in rng.uniform(0.002, 0.02, outputs if per_channel else 1))
        shape = (outputs, depth)
        values = rng.choice([-127, 127], shape) if extreme else rng.integers(-127, 128, shape)
        x = activation("x", (rows, depth), 0.05, zero_points[0])
        y = activation("y", (rows, outputs), out_scale, zero_points[2])
        w = constant("w", values, dtype, scales)
        if not per_channel:
            w = replace(w, zero_point=(zero_points[1],))
        reach = 2**30 if extreme else 4000
        b = constant(
            "b",
            rng.integers(-reach, reach, outputs),
            "int32",
            tuple(x.scale[0] * s for s in scales),
        )
    op = Op(
        "FULLY_CONNECTED",
        (0, 1, 2) if has_bias else (0, 1, -1),
        (3,),
        options,
        version=1 if dtype == "float32" else 4,
    )
    return graph_of([x, w, b, y], [op], (0,), (3,))


def softmax(
    shape: tuple[int, ...] = (1, 4),
    scale: float = 0.1,
    zero_point: int = 0,
    beta: float = 1.0,
    dtype: str = "int8",
) -> Graph:
    if dtype == "float32":
        x, y = Tensor("x", shape, dtype), Tensor("y", shape, dtype)
    else:
        x, y = activation("x", shape, scale, zero_point), activation("y", shape, 1 / 256, -128)
    version = 1 if dtype == "float32" else 2
    op = Op("SOFTMAX", (0,), (1,), {"beta": float32(beta)}, version)
    return graph_of([x, y], [op], (0,), (1,))


def reshape(
    before: tuple[int, ...] = (1, 12), after: tuple[int, ...] = (1, 3, 4), dtype: str = "int8"
) -> Graph:
    quantization = ((0.5,), (3,)) if dtype == "int8" else ((), ())
    x, y = Tensor("x", before, dtype, *quantization), Tensor("y", after, dtype, *quantization)
    shape = constant("shape", list(after), "int32")
    op = Op("RESHAPE", (0, 1), (2,), {"new_shape": after})
    return graph_of([x, shape, y], [op], (0,), (2,))


def operator(
    name: str,
    inputs: list[Tensor],
    output: Tensor | list[Tensor],
    options: dict[str, Any] | None = None,
    *,
    version: int = 1,
    omit: tuple[int, ...] = (),
    custom: bool = False,
) -> Graph:
    """One operator on tensors of one's own; those without data are the model's inputs."""
    n, outputs = len(inputs), output if isinstance(output, list) else [output]
    results = tuple(range(n, n + len(outputs)))
    named = tuple(-1 if i in omit else i for i in range(n))
    op = Op(name, named, results, options or {}, version, custom)
    computed = tuple(i for i, t in enumerate(inputs) if t.data is None and not t.is_variable)
    return graph_of([*inputs, *outputs], [op], computed, results)


def keyword_model(*, seed: int = 0, dtype: str = "int8") -> Graph:
    """All five operators in a row: (1, 60) -> (1, 3)."""
    rng = np.random.default_rng(seed)
    relu = {"fused_activation_function": "RELU"}
    strides: dict[str, Any] = {"padding": "SAME", "stride_h": 2, "stride_w": 2, **relu}

    def act(name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
        if dtype == "float32":
            return Tensor(name, shape, dtype)
        return activation(name, shape, scale, zero_point)

    def weights(name: str, shape: tuple[int, ...], n_scales: int, axis: int) -> Tensor:
        if dtype == "float32":
            return constant(name, rng.normal(size=shape) / 4, dtype)
        scales = tuple(rng.uniform(0.005, 0.01, n_scales).tolist())
        return constant(name, rng.integers(-127, 128, shape), dtype, scales, axis)

    def bias(name: str, n: int, x: Tensor, w: Tensor) -> Tensor:
        if dtype == "float32":
            return constant(name, rng.normal(size=n) / 4, dtype)
        return constant(
            name, rng.integers(-500, 500, n), "int32", tuple(x.scale[0] * s for s in w.scale)
        )

    tensors = [
        act("features", (1, 60), 0.1, -128),
        constant("shape", [1, 10, 6, 1], "int32"),
        act("image", (1, 10, 6, 1), 0.1, -128),
        weights("w1", (1, 4, 3, 4), 4, 3),
        act("first", (1, 5, 3, 4), 0.08, -128),
        weights("w2", (6, 1, 1, 4), 6, 0),
        act("second", (1, 3, 2, 6), 0.09, -128),
        weights("w3", (3, 36), 1, 0),
        act("logits", (1, 3), 0.15, 7),
        act("scores", (1, 3), 1 / 256, -128),
    ]
    n = len(tensors)
    tensors += [
        bias("b1", 4, tensors[2], tensors[3]),
        bias("b2", 6, tensors[4], tensors[5]),
        bias("b3", 3, tensors[6], tensors[7]),
    ]
    raised = dtype == "int8"
    ops = [
        Op("RESHAPE", (0, 1), (2,), {"new_shape": (1, 10, 6, 1)}),
        Op(
            "DEPTHWISE_CONV_2D", (2, 3, n), (4,), {**strides, "depth_multiplier": 4}, 1 + 2 * raised
        ),
        Op("CONV_2D", (4, 5, n + 1), (6,), strides, 1 + 2 * raised),
        Op("FULLY_CONNECTED", (6, 7, n + 2), (8,), {}, 1 + 3 * raised),
        Op("SOFTMAX", (8,), (9,), {"beta": 1.0}, 1 + raised),
    ]
    graph = graph_of(tensors, ops, (0,), (9,))
    signature = {"inputs": {"features": 0}, "outputs": {"scores": 9}}
    return replace(graph, signature=MappingProxyType(signature))


def same(a: Graph, b: Graph) -> bool:
    """Whether two graphs hold the same; records with arrays cannot be compared by ==."""

    def plain(graph: Graph) -> Any:
        return (
            graph.description,
            dict(graph.metadata),
            dict(graph.files),
            graph.signature and {side: dict(names) for side, names in graph.signature.items()},
            [
                (
                    s.name,
                    s.inputs,
                    s.outputs,
                    [
                        (o.name, o.inputs, o.outputs, dict(o.options), o.version, o.custom)
                        for o in s.ops
                    ],
                    [
                        (
                            *(t.name, t.shape, t.dtype, t.scale, t.zero_point, t.axis),
                            t.is_variable,
                            None if t.data is None else (str(t.data.dtype), t.data.tolist()),
                        )
                        for t in s.tensors
                    ],
                )
                for s in graph.subgraphs
            ],
        )

    return bool(plain(a) == plain(b))
