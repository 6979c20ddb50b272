"""Who is learnt from, who chooses and who is only measured: the same for every model."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.folds import split_folds
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts, divide, equal_scans, prepare_every
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.splits import FRACTIONS, Split, read_split, write_split
from octavo.cohorts.transfer import split_by_covariate
from octavo.cohorts.unlabelled import Unlabelled, read_unlabelled, unlabelled_beside
from octavo.errors import OctavoError
from octavo.files import plain_name
from octavo.training.recipe import pretrains
from octavo.workflows.benchmark.plan import Plan

_log = logging.getLogger("octavo.benchmark")


def divide_for_all(
    plan: Plan, choice: CohortChoice, folder: Path, prepared: Path, *, keep: bool = True
) -> dict[str, Parts]:
    """Divide the patients once, by the plan, and keep the splits in the folder.

    Scans are prepared for that, because equal scans must stay in one part whatever they are called.

    Args:
        plan: How to divide.
        choice: Which exams.
        folder: Where splits are kept, as `octavo cohort split` writes them.
        prepared: Where prepared scans are kept.
        keep: Whether splits that are there must be these; else they are of a call that trained nothing, and give way.

    Returns:
        The parts of each division by its name; the only one of an undivided benchmark has an empty name.

    Raises:
        OctavoError: If a scan cannot be used, a patient or a scan is in two parts, there are too few patients, or an earlier
            call divided otherwise.
    """
    cohort = choice.read()
    source = choice.source(prepared, _least_demanding(plan, plan.models))
    _log.info("preparing %d scans, once for all models that read them alike", len(cohort.exams))
    ready = prepare_every(cohort, source)
    if not keep:
        for path in (folder / "splits.csv", *(folder / "splits").glob("*.csv")):
            path.unlink(missing_ok=True)
    parts = {}
    for name, split in _splits(plan, choice, cohort, ready).items():
        parts[name] = divide(cohort, source, split=split, fractions=FRACTIONS, seed=plan.division_seed)
        _keep(split_path(folder, name), parts[name].split)
    return parts


def unlabelled_for_all(
    plan: Plan, choice: CohortChoice, parts: Mapping[str, Parts], prepared: Path
) -> dict[str, Unlabelled]:
    """Prepare the scans without labels once, so that one which cannot be used is known before anything is trained.

    Returns:
        Those that pretraining learns from in each division; nothing where the choice names no second manifest.

    Raises:
        OctavoError: As `read_unlabelled` and `unlabelled_beside` do.
    """
    cohort = read_unlabelled(choice, choice.read())
    if cohort is None:
        return {}
    learning = tuple(name for name in plan.models if pretrains(plan.recipe(name)[1]))
    source = choice.unlabelled_source(prepared, _least_demanding(plan, learning))
    return {name: unlabelled_beside(part, cohort, source) for name, part in parts.items()}


def split_path(folder: Path, division: str) -> Path:
    """Where the split of a division is kept.

    Example:
        >>> split_path(Path("run"), "").name, str(split_path(Path("run"), "fold-1"))
        ('splits.csv', 'run/splits/fold-1.csv')
    """
    return folder / "splits" / f"{division}.csv" if division else folder / "splits.csv"


def _splits(plan: Plan, choice: CohortChoice, cohort: Cohort, ready: Sequence[PreparedExam]) -> dict[str, Split | None]:
    if plan.folds is None and plan.transfer is None:
        return {"": read_split(choice.split) if choice.split else None}
    if choice.split is not None or any(exam.split for exam in cohort.exams):
        raise OctavoError(
            f"{cohort.path.name}: is divided already, by {'a split file' if choice.split else 'its column split'}, and "
            "folds or transfer were asked for; wanted one of the two; drop one of them"
        )
    together = equal_scans(ready)
    if plan.folds is not None:
        folds = split_folds(cohort, plan.folds, seed=plan.division_seed, together=together)
        return {f"fold-{number}": split for number, split in enumerate(folds, start=1)}
    by_value = split_by_covariate(cohort, str(plan.transfer), seed=plan.division_seed, together=together)
    names = {plain_name(f"{plan.transfer}-{value}"): split for value, split in by_value.items()}
    if len(names) < len(by_value):
        raise OctavoError(f"{cohort.path.name}: two values of {plan.transfer} differ in odd letters only; rename one")
    return dict(names)


def _keep(path: Path, split: Split) -> None:
    if path.exists() and read_split(path).content_hash != split.content_hash:
        raise OctavoError(
            f"{path}: this benchmark was begun with another division of the patients; wanted the same manifest and split; "
            "bring the old ones back, or choose another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_split(split, path, overwrite=True)


def _least_demanding(plan: Plan, models: Sequence[str]) -> Preparation:
    """The preparation of the model that takes most kinds of scans: what it refuses no other could use."""
    preparations = [plan.recipe(name)[1].preparation for name in models]
    return min(preparations, key=lambda one: (one.both_ends, one.hemiretinas, one.size is None))
