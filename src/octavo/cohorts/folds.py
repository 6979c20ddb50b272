"""Cross-validation by patient: every patient is tested once, and chosen by never where tested."""

from collections.abc import Iterable, Sequence

from octavo.cohorts.exam import PARTS
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.splits import Placement, Split, Stratum, deal_units, quotas_of, strata_of, units_of
from octavo.errors import OctavoError

VALIDATION_SHARE = 0.15
"""Of the patients who are not tested in a fold, those who choose."""


def split_folds(
    cohort: Cohort,
    folds: int,
    *,
    seed: int,
    together: Iterable[Iterable[str]] = (),
    validation: float = VALIDATION_SHARE,
) -> list[Split]:
    """One split for each fold; the test parts of all folds are the cohort, each patient once.

    Positive patients (any eye is positive) and the others are dealt separately, and of more than two classes each; a
    patient is of the last that any exam has. Patients who share a file or a scan stay together.

    Args:
        cohort: The exams, all of them labelled.
        folds: How many, at least 2.
        seed: The same seed gives the same folds.
        together: Groups of exams whose patients must stay in one part, because they hold the same scan.
        validation: Share of the patients outside the test part who choose epochs, thresholds and temperature.

    Raises:
        OctavoError: If there are fewer patients of a class than folds, or a fold leaves too few to learn from and choose by.

    Example:
        >>> from pathlib import Path
        >>> from octavo.cohorts.exam import Exam
        >>> eyes = [Exam(f"e{k}", f"p{k}", Path(f"{k}.npy"), label=k % 2) for k in range(40)]
        >>> splits = split_folds(Cohort(tuple(eyes), Path("manifest.csv")), 5, seed=1)
        >>> [len(split.patients("test")) for split in splits], len(splits[0].patients("validation"))
        ([8, 8, 8, 8, 8], 5)
    """
    if folds < 2:
        raise OctavoError(f"folds is {folds}; wanted at least 2, or none for a single division")
    units = units_of(cohort, together)
    tested: dict[str, int] = {}
    strata = strata_of(cohort, units)
    for who, members in strata:
        if len(members) < max(folds, 3):
            raise OctavoError(
                f"{cohort.path.name}: {len(members)} patients with {who} (those who share a scan count once) for {folds} "
                f"folds; wanted at least {max(folds, 3)}, so that each fold has one to test, one to choose by and one to "
                "learn from; take fewer folds, or add patients"
            )
    active = list(range(folds))
    quotas = quotas_of([one.size for one in strata], [1 / folds] * folds)
    for stratum, quota in zip(strata, quotas, strict=True):
        for fold, dealt in deal_units(stratum.units, quota, active, seed).items():
            tested |= {patient: fold for unit in dealt for patient in unit.patients}
    return [_fold(cohort, strata, tested, fold, seed, validation) for fold in active]


def _fold(
    cohort: Cohort, strata: list[Stratum], tested: dict[str, int], fold: int, seed: int, validation: float
) -> Split:
    rest = [one._replace(units=[unit for unit in one.units if tested[unit.patients[0]] != fold]) for one in strata]
    part_of = {patient: "test" for patient, its_fold in tested.items() if its_fold == fold}
    where = f"{cohort.path.name}: beside the test part of fold {fold + 1}"
    part_of |= learn_and_choose(rest, validation, seed + fold + 1, where, "take more folds, or add patients")
    return Split(tuple(Placement(exam.exam_id, exam.patient_id, part_of[exam.patient_id]) for exam in cohort.exams))


def learn_and_choose(strata: Sequence[Stratum], validation: float, seed: int, where: str, cure: str) -> dict[str, str]:
    """Deal those who are not tested to training and validation, so that both have patients of every class.

    Args:
        strata: The patients of each class.
        validation: Share of them who choose epochs, thresholds and temperature.
        seed: The same seed deals them out in the same way.
        where: Which division this is, for the refusal.
        cure: What can be done where they are too few.

    Returns:
        The part of each patient.

    Raises:
        OctavoError: If there are no two patients of a class who share no scan.
    """
    part_of: dict[str, str] = {}
    for stratum, quota in zip(
        strata, quotas_of([one.size for one in strata], [1 - validation, validation]), strict=True
    ):
        dealt = deal_units(stratum.units, quota, [0, 1], seed) if len(stratum.units) > 1 else {}
        if not dealt or not all(dealt.values()):
            raise OctavoError(
                f"{where} there are {len(stratum.units)} patients with {stratum.who} (those who share a scan count once); "
                f"wanted at least 2, one to learn from and one to choose by; {cure}"
            )
        part_of |= {patient: PARTS[index] for index in dealt for unit in dealt[index] for patient in unit.patients}
    return part_of
