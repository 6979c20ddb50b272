"""How much each slice of a volume counted: the slices that counted most, and under them the weights of all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num

from octavo.figures.colours import SERIES
from octavo.figures.framing import DISCLAIMER
from octavo.figures.plotting import INK, QUIET, label_axes, png_bytes, with_report_look
from octavo.volume import AXES, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 6
"""How many slices are drawn above the weights."""

_MOST_STRETCHED = 3.0
_SLICE_NAMES = {"bscan": "B-scan", "depth": "en-face slice", "ascan": "slice along A-scans"}


@with_report_look
def draw_slice_weights(
    volume: Volume,
    axis: str,
    weights: Sequence[tuple[int, float]],
    title: str,
    notes: Sequence[str] = (),
) -> bytes:
    """Draw the slices that counted most, in stored order, and the weights of all slices under them, as a PNG.

    Args:
        volume: The scan as it is stored.
        axis: Along which axis slices follow one another.
        weights: For each slice that was read, its index from 0 and its weight; the weights add up to one.
        title: Whose slices these are.
        notes: Sentences every picture must bear.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heaviest = sorted(sorted(weights, key=lambda one: -one[1])[:SHOWN])
    figure = Figure(figsize=(9.0, 5.2), dpi=144, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, len(heaviest), height_ratios=(1.0, 1.1))
    name = _SLICE_NAMES[axis]
    for place, (index, weight) in enumerate(heaviest):
        axes = figure.add_subplot(grid[0, place])
        picture = np.take(volume.values, index, axis=AXES.index(axis))
        _show_slice(axes, picture, _aspect(volume, axis, picture))
        axes.set_title(f"{name if place == 0 else ''} {index + 1}\n{weight:.1%}".strip(), fontsize=9, color=INK)
    below = figure.add_subplot(grid[1, :])
    _draw_weights(below, weights, {index for index, _ in heaviest})
    label_axes(below, f"{name}, counted from 1", "weight")
    figure.suptitle(title, fontsize=11, color=INK)
    figure.supxlabel("\n".join([*notes, DISCLAIMER]), fontsize=8, color=QUIET)
    return png_bytes(figure)


def _show_slice(axes: "Axes", picture: Num[np.ndarray, "row column"], aspect: float) -> None:
    low, high = np.percentile(picture, [0.5, 99.5])
    axes.imshow(picture, cmap="gray", vmin=float(low), vmax=float(max(high, low + 1e-9)), aspect=aspect)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_weights(axes: "Axes", weights: Sequence[tuple[int, float]], heaviest: set[int]) -> None:
    places = [index + 1 for index, _ in weights]
    colours = [SERIES[0] if index in heaviest else QUIET for index, _ in weights]
    axes.bar(places, [weight for _, weight in weights], width=0.85, color=colours)
    alike = 1 / len(weights)
    axes.axhline(alike, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate("all alike", (places[-1] + 0.6, alike), fontsize=8, color=INK, ha="right", va="bottom")
    axes.set_xlim(places[0] - 0.8, places[-1] + 0.8)
    axes.set_ylim(bottom=0.0)


def _aspect(volume: Volume, axis: str, picture: Num[np.ndarray, "row column"]) -> float:
    """Height of a sample over its width: true to millimetres where known, and never an unreadable strip."""
    rows, columns = (mm for name, mm in zip(AXES, volume.spacing_mm.values_mm, strict=True) if name != axis)
    true = rows / columns if rows is not None and columns is not None else 1.0
    shape = picture.shape[0] / picture.shape[1]
    return float(np.clip(true * shape, 1 / _MOST_STRETCHED, _MOST_STRETCHED) / shape)
