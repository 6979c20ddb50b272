"""Groups of people: the columns of a manifest by which measures are told apart."""

import math
from collections.abc import Iterable, Mapping, Sequence

from jaxtyping import Float, Integer
from numpy import ndarray

from octavo.cohorts.exam import Exam
from octavo.errors import OctavoError, unknown_name
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.fairness import GroupReport, evaluate_by_group, group_numbers

FEW = 5
"""So many different numbers are still names of groups, such as codes of sites; of more, thirds of the patients are made."""


def covariates_of(exams: Sequence[Exam], names: Iterable[str], where: str) -> dict[str, list[str]]:
    """The values of covariates, exam by exam; empty where a row has none.

    Args:
        exams: Of a cohort.
        names: Columns of its manifest.
        where: The manifest's name, for messages.

    Raises:
        OctavoError: If no exam has such a column, naming the nearest.
    """
    known = list(dict.fromkeys(name for exam in exams for name in exam.covariates))
    for name in names:
        if name not in known:
            raise OctavoError(f"{where}: {unknown_name('a covariate', name, known)}")
    return {name: [exam.covariates.get(name, "") for exam in exams] for name in names}


def measure_groups(
    labels: Integer[ndarray, " exam"],
    probabilities: Float[ndarray, " exam"] | None,
    patients: Sequence[str],
    values: Mapping[str, Sequence[str]],
) -> dict[str, GroupReport | str]:
    """The AUROC in every group of each covariate.

    Args:
        labels: 0 or 1.
        probabilities: Of the disease; None where there are more than two classes.
        patients: Who each exam belongs to.
        values: Of each covariate, as `covariates_of` gives them.

    Returns:
        What was found for each covariate, or the reason why there is nothing.
    """
    found: dict[str, GroupReport | str] = {}
    for name, of_exams in values.items():
        if probabilities is None:
            found[name] = "groups are compared by the AUROC of two classes"
            continue
        try:
            found[name] = evaluate_by_group(labels, probabilities, patients, named_groups(of_exams, patients))
        except UndefinedMetricError as reason:
            found[name] = str(reason)
    return found


def named_groups(values: Sequence[str], patients: Sequence[str]) -> list[str]:
    """Groups by a covariate as it stands in a manifest: numbers of more than five values become thirds of the patients.

    Example:
        >>> named_groups(["F", "m", ""], ["a", "b", "c"])
        ['F', 'm', '']
        >>> named_groups([str(age) for age in range(40, 46)], list("abcdef"))[0]
        'below 42'
    """
    known = [value.strip() for value in values]
    try:
        numbers = [float(value) if value else None for value in known]
    except ValueError:
        return known
    if not all(number is None or math.isfinite(number) for number in numbers):
        return known
    if len({number for number in numbers if number is not None}) <= FEW:
        return known
    return group_numbers(numbers, patients)
