"""Curves that say how good a classifier is, as PNG files.

Each function takes plain numbers and returns bytes; the same numbers give the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from octavo.errors import OctavoError
from octavo.figures.colours import SERIES
from octavo.figures.plotting import (
    INK,
    MARKERS,
    QUIET,
    add_legend,
    label_axes,
    new_figure,
    png_bytes,
    series_style,
    whole_numbers,
    with_report_look,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold on a ROC curve."""

    name: str
    false_positive_rate: float
    true_positive_rate: float


@dataclass(frozen=True, eq=False)
class RocBand:
    """The interval of a ROC curve: for each false positive rate, the lowest and the highest true positive rate."""

    false_positive_rate: Float[np.ndarray, " grid"]
    low: Float[np.ndarray, " grid"]
    high: Float[np.ndarray, " grid"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability curve: bins of predictions, and how often they came true.

    Args:
        name: Such as "before" or "after temperature 1.7".
        predicted: Mean predicted probability of each bin.
        observed: Share of positives in each bin.
        counts: Exams in each bin; a bin without exams is not drawn.
        calibration_error: Shown beside the name where given.
    """

    name: str
    predicted: Float[np.ndarray, " bin"]
    observed: Float[np.ndarray, " bin"]
    counts: Int[np.ndarray, " bin"]
    calibration_error: float | None = None


@dataclass(frozen=True)
class Confusion:
    """What became of the positives and the negatives at one threshold."""

    name: str
    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    def __post_init__(self) -> None:
        if min(self.true_negatives, self.false_positives, self.false_negatives, self.true_positives) < 0:
            raise OctavoError(f"a count of the confusion matrix {self.name!r} is below zero; wanted numbers of exams")

    def __str__(self) -> str:
        return (
            f"{self.true_positives} of {self.true_positives + self.false_negatives} positives and "
            f"{self.true_negatives} of {self.true_negatives + self.false_positives} negatives were told right"
        )


def _require_rates(**rates: Num[np.ndarray, "..."]) -> None:
    for name, values in rates.items():
        if values.size == 0 or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise OctavoError(f"{name.replace('_', ' ')} holds values outside 0 to 1, or none; wanted rates")


@with_report_look
def roc_png(
    false_positive_rate: Float[np.ndarray, " point"],
    true_positive_rate: Float[np.ndarray, " point"],
    *,
    auroc: float | None = None,
    interval: tuple[float, float] | None = None,
    band: RocBand | None = None,
    operating_points: Sequence[OperatingPoint] = (),
) -> bytes:
    """Draw a ROC curve, with its interval as a band and the thresholds in use as points.

    Args:
        false_positive_rate: 1 - specificity, rising.
        true_positive_rate: Sensitivity.
        auroc: Shown in the legend.
        interval: Its 95 % interval.
        band: The 95 % interval of the curve itself.
        operating_points: Thresholds in use.

    Raises:
        OctavoError: If a rate is not between 0 and 1.
    """
    _require_rates(false_positive_rate=false_positive_rate, true_positive_rate=true_positive_rate)
    figure, axes = _square("False positive rate (1 − specificity)", "True positive rate (sensitivity)")
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="chance")
    if band is not None:
        _require_rates(band_low=band.low, band_high=band.high)
        axes.fill_between(
            band.false_positive_rate,
            band.low,
            band.high,
            color=SERIES[0],
            alpha=0.18,
            linewidth=0,
            label="95 % interval",
        )
    label = "model" if auroc is None else f"AUROC {auroc:.3f}"
    if auroc is not None and interval is not None:
        label += f" ({interval[0]:.3f} to {interval[1]:.3f})"
    axes.plot(false_positive_rate, true_positive_rate, color=SERIES[0], linewidth=2, label=label)
    for number, point in enumerate(operating_points, start=1):
        axes.plot(
            [point.false_positive_rate],
            [point.true_positive_rate],
            **(series_style(number) | {"linestyle": "none"}),
            markeredgecolor="white",
            markersize=9,
            label=point.name,
            clip_on=False,
            zorder=5,
        )
    add_legend(axes, "lower right")
    return png_bytes(figure)


@with_report_look
def precision_recall_png(
    recall: Float[np.ndarray, " point"],
    precision: Float[np.ndarray, " point"],
    *,
    prevalence: float,
    auprc: float | None = None,
    interval: tuple[float, float] | None = None,
) -> bytes:
    """Draw precision against recall, with the prevalence as the line that chance would give.

    Args:
        recall: Sensitivity.
        precision: Positive predictive value.
        prevalence: Share of positives in the part that was measured.
        auprc: Average precision, shown in the legend.
        interval: Its 95 % interval.

    Raises:
        OctavoError: If a rate is not between 0 and 1.
    """
    _require_rates(recall=recall, precision=precision, prevalence=np.array([prevalence]))
    figure, axes = _square("Recall (sensitivity)", "Precision (positive predictive value)")
    label = "model" if auprc is None else f"AUPRC {auprc:.3f}"
    if auprc is not None and interval is not None:
        label += f" ({interval[0]:.3f} to {interval[1]:.3f})"
    axes.plot(
        [0, 1], [prevalence, prevalence], color=QUIET, linewidth=1, linestyle=":", label=f"chance {prevalence:.3f}"
    )
    axes.plot(recall, precision, color=SERIES[0], linewidth=2, drawstyle="steps-pre", label=label)
    add_legend(axes, "lower left")
    return png_bytes(figure)


@with_report_look
def reliability_png(curves: Sequence[Reliability]) -> bytes:
    """Draw how often predictions came true, before and after calibration, and how many exams stand behind each point.

    Args:
        curves: One or two, such as before and after the temperature.

    Raises:
        OctavoError: If there is none, or a probability is not between 0 and 1.
    """
    if not curves:
        raise OctavoError("no reliability curve was given; wanted one or two")
    figure, (axes, below) = new_figure((4.4, 5.4), rows=2, height_ratios=[4, 1.3])
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":", label="perfectly calibrated")
    width = 0.03 / len(curves)
    for number, curve in enumerate(curves):
        filled = curve.counts > 0
        _require_rates(predicted=curve.predicted[filled], observed=curve.observed[filled])
        label = curve.name
        if curve.calibration_error is not None:
            label += f" (calibration error {curve.calibration_error:.3f})"
        style: dict[str, Any] = {
            "color": SERIES[number],
            "linestyle": ("--", "-")[number % 2 or len(curves) == 1],
            "linewidth": 1.8,
        }
        axes.plot(curve.predicted[filled], curve.observed[filled], marker=MARKERS[number], label=label, **style)
        place = curve.predicted[filled] + (number - (len(curves) - 1) / 2) * width
        below.bar(place, curve.counts[filled], width=width, color=SERIES[number])
    label_axes(axes, "", "Share of positives")
    label_axes(below, "Predicted probability", "Exams")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    below.set(xlim=(-0.02, 1.02))
    whole_numbers(below.yaxis)
    add_legend(axes, "upper left")
    return png_bytes(figure)


@with_report_look
def confusion_png(confusions: Sequence[Confusion], negative: str = "negative", positive: str = "positive") -> bytes:
    """Draw confusion matrices side by side, each field with its count and its share of the row.

    Args:
        confusions: One for each threshold.
        negative: The name of class 0.
        positive: The name of class 1.

    Raises:
        OctavoError: If there is none.
    """
    if not confusions:
        raise OctavoError("no confusion matrix was given; wanted one for each threshold")
    figure, all_axes = new_figure((3.5 * len(confusions) + 0.4, 3.4), columns=len(confusions))
    for axes, matrix in zip(all_axes, confusions, strict=True):
        counts = np.array(
            [[matrix.true_negatives, matrix.false_positives], [matrix.false_negatives, matrix.true_positives]]
        )
        rows = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, rows, out=np.zeros((2, 2)), where=rows > 0)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(2, 2):
            share = f"{shares[row, column]:.0%}" if rows[row, 0] else "no exams"
            axes.text(
                column,
                row,
                f"{counts[row, column]}\n{share}",
                ha="center",
                va="center",
                fontsize=13,
                color="white" if shares[row, column] > 0.55 else INK,
            )
        axes.set_xticks([0, 1], [negative, positive])
        axes.set_yticks([0, 1], [negative, positive], rotation=90, va="center")
        label_axes(axes, "Predicted", "Truth", grid=False)
        axes.set_title(matrix.name, fontsize=10, color=INK)
    return png_bytes(figure)


@with_report_look
def agreement_png(
    first: Float[np.ndarray, " exam"],
    second: Float[np.ndarray, " exam"],
    *,
    first_name: str,
    second_name: str,
    positive: Bool[np.ndarray, " exam"] | None = None,
) -> bytes:
    """Draw one number of each exam against another, with the line on which they are equal.

    Args:
        first: Such as how well CARE and Grad-CAM agreed before the consistency stage.
        second: Such as how well they agree after it.
        first_name: What stands at the horizontal axis.
        second_name: What stands at the vertical axis.
        positive: Which exams are positive; they get another colour and shape.

    Raises:
        OctavoError: If there is no exam or a number is not finite.
    """
    if first.size == 0 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise OctavoError("agreement holds no exams, or values that are not numbers; leave undefined exams out")
    figure, (axes,) = new_figure((4.4, 4.4))
    both = np.concatenate([first, second])
    margin = 0.05 * (float(np.ptp(both)) or 1.0)
    limits = (float(both.min()) - margin, float(both.max()) + margin)
    axes.plot(limits, limits, color=QUIET, linewidth=1, linestyle=":", label="equal")
    groups: Mapping[str, np.ndarray] = {"exams": np.ones(first.size, bool)}
    if positive is not None:
        groups = {"negative": ~positive, "positive": positive}
    for number, (name, chosen) in enumerate(groups.items()):
        axes.plot(
            first[chosen],
            second[chosen],
            MARKERS[number],
            color=SERIES[number],
            alpha=0.7,
            markersize=5,
            markeredgewidth=0,
            label=f"{name} ({int(chosen.sum())})",
        )
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    label_axes(axes, first_name, second_name)
    add_legend(axes, "best")
    return png_bytes(figure)


def _square(x_name: str, y_name: str) -> "tuple[Figure, Axes]":
    figure, (axes,) = new_figure((4.4, 4.4))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    label_axes(axes, x_name, y_name)
    return figure, axes
