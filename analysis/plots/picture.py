"""A picture: a drawing that can draw itself.

A function of this package decides what is to be seen and returns a ``Picture``. ``static`` draws it
with matplotlib, ``interactive`` with plotly, ``svg`` as markup for a page that follows the
reader's theme. What is shown and its numbers are thereby the same in a paper, a notebook and the
report.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.plots.drawing import Drawing
from analysis.plots.svg import draw as draw_svg
from spaces.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

#: What ``Picture.save`` writes, by the file's ending.
STATIC, INTERACTIVE = (".pdf", ".svg", ".png", ".eps"), (".html",)


@dataclass(frozen=True)
class Picture(Drawing):
    """What is to be seen, with the means to draw it; its attributes are those of ``Drawing``."""

    def static(self) -> Figure:
        """Draw it with matplotlib: a figure for a paper, to be changed further if need be."""
        from analysis.plots.static import draw  # noqa: PLC0415  (matplotlib)

        return draw(self)

    def interactive(self) -> PlotlyFigure:
        """Draw it with plotly: a figure for a notebook, with zoom and a text on every mark."""
        from analysis.plots.interactive import draw  # noqa: PLC0415  (plotly)

        return draw(self)

    def svg(self) -> str:
        """Draw it as SVG markup for a page; colours are CSS variables where a theme sets them."""
        return draw_svg(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file; the ending says how.

        Args:
            path: ``.pdf``, ``.svg``, ``.eps`` or ``.png`` for a static figure (vectors but for the
                last), ``.html`` for an interactive one that opens without a network.

        Returns:
            The path.

        Raises:
            InputError: Another ending.
        """
        from analysis.plots.static import save  # noqa: PLC0415  (matplotlib)

        file = Path(path)
        if file.suffix in STATIC:
            save(self, file)
        elif file.suffix in INTERACTIVE:
            self.interactive().write_html(file, include_plotlyjs=True)
        else:
            raise InputError(
                f"{file}: a picture cannot be written as {file.suffix or 'a file without ending'}. "
                f"Give one of {', '.join(STATIC + INTERACTIVE)}."
            )
        return file
