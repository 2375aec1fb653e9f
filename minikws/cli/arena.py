"""The arena as text: a row a step, memory from left to right, a letter a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minikws.runtime import Plan
    from minikws.tflite.resolver import Resolver

WIDTH = 56  # characters of the arena; with an operator's name and its bytes a terminal's 100
NAME_LENGTH = 48  # converters put a tensor's whole history into its name
_LETTERS = ascii_uppercase + ascii_lowercase + "0123456789"


def letter(index: int) -> str:
    """Return what stands for a buffer; they come again after 62 of them."""
    return _LETTERS[index % len(_LETTERS)]


def shortened(name: str) -> str:
    """Return a name that fits into a table."""
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def draw_text(planned: Plan) -> str:
    """Draw a plan: every buffer by its letter at every step where it must exist.

    A character is a 56th of the arena, so that the smallest buffers look larger than they are.
    """
    total, needed = planned.arena_bytes, planned.needed_bytes
    names = [step.label for step in planned.steps]
    margin = max(map(len, names))
    scale = f"0{f'{total} bytes':>{WIDTH - 1}}"
    lines = [f"{'':<{margin}}  {scale}  needed"]
    for i, name in enumerate(names):
        row = [" "] * WIDTH
        # The small ones last: a buffer of 16 bytes must not vanish behind its neighbour.
        alive = [b for b in enumerate(planned.buffers) if b[1].first <= i <= b[1].last]
        for index, buffer in sorted(alive, key=lambda pair: -pair[1].n_bytes):
            start = buffer.offset * WIDTH // total
            end = max(start + 1, (buffer.offset + buffer.n_bytes) * WIDTH // total)
            row[start:end] = letter(index) * (end - start)
        peak = "  peak" if i == planned.peak else ""
        lines.append(f"{name:<{margin}} |{''.join(row)}|{needed[i]:>7}{peak}")
    return "\n".join(lines)


def arena_words(planned: Plan, tail_bytes: int) -> list[str]:
    """Return head, tail and peak as lines of text."""
    head, peak = planned.arena_bytes, planned.steps[planned.peak]
    most = max(planned.needed_bytes)
    at = f"op {peak.label}" if peak.op >= 0 else "the input"
    gaps = f", {head - most} more lie in gaps" if most < head else ""
    return [
        f"arena    head {head} bytes, tail about {tail_bytes} (estimate, 64-bit; less on a 32-bit "
        f"board), together about {head + tail_bytes}",
        f"peak     {most} bytes at {at}{gaps}",
    ]


def resolver_words(resolver: Resolver) -> list[str]:
    """Return what a firmware registers, as lines of text."""
    if resolver.refused:
        names = ", ".join(resolver.refused)
        return [f"resolver none: TFLite Micro refuses uint8 in {names}; export int8 for a board"]
    words = f"MicroMutableOpResolver<{resolver.size}>: {', '.join(resolver.methods) or 'nothing'}"
    lines = [f"resolver {words}"]
    if resolver.missing:
        lines.append(f"         TFLite Micro has no method for {', '.join(resolver.missing)}")
    if resolver.resource_variables:
        lines.append(f"         MicroResourceVariables for {resolver.resource_variables}")
    return lines


def custom_words(names: Sequence[str]) -> list[str]:
    """Return which operators other runtimes than TFLite Micro lack, as lines of text."""
    if not names:
        return []
    return [f"custom   {', '.join(names)}: TFLite Micro and minikws run them, LiteRT does not"]


def arena_record(planned: Plan, tail_bytes: int) -> dict[str, Any]:
    """Return the arena as JSON has it."""
    peak = planned.steps[planned.peak]
    return {
        "head_bytes": planned.arena_bytes,
        "tail_bytes_estimate": tail_bytes,
        "peak": {
            "subgraph": peak.subgraph,
            "index": peak.op,
            "name": peak.name,
            "bytes": max(planned.needed_bytes),
        },
        "buffers": [
            {
                "name": b.name,
                "subgraph": b.subgraph,
                "tensor": b.tensor,
                "bytes": b.n_bytes,
                "offset": b.offset,
                "first_step": b.first,
                "last_step": b.last,
            }
            for b in planned.buffers
        ],
    }
