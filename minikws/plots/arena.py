"""A picture of a memory plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minikws.errors import ShapeError, import_extra
from minikws.plots.figure import finish, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minikws.runtime import Plan
    from minikws.runtime.planner import PlannedBuffer

MANY_STEPS = 40  # of an arena; more make the operators' names smaller


def draw_arena(
    plan: Plan,
    *,
    title: str = "arena",
    path: str | Path | None = None,
) -> Figure:
    """Draw a memory plan: a box a tensor, time from left to right, its place in the arena upwards.

    A box is as wide as its tensor's life and as high as its bytes, and names it where it has the
    room. The black line is what the tensors of a step need together: where it reaches the dashed
    one, the arena's size, no byte is spare.

    Raises
    ------
    ShapeError : a plan without a buffer.
    MissingExtraError, SettingsError, RunError : no Matplotlib; an unknown ending; cannot write.
    """
    if not plan.buffers:
        raise ShapeError("the model needs no memory for tensors; there is no arena to draw")
    n_steps, head = len(plan.steps), plan.arena_bytes
    width = min(16.0, max(6.0, 1.6 + 0.42 * n_steps))
    names = [step.label for step in plan.steps]
    upright = n_steps > 12
    names_inches = 0.06 * max(map(len, names)) * (1 if upright else 0.7)
    figure, axes = new_figure(width=width, height=4.0 + names_inches)
    colors = import_extra("matplotlib", extra="plots", purpose="drawing a picture").colormaps
    palette = colors["tab20"].colors
    # Dark and pale shades of one hue lie side by side in the palette: take the pale ones first.
    shades = [*palette[1::2], *palette[0::2]]
    inches_a_step = (width - 1.6) / n_steps
    for index, buffer in enumerate(plan.buffers):
        n_alive = buffer.last - buffer.first + 1
        shade = shades[index % len(shades)]
        axes.bar(
            buffer.first - 0.5,
            buffer.n_bytes,
            width=n_alive,
            bottom=buffer.offset,
            align="edge",
            color=shade,
            edgecolor="white",
            linewidth=0.8,
        )
        _name_box(
            axes,
            buffer,
            width_inches=n_alive * inches_a_step,
            height_inches=2.8 * buffer.n_bytes / head,
            shade=shade,
        )
    needed, peak = plan.needed_bytes, plan.peak
    edges = np.arange(n_steps + 1) - 0.5
    axes.stairs(needed, edges, color="black", linewidth=1.2, label="needed at each step")
    axes.axhline(head, color="black", linestyle="--", linewidth=0.8, label=f"arena, {head} bytes")
    axes.set_xlim(-0.5, n_steps - 0.5)
    axes.set_ylim(0, head * 1.18)
    axes.set_xticks(
        np.arange(n_steps),
        names,
        rotation=90 if upright else 45,
        ha="center" if upright else "right",
        rotation_mode="default" if upright else "anchor",
        fontsize="xx-small" if n_steps > MANY_STEPS else "x-small",
    )
    axes.get_xticklabels()[peak].set_fontweight("bold")
    axes.set_title(f"{title}\npeak at {names[peak]}, {needed[peak]} bytes", fontsize="medium")
    axes.set_ylabel("offset in bytes")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", fontsize="x-small", ncols=2, frameon=False)
    return finish(figure, path)


def _name_box(
    axes: Any, buffer: PlannedBuffer, *, width_inches: float, height_inches: float, shade: Any
) -> None:
    """Write a buffer's name and bytes into its box where they fit, on end where only that does."""
    # Converters put a whole history into a name; its last part says what the tensor is.
    name = buffer.name.partition(";")[0].partition(":")[0].rpartition("/")[2] or buffer.name
    letter = 0.062  # inches of a letter of this size
    text: dict[str, Any] = {"rotation": 0}
    if height_inches >= 0.3 and width_inches >= letter * max(len(name), 5):
        name = f"{name}\n{buffer.n_bytes}"
    elif height_inches >= 0.3 and width_inches >= 0.3 and height_inches >= letter * len(name):
        text["rotation"] = 90
    elif height_inches < 0.14 or width_inches < letter * len(name):
        return
    axes.text(
        (buffer.first + buffer.last) / 2,
        buffer.offset + buffer.n_bytes / 2,
        name,
        ha="center",
        va="center",
        fontsize="x-small",
        color="white" if np.mean(shade) < 0.5 else "black",
        bbox={"facecolor": shade, "edgecolor": "none", "pad": 0.5},  # hides the line behind it
        zorder=5,
        **text,
    )
