"""Several models side by side, each with its interval: a forest plot, as a PNG file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from octavo.errors import OctavoError
from octavo.figures.colours import SERIES
from octavo.figures.plotting import INK, QUIET, label_axes, new_figure, png_bytes, with_report_look


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot.

    Args:
        name: Of the model.
        values: The measure in every seed.
        mean: Over seeds.
        interval: 95 %, of the mean.
        difference: To the reference, with its 95 % interval; None for the reference itself and where there is none.
        mark: What stands behind the difference, such as its p-value.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    difference: tuple[float, float, float] | None = None
    mark: str = ""


@with_report_look
def forest_png(rows: Sequence[ForestRow], *, measure: str, reference: str, chance: float | None = None) -> bytes:
    """Draw each model's measure with its interval, and beside it the difference to the reference.

    Args:
        rows: The models, best first or in any other order; they are drawn from top to bottom.
        measure: Its name, such as AUROC.
        reference: The name of the model that the others are compared with.
        chance: What chance gives, drawn as a line.

    Raises:
        OctavoError: If there is no row, or a number is not finite.
    """
    if not rows:
        raise OctavoError("no model was given; wanted at least one with a value")
    _require_finite(rows)
    figure, (left, right) = new_figure((9.2, 1.3 + 0.36 * len(rows)), columns=2)
    places = np.arange(len(rows))[::-1]
    if chance is not None:
        left.axvline(chance, color=QUIET, linewidth=1, linestyle=":", zorder=0)
    right.axvline(0, color=QUIET, linewidth=1, linestyle=":", zorder=0)
    for place, row in zip(places, rows, strict=True):
        colour = SERIES[1] if row.name == reference else SERIES[0]
        if row.interval is not None:
            left.plot(row.interval, [place, place], color=colour, linewidth=2)
        # the seeds lie a little below, so that they do not hide the mean
        left.plot(row.values, np.full(len(row.values), place - 0.25), ".", color=QUIET, markersize=4, alpha=0.8)
        left.plot([row.mean], [place], "s", color=colour, markersize=6)
        if row.difference is not None:
            gap, low, high = row.difference
            right.plot([low, high], [place, place], color=colour, linewidth=2)
            right.plot([gap], [place], "s", color=colour, markersize=6)
        right.text(1.01, place, row.mark, transform=right.get_yaxis_transform(), va="center", fontsize=8.5, color=INK)
    left.set_yticks(places, [row.name for row in rows])
    right.set_yticks(places, ["reference" if row.name == reference else "" for row in rows])
    for axes in (left, right):
        axes.set_ylim(-0.6, len(rows) - 0.4)
    label_axes(left, f"{measure}: mean over seeds (points: seeds), 95 % interval", "")
    label_axes(right, f"{measure} minus that of {reference}, 95 % interval", "")
    return png_bytes(figure)


def _require_finite(rows: Sequence[ForestRow]) -> None:
    for row in rows:
        numbers = (*row.values, row.mean, *(row.interval or ()), *(row.difference or ()))
        if not np.isfinite(numbers).all():
            raise OctavoError(f"{row.name}: a value is not finite; wanted numbers; leave models without a value out")
