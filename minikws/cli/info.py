"""minikws info: what is inside a model file, or how large an architecture is."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.cli.output import Output

if TYPE_CHECKING:
    from minikws.graph import Graph, Tensor

HELP = "show layers, shapes, multiply-adds, bytes, arena, labels and frontend of a model"
EXAMPLE = "minikws info yes_no.tflite"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL_FILE_OR_ARCHITECTURE",
        help="a .tflite file, or tiny_conv …, or your own architecture, FILE.py:FUNCTION",
    )
    add(
        "--frontend",
        "--preprocess",
        metavar="KIND",
        help="sizes an architecture's input (default: the features it is meant for)",
    )
    add(
        "--model-options",
        default="",
        metavar="A=X,B=Y",
        help="what the architecture offers, such as size=M for ds_cnn",
    )
    add(
        "--labels-count",
        type=int,
        default=4,
        metavar="N",
        help="an architecture's outputs (default 4)",
    )
    add("--png", metavar="FILE", help="draw a file's arena: offset over time")


def run(args: argparse.Namespace, out: Output) -> int:
    """Show a file, or an architecture by its name."""
    from minikws.errors import SettingsError

    if Path(args.model).is_file():
        return _file(args.model, args.png, out)
    if args.png:
        raise SettingsError(
            f"--png draws the arena of a .tflite file, found the architecture {args.model}; "
            "export a run of it first"
        )
    return _architecture(args, out)


def _file(path: str, png: str | None, out: Output) -> int:
    from minikws.cli import arena
    from minikws.cli.tables import columns
    from minikws.runtime import plan, summarize
    from minikws.runtime.tail import tail_bytes
    from minikws.tflite import info_of, labels_of, read_model
    from minikws.tflite.resolver import resolver_of

    graph = read_model(path)
    summary, planned = summarize(graph), plan(graph, path)
    tail, resolver = tail_bytes(graph), resolver_of(graph)
    if png:
        from minikws.plots import draw_arena

        draw_arena(planned, title=Path(path).name, path=png)
    info = info_of(graph) or {}
    labels = labels_of(graph)
    size = Path(path).stat().st_size
    n_runs = _runs_a_clip(graph, info.get("frontend"))
    out.result(
        {
            "file": path,
            "bytes": size,
            "labels": list(labels) if labels else None,
            "frontend": info.get("frontend"),
            "inputs": [_tensor(t, name) for t, name in _side(graph, "inputs")],
            "outputs": [_tensor(t, name) for t, name in _side(graph, "outputs")],
            "ops": _counted([op.name for op in graph.main.ops]),
            "parameters": summary.parameters,
            "multiply_adds": summary.multiply_adds,
            "arena_bytes": planned.arena_bytes,
            "arena": arena.arena_record(planned, tail),
            "resolver": {"size": resolver.size, **dataclasses.asdict(resolver)},
            "runs_per_clip": n_runs,
            "training": info.get("training"),
            "written": [png] if png else [],
        }
    )
    out.answer(
        f"{path}: {size} bytes, {summary.parameters} parameters, "
        f"{summary.multiply_adds} multiply-adds, arena {planned.arena_bytes} bytes"
    )
    for side in ("inputs", "outputs"):
        for tensor, name in _side(graph, side):
            out.answer(f"{side[:-1]:<8} {name}: {_words(tensor)}")
    out.answer(f"labels   {', '.join(labels) if labels else 'not in the file'}")
    out.answer(f"frontend {_settings(info.get('frontend'))}")
    if n_runs and n_runs > 1:
        out.answer(f"memory   of earlier frames: {n_runs} runs a clip, the sizes here are of one")
    customs = list(dict.fromkeys(op.name for op in graph.main.ops if op.custom))
    for line in (
        *arena.arena_words(planned, tail),
        *arena.resolver_words(resolver),
        *arena.custom_words(customs),
    ):
        out.answer(line)
    rows: list[list[Any]] = [["op", "output", "multiply-adds", "parameters", "bytes"]]
    for number, op in enumerate(summary.ops, 1):
        shape = "x".join(map(str, op.output_shape)) or "-"
        rows.append(
            [f"{number} {op.name}", shape, op.multiply_adds, op.parameters, op.parameter_bytes]
        )
    out.answer("\n" + columns(rows))
    rows = [["tensor in the arena", "bytes", "offset", "from step", "to step"]]
    for index, buffer in enumerate(planned.buffers):
        where = f" (subgraph {buffer.subgraph})" if buffer.subgraph else ""
        name = f"{arena.letter(index)} {arena.shortened(buffer.name)}{where}"
        rows.append([name, buffer.n_bytes, buffer.offset, buffer.first, buffer.last])
    if planned.buffers:
        out.answer("\n" + columns(rows))
        out.answer("\n" + arena.draw_text(planned))
    if png:
        out.answer(f"\nwrote {png}")
    return 0


def _architecture(args: argparse.Namespace, out: Output) -> int:
    from minikws.cli.architecture import show
    from minikws.errors import MinikwsError, SettingsError, nearest
    from minikws.models import ARCHITECTURES
    from minikws.models.own import is_own, own_architecture

    if Path(args.model).is_dir():
        raise SettingsError(
            f"{args.model} is a folder, expected a file or an architecture; a run is exported "
            f"first: minikws export {args.model} --out model.tflite"
        )
    if args.model not in ARCHITECTURES and not is_own(args.model):
        files = sorted(p.name for p in Path(args.model).parent.glob("*.tflite"))
        raise MinikwsError(
            f"{args.model} is neither a file nor an architecture; "
            f"{nearest(Path(args.model).name, [*ARCHITECTURES, *files])}"
        )
    if args.labels_count < 1:
        raise SettingsError(f"--labels-count {args.labels_count} is below 1; give 1 or more")
    own = is_own(args.model)
    show(own_architecture(args.model) if own else ARCHITECTURES[args.model], args, out)
    return 0


def _runs_a_clip(graph: Graph, frontend: Mapping[str, Any] | None) -> int | None:
    """Return how often a clip's features fill the input, None where they are not known."""
    from minikws.frontend import make_frontend

    size = math.prod(graph.main.tensors[graph.main.inputs[0]].shape) if graph.main.inputs else 0
    if frontend is None or size == 0:
        return None
    settings = make_frontend(frontend).settings
    return settings.n_frames * settings.n_features // size


def _side(graph: Graph, side: str) -> list[tuple[Tensor, str]]:
    """Return the tensors that go in or come out, with the signature's names."""
    indices = graph.main.inputs if side == "inputs" else graph.main.outputs
    names = {index: name for name, index in (graph.signature or {}).get(side, {}).items()}
    return [(graph.main.tensors[i], names.get(i, graph.main.tensors[i].name)) for i in indices]


def _tensor(tensor: Tensor, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale[0] if tensor.scale else None,
        "zero_point": tensor.zero_point[0] if tensor.zero_point else None,
    }


def _words(tensor: Tensor) -> str:
    real = f", real = {tensor.scale[0]:.9g} * (q - {tensor.zero_point[0]})" if tensor.scale else ""
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}{real}"


def _counted(names: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, "count": count} for name, count in Counter(names).items()]


def _settings(frontend: Mapping[str, Any] | None) -> str:
    """Return a frontend's settings in words, those that differ from its defaults after a kind."""
    if frontend is None:
        return "not in the file"
    from minikws import settings

    kinds = {
        cls.kind: cls
        for cls in vars(settings).values()
        if isinstance(cls, type) and dataclasses.is_dataclass(cls) and hasattr(cls, "kind")
    }
    known = kinds.get(frontend["kind"])
    defaults = {f.name: f.default for f in dataclasses.fields(known)} if known else {}
    told = [f"{n}={v}" for n, v in frontend.items() if n != "kind" and v != defaults.get(n, ())]
    return " ".join([frontend["kind"], *told])
