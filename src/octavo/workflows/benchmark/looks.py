"""What a benchmark was begun for, and every look at its test part.

    RUN/benchmark.json       the plan and the cohort; a change of either is refused, and after a look called what it is
    RUN/test-touches.json    when the test part was measured, what was measured, and what the answers' file must hold

A look is written down before the first answer is computed, so that none is forgotten, however a process ends.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts
from octavo.cohorts.unlabelled import Unlabelled
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.run import MODEL
from octavo.workflows.benchmark.cells import Order
from octavo.workflows.benchmark.plan import Plan

PLAN = "benchmark.json"
LOOKS = "test-touches.json"
PREDICTIONS = "predictions.csv"
CELLS = "cells"
BEGUN, DONE = "begun", "done"
_MAY_GROW = ("models", "seeds", "recipes")
"""What a benchmark may get more of; whatever else changes makes it another."""
_COHORT = "cohort"


@dataclass(frozen=True)
class Look:
    """One look at the test part."""

    when: str
    state: str
    models: list[str]
    seeds: list[int]
    cells: list[str]
    """Of which answers were measured."""
    weights: str
    exams: list[str]
    """A fingerprint of each scan that was tested, whatever it is called."""
    answers: str
    """Fingerprint of the answers' file; empty until it is written."""
    measured_alone: list[str]
    """Cells that `octavo evaluate` had measured by themselves."""


def looks_at(run: Path, again: bool) -> list[Look]:
    """Every look at the test part of a benchmark, the first one first.

    Raises:
        OctavoError: If the record is damaged, or missing though something was measured.
    """
    path = run / LOOKS
    if not path.exists():
        if (run / PREDICTIONS).exists() and not again:
            raise OctavoError(
                f"{path}: is missing, and {PREDICTIONS} tells that the test part was measured; bring it back, or measure "
                "again with --again"
            )
        return []
    try:
        told: Any = read_json(path)["looks"]
        return [Look(**one) for one in told]
    except (KeyError, TypeError):
        raise OctavoError(f"{path}: is damaged; wanted what octavo wrote; bring it back") from None


def begin_look(run: Path, plan: Plan, orders: Sequence[Order], parts: Mapping[str, Parts], again: bool) -> Look:
    """Write down that the test part is about to be measured."""
    before = looks_at(run, again)
    if before and before[-1].state == BEGUN:
        # an earlier call ended while it measured; nobody was shown what it found
        before.pop()
    elif not before and (run / PREDICTIONS).exists():
        before.append(Look("unknown", DONE, [], [], [], "", [], "", []))
    look = Look(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        state=BEGUN,
        models=list(plan.models),
        seeds=list(plan.seeds),
        cells=[order.cell.name for order in orders],
        weights=_weights_hash(orders),
        exams=tested(parts),
        answers="",
        measured_alone=[order.cell.name for order in orders if (order.folder / "evaluation.json").exists()],
    )
    _write(run, [*before, look])
    return look


def end_look(run: Path, look: Look, answers: str) -> None:
    """Write down that the answers of a look are written, and their fingerprint."""
    *before, _ = looks_at(run, again=False)
    _write(run, [*before, Look(**{**vars(look), "state": DONE, "answers": answers})])


def tested(parts: Mapping[str, Parts]) -> list[str]:
    """A fingerprint of each scan that is tested, wherever it lies and whatever it is called."""
    return sorted({one.content for part in parts.values() for one in part.test})


def looked_at_elsewhere(run: Path, exams: Sequence[str]) -> list[tuple[str, str, int]]:
    """Benchmarks beside this one that measured some of the same scans: whoever compares them chooses by those.

    Returns:
        Of each: the folder's name, when it measured last, and how many of these scans.
    """
    found = []
    for path in sorted(run.absolute().parent.glob(f"*/{LOOKS}")):
        if path.parent == run.absolute():
            continue
        try:
            looks = looks_at(path.parent, again=True)
        except (OctavoError, OSError):
            continue
        shared = {exam for look in looks for exam in look.exams} & set(exams)
        if shared:
            found.append((path.parent.name, looks[-1].when, len(shared)))
    return found


def check_plan(run: Path, plan: Plan, looks: Sequence[Look], again: bool) -> None:
    """Refuse another plan than the one the folder was begun for; it may get more models and seeds.

    Raises:
        OctavoError: If it is another, or would look a second time without being told to.
    """
    if not has_begun(run):
        return
    stored: dict[str, Any] = read_json(run / PLAN)
    wanted = plan.to_json()
    different = [name for name in wanted if name not in _MAY_GROW and stored.get(name) != wanted[name]]
    for name, recipe in wanted["recipes"].items():
        before = stored["recipes"].get(name, recipe)
        fields = [field for field in {**before, **recipe} if before.get(field) != recipe.get(field)]
        different += [f"{fields[0]} of {name}"] if fields else []
    if different:
        _refuse(run, looks, f"{different[0]} is another now")
    if not looks:
        return
    look = looks[-1]
    gone = [f"model {name}" for name in look.models if name not in plan.models]
    gone += [f"seed {seed}" for seed in look.seeds if seed not in plan.seeds]
    if gone:
        _refuse(run, looks, f"{gone[0]} is left out now")
    new = [f"model {name}" for name in plan.models if name not in look.models]
    new += [f"seed {seed}" for seed in plan.seeds if seed not in look.seeds]
    if new and not again:
        raise OctavoError(
            f"{run}: its test part was measured on {look.when}, and {new[0]} is new; wanted no second look; --again "
            "measures it again and the report says so, or divide other patients in another folder"
        )


def claim(
    run: Path,
    plan: Plan,
    choice: CohortChoice,
    cohort: Cohort,
    unlabelled: Mapping[str, Unlabelled],
    parts: Mapping[str, Parts],
) -> None:
    """Take the folder for a plan and a cohort, or refuse another cohort than it was begun for.

    Raises:
        OctavoError: If exams, labels, patients or voxels are others than they were.
    """
    told = {name: getattr(choice, name) for name in ("positive", "negative", "axes", "key")}
    identity = {
        "content": cohort.content_hash,
        "voxels": next(iter(parts.values())).voxels_hash,
        "classes": list(cohort.classes),
        **told,
        **({"unlabelled": {name: one.voxels_hash for name, one in unlabelled.items()}} if unlabelled else {}),
    }
    content = plan.to_json()
    if has_begun(run):
        stored: dict[str, Any] = read_json(run / PLAN)
        if stored.get(_COHORT) != identity:
            before: dict[str, Any] = stored.get(_COHORT, {})
            what = [name for name in {**identity, **before} if before.get(name) != identity.get(name)]
            named = {
                "content": "its exams, labels or patients",
                "voxels": "what its scans hold",
                "unlabelled": "its scans without labels",
            }
            _refuse(
                run, looks_at(run, again=True), f"{named.get(what[0], what[0])}: another now than it was begun with"
            )
        # what was trained once stays what it was, also where a model is left out for a while
        content["recipes"] = {**stored["recipes"], **content["recipes"]}
    write_json(run / PLAN, {**content, _COHORT: identity})


def has_begun(run: Path) -> bool:
    """Whether anything was trained; until then a plan that was refused may be corrected."""
    return (run / PLAN).exists() and ((run / CELLS).exists() or (run / LOOKS).exists())


def _refuse(run: Path, looks: Sequence[Look], what: str) -> None:
    if looks:
        raise OctavoError(
            f"{run}: its test part was measured on {looks[-1].when}, and {what}; to choose by what was measured is tuning "
            "on the test part; repeat the first command, or divide other patients elsewhere"
        )
    raise OctavoError(
        f"{run}: this benchmark was begun otherwise ({what}); repeat the first command to go on with it, or choose another "
        "folder"
    )


def _write(run: Path, looks: Sequence[Look]) -> None:
    write_json(run / LOOKS, {"looks": [vars(one) for one in looks]})


def _weights_hash(orders: Sequence[Order]) -> str:
    digest = hashlib.sha256()
    for order in orders:
        digest.update(order.cell.name.encode())
        digest.update((order.folder / f"seed-{order.cell.seed}" / MODEL).read_bytes())
    return digest.hexdigest()
