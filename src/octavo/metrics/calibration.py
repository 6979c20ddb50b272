"""Whether a probability means what it says, and the temperature that makes it mean more of it.

Of the exams given a probability of 0.8, eight in ten should be positive. The calibration error sorts exams into bins
and compares; the slope and intercept do it with a line through the logits; the temperature divides the logit margin
(logit of the disease minus logit of its absence) by one number that does not change any ranking.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

from octavo.errors import OctavoError, unknown_name
from octavo.metrics import weighted
from octavo.metrics.exam_arrays import (
    UndefinedMetricError,
    check_labels,
    check_probabilities,
    check_scores,
    need_both_classes,
)
from octavo.metrics.weighted import Binning

BINS = 10
TEMPERATURES = (0.05, 20.0)
"""The coldest and the hottest temperature that is fitted."""


@dataclass(frozen=True, slots=True)
class ReliabilityCurve:
    """What was promised and what came, bin by bin; empty bins are left out."""

    mean_probability: Float[np.ndarray, " bin"]
    positive_share: Float[np.ndarray, " bin"]
    exams: Int[np.ndarray, " bin"]


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """The logistic line `intercept + slope * logit` that fits the labels best."""

    slope: float
    """1 is right; below 1 the model is too sure of itself, above 1 not sure enough."""
    intercept: float
    intercept_at_slope_one: float
    """Calibration in the large: 0 is right; above 0 the disease is commoner than the model says."""


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """A temperature, and what it did to the exams it was fitted on."""

    temperature: float
    log_loss_before: float
    log_loss_after: float
    note: str
    """Empty where the fit is an ordinary one; otherwise what a reader should know about it."""


def calibration_error(
    labels: Integer[np.ndarray, " exam"],
    probabilities: Float[np.ndarray, " exam"],
    bins: int = BINS,
    binning: Binning = "equal-count",
) -> float:
    """Expected calibration error: mean distance between promised probability and share of positives.

    Bins of equal count are the default: with the few hundred exams of a test part, bins of equal width leave most of
    them nearly empty and measure noise. Even so the value never is zero for a perfect model: with n exams in a bin it
    is about 0.4 / sqrt(n) of pure chance, and a bootstrap adds as much again, so its interval lies high.

    Args:
        labels: 0 or 1.
        probabilities: Of the disease, from 0 to 1.
        bins: How many; where exams have the same probability they stay together, so fewer may be filled.
        binning: Same number of exams in each bin, or bins of width 1 / bins.

    Raises:
        OctavoError: If labels are not 0 or 1, probabilities not from 0 to 1, or the binning is unknown.

    Example:
        >>> calibration_error(np.array([0, 0, 0, 1]), np.full(4, 0.75), bins=1)
        0.5
    """
    labels, probabilities = _labels_and_probabilities(labels, probabilities)
    _check_bins(bins, binning)
    once = np.ones((1, labels.size))
    return float(weighted.calibration_error(labels, probabilities, once, bins, binning)[0])


def reliability_curve(
    labels: Integer[np.ndarray, " exam"],
    probabilities: Float[np.ndarray, " exam"],
    bins: int = BINS,
    binning: Binning = "equal-count",
) -> ReliabilityCurve:
    """Give the points of the reliability diagram, in the same bins as `calibration_error`.

    Raises:
        OctavoError: If labels are not 0 or 1, probabilities not from 0 to 1, or the binning is unknown.
    """
    labels, probabilities = _labels_and_probabilities(labels, probabilities)
    _check_bins(bins, binning)
    place = weighted.bin_of_exams(probabilities, np.ones((1, labels.size)), bins, binning)[0]
    exams = np.bincount(place, minlength=bins)
    filled = exams > 0
    return ReliabilityCurve(
        mean_probability=np.bincount(place, probabilities, minlength=bins)[filled] / exams[filled],
        positive_share=np.bincount(place, labels, minlength=bins)[filled] / exams[filled],
        exams=exams[filled],
    )


def calibration_line(labels: Integer[np.ndarray, " exam"], logits: Float[np.ndarray, " exam"]) -> CalibrationLine:
    """Fit slope and intercept of a logistic regression of the labels on the logits.

    Args:
        labels: 0 or 1.
        logits: Log odds of the disease, or the logit margin.

    Raises:
        UndefinedMetricError: If only one class is there, the logits are all equal, or they separate the classes so
            that the best slope is infinite.
        OctavoError: If labels are not 0 or 1, or logits not finite.
    """
    labels = check_labels(labels)
    logits = check_scores(labels, logits)
    need_both_classes(labels, "the calibration slope")
    healthy, diseased = logits[labels == 0], logits[labels == 1]
    if logits.min() == logits.max():
        raise UndefinedMetricError(f"the calibration slope needs logits that differ; all {logits.size} are equal")
    if healthy.max() <= diseased.min() or diseased.max() <= healthy.min():
        raise UndefinedMetricError(
            "the logits separate the classes perfectly, so the best calibration slope is infinite"
        )
    # a line through standardised logits is the same line, and Newton's steps stay well conditioned
    middle, spread = logits.mean(), logits.std()
    level, rise = _fit_line(labels, (logits - middle) / spread)
    # where the mean probability is the prevalence; beyond 50 from every logit all probabilities are 0 or 1
    offset = rising_root(
        lambda a: float(_logistic(logits + a).sum() - labels.sum()), -logits.max() - 50, 50 - logits.min()
    )
    return CalibrationLine(float(rise / spread), float(level - rise * middle / spread), offset)


def fit_temperature(labels: Integer[np.ndarray, " exam"], logit_margins: Float[np.ndarray, " exam"]) -> TemperatureFit:
    """Find the temperature that gives the labels the highest probability.

    The log loss is convex in 1 / temperature, so there is one answer, and halving an interval finds it. Where every
    exam lies on the right side of zero the loss would fall for ever with the temperature, and the model would come out
    certain because the validation part was easy. There the target of a class of n exams is (n + 1) / (n + 2) instead of
    1, the rule of succession that Platt (1999) used: seen n times in n, certain it is not. The note says so.

    Args:
        labels: 0 or 1, of the validation part.
        logit_margins: Logit of the disease minus logit of its absence.

    Returns:
        The temperature, between 0.05 and 20, with the log loss before and after.

    Raises:
        UndefinedMetricError: If only one class is there, or all margins are zero.
        OctavoError: If labels are not 0 or 1, or margins not finite.

    Example:
        >>> fit = fit_temperature(np.array([0, 0, 1, 1] * 5), np.array([-6.0, 3.0, -3.0, 6.0] * 5))
        >>> fit.temperature > 4, fit.log_loss_after < fit.log_loss_before
        (True, True)
    """
    labels = check_labels(labels)
    margins = check_scores(labels, logit_margins)
    need_both_classes(labels, "a temperature")
    if not margins.any():
        raise UndefinedMetricError("a temperature needs logit margins that are not all zero")
    targets, notes = labels.astype(np.float64), []
    if ((2 * labels - 1) * margins >= 0).all():
        positives, negatives = labels.sum(), (1 - labels).sum()
        targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        notes.append(
            f"all {labels.size} exams lie on the right side, so no temperature is best; the one given follows from "
            "trusting a class of n exams up to (n + 1) / (n + 2)"
        )
    inverse, at_bound = _root_of_slope(targets, margins)
    temperature = 1 / inverse
    if at_bound:
        notes.append(
            f"the best temperature lies outside {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g}; the nearer end is given"
        )
    before, after = _log_loss_of_margins(labels, margins), _log_loss_of_margins(labels, margins * inverse)
    return TemperatureFit(temperature, before, after, "; ".join(notes))


def apply_temperature(
    logit_margins: Float[np.ndarray, " exam"], temperature: float = 1.0
) -> Float[np.ndarray, " exam"]:
    """Turn logit margins into probabilities at a temperature.

    Raises:
        OctavoError: If the temperature is not a positive number, or a margin is not finite.

    Example:
        >>> apply_temperature(np.array([0.0, 2.0]), 2.0).round(3)
        array([0.5  , 0.731])
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise OctavoError(f"temperature is {temperature}; wanted a positive number, 1 for none")
    return _logistic(check_scores(logit_margins, logit_margins) / temperature)


def _root_of_slope(targets: Float[np.ndarray, " exam"], margins: Float[np.ndarray, " exam"]) -> tuple[float, bool]:
    """Where the loss stops falling as 1 / temperature grows, and whether that is an end of the allowed interval."""

    def slope(inverse: float) -> float:
        return float(margins @ (_logistic(inverse * margins) - targets))

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(low) >= 0:
        return low, True
    if slope(high) <= 0:
        return high, True
    return rising_root(slope, low, high), False


def rising_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function passes zero, by halving the interval until nothing is left between its ends."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return float(high)


def _fit_line(labels: Int[np.ndarray, " exam"], values: Float[np.ndarray, " exam"]) -> Float[np.ndarray, " term"]:
    """Level and rise of a logistic regression, by Newton's method with steps halved while they make it worse."""
    design = np.stack([np.ones_like(values), values], axis=1)
    weights = np.zeros(2)
    loss = _log_loss_of_margins(labels, design @ weights)
    for _ in range(200):
        probabilities = _logistic(design @ weights)
        gradient = design.T @ (labels - probabilities)
        if np.abs(gradient).max() < 1e-10 * labels.size:
            return weights
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        for _ in range(60):
            new_loss = _log_loss_of_margins(labels, design @ (weights + step))
            if new_loss <= loss:
                break
            step /= 2
        else:
            break
        weights, loss = weights + step, new_loss
    raise UndefinedMetricError("the calibration line did not settle: the classes overlap in next to no exam")


def _log_loss_of_margins(labels: Int[np.ndarray, " exam"], margins: Float[np.ndarray, " exam"]) -> float:
    return float(np.logaddexp(0.0, (1 - 2 * labels) * margins).mean())


def _logistic(margins: Float[np.ndarray, " exam"]) -> Float[np.ndarray, " exam"]:
    """1 / (1 + exp(-margin)) with full precision at both ends and no overflow."""
    small = np.exp(-np.abs(margins))
    return np.where(margins >= 0, 1.0, small) / (1 + small)


def _labels_and_probabilities(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[Int[np.ndarray, " exam"], Float[np.ndarray, " exam"]]:
    labels = check_labels(labels)
    return labels, check_probabilities(labels, probabilities)


def _check_bins(bins: int, binning: str) -> None:
    if bins < 1:
        raise OctavoError(f"bins is {bins}; wanted at least 1")
    known = ("equal-count", "equal-width")
    if binning not in known:
        raise OctavoError(unknown_name("a binning", binning, known))
