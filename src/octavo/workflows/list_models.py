"""List models: what can be trained, how large it is, what a scan costs it, and what it needs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from octavo.blocks.multiply_adds import multiply_adds
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError
from octavo.systems import find_system
from octavo.systems.catalogue import MODELS, CataloguedModel, catalogued


@dataclass(frozen=True)
class ListedModel:
    """One model of the catalogue, at one size of input."""

    name: str
    about: str
    system: str
    settings: dict[str, Any]
    """What its recipe says beside the defaults."""
    needs: tuple[str, ...]
    """Of the scans, and what has to be installed."""
    is_installed: bool
    parameters: int | None
    """That take part; None where it could not be built."""
    gmac: float | None
    """Thousand millions of multiplications with addition for one volume; None too for what reads slices."""
    refused: str | None
    """Why it cannot read volumes of this size."""


def list_models(size: tuple[int, int, int] = (64, 64, 64)) -> list[ListedModel]:
    """Every model of the catalogue, in order.

    Args:
        size: B-scans, depth samples and A-scans of the input.

    Raises:
        OctavoError: If no scan can have such a size.
    """
    Preparation(size=size)
    return [_listed(name, model, size) for name, model in MODELS.items()]


def describe(models: Sequence[ListedModel], size: tuple[int, int, int]) -> str:
    """The list as text."""
    rows = [_row(model) for model in models]
    heads = ("model", "parameters", "GMAC", f"what it is (GMAC: of one volume of {' x '.join(map(str, size))})")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {gmac:>{widths[2]}}  {about}"
        for name, parameters, gmac, about in (heads, *rows)
    ]
    return "\n".join(lines)


def as_json(models: Sequence[ListedModel], size: tuple[int, int, int]) -> str:
    """The list as JSON."""
    return json.dumps([{**asdict(model), "size": list(size)} for model in models], indent=2)


def _row(model: ListedModel) -> tuple[str, str, str, str]:
    about = f"{model.about}; needs {', '.join(model.needs)}" if model.needs else model.about
    if not model.is_installed:
        return model.name, "not", "installed", about
    parameters = "-" if model.parameters is None else f"{model.parameters:,}"
    gmac = "-" if model.gmac is None else f"{model.gmac:.2f}"
    return model.name, parameters, gmac, f"{model.about}; {model.refused}" if model.refused else about


def _listed(name: str, model: CataloguedModel, size: tuple[int, int, int]) -> ListedModel:
    kind = find_system(model.system).recipe_type()
    reads_volumes = any(field.name == "size" for field in fields(kind))
    system, recipe = catalogued(name, **({"size": size} if reads_volumes else {}))
    parameters, gmac, refused = None, None, None
    if model.is_installed:
        try:
            parameters, gmac = cost_of(recipe)
        except OctavoError as refusal:
            refused = str(refusal)
    return ListedModel(
        name=name,
        about=model.about,
        system=system,
        settings=dict(model.settings),
        needs=_needs(model, recipe),
        is_installed=model.is_installed,
        parameters=parameters,
        gmac=gmac,
        refused=refused,
    )


def cost_of(recipe: Any) -> tuple[int, float | None]:
    """What a recipe's network costs.

    Returns:
        Parameters, and thousand millions of multiplications with addition for one volume; None for what reads slices.

    Raises:
        OctavoError: If the network cannot read volumes of the recipe's size.
    """
    size = getattr(recipe, "size", None)
    if size is None:
        return sum(weights.numel() for weights in recipe.resolved().build_network().parameters()), None
    # only shapes, for weights that nobody asks would take seconds and gigabytes
    with torch.device("meta"):
        network = recipe.build_network()
    return sum(weights.numel() for weights in network.parameters()), multiply_adds(network, size) / 1e9


def _needs(model: CataloguedModel, recipe: Any) -> tuple[str, ...]:
    halves = ("a superior and an inferior half",) if recipe.preparation.hemiretinas else ()
    ends = ("macula and disc",) if recipe.preparation.both_ends else ()
    extra = (f"octavo[{model.extra}]",) if model.extra else ()
    return (*halves, *ends, *extra)
