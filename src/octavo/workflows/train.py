"""Train: from a manifest to models, one per seed, resumable at every epoch."""

import logging
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.dataset import EpochOrder, evaluation_batches, training_batches, validation_batches
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts, divide, undersample_cohort
from octavo.cohorts.reference import Reference
from octavo.cohorts.splits import Split, read_split, write_split
from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.metrics.attention import describe_attention
from octavo.metrics.calibration import apply_temperature, fit_temperature
from octavo.metrics.classification import auroc, youden_threshold
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.systems import System, find_system
from octavo.training.fit import Stage, fit
from octavo.training.inference import Readings, read_exams
from octavo.training.machine import Machine
from octavo.training.recipe import recipe_to_json, with_classes
from octavo.training.run import COHORT, MODEL, RECIPE, claim, is_main_process, locked, provenance, save_model
from octavo.training.tracking import Mirror
from octavo.workflows.reporting.refresh import refresh_card
from octavo.workflows.several_classes import calibrate_classes, validation_of_classes

_log = logging.getLogger("octavo.train")

FIRST_STAGE = "stage-1"
"""Of classification; a stage of pretraining may stand before it."""
CARD = "model-card.md"
TAKEN_OVER = "taken-over.json"
"""Which stages were copied, in a seed's folder until the seed is finished."""
LEFT_OUT = "left_out"
"""Field of `cohort.json`: how many exams of the manifest a pair left out, by label."""


@dataclass(frozen=True)
class _Training:
    """What all seeds of a run share."""

    system: System
    recipe: Any
    content: dict[str, Any]
    parts: Parts
    hashes: dict[str, str]
    machine: Machine
    stage_one_of: Path | None


def train(
    system: str,
    recipe: Any,
    choice: CohortChoice,
    run: Path,
    *,
    seeds: tuple[int, ...] = (100,),
    machine: Machine | None = None,
    prepared: Path | None = None,
    stage_one_of: Path | None = None,
) -> dict[str, Any]:
    """Train a system on a cohort, once per seed.

    Args:
        system: One of `SYSTEMS`.
        recipe: That system's recipe.
        choice: Which exams.
        run: The run's folder; an unfinished one is gone on with.
        seeds: One model each; all share one split.
        machine: Where to train; by default whatever there is.
        prepared: Where prepared scans are kept, so that several runs can share them; by default in the run.
        stage_one_of: Another run of the same recipe's first stage, whose first stage is taken over, pretraining included.

    Returns:
        What stands in `summary.json`.

    Raises:
        OctavoError: If anything is refused; what was there is left as it was.
    """
    room = find_system(system)
    _require_seeds(seeds)
    recipe = recipe.resolved()
    exams = choice.read()
    split = read_split(choice.split) if choice.split else None
    if recipe.balance_before_split:
        exams = undersample_cohort(exams, recipe.split_seed)
    recipe = with_classes(recipe, exams.classes, system)
    content = {"system": system, **recipe_to_json(recipe)}
    source = choice.source(prepared or run / "prepared", recipe.preparation)
    recipe.build_network()  # refuses an impossible recipe before anything is written

    def divided() -> _Training:
        fractions, seed = recipe.split_fractions, recipe.split_seed
        parts = divide(exams, source, split=split, fractions=fractions, seed=seed, progress=_progress(len(exams.exams)))
        parts.require_every_class()
        hashes = {
            "cohort_hash": exams.content_hash,
            "split_hash": parts.split.content_hash,
            "voxels_hash": parts.voxels_hash,
        }
        return _Training(room, recipe, content, parts, hashes, machine or Machine(), stage_one_of)

    if not is_main_process():
        training = divided()
        for seed in seeds:
            _train_seed(training, run / f"seed-{seed}", seed)
        return {}
    with locked(run):
        if _unbegun(run):
            write_json(run / RECIPE, content)
        stored = read_json(run / RECIPE) if (run / RECIPE).exists() else content
        claim(run, RECIPE, _as_told_then(content, stored, recipe))
        identity = _identity(choice, exams)
        if (run / COHORT).exists():
            claim(run, COHORT, {**read_json(run / COHORT), **identity})
        todo = [seed for seed in seeds if not (run / f"seed-{seed}" / "finished.json").exists()]
        if not todo and _summary_tells(run, seeds):
            if not (run / CARD).exists():
                refresh_card(run)
            raise OctavoError(f"{run}: this run is finished; choose another folder for a new one, or other seeds")
        training = divided()
        # only now, so that a manifest whose scans cannot be used may be corrected
        identity["voxels_hash"] = training.parts.voxels_hash
        if (run / COHORT).exists():
            claim(run, COHORT, identity, beside=(LEFT_OUT,))
        # what a pair left out is told and not compared: the run is that of a manifest which never held it
        told = choice.negative is not None or exams.left_out
        write_json(run / COHORT, {**identity, **({LEFT_OUT: dict(exams.left_out)} if told else {})})
        _keep_split(run / "splits.csv", training.parts.split)
        mirror = Mirror(run, content) if training.machine.track == "mlflow" else None
        for seed in todo:
            _log.info("seed %d: %s", seed, _sizes(training.parts))
            with nullcontext() if mirror is None else mirror.seed(run / f"seed-{seed}"):
                _train_seed(training, run / f"seed-{seed}", seed, mirror)
        summary = _summarise(run, training.parts, _split_from(choice, exams))
        refresh_card(run)
        return summary


def _train_seed(training: _Training, folder: Path, seed: int, mirror: Mirror | None = None) -> None:
    """All stages of one seed, then what prediction needs: weights, reference, calibration, provenance."""
    recipe, parts, machine = training.recipe, training.parts, training.machine
    torch.manual_seed(seed)
    network = recipe.build_network()
    labels = [int(one.exam.label or 0) for one in parts.train]
    validation = training.system.inputs_of(recipe, parts.validation)
    results = {}
    for number, stage in enumerate(training.system.stages_of(recipe, network, seed, labels)):
        if number == 0 and training.stage_one_of is not None and is_main_process():
            _take_over(training.stage_one_of, training, folder)
        batches = _batches(training, stage, labels, validation, seed)
        result = fit(stage, *batches, folder / stage.name, machine, mirror)
        results[stage.name] = {
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "best_value": result.best_value,
        }
        if is_main_process():
            save_model(folder / stage.name / MODEL, network.state_dict())
    if not is_main_process():
        return
    write_json(folder / RECIPE, training.content)
    write_json(folder / "reference.json", Reference.of(one.facts for one in parts.train).to_json())
    readings = read_exams(network, evaluation_batches(validation, recipe.batch_size, machine.workers))
    write_json(folder / "calibration.json", _calibration(parts, readings))
    write_json(folder / "provenance.json", provenance(seed, training.hashes))
    # the last of what prediction needs: where there are weights, there is all that belongs to them
    save_model(folder / MODEL, network.state_dict())
    attention = {} if readings.slice_weights is None else describe_attention(readings.slice_weights)
    taken_over = _taken_over(folder)
    finished = {"seed": seed, "stages": results, **taken_over, **_validation(parts, readings), **attention}
    write_json(folder / "finished.json", finished)
    (folder / TAKEN_OVER).unlink(missing_ok=True)
    if attention.get("attention_note"):
        _log.warning("seed %d: %s", seed, attention["attention_note"])


def _batches(
    training: _Training, stage: Stage, labels: list[int], validation: Any, seed: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """What a stage learns from and what stops it, as the system or the stage itself has them."""
    recipe, parts, workers = training.recipe, training.parts, training.machine.workers
    # one stream for all that is random in a stage, so that a stage more or less before it changes nothing in it
    stream = stage.task.seed
    if stage.inputs is None:
        exams = training.system.inputs_of(recipe, parts.train, stream)
    else:
        exams, validation = stage.inputs(parts.train, stream), stage.inputs(parts.validation, stream)
    balance: Any = stage.balance or recipe.balance
    order = EpochOrder(labels, recipe.batch_size, balance, stream, balance_seed=seed)
    return training_batches(exams, order, workers), validation_batches(validation, recipe.batch_size, workers)


def calibrate(labels: np.ndarray, margins: np.ndarray) -> dict[str, Any]:
    """Temperature and threshold from the validation part.

    Args:
        labels: 0 or 1.
        margins: Logit margins of the same exams.

    Returns:
        `temperature`, `threshold` (Youden, of calibrated probabilities), and notes where one could not be chosen.
    """
    chosen: dict[str, Any] = {"temperature": 1.0, "threshold": 0.5, "exams": len(labels)}
    try:
        fitted = fit_temperature(labels, margins)
        chosen["temperature"] = fitted.temperature
        if fitted.note:
            chosen["temperature_note"] = fitted.note
    except UndefinedMetricError as reason:
        chosen["temperature_note"] = f"no temperature could be fitted, 1 stands: {reason}"
    try:
        chosen["threshold"] = youden_threshold(labels, apply_temperature(margins, chosen["temperature"]))
        chosen["threshold_rule"] = "Youden on validation"
    except UndefinedMetricError as reason:
        chosen["threshold_rule"] = f"0.5, as Youden's could not be chosen: {reason}"
    return chosen


def _identity(choice: CohortChoice, exams: Cohort) -> dict[str, Any]:
    named: dict[str, Any] = {"negative": choice.negative, "classes": list(choice.classes)}
    return {
        "manifest": choice.place,
        "content_hash": exams.content_hash,
        "split": None if choice.split is None else str(choice.split.absolute()),
        "positive": choice.positive,
        "each_row_its_own_patient": choice.each_row_its_own_patient,
        "axes": choice.axes,
        "key": choice.key,
        **{name: value for name, value in named.items() if value},
    }


def _require_seeds(seeds: tuple[int, ...]) -> None:
    if not seeds or not 0 <= min(seeds) <= max(seeds) < 2**32 or len(set(seeds)) < len(seeds):
        given = " ".join(map(str, seeds)) or "none"
        raise OctavoError(f"seeds are {given}; wanted one or more different whole numbers from 0 to 2^32 - 1")


def _unbegun(run: Path) -> bool:
    """Whether a run was refused before it learnt anything, so that its recipe may still be changed."""
    names = {entry.name for entry in run.iterdir()}
    return {RECIPE, ".lock"} <= names <= {RECIPE, ".lock", "prepared"}


def _keep_split(path: Path, split: Split) -> None:
    """Write the split, or refuse one that would move exams between parts in the middle of a run."""
    if path.exists() and read_split(path).content_hash != split.content_hash:
        raise OctavoError(
            f"{path}: this run was begun with another split than the manifest or the split file gives now; "
            "bring the old one back, or choose another folder"
        )
    write_split(split, path, overwrite=True)


def _take_over(other: Path, training: _Training, folder: Path) -> None:
    """Copy the first stage of another run and what came before it, if they would be the same: recipe, exams, split."""
    before = read_json(other / RECIPE)
    content = _as_told_then(training.content, before, training.recipe)
    different = [n for n in content if before.get(n) != content[n] and not n.startswith(("consistency", "grad_cam"))]
    if read_json(other / COHORT).get("content_hash") != training.hashes["cohort_hash"]:
        different.append("its exams")
    if read_json(other / COHORT).get("voxels_hash") != training.hashes["voxels_hash"]:
        different.append("its scans' voxels")
    if read_split(other / "splits.csv").content_hash != training.hashes["split_hash"]:
        different.append("its split")
    sources = [place for place in sorted((other / folder.name).glob("stage-*")) if place.name <= FIRST_STAGE]
    if different or not (other / folder.name / FIRST_STAGE / "finished.json").exists():
        reason = f"differs in {different[0]}" if different else f"has no finished {folder.name}/{FIRST_STAGE}"
        raise OctavoError(f"{other}: this run {reason}; wanted one with the same first stage; train it first")
    missing = [source for source in sources if not (folder / source.name).exists()]
    if missing:
        names = {*_taken_over(folder).get("stages_taken_over", ()), *(source.name for source in missing)}
        write_json(folder / TAKEN_OVER, {"stages_taken_over": sorted(names)})
    for source in missing:
        shutil.copytree(source, folder / f"{source.name}.tmp-copy")
        (folder / f"{source.name}.tmp-copy").rename(folder / source.name)


def _taken_over(folder: Path) -> dict[str, Any]:
    """Which stages of a seed were copied from another run, whose name is not kept."""
    return read_json(folder / TAKEN_OVER) if (folder / TAKEN_OVER).exists() else {}


def _as_told_then(content: dict[str, Any], before: dict[str, Any], recipe: Any) -> dict[str, Any]:
    """A recipe without the fields that did not exist when another was written, where they say what was done then."""
    usual = recipe_to_json(type(recipe)())
    return {name: value for name, value in content.items() if name in before or value != usual.get(name)}


def _labels(parts: Parts) -> np.ndarray:
    return np.array([one.exam.label for one in parts.validation], dtype=np.int64)


def _calibration(parts: Parts, readings: Readings) -> dict[str, Any]:
    if parts.classes:
        return calibrate_classes(_labels(parts), readings.logits)
    # by their names a model that is shared without its run still knows which class is which
    pair = dict(zip(("negative", "positive"), parts.pair, strict=False))
    return {**calibrate(_labels(parts), readings.margins), **pair}


def _validation(parts: Parts, readings: Readings) -> dict[str, Any]:
    if parts.classes:
        return validation_of_classes(_labels(parts), readings.logits)
    try:
        return {"validation_auroc": auroc(_labels(parts), readings.margins)}
    except UndefinedMetricError as reason:
        return {"validation_auroc": None, "validation_auroc_undefined": str(reason)}


def _summary_tells(run: Path, seeds: tuple[int, ...]) -> bool:
    """Whether these seeds stand in the summary; a run that was killed just before it was written is not over."""
    path = run / "summary.json"
    told: Any = read_json(path).get("seeds") if path.exists() else []
    return set(seeds) <= set(told)


def _split_from(choice: CohortChoice, exams: Cohort) -> str:
    """Who said which part each patient is in; only what octavo drew itself it can describe."""
    if choice.split is not None:
        return "file"
    return "manifest" if all(exam.split is not None for exam in exams.exams) else "octavo"


def _summarise(run: Path, parts: Parts, split_from: str) -> dict[str, Any]:
    """Mean and standard deviation over all finished seeds of the run."""
    finished = [read_json(path) for path in sorted(run.glob("seed-*/finished.json"))]
    values = [float(one["validation_auroc"]) for one in finished if one["validation_auroc"] is not None]  # type: ignore[arg-type]
    summary = {
        "seeds": [one["seed"] for one in finished],
        "split_from": split_from,
        "parts": parts.prevalences(),
        "validation_auroc_mean": float(np.mean(values)) if values else None,
        "validation_auroc_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "stages": {f"seed-{one['seed']}": one["stages"] for one in finished},
    }
    write_json(run / "summary.json", summary)
    return summary


def _sizes(parts: Parts) -> str:
    counted, names = parts.prevalences(), dict(enumerate(parts.classes))
    if names:
        of_class = {
            part: ", ".join(f"{told[f'exams_of_{number}']} {name}" for number, name in names.items())
            for part, told in counted.items()
        }
        return ", ".join(f"{part} {told['exams']} exams ({of_class[part]})" for part, told in counted.items())
    return ", ".join(f"{name} {part['exams']} exams ({part['positives']} positive)" for name, part in counted.items())


def _progress(total: int) -> Any:
    step = max(1, total // 5)

    def tell(done: int) -> None:
        if total >= 50 and (done % step == 0 or done == total):
            _log.info("  prepared %d of %d scans", done, total)

    return tell
