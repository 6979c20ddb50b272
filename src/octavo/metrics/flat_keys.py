"""Measures as flat keys: each with its interval behind it, and each gap with its reason.

A measure `m` brings `m`, `m_ci_low` and `m_ci_high`. What has no value is None, and `m_undefined` or `m_ci_undefined`
says why, so that one class missing from a test part costs the measures that need it and not the report.
"""

from collections.abc import Callable, Container, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from octavo.metrics.exam_arrays import Patients, UndefinedMetricError
from octavo.metrics.intervals import Statistic, draw_statistics, percentile_interval

Evaluation: TypeAlias = dict[str, float | int | str | None]
"""Flat, and ready to be written as JSON."""


def value_or_reason(name: str, measure: Callable[[], float]) -> Evaluation:
    """The measure under its name, or None and why.

    Example:
        >>> value_or_reason("accuracy", lambda: 0.75)
        {'accuracy': 0.75}
    """
    try:
        return {name: measure()}
    except UndefinedMetricError as reason:
        return {name: None, f"{name}_undefined": str(reason)}


def with_intervals(
    values: Evaluation, statistics: Mapping[str, Statistic], patients: Patients, resamples: int, seed: int
) -> Evaluation:
    """Every measure followed by its interval, so that the file can be read by people too.

    Args:
        values: Measures and whatever else is said, in the order of the file.
        statistics: The measures that get an interval, as functions of the weights.
        patients: Who each exam belongs to.
        resamples: How many times patients are drawn.
        seed: What makes the draws repeatable.

    Raises:
        OctavoError: If an exam has no patient, or `resamples` is too small for a tail of 2.5 %.
    """
    defined = {name: statistic for name, statistic in statistics.items() if values[name] is not None}
    intervals = _intervals(defined, patients, resamples, seed)
    return _side_by_side(values, intervals, statistics)


def _intervals(
    statistics: Mapping[str, Statistic], patients: Patients, resamples: int, seed: int
) -> dict[str, Evaluation]:
    """The bootstrap interval of every measure, or why there is none."""
    try:
        draws = draw_statistics(statistics, patients, resamples, seed)
    except UndefinedMetricError as reason:
        return {name: {f"{name}_ci_undefined": str(reason)} for name in statistics}
    return {name: _interval(name, values) for name, values in draws.items()}


def _interval(name: str, draws: Float[np.ndarray, " resample"]) -> Evaluation:
    try:
        interval = percentile_interval(draws, name)
    except UndefinedMetricError as reason:
        return {f"{name}_ci_undefined": str(reason)}
    found: Evaluation = {f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
    if interval.undefined:
        found[f"{name}_ci_resamples_left_out"] = interval.undefined
    if interval.high - interval.low < 1e-12:
        found[f"{name}_ci_note"] = "nearly every draw of patients gave this value; that is too few exams, not certainty"
    return found


def _side_by_side(values: Evaluation, intervals: Mapping[str, Evaluation], measures: Container[str]) -> Evaluation:
    found: Evaluation = {}
    for key, value in values.items():
        found[key] = value
        if key in measures:
            found |= {f"{key}_ci_low": None, f"{key}_ci_high": None} | intervals.get(key, {})
    return found
