"""Trained models, as prediction and explanation use them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.reference import Reference, ScanFacts
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.metrics.calibration import apply_temperature
from octavo.metrics.class_temperature import apply_class_temperature
from octavo.systems import System, find_system
from octavo.training.recipe import recipe_from_json
from octavo.training.run import MODEL, RECIPE, load_model


@dataclass(frozen=True)
class Model:
    """A network with everything that turns its output into an answer."""

    name: str
    system: System
    network: Any
    recipe: Any
    reference: Reference | None
    temperature: float
    threshold: float
    notes: tuple[str, ...]

    @property
    def preparation(self) -> Preparation:
        """How scans become its input."""
        return self.recipe.preparation

    def inputs(self, exams: Sequence[PreparedExam]) -> Any:
        """Prepared exams as the network reads them."""
        return self.system.inputs_of(self.recipe, exams)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, where there are more than two; else empty."""
        return getattr(self.recipe, "class_names", None) or ()

    def probabilities(self, margins: Float[np.ndarray, " exam"]) -> Float[np.ndarray, " exam"]:
        """Calibrated probabilities of the positive class."""
        return apply_temperature(margins, self.temperature)

    def class_probabilities(self, logits: Float[np.ndarray, "exam class"]) -> Float[np.ndarray, "exam class"]:
        """Calibrated probabilities of more than two classes."""
        return apply_class_temperature(logits, self.temperature)

    def warnings(self, facts: ScanFacts) -> tuple[str, ...]:
        """What speaks against believing the model on a scan."""
        return (*(self.reference.warnings(facts) if self.reference else ()), *self.notes)


def load_models(run: Path, seed: int | None = None) -> list[Model]:
    """Load the models of a run, or the one model of a folder that was shared.

    Args:
        run: A run's folder, one of its seeds' folders, or a folder with `model.safetensors` and `recipe.json`.
        seed: Only the model of that seed.

    Raises:
        OctavoError: If there is no model, or its recipe or weights do not fit.
    """
    if not run.is_dir():
        raise OctavoError(f"{run}: there is no such folder; wanted a finished run; check the path")
    if (run / MODEL).exists():
        folders = [run]
    else:
        # a copy that somebody keeps beside them, such as seed-100-old, is no further seed
        seeds = {int(f.name[5:]): f for f in run.glob("seed-*") if f.name[5:].isdecimal() and (f / MODEL).exists()}
        folders = [seeds[number] for number in sorted(seeds)]
    if seed is not None:
        folders = [folder for folder in folders if folder.name == f"seed-{seed}"]
    if not folders:
        what = f"no finished seed {seed}" if seed is not None else f"no model ({MODEL})"
        raise OctavoError(f"{run}: holds {what}; wanted a finished run; octavo train makes one")
    return [_load(folder) for folder in folders]


def _load(folder: Path) -> Model:
    content = read_json(folder / RECIPE)
    system = find_system(content.pop("system", None))
    recipe = recipe_from_json(system.recipe_type(), content, where=str(folder / RECIPE))
    network = recipe.build_network()
    state = load_model(folder / MODEL)
    own = network.state_dict()
    for name in sorted({*own, *state}):
        if name not in own or name not in state or own[name].shape != state[name].shape:
            got = tuple(state[name].shape) if name in state else "missing"
            wanted = tuple(own[name].shape) if name in own else "no such weight"
            raise OctavoError(
                f"{folder / MODEL}: weight {name!r} is {got}, wanted {wanted}; {RECIPE} belongs to other weights"
            )
    network.load_state_dict(state)
    notes = list(getattr(recipe, "notes", ()))
    reference, calibration = folder / "reference.json", folder / "calibration.json"
    chosen: dict[str, Any] = read_json(calibration) if calibration.exists() else {}
    if not chosen:
        threshold = "" if getattr(recipe, "class_names", None) else "threshold 0.5 and "
        notes.append(f"not calibrated: {threshold}the network's own confidence")
    if not reference.exists():
        notes.append("what this model learnt from is not known, so no scan can be told to lie outside it")
    home = Path(os.path.abspath(folder))  # "." has no name
    return Model(
        name=f"{home.parent.name}/{home.name}" if home.name.startswith("seed-") else home.name,
        system=system,
        network=network.eval(),
        recipe=recipe,
        reference=Reference.from_json(read_json(reference)) if reference.exists() else None,
        temperature=_number(chosen, "temperature", 1.0, calibration),
        threshold=_number(chosen, "threshold", 0.5, calibration),
        notes=tuple(notes),
    )


def _number(chosen: dict[str, Any], name: str, default: float, path: Path) -> float:
    value = chosen.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
        raise OctavoError(f"{path}: {name} is {value!r}; wanted a number; copy the model again")
    return float(value)
