"""Learning in some places and testing in another: one division for each value of a covariate."""

from collections.abc import Iterable

from octavo.cohorts.folds import VALIDATION_SHARE, learn_and_choose
from octavo.cohorts.labels import spelt_alike
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.splits import Placement, Split, Unit, strata_of, units_of
from octavo.errors import OctavoError, unknown_name


def split_by_covariate(
    cohort: Cohort,
    covariate: str,
    *,
    seed: int,
    together: Iterable[Iterable[str]] = (),
    validation: float = VALIDATION_SHARE,
) -> dict[str, Split]:
    """One split for each value of a covariate: its patients are tested, all others are learnt from and chosen by.

    Args:
        cohort: The exams, all of them labelled.
        covariate: A column of the manifest, such as `site` or `device`.
        seed: The same seed gives the same splits.
        together: Groups of exams whose patients must stay in one part, because they hold the same scan.
        validation: Share of the patients who are not tested that choose epochs, thresholds and temperature.

    Returns:
        The splits by the covariate's values, in their order.

    Raises:
        OctavoError: If there is no such column, an exam has no value, there is one value only, a patient (or those who
            share a scan) has several, or the other values have too few patients of a class.

    Example:
        >>> from pathlib import Path
        >>> from octavo.cohorts.exam import PARTS, Exam
        >>> eyes = [
        ...     Exam(f"e{k}", f"p{k}", Path(f"{k}.npy"), label=k % 2, covariates={"site": "AB"[k // 20]}) for k in range(40)
        ... ]
        >>> splits = split_by_covariate(Cohort(tuple(eyes), Path("manifest.csv")), "site", seed=1)
        >>> {value: [len(split.patients(part)) for part in PARTS] for value, split in splits.items()}
        {'A': [17, 3, 20], 'B': [17, 3, 20]}
    """
    value_of = _values(cohort, covariate)
    units = units_of(cohort, together)
    for unit in units:
        several = sorted({value_of[patient] for patient in unit.patients})
        if len(several) > 1:
            raise OctavoError(
                f"{cohort.path.name}: patient {unit.patients[0]!r}"
                f"{' and others with the same scan' if len(unit.patients) > 1 else ''} stand under {covariate} "
                f"{' and '.join(several)}; wanted one, or what is tested was learnt from; take one of them out"
            )
    return {value: _split(cohort, units, value_of, value, seed, validation) for value in sorted({*value_of.values()})}


def _values(cohort: Cohort, covariate: str) -> dict[str, str]:
    """The covariate of every patient; of one who has several, the refusal names them."""
    found: dict[str, str] = {}
    for exam in cohort.exams:
        if covariate not in exam.covariates:
            raise OctavoError(f"{cohort.path.name}: {unknown_name('a covariate', covariate, exam.covariates)}")
        value = exam.covariates[covariate].strip()
        if not value:
            raise OctavoError(
                f"{cohort.path.name}: exam {exam.exam_id!r} has no {covariate}; wanted one for every exam; fill it in"
            )
        if found.setdefault(exam.patient_id, value) != value:
            raise OctavoError(
                f"{cohort.path.name}: patient {exam.patient_id!r} stands under {covariate} {found[exam.patient_id]} and "
                f"{value}; wanted one, or what is tested was learnt from; take the exams of one of them out"
            )
    if len(set(found.values())) < 2:
        raise OctavoError(
            f"{cohort.path.name}: {covariate} is {next(iter(found.values()))!r} in every exam; wanted at least two values"
        )
    meant: dict[str, str] = {}
    for value in sorted(set(found.values())):
        other = meant.setdefault(spelt_alike(value), value)
        if other != value:
            raise OctavoError(
                f"{cohort.path.name}: {covariate} is {other!r} in some exams and {value!r} in others; wanted one spelling, "
                "or what is tested was learnt from under another name; correct one of them"
            )
    return found


def _split(
    cohort: Cohort, units: list[Unit], value_of: dict[str, str], value: str, seed: int, validation: float
) -> Split:
    others = [unit for unit in units if value_of[unit.patients[0]] != value]
    where, cure = f"{cohort.path.name}: without {value}", "join values of the covariate"
    part_of = {patient: "test" for patient, own in value_of.items() if own == value}
    part_of |= learn_and_choose(strata_of(cohort, others), validation, seed, where, cure)
    return Split(tuple(Placement(exam.exam_id, exam.patient_id, part_of[exam.patient_id]) for exam in cohort.exams))
