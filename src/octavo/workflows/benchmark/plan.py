"""What a benchmark compares, fixed before anything is trained: models, seeds, divisions, and one budget for all."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.errors import OctavoError, unknown_name
from octavo.files import read_json
from octavo.systems import find_system
from octavo.systems.catalogue import MODELS, catalogued, find_model
from octavo.training.recipe import recipe_from_json, recipe_to_json

FOR_ALL = "all"
"""The name in a file of settings for what is said of every model that has such a setting."""


@dataclass(frozen=True)
class Cell:
    """One training: a model, on one division of the patients, from one seed, at one learning rate."""

    model: str
    division: str
    """Its name; empty where there is only one."""
    seed: int
    learning_rate: float | None
    """None is the model's own."""

    @property
    def name(self) -> str:
        """The name of its folder.

        Example:
            >>> Cell("plain-cnn", "fold-2", 100, None).name, Cell("plain-cnn", "", 100, 1e-3).name
            ('plain-cnn/fold-2-seed-100', 'plain-cnn/seed-100-rate-0.001')
        """
        parts = [self.division] if self.division else []
        parts.append(f"seed-{self.seed}")
        if self.learning_rate is not None:
            parts.append(f"rate-{self.learning_rate!r}")
        return f"{self.model}/{'-'.join(parts)}"


@dataclass(frozen=True)
class Budget:
    """What every model may spend."""

    epochs: int | None = None
    """At most so many in all stages of a training together; by default each recipe's own."""
    size: tuple[int, int, int] | None = None
    """B-scans, depth samples and A-scans that volumes are brought to; by default each recipe's own."""
    learning_rates: tuple[float, ...] = ()
    """Tried by every model with the first seed of each division; the best on validation is kept for all seeds. By
    default each recipe's own, and none is tried."""

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise OctavoError(f"epochs is {self.epochs}; wanted at least 1")
        if len(set(self.learning_rates)) < len(self.learning_rates) or any(
            not 0 < r < 1e3 for r in self.learning_rates
        ):
            given = " ".join(f"{rate:g}" for rate in self.learning_rates)
            raise OctavoError(f"learning rates are {given}; wanted different positive numbers")


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a benchmark finds; written to `benchmark.json` before anything is trained.

    Args:
        models: By their names in the catalogue.
        seeds: One training for each.
        reference: The model that all others are compared with.
        budget: The same for all.
        settings: Further fields of recipes, by model; `all` speaks of every model that has the field.
        folds: How many, for cross-validation by patient.
        transfer: The covariate whose values are tested one by one, with all others to learn from.
        division_seed: Seed of the division of patients.

    Raises:
        OctavoError: If a model or setting is unknown, something is named twice, or folds and transfer are both wanted.
    """

    models: tuple[str, ...]
    seeds: tuple[int, ...]
    reference: str
    budget: Budget = dataclasses.field(default_factory=Budget)
    settings: Mapping[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    folds: int | None = None
    transfer: str | None = None
    division_seed: int = 100

    def __post_init__(self) -> None:
        if len(self.models) < 2 or len(set(self.models)) < len(self.models):
            raise OctavoError(
                f"models are {' '.join(self.models) or 'none'}; wanted two or more different ones; octavo models lists them"
            )
        for name in self.models:
            model = find_model(name)
            if not model.is_installed:
                raise OctavoError(f"{name} needs packages that are not installed; pip install 'octavo[{model.extra}]'")
        if self.reference not in self.models:
            raise OctavoError(unknown_name("one of the models compared", self.reference, self.models))
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise OctavoError(
                f"seeds are {' '.join(map(str, self.seeds)) or 'none'}; wanted one or more different ones"
            )
        if self.folds is not None and self.transfer is not None:
            raise OctavoError("folds and transfer were both given; wanted one way to divide patients; drop one of them")
        self._check_settings()
        for name in self.models:
            if self.recipe(name)[1].balance_before_split:
                raise OctavoError(
                    f"settings of {name}: balance_before_split takes exams out of the test part; wanted the same exams for "
                    "every model; leave it out"
                )

    def _check_settings(self) -> None:
        decided = {"split_seed": "--division-seed", "split_fractions": "the division of patients"}
        if self.budget.size is not None:
            decided["size"] = "--size"
        if self.budget.learning_rates:
            decided["learning_rate"] = "--learning-rates"
        if self.budget.epochs is not None:
            decided |= dict.fromkeys(("epochs", "consistency_epochs", "pretrain_epochs"), "--epochs")
        known = {name: _fields_of(name) for name in self.models}
        for name, settings in self.settings.items():
            if name not in {FOR_ALL, *self.models}:
                raise OctavoError(unknown_name("one of the models compared, or 'all'", name, (FOR_ALL, *self.models)))
            for field in settings:
                if field in decided:
                    raise OctavoError(
                        f"settings of {name}: {field} is decided by {decided[field]}, the same for all; wanted it once; "
                        "leave it out of the settings"
                    )
                if name == FOR_ALL and not any(field in fields for fields in known.values()):
                    everything = sorted(set().union(*known.values()))
                    raise OctavoError(f"settings of all: {unknown_name('a field of any model', field, everything)}")

    def recipe(self, name: str, learning_rate: float | None = None) -> tuple[str, Any]:
        """The system of a model, and the recipe it is trained by.

        Raises:
            OctavoError: If a setting is unknown, or the recipe refuses one.
        """
        kind = find_system(MODELS[name].system).recipe_type()
        fields = _fields_of(name)
        shared: dict[str, Any] = {
            "split_seed": self.division_seed,
            "size": self.budget.size,
            "learning_rate": learning_rate,
        }
        said = {field: value for field, value in shared.items() if value is not None}
        said |= self.settings.get(FOR_ALL, {})
        said = {field: value for field, value in said.items() if field in fields} | self.settings.get(name, {})
        # as from JSON, so that a misspelt field or a text for a number is refused
        typed = recipe_from_json(kind, json.loads(json.dumps(said)), where=f"settings of {name}")
        system, recipe = catalogued(name, **{field: getattr(typed, field) for field in said})
        return system, recipe if self.budget.epochs is None else recipe.within(self.budget.epochs)

    def trials(self, division: str) -> list[Cell]:
        """What is trained to choose a learning rate, or else what is trained first: the first seed of every model."""
        return [
            Cell(name, division, self.seeds[0], rate)
            for name in self.models
            for rate in (self.budget.learning_rates if self.is_tuned(name) else ()) or (None,)
        ]

    def is_tuned(self, name: str) -> bool:
        """Whether learning rates are tried for a model; one that is fitted at once has none."""
        return bool(self.budget.learning_rates) and self.recipe(name)[1].learns_by_steps

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values, with every recipe written out."""
        content = dataclasses.asdict(self)
        content["recipes"] = {}
        for name in self.models:
            system, recipe = self.recipe(name)
            content["recipes"][name] = {"system": system, **recipe_to_json(recipe.resolved())}
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain


def read_settings(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read a file of settings: a JSON object of models, each an object of recipe fields.

    Raises:
        OctavoError: If it is anything else.
    """
    if path is None:
        return {}
    content = read_json(path)
    wanted = 'wanted {"MODEL": {"FIELD": value}}, with "all" for every model'
    settings: dict[str, dict[str, Any]] = {}
    for name, fields in content.items():
        if not isinstance(fields, dict):
            raise OctavoError(f"{path}: {name} holds {type(fields).__name__}; {wanted}")
        settings[name] = fields
    return settings


def _fields_of(name: str) -> set[str]:
    kind = find_system(MODELS[name].system).recipe_type()
    return {field.name for field in dataclasses.fields(kind)}
