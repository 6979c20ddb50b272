"""What a run was begun for: its recipe, its exams, its split; and stages that are taken over from a run of the same."""

import shutil
from pathlib import Path
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.splits import Split, read_split, write_split
from octavo.cohorts.unlabelled import Unlabelled
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.recipe import recipe_to_json
from octavo.training.run import COHORT, RECIPE, claim

FIRST_STAGE = "stage-1"
"""Of classification; a stage of pretraining may stand before it."""
TAKEN_OVER = "taken-over.json"
"""Which stages were copied, in a seed's folder until the seed is finished."""
LEFT_OUT = "left_out"
"""Field of `cohort.json`: how many exams of the manifest a pair left out, by label."""
UNLABELLED = "unlabelled_"
"""How fields of `cohort.json` begin that tell of scans without labels."""


def identity_of(choice: CohortChoice, exams: Cohort) -> dict[str, Any]:
    """What a run's `cohort.json` must say, so that the run is of these exams, read this way."""
    named: dict[str, Any] = {"negative": choice.negative, "classes": list(choice.classes)}
    return {
        "manifest": choice.place,
        "content_hash": exams.content_hash,
        "split": None if choice.split is None else str(choice.split.absolute()),
        "positive": choice.positive,
        "each_row_its_own_patient": choice.each_row_its_own_patient,
        "axes": choice.axes,
        "key": choice.key,
        "unlabelled": choice.unlabelled_place,
        **{name: value for name, value in named.items() if value},
    }


def keep_cohort(run: Path, choice: CohortChoice, exams: Cohort, hashes: dict[str, str], unlabelled: Unlabelled) -> None:
    """Write which exams a run is of, or refuse others than it was begun with; call it only under the lock.

    Args:
        run: The run's folder.
        choice: Which exams.
        exams: What it reads.
        hashes: `voxels_hash` of the labelled scans.
        unlabelled: Exams that pretraining learns from beside them.

    Raises:
        OctavoError: If exams or what their scans hold are others.
    """
    identity = {**identity_of(choice, exams), "voxels_hash": hashes["voxels_hash"]}
    identity |= _told_of(unlabelled)
    if (run / COHORT).exists():
        claim(run, COHORT, identity, beside=(LEFT_OUT,))
    # what a pair left out is told and not compared: the run is that of a manifest which never held it
    told = choice.negative is not None or exams.left_out
    write_json(run / COHORT, {**identity, **({LEFT_OUT: dict(exams.left_out)} if told else {})})


def _told_of(unlabelled: Unlabelled) -> dict[str, Any]:
    """Fields of `cohort.json` of scans that only pretraining learns from; none where there are none."""
    return {f"{UNLABELLED}{name}": value for name, value in unlabelled.to_json().items()} if unlabelled.exams else {}


def unbegun(run: Path) -> bool:
    """Whether a run was refused before it learnt anything, so that its recipe may still be changed."""
    names = {entry.name for entry in run.iterdir()}
    return {RECIPE, ".lock"} <= names <= {RECIPE, ".lock", "prepared"}


def keep_split(path: Path, split: Split) -> None:
    """Write the split, or refuse one that would move exams between parts in the middle of a run.

    Raises:
        OctavoError: If the run was begun with another.
    """
    if path.exists() and read_split(path).content_hash != split.content_hash:
        raise OctavoError(
            f"{path}: this run was begun with another split than the manifest or the split file gives now; "
            "bring the old one back, or choose another folder"
        )
    write_split(split, path, overwrite=True)


def as_told_then(content: dict[str, Any], before: dict[str, Any], recipe: Any) -> dict[str, Any]:
    """A recipe without the fields that did not exist when another was written, where they say what was done then."""
    usual = recipe_to_json(type(recipe)())
    return {name: value for name, value in content.items() if name in before or value != usual.get(name)}


def take_over(
    other: Path, folder: Path, content: dict[str, Any], recipe: Any, hashes: dict[str, str], unlabelled: Unlabelled
) -> None:
    """Copy the first stage of another run and what came before it, if they would be the same: recipe, exams, split.

    Args:
        other: The other run.
        folder: Of the seed that is trained.
        content: The recipe as it stands in `recipe.json`.
        recipe: The same.
        hashes: Fingerprints of exams, voxels and split.
        unlabelled: Exams that pretraining learns from beside them.

    Raises:
        OctavoError: If it differs, or has not finished that stage.
    """
    before = read_json(other / RECIPE)
    content = as_told_then(content, before, recipe)
    different = [n for n in content if before.get(n) != content[n] and not n.startswith(("consistency", "grad_cam"))]
    if read_json(other / COHORT).get("content_hash") != hashes["cohort_hash"]:
        different.append("its exams")
    if read_json(other / COHORT).get("voxels_hash") != hashes["voxels_hash"]:
        different.append("its scans' voxels")
    if read_split(other / "splits.csv").content_hash != hashes["split_hash"]:
        different.append("its split")
    told = read_json(other / COHORT)
    if {name: value for name, value in told.items() if name.startswith(UNLABELLED)} != _told_of(unlabelled):
        different.append("its unlabelled scans")
    sources = [place for place in sorted((other / folder.name).glob("stage-*")) if place.name <= FIRST_STAGE]
    if different or not (other / folder.name / FIRST_STAGE / "finished.json").exists():
        reason = f"differs in {different[0]}" if different else f"has no finished {folder.name}/{FIRST_STAGE}"
        raise OctavoError(f"{other}: this run {reason}; wanted one with the same first stage; train it first")
    missing = [source for source in sources if not (folder / source.name).exists()]
    if missing:
        names = {*taken_over(folder).get("stages_taken_over", ()), *(source.name for source in missing)}
        write_json(folder / TAKEN_OVER, {"stages_taken_over": sorted(names)})
    for source in missing:
        shutil.copytree(source, folder / f"{source.name}.tmp-copy")
        (folder / f"{source.name}.tmp-copy").rename(folder / source.name)


def taken_over(folder: Path) -> dict[str, Any]:
    """Which stages of a seed were copied from another run, whose name is not kept."""
    return read_json(folder / TAKEN_OVER) if (folder / TAKEN_OVER).exists() else {}
