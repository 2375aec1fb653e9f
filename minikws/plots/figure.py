"""A figure without pyplot: nothing global changes, no window opens, no screen is needed.

Matplotlib is imported inside, so that only who draws needs it.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minikws.errors import SettingsError, import_extra
from minikws.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120
FORMATS = (".png", ".svg", ".pdf")


def new_figure(
    *, width: float, height: float, n_columns: int = 1, n_rows: int = 1
) -> tuple[Figure, Any]:
    """Return a figure of so many inches, and its axes (an array of them for several)."""
    module = import_extra("matplotlib.figure", extra="plots", purpose="drawing a picture")
    figure = module.Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    return figure, figure.subplots(nrows=n_rows, ncols=n_columns)


def finish(figure: Figure, path: str | Path | None) -> Figure:
    """Write the figure where a path is given, and return it.

    Names stand in it as they are: a file or a word may hold a $, which begins no formula.
    """
    text_class = import_extra("matplotlib.text", extra="plots", purpose="drawing a picture").Text
    powers = [  # of ten, on a logarithmic axis: the only formulas
        text
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if axis.get_scale() != "linear"
        for text in axis.get_ticklabels()
    ]
    for text in figure.findobj(text_class):
        text.set_parse_math(text in powers)
    if path is not None:
        ending = Path(path).suffix.lower()
        if ending not in FORMATS:
            raise SettingsError(
                f"a picture's name must end in {', '.join(FORMATS)}, found {str(path)!r}; add .png"
            )
        buffer = BytesIO()
        with warnings.catch_warnings():
            # A label in a script that the font lacks is drawn as a box, without a warning.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
            figure.savefig(buffer, format=ending[1:])
        write_file(path, buffer.getvalue())
    return figure
