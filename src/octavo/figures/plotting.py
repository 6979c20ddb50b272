"""How curves look, and how they become bytes: matplotlib's objects only, never its global figure."""

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from octavo.figures.colours import SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")
Place = Literal["best", "upper left", "lower left", "lower right"]

DOTS_PER_INCH = 144
INK = "#1b1b1b"
QUIET = "#5c5c5c"
GRID = "#dcdcdc"
MARKERS = "osD^vP"
LINE_STYLES = ("-", "--", "-.", ":")

# Settings of the user's own matplotlib that would change how a report looks.
_SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "text.usetex": False,
    "axes.facecolor": "white",
    "legend.facecolor": "white",
    "axes.unicode_minus": True,
    "text.antialiased": True,
    "lines.antialiased": True,
    "savefig.bbox": None,
    "savefig.transparent": False,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.formatter.use_locale": False,
    "axes.formatter.limits": [-5, 6],
}


def with_report_look(draw: Callable[P, bytes]) -> Callable[P, bytes]:
    """Let a function draw with the settings of a report, whatever the user's own settings of matplotlib are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> bytes:
        import matplotlib

        with matplotlib.rc_context(_SETTINGS):
            return draw(*args, **options)

    return drawn


def whole_numbers(axis: "Axis") -> None:
    """Count along an axis in whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def series_style(number: int) -> dict[str, Any]:
    """Colour, marker and line of the n-th series, each of which alone tells it from its neighbours."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINE_STYLES[number % len(LINE_STYLES)],
    }


def new_figure(
    size_inches: tuple[float, float], rows: int = 1, columns: int = 1, height_ratios: list[float] | None = None
) -> "tuple[Figure, list[Axes]]":
    """A white figure with its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=height_ratios).ravel()
    return figure, list(axes)


def label_axes(axes: "Axes", x_name: str, y_name: str, *, grid: bool = True) -> None:
    """Name both axes and draw a quiet grid behind the data."""
    axes.set_xlabel(x_name, fontsize=10, color=INK)
    axes.set_ylabel(y_name, fontsize=10, color=INK)
    axes.tick_params(labelsize=9, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)


def add_legend(axes: "Axes", place: Place) -> None:
    """Explain what is drawn, on a ground that keeps the letters readable."""
    axes.legend(loc=place, fontsize=8.5, frameon=True, framealpha=0.9, edgecolor=GRID)


def png_bytes(figure: "Figure") -> bytes:
    """The figure as the bytes of a PNG file, without date or version, so that the same numbers give the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()
