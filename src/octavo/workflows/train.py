"""Train: from a manifest to models, one per seed, resumable at every epoch."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from octavo.cohorts.choice import CohortChoice, PreparedSource
from octavo.cohorts.dataset import EpochOrder, evaluation_batches, training_batches, validation_batches
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import Parts, divide, undersample_cohort
from octavo.cohorts.reference import Reference
from octavo.cohorts.splits import Split, read_split
from octavo.cohorts.unlabelled import Unlabelled, read_unlabelled, unlabelled_beside
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
from octavo.training.recipe import pretrains, recipe_to_json, with_classes
from octavo.training.run import COHORT, MODEL, RECIPE, claim, is_main_process, locked, provenance, save_model
from octavo.training.tracking import Mirror
from octavo.workflows.reporting.refresh import refresh_card
from octavo.workflows.run_identity import (
    TAKEN_OVER,
    as_told_then,
    identity_of,
    keep_cohort,
    keep_split,
    take_over,
    taken_over,
    unbegun,
)
from octavo.workflows.several_classes import calibrate_classes, validation_of_classes

_log = logging.getLogger("octavo.train")

CARD = "model-card.md"


@dataclass(frozen=True)
class _Training:
    """What all seeds of a run share."""

    system: System
    recipe: Any
    content: dict[str, Any]
    parts: Parts
    unlabelled: Unlabelled
    hashes: dict[str, str]
    machine: Machine
    stage_one_of: Path | None


@dataclass(frozen=True)
class _Asked:
    """What a run is to be, before a scan is opened."""

    system: System
    recipe: Any
    content: dict[str, Any]
    exams: Cohort
    source: PreparedSource
    unlabelled: Cohort | None
    unlabelled_source: PreparedSource
    split: Split | None
    machine: Machine
    stage_one_of: Path | None

    def divided(self) -> _Training:
        """Prepare all scans, and divide them by patient."""
        recipe = self.recipe
        parts = divide(
            self.exams,
            self.source,
            split=self.split,
            fractions=recipe.split_fractions,
            seed=recipe.split_seed,
            progress=_progress(len(self.exams.exams)),
        )
        parts.require_every_class()
        unlabelled = unlabelled_beside(parts, self.unlabelled, self.unlabelled_source)
        hashes = {
            "cohort_hash": self.exams.content_hash,
            "split_hash": parts.split.content_hash,
            "voxels_hash": parts.voxels_hash,
            **({"unlabelled_hash": unlabelled.voxels_hash} if unlabelled.exams else {}),
        }
        return _Training(self.system, recipe, self.content, parts, unlabelled, hashes, self.machine, self.stage_one_of)


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
    _require_seeds(seeds)
    asked = _asked(system, recipe, choice, run, machine or Machine(), prepared, stage_one_of)
    if not is_main_process():
        training = asked.divided()
        for seed in seeds:
            _train_seed(training, run / f"seed-{seed}", seed)
        return {}
    with locked(run):
        if unbegun(run):
            write_json(run / RECIPE, asked.content)
        stored = read_json(run / RECIPE) if (run / RECIPE).exists() else asked.content
        claim(run, RECIPE, as_told_then(asked.content, stored, asked.recipe))
        if (run / COHORT).exists():
            claim(run, COHORT, {**read_json(run / COHORT), **identity_of(choice, asked.exams)})
        todo = [seed for seed in seeds if not (run / f"seed-{seed}" / "finished.json").exists()]
        if not todo and _summary_tells(run, seeds):
            if not (run / CARD).exists():
                refresh_card(run)
            raise OctavoError(f"{run}: this run is finished; choose another folder for a new one, or other seeds")
        training = asked.divided()
        # only now, so that a manifest whose scans cannot be used may be corrected
        keep_cohort(run, choice, asked.exams, training.hashes, training.unlabelled)
        keep_split(run / "splits.csv", training.parts.split)
        mirror = Mirror(run, asked.content) if training.machine.track == "mlflow" else None
        for seed in todo:
            _log.info("seed %d: %s", seed, _sizes(training))
            with nullcontext() if mirror is None else mirror.seed(run / f"seed-{seed}"):
                _train_seed(training, run / f"seed-{seed}", seed, mirror)
        summary = _summarise(run, training.parts, _split_from(choice, asked.exams))
        refresh_card(run)
        return summary


def _asked(
    system: str,
    recipe: Any,
    choice: CohortChoice,
    run: Path,
    machine: Machine,
    prepared: Path | None,
    stage_one_of: Path | None,
) -> _Asked:
    """Read what was asked for, and refuse what cannot be done before anything is written."""
    room = find_system(system)
    recipe = recipe.resolved()
    if choice.unlabelled is not None and not pretrains(recipe):
        raise OctavoError(
            f"{choice.unlabelled}: scans without labels were given, and nothing learns from them; wanted a model with "
            "pretraining; pass --pretrain reconstruct or contrast to octavo train ai-cnet3d, or drop --unlabelled"
        )
    exams = choice.read()
    split = read_split(choice.split) if choice.split else None
    if recipe.balance_before_split:
        exams = undersample_cohort(exams, recipe.split_seed)
    recipe = with_classes(recipe, exams.classes, system)
    recipe.build_network()  # refuses an impossible recipe
    return _Asked(
        system=room,
        recipe=recipe,
        content={"system": system, **recipe_to_json(recipe)},
        exams=exams,
        source=choice.source(prepared or run / "prepared", recipe.preparation),
        unlabelled=read_unlabelled(choice, exams),
        unlabelled_source=choice.unlabelled_source(prepared or run / "prepared", recipe.preparation),
        split=split,
        machine=machine,
        stage_one_of=stage_one_of,
    )


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
            take_over(training.stage_one_of, folder, training.content, recipe, training.hashes, training.unlabelled)
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
    finished = {"seed": seed, "stages": results, **taken_over(folder), **_validation(parts, readings), **attention}
    write_json(folder / "finished.json", finished)
    (folder / TAKEN_OVER).unlink(missing_ok=True)
    if attention.get("attention_note"):
        _log.warning("seed %d: %s", seed, attention["attention_note"])


def _batches(
    training: _Training, stage: Stage, labels: list[int], validation: Any, seed: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """What a stage learns from and what stops it, as the system or the stage itself has them."""
    recipe, parts, workers = training.recipe, training.parts, training.machine.workers
    learnt = parts.train
    if stage.without_labels:
        learnt = [*parts.train, *training.unlabelled.exams]
        labels = [0] * len(learnt)
    # one stream for all that is random in a stage, so that a stage more or less before it changes nothing in it
    stream = stage.task.seed
    if stage.inputs is None:
        exams = training.system.inputs_of(recipe, learnt, stream)
    else:
        exams, validation = stage.inputs(learnt, stream), stage.inputs(parts.validation, stream)
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


def _require_seeds(seeds: tuple[int, ...]) -> None:
    if not seeds or not 0 <= min(seeds) <= max(seeds) < 2**32 or len(set(seeds)) < len(seeds):
        given = " ".join(map(str, seeds)) or "none"
        raise OctavoError(f"seeds are {given}; wanted one or more different whole numbers from 0 to 2^32 - 1")


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


def _sizes(training: _Training) -> str:
    unlabelled = training.unlabelled
    beside = f", {len(unlabelled.exams)} exams without labels" if unlabelled.exams else ""
    left_out = "".join(f", {count} {reason} left out" for reason, count in unlabelled.left_out.items())
    return f"{_sizes_of_parts(training.parts)}{beside}{left_out}"


def _sizes_of_parts(parts: Parts) -> str:
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
