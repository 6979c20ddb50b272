"""Run facts: what a run's folder says of itself, and in which file, for model cards and checklists.

Only what lies in the folder is read, never the manifest or a scan, so a run that was moved says the same. What could name a
person stays behind: exams and patients are counted, and paths are left out.
"""

import csv
import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from octavo.cohorts.exam import PARTS
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.reference import Reference
from octavo.cohorts.splits import Split, read_split
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.systems import SYSTEMS, find_system
from octavo.systems.catalogue import IDENTITY, MODELS
from octavo.training.recipe import recipe_from_json, without_paths
from octavo.training.run import COHORT, MODEL, RECIPE

MUST_FILL = "author must fill"
NOT_MEASURED = "not measured yet: octavo evaluate RUN"
NOT_A_DEVICE = "research software, not a medical device"
_MORE_SETTINGS = {
    "seeds": (100,),
    "seed": 100,
    "devices": 1,
    "num_nodes": 1,
    "workers": 0,
    "patients": 210,
}
"""Options of commands beside those of recipes whose values are numbers and name nobody."""


@dataclass(frozen=True)
class StageFacts:
    """What one stage of training was told."""

    name: str
    most_epochs: int
    patience: int
    monitor: str
    """The value on validation whose smallest epoch is kept."""
    optimizer: str | None
    """None where the best weights are computed at once."""


@dataclass(frozen=True)
class NetworkFacts:
    """What follows from the recipe without a weight being read."""

    name: str | None
    """In the catalogue of models."""
    about: str | None
    parameters: int | None
    """None where a package is missing to build it."""
    stages: tuple[StageFacts, ...]
    preparation: Preparation
    learns_by_steps: bool
    notes: tuple[str, ...]
    """What every answer of the model bears."""
    explained_by: tuple[str, ...] | None
    """Which maps can be drawn of it; None where a package is missing to build it."""


@dataclass(frozen=True)
class SeedFacts:
    """The files of one seed; one that is missing is empty."""

    folder: str
    """Such as `seed-100`; empty where the folder is itself a model."""
    provenance: dict[str, Any]
    calibration: dict[str, Any]
    reference: dict[str, Any]
    finished: dict[str, Any]
    weights_sha256: str
    """Fingerprint of `model.safetensors`."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.folder or "model"

    @property
    def taken_over(self) -> tuple[str, ...] | None:
        """Stages that were copied from another run; None where an older run does not say."""
        told = self.finished.get("stages_taken_over")
        if told is None and "--stage-one-of" in self.provenance.get("command", ""):
            return None
        return tuple(told or ())

    def file(self, name: str) -> str:
        """Where a file of this seed lies, from the run's folder."""
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class RunFacts:
    """Everything a run says; mappings are empty where their file is missing."""

    recipe: dict[str, Any]
    cohort: dict[str, Any]
    summary: dict[str, Any]
    evaluation: dict[str, Any]
    split: Split | None
    seeds: tuple[SeedFacts, ...]
    network: NetworkFacts
    measured: str | None
    """Which models `evaluation.json` is about: `seed-100`, or `mean of 2 seeds`."""
    eyes_unknown: int | None
    """Exams of the test part whose eye was not known; None where nothing was measured."""
    groups: tuple[str, ...]
    """Columns of the manifest by which the AUROC was told apart."""

    @property
    def recipe_without_paths(self) -> dict[str, Any]:
        """The recipe; of a file only that there was one."""
        return {name: without_paths(value) for name, value in self.recipe.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, where there are more than two."""
        return tuple(self.cohort.get("classes") or self.recipe.get("class_names") or ())

    @property
    def drawn(self) -> bool:
        """Whether octavo divided the cohort itself, and so knows how."""
        return self.summary.get("split_from") == "octavo"

    @cached_property
    def patients(self) -> dict[str, tuple[int | None, str]]:
        """Patients of each part, and the file that says so.

        The split may know exams that are not of the run. Where an older run counted no patients, those of the split are
        taken only if its exams are as many as the run's.
        """
        found: dict[str, tuple[int | None, str]] = {}
        for part in PARTS:
            told, exams = self.summary.get("parts", {}).get(part, {}), f"{part}_exams"
            if "patients" in told:
                found[part] = (told["patients"], "summary.json")
            elif self.evaluation.get(exams) == told.get("exams") and f"{part}_patients" in self.evaluation:
                found[part] = (self.evaluation[f"{part}_patients"], "evaluation.json")
            elif self.split is not None and len(self.split.exams(part)) == told.get("exams"):
                found[part] = (len(self.split.patients(part)), "splits.csv")
            else:
                found[part] = (None, "")
        return found

    @cached_property
    def counts(self) -> dict[str, dict[str, Any]]:
        """Exams, patients and positives of each part, or exams of each class; None what the run does not say."""
        parts = self.summary.get("parts", {})
        counted = {}
        for part in PARTS:
            told, patients = parts.get(part, {}), self.patients[part][0]
            labels = {f"of class {name}": told.get(f"exams_of_{number}") for number, name in enumerate(self.classes)}
            counted[part] = {
                "exams": told.get("exams"),
                "patients": patients,
                **(labels or {"positives": told.get("positives")}),
            }
        return counted

    @property
    def split_hash(self) -> str | None:
        """Fingerprint of who is in which part."""
        return None if self.split is None else self.split.content_hash

    @property
    def reference(self) -> Reference | None:
        """What the training scans were like; all seeds share one."""
        told = next((seed.reference for seed in self.seeds if seed.reference), None)
        return None if told is None else Reference.from_json(told)

    def files(self, name: str, kind: str | None = None) -> tuple[str, ...]:
        """A file of every seed that has it.

        Args:
            name: Of the file.
            kind: The attribute of the seed that holds it, where that is not the file's name.
        """
        kind = kind or name.partition(".")[0]
        return tuple(seed.file(name) for seed in self.seeds if getattr(seed, kind))

    @property
    def cautions(self) -> tuple[str, ...]:
        """What speaks against believing the model whatever the scan."""
        reference = self.reference
        said = [reference.phantom_caution] if reference and reference.phantom_caution else []
        said += self.network.notes
        said += [f"{s.name}: {s.finished['attention_note']}" for s in self.seeds if s.finished.get("attention_note")]
        if not self.files("calibration.json"):
            threshold = "" if self.classes else "threshold 0.5 and "
            said.append(f"not calibrated: {threshold}the network's own confidence")
        if reference is None:
            said.append("what the model learnt from is not known, so no scan can be told to lie outside it")
        return tuple(said)


def read_run(run: Path) -> RunFacts:
    """Read what a run says of itself.

    Args:
        run: A run's folder, or a model that was shared.

    Raises:
        OctavoError: If there is no recipe, or a file is damaged.
    """
    recipe: dict[str, Any] = read_json(run / RECIPE)
    summary = _json(run / "summary.json")
    splits = run / "splits.csv"
    evaluation = _json(run / "evaluation.json")
    measured, eyes_unknown = _predictions(run / "predictions.csv") if evaluation else (None, None)
    return RunFacts(
        recipe=recipe,
        cohort=_json(run / COHORT),
        summary=summary,
        evaluation=evaluation,
        split=read_split(splits) if splits.exists() else None,
        seeds=tuple(_seeds(run)),
        network=_network(recipe, summary),
        measured=measured,
        eyes_unknown=eyes_unknown,
        groups=tuple(_json(run / "groups.json")) if evaluation else (),
    )


def plain_command(command: str, recipe: Mapping[str, Any]) -> str:
    """A command without any word that could name a file or a person: `...` stands for it.

    Example:
        >>> plain_command("octavo train peer --cohort /home/jane/doe.csv --run 1950 --epochs 3", {"epochs": 250})
        'octavo train peer --cohort ... --run ... --epochs 3'
    """
    words = shlex.split(command)
    count = _words_of_command(words)
    shown, option, place = words[:count], "", 0
    for word in words[count:]:
        name, equals, value = word.partition("=")
        if re.fullmatch(r"--?[a-z][a-z_-]*", name):
            option, place = name.strip("-").replace("-", "_"), 0
            shown.append(f"{name}={_plain(value, option, 0, recipe)}" if equals else name)
            place += bool(equals)
        else:
            shown.append(_plain(word, option, place, recipe))
            place += 1
    return " ".join(shown)


def _words_of_command(words: Sequence[str]) -> int:
    """How many words there are before options and names of files."""
    kinds = (("octavo",), ("train", "demo", "benchmark"), (*SYSTEMS, "peer") if words[1:2] == ["train"] else ())
    known = [word in kind for word, kind in zip(words, kinds, strict=False)]
    return [*known, False].index(False)


def _plain(word: str, option: str, place: int, recipe: Mapping[str, Any]) -> str:
    """A value of an option if it is the kind that this option takes, and a setting; else `...`."""
    usual = {**dict(_fields(recipe)), **_MORE_SETTINGS}.get(option)
    kinds: list[Any] = [*usual] if isinstance(usual, list | tuple) else [usual]
    if place > 0 and not isinstance(usual, list | tuple):
        return "..."
    if any(isinstance(kind, int | float) and not isinstance(kind, bool) for kind in kinds):
        return word if re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", word) else "..."
    return word if word in kinds and without_paths(word) == word else "..."


def _fields(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _fields(value)
        elif name == "class_names":
            yield "classes", value
        else:
            yield name, value


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _seeds(run: Path) -> Iterator[SeedFacts]:
    """The seeds that are finished, in order; a copy that somebody keeps beside them is none."""
    if (run / MODEL).exists():
        folders = [run]
    else:
        numbered = {int(f.name[5:]): f for f in run.glob("seed-*") if f.name[5:].isdecimal() and (f / MODEL).exists()}
        folders = [numbered[number] for number in sorted(numbered)]
    for folder in folders:
        with (folder / MODEL).open("rb") as weights:
            fingerprint = hashlib.file_digest(weights, "sha256").hexdigest()
        yield SeedFacts(
            folder="" if folder == run else folder.name,
            provenance=_json(folder / "provenance.json"),
            calibration=_json(folder / "calibration.json"),
            reference=_json(folder / "reference.json"),
            finished=_json(folder / "finished.json"),
            weights_sha256=fingerprint,
        )


def _network(content: dict[str, Any], summary: Mapping[str, Any]) -> NetworkFacts:
    import torch

    from octavo.attribution import EXPLAINERS

    told = dict(content)
    name = told.pop("system", None)
    system = find_system(name)
    recipe = recipe_from_json(system.recipe_type(), told, where=RECIPE)
    catalogued = _catalogued(name, told)
    parameters, stages, explained_by = None, [], None
    try:
        # only shapes: weights would cost time, and drawing them would move on a random stream that others use
        with torch.device("meta"):
            network = recipe.build_network()
        parameters = sum(weights.numel() for weights in network.parameters())
        explained_by = tuple(getattr(network, "explained_by", EXPLAINERS))
        for stage in system.stages_of(recipe, network, 0, _labels(summary)):
            optimizer = stage.task.configure_optimizers()
            kind = None if optimizer is None else type(optimizer).__name__
            stages.append(StageFacts(stage.name, stage.max_epochs, stage.patience, stage.monitor, kind))
    except OctavoError:
        # a package that it is built with is not installed here; the card says what is left
        stages = []
    return NetworkFacts(
        name=catalogued,
        about=MODELS[catalogued].about if catalogued else None,
        parameters=parameters,
        stages=tuple(stages),
        preparation=recipe.preparation,
        learns_by_steps=recipe.learns_by_steps,
        notes=tuple(getattr(recipe, "notes", ())),
        explained_by=explained_by,
    )


def _labels(summary: Mapping[str, Any]) -> list[int]:
    """The labels of the training part, in no order; two where they are not known, for a loss that weighs classes."""
    train = dict(summary.get("parts", {}).get("train", {"exams": 2, "positives": 1}))
    if "positives" in train:
        return [1] * train["positives"] + [0] * (train["exams"] - train["positives"])
    of_class = {int(name.rpartition("_")[2]): number for name, number in train.items() if name.startswith("exams_of_")}
    return [label for label, number in of_class.items() for _ in range(number)]


def _catalogued(system: object, recipe: Mapping[str, Any]) -> str | None:
    """The model of the catalogue that a recipe is nearest to, if it is one at all."""

    def differs(settings: Mapping[str, Any]) -> int:
        return sum(recipe.get(name) != value for name, value in settings.items())

    same = {
        name: model.settings
        for name, model in MODELS.items()
        if model.system == system
        and not differs({key: model.settings[key] for key in IDENTITY if key in model.settings})
    }
    # of two that differ in a stage alone, the one with more that is said and true
    return min(same, key=lambda name: 2 * differs(same[name]) - len(same[name]), default=None)


def _predictions(path: Path) -> tuple[str | None, int | None]:
    """Which models answered, and for how many exams the eye was unknown. No name of an exam leaves this function."""
    if not path.exists():
        return None, None
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # the rest of the column is the name of the run's folder
    found = re.search(r"(?:(seed-\d+)|\((mean of \d+ seeds)\))$", rows[0].get("model", "")) if rows else None
    unknown = sum("eye unknown" in row.get("warnings", "") for row in rows)
    return (found[1] or found[2]) if found else None, unknown
