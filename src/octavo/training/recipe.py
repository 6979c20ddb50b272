"""Recipes: frozen dataclasses that build a run, to JSON and back with every misspelt field refused."""

import dataclasses
import math
import re
import types
import typing
from typing import Any, TypeVar

from octavo.errors import OctavoError, unknown_name

RecipeType = TypeVar("RecipeType")
LEFT_OUT = "(path left out)"


def recipe_to_json(recipe: Any) -> dict[str, Any]:
    """A recipe as plain JSON values."""
    return {field.name: _plain(getattr(recipe, field.name)) for field in dataclasses.fields(recipe)}


def without_paths(value: Any) -> Any:
    """Plain values for others to read: in the place of a path stands that there was one.

    Example:
        >>> without_paths({"weights": "/home/jane/dinov2", "slices": 50})
        {'weights': '(path left out)', 'slices': 50}
    """
    if isinstance(value, dict):
        return {name: without_paths(inner) for name, inner in value.items()}
    return LEFT_OUT if isinstance(value, str) and re.search(r"[/\\]", value) else value


def recipe_from_json(kind: type[RecipeType], content: dict[str, Any], where: str = "recipe.json") -> RecipeType:
    """Build a recipe from JSON.

    Args:
        kind: The recipe's dataclass.
        content: What stands in the file.
        where: The file's name, for messages.

    Raises:
        OctavoError: If a field is unknown (the nearest is offered), missing without a default, or of the wrong type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Tea:
        ...     minutes: int = 3
        >>> recipe_from_json(Tea, {"minute": 4})
        Traceback (most recent call last):
        octavo.errors.OctavoError: recipe.json: 'minute' is not a field; wanted one of: minutes; did you mean 'minutes'?
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for name in content:
        if name not in fields:
            raise OctavoError(f"{where}: {unknown_name('a field', name, fields)}")
    values = {name: _typed(hints[name], value, f"{where}: {name}") for name, value in content.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise OctavoError(f"{where}: field {missing[0]!r} is missing; wanted it, as it has no default")
    return kind(**values)


def pretrains(recipe: Any) -> bool:
    """Whether a recipe has a stage that learns without labels before the others."""
    return bool(getattr(recipe, "pretrain", "none") != "none")


def require_choices(recipe: Any) -> None:
    """Refuse values that are none of their field's choices, for recipes that are made in Python.

    What comes from JSON or the shell has been checked; a misspelt choice would otherwise do nothing, or fail hours later.

    Raises:
        OctavoError: If there is one, naming the nearest.
    """
    for name, hint in typing.get_type_hints(type(recipe)).items():
        value, choices = getattr(recipe, name), typing.get_args(hint)
        if typing.get_origin(hint) is typing.Literal and value not in choices:
            raise OctavoError(f"{name}: {unknown_name('a choice', value, map(str, choices))}")


def require_class_names(names: tuple[str, ...] | None) -> None:
    """Refuse names of classes, in a recipe, that are none.

    Raises:
        OctavoError: If there are fewer than three, or one stands twice.
    """
    if names is not None and (len(names) < 3 or len(set(names)) < len(names)):
        raise OctavoError(
            f"class names are {' '.join(names) or 'none'}; wanted three or more different ones, or null where there are two"
        )


def with_classes(recipe: Any, classes: tuple[str, ...], system: str) -> Any:
    """The recipe for the classes of a cohort.

    Args:
        recipe: A system's recipe.
        classes: Their names where there are more than two; empty where there are two.
        system: Its name, for messages.

    Raises:
        OctavoError: If the system tells two classes apart and no more, or the recipe names others.
    """
    if not hasattr(recipe, "class_names"):
        if classes:
            raise OctavoError(
                f"{system} tells two classes apart, and the cohort has {len(classes)} ({', '.join(classes)}); wanted two; "
                "choose them with --positive and --negative instead of --classes, or train another system"
            )
        return recipe
    if recipe.class_names is not None and recipe.class_names != classes:
        raise OctavoError(
            f"class names are {', '.join(recipe.class_names)} in the recipe and {', '.join(classes) or '0 and 1'} in the "
            "cohort; wanted the same; leave them out of the recipe, and they are those of the cohort"
        )
    return dataclasses.replace(recipe, class_names=classes or None)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return recipe_to_json(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Check a JSON value against a field's type; lists become tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        if value is None and type(None) in arguments:
            return None
        return _typed(next(kind for kind in arguments if kind is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise OctavoError(f"{where}: {unknown_name('a choice', value, map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list) or (Ellipsis not in arguments and len(value) != len(arguments)):
            wanted = "a list" if Ellipsis in arguments else f"a list of {len(arguments)} values"
            raise OctavoError(f"{where} is {value!r}; wanted {wanted}")
        kinds = arguments[:1] * len(value) if Ellipsis in arguments else arguments
        return tuple(_typed(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise OctavoError(f"{where} is {value!r}; wanted an object")
        return recipe_from_json(hint, value, where)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise OctavoError(f"{where} is {value}; wanted a finite number")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise OctavoError(f"{where} is {value!r}; wanted {hint.__name__}")
    return value
