"""Whether a model ranks as well in one group of people as in another.

The groups are the values of a covariate: sex, ancestry, site, or an age put into groups by `group_numbers`. Exams whose
group is unknown are left out and counted. A group without an AUROC (no diseased exam, say) keeps its reason; its exams
are then left out of the overall AUROC too, so that the groups are held against what they together make up.

The equity-scaled AUROC is that of Luo et al., "Harvard Glaucoma Fairness" (IEEE Transactions on Medical Imaging, 2024).
It and the largest gap are made of several noisy numbers: small groups lie apart by chance alone, so two models are
compared on the same groups only, and a gap is read beside the intervals of its groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Integer, Num, Shaped

from octavo.errors import OctavoError
from octavo.metrics import classification
from octavo.metrics.delong import auroc_interval
from octavo.metrics.exam_arrays import (
    Patients,
    UndefinedMetricError,
    check_labels,
    check_scores,
    index_patients,
)

Covariate: TypeAlias = Sequence[str] | Shaped[np.ndarray, " exam"]
"""The group that each exam belongs to, by name; an empty name where it is unknown."""


@dataclass(frozen=True, slots=True)
class GroupAuroc:
    """The AUROC of a group with its 95 % interval (DeLong, clustered by patient)."""

    group: str
    exams: int
    patients: int
    positives: int
    auroc: float | None
    low: float | None
    high: float | None
    undefined: str
    """Why there is no AUROC; empty where there is one."""
    interval_undefined: str
    """Why an AUROC has no interval, as with a single diseased patient; empty else."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The groups of one covariate, and how far apart they lie."""

    groups: tuple[GroupAuroc, ...]
    """All known groups in the order of their names, those without an AUROC too."""
    overall: GroupAuroc | None
    """All exams of the groups that have an AUROC, taken together; None where no group has one."""
    exams_unknown: int
    """Exams whose group is unknown, left out of everything here."""
    left_out: tuple[str, ...]
    """Groups without an AUROC, left out of `overall` and of what follows."""
    worst_group: str | None
    best_group: str | None
    largest_gap: float | None
    """AUROC of the best group minus that of the worst."""
    equity_scaled_auroc: float | None
    undefined: str
    """Why the last four are None: fewer than two groups have an AUROC; empty else."""


def evaluate_by_group(
    labels: Integer[np.ndarray, " exam"],
    scores: Float[np.ndarray, " exam"],
    patients: Patients,
    covariate: Covariate,
) -> GroupReport:
    """Measure the AUROC in every group of a covariate, and compare the groups.

    Args:
        labels: 0 or 1.
        scores: What grows with suspicion; ties count half.
        patients: Who each exam belongs to. The exams of a patient may lie in several groups, as with right and left eyes.
        covariate: The group of each exam by name, empty where unknown; numbers go through `group_numbers` first.

    Raises:
        UndefinedMetricError: If the covariate has fewer than two known values.
        OctavoError: If the arrays do not fit one another or hold what they must not.

    Example:
        >>> labels = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0])
        >>> scores = np.array([0.1, 0.2, 0.8, 0.9, 0.3, 0.6, 0.5, 0.7, 0.4])
        >>> found = evaluate_by_group(labels, scores, list("abcdefghi"), ["F"] * 4 + ["M"] * 4 + [""])
        >>> [(group.group, group.auroc) for group in found.groups], found.exams_unknown
        ([('F', 1.0), ('M', 0.75)], 1)
        >>> found.overall.auroc, found.worst_group, found.largest_gap, round(found.equity_scaled_auroc, 4)
        (0.9375, 'M', 0.25, 0.75)
    """
    labels = check_labels(labels)
    scores = check_scores(labels, scores)
    index, _ = index_patients(patients, labels.size)
    names = _check_covariate(covariate, labels.size)

    def measured(group: str, chosen: Bool[np.ndarray, " exam"]) -> GroupAuroc:
        return _measure(group, labels[chosen], scores[chosen], index[chosen])

    groups = tuple(measured(str(name), names == name) for name in np.unique(names[names != ""]))
    with_auroc = [group for group in groups if group.auroc is not None]
    overall = measured("overall", np.isin(names, [group.group for group in with_auroc])) if with_auroc else None
    unknown, left_out = int((names == "").sum()), tuple(group.group for group in groups if group.auroc is None)
    if overall is None or overall.auroc is None or len(with_auroc) < 2:
        reason = f"AUROC has a value in {len(with_auroc)} of {len(groups)} groups; comparing needs at least 2"
        return GroupReport(groups, overall, unknown, left_out, None, None, None, None, reason)
    areas = {group.group: group.auroc for group in with_auroc if group.auroc is not None}
    worst, best = min(areas, key=areas.__getitem__), max(areas, key=areas.__getitem__)
    scaled = equity_scaled_auroc(overall.auroc, list(areas.values()))
    return GroupReport(groups, overall, unknown, left_out, worst, best, areas[best] - areas[worst], scaled, "")


def equity_scaled_auroc(overall: float, groups: Sequence[float]) -> float:
    """Divide the overall AUROC by one plus how far the groups lie from it, in sum.

    It equals the overall AUROC where every group does, and is smaller otherwise. A sum grows with the number of groups,
    so only values of the same groups can be compared.

    Args:
        overall: AUROC of all exams of the groups together.
        groups: AUROC of each group.

    Raises:
        OctavoError: If there is no group, or an AUROC is not from 0 to 1.

    Example:
        >>> round(equity_scaled_auroc(0.9, [0.95, 0.8]), 6), equity_scaled_auroc(0.9, [0.9, 0.9])
        (0.782609, 0.9)
    """
    if not groups:
        raise OctavoError("no AUROC of a group was given; wanted at least one")
    for value in (overall, *groups):
        if not 0 <= value <= 1:
            raise OctavoError(f"an AUROC is {value:g}; wanted numbers from 0 to 1; leave groups without one out")
    return float(overall / (1 + sum(abs(overall - value) for value in groups)))


def group_numbers(
    values: Sequence[float | None] | Num[np.ndarray, " exam"],
    patients: Patients,
    edges: Sequence[float] | None = None,
) -> list[str]:
    """Put exams into groups by a number that is no category, such as age.

    Without edges the groups are thirds of the patients: each patient counts once, with the smallest of their values,
    and an edge is the value at which the next third begins. Patients of equal value stay together; where that leaves a
    third empty there are fewer groups. An exam goes by its own value, so a patient who grew older may be in two groups.

    Args:
        values: One per exam; None or NaN where unknown.
        patients: Who each exam belongs to.
        edges: Where a new group begins, rising: `(50, 65)` makes "below 50", "50 to below 65" and "65 and above".

    Returns:
        A name for each exam, empty where the number is unknown, ready for `evaluate_by_group`.

    Raises:
        UndefinedMetricError: If no edges are given and the known values do not differ between patients.
        OctavoError: If there are not as many values as patients, a value is infinite, or the edges do not rise.

    Example:
        >>> group_numbers([43, 50, None, 71], ["a", "b", "c", "d"], (50, 65))
        ['below 50', '50 to below 65', '', '65 and above']
        >>> group_numbers([40, 50, 60], ["a", "b", "c"])
        ['below 50', '50 to below 60', '60 and above']
    """
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    index, count = index_patients(patients, numbers.size)
    if np.isinf(numbers).any():
        place = int(np.flatnonzero(np.isinf(numbers))[0])
        raise OctavoError(f"value {place} is infinite; wanted finite numbers, None or NaN where unknown")
    if edges is None:
        edges = _thirds_of_patients(numbers, index, count)
    elif not edges or not np.isfinite(edges).all() or any(low >= high for low, high in pairwise(edges)):
        raise OctavoError(
            f"edges are {list(edges)}; wanted at least one finite number, each larger than the one before"
        )
    shown = [f"{edge:.12g}" for edge in edges]
    between = [f"{low} to below {high}" for low, high in pairwise(shown)]
    names = [f"below {shown[0]}", *between, f"{shown[-1]} and above"]
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers, side="right")
    return ["" if np.isnan(number) else names[place] for number, place in zip(numbers, places, strict=True)]


def _thirds_of_patients(
    numbers: Float[np.ndarray, " exam"], index: Integer[np.ndarray, " exam"], count: int
) -> list[float]:
    """The values at which the second and the last third of the patients begin."""
    of_patient = np.full(count, np.inf)
    known = ~np.isnan(numbers)
    np.minimum.at(of_patient, index[known], numbers[known])
    ordered = np.sort(of_patient[np.isfinite(of_patient)])
    if ordered.size == 0 or ordered[0] == ordered[-1]:
        raise UndefinedMetricError(
            f"the values of {ordered.size} patients do not differ, so there are no thirds of them; give edges or leave the "
            "covariate out"
        )
    candidates = {float(ordered[round(ordered.size * part / 3)]) for part in (1, 2)}
    edges = sorted(edge for edge in candidates if edge > ordered[0])
    # more than two thirds share the smallest value: the others are a group of their own
    return edges or [float(ordered[ordered > ordered[0]][0])]


def _measure(
    group: str,
    labels: Integer[np.ndarray, " exam"],
    scores: Float[np.ndarray, " exam"],
    patients: Integer[np.ndarray, " exam"],
) -> GroupAuroc:
    auroc = low = high = None
    undefined = interval_undefined = ""
    try:
        auroc = classification.auroc(labels, scores)
        interval = auroc_interval(labels, scores, patients)
        low, high = interval.low, interval.high
    except UndefinedMetricError as reason:
        undefined, interval_undefined = (str(reason), "") if auroc is None else ("", str(reason))
    counts = (labels.size, len(np.unique(patients)), int(labels.sum()))
    return GroupAuroc(group, *counts, auroc, low, high, undefined, interval_undefined)


def _check_covariate(covariate: Covariate, exams: int) -> Shaped[np.ndarray, " exam"]:
    names = np.asarray(covariate)
    if names.shape != (exams,):
        raise OctavoError(f"covariate has shape {names.shape}; wanted one group for each of {exams} exams")
    if names.dtype.kind == "O" and all(isinstance(name, str) for name in names):
        names = names.astype(np.str_)
    if names.dtype.kind != "U":
        raise OctavoError(
            f"covariate is of type {names.dtype}; wanted names of groups, empty where unknown; put numbers into groups with "
            "octavo.metrics.fairness.group_numbers, turn codes into text with astype(str)"
        )
    names = np.where(np.char.strip(names) == "", "", names)
    known = np.unique(names[names != ""])
    if known.size < 2:
        only = f"one value ({str(known[0])!r})" if known.size else "no known value"
        raise UndefinedMetricError(
            f"the covariate has {only} in {exams} exams; wanted at least two groups; leave this covariate out"
        )
    return names
