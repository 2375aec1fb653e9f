"""What `minikws info` says of an architecture: its layers, what each costs, what all cost."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws.models import Architecture
    from minikws.nn.layers import Shape


def show(entry: Architecture, args: argparse.Namespace, out: Output) -> None:
    """Build the architecture for its features and print its layers."""
    import numpy as np

    from minikws.cli.tables import columns
    from minikws.frontend import make_frontend
    from minikws.models import costs
    from minikws.runs import build_network

    options = {**entry.options, **entry.parse_options(args.model_options)}
    frontend = {"kind": args.frontend} if args.frontend else entry.recipe.frontend
    settings: Any = make_frontend(frontend).settings
    network = build_network(
        entry,
        input_shape=(settings.n_frames, settings.n_features),
        n_labels=args.labels_count,
        rng=np.random.default_rng(args.seed),
        dropout_rate=entry.recipe.dropout_rate,
        options=options,
    )
    layers = costs(network)
    n_bytes, n_int8 = sum(c.bytes for c in layers), sum(c.int8_bytes for c in layers)
    out.result(
        {
            "architecture": entry.name,
            "options": options,
            "bytes": n_bytes,
            "int8_bytes": n_int8,
            "labels": None,
            "frontend": settings.to_json(),
            "inputs": [_side("features", network.input_shape)],
            "outputs": [_side("scores", network.output_shape)],
            "ops": [
                {"name": name, "count": count}
                for name, count in Counter(c.layer.partition("(")[0] for c in layers).items()
            ],
            "layers": [vars(c) for c in layers],
            "parameters": network.n_parameters,
            "multiply_adds": network.multiply_adds,
            "arena_bytes": None,
        }
    )
    chosen = ", ".join(f"{name}={value}" for name, value in options.items())
    out.answer(
        f"{entry.name}{f' ({chosen})' if chosen else ''}: {network.n_parameters} parameters, "
        f"{network.multiply_adds} multiply-adds, features {settings.n_frames}x"
        f"{settings.n_features} ({settings.kind}), {args.labels_count} labels"
    )
    out.answer(entry.doc)
    width = max(len(c.name) for c in layers)
    rows: list[list[Any]] = [
        ["layer", "output", "parameters", "multiply-adds", "float32 bytes", "int8 bytes"]
    ]
    rows += [
        [
            f"{c.name:<{width}}  {c.layer}",
            "x".join(map(str, c.output)),
            c.parameters,
            c.multiply_adds,
            c.bytes,
            c.int8_bytes,
        ]
        for c in layers
    ]
    rows.append(["total", "", network.n_parameters, network.multiply_adds, n_bytes, n_int8])
    out.answer("\n" + columns(rows))
    out.answer("\nint8 bytes: a weight 1 (an SVDF's in time 2), a bias 4, batch norm folded away")


def _side(name: str, shape: Shape) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [1, *shape],
        "dtype": "float32",
        "scale": None,
        "zero_point": None,
    }
