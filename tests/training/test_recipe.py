"""Recipes go to JSON and back, and whatever is misspelt or of another kind is refused."""

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest

from octavo.errors import OctavoError
from octavo.training.recipe import recipe_from_json, recipe_to_json, require_choices


@dataclass(frozen=True)
class Milk:
    millilitres: float = 20.0
    warm: bool = False


@dataclass(frozen=True)
class Tea:
    leaf: Literal["assam", "sencha"]
    minutes: int = 3
    sugar: float = 0.0
    name: str = "tea"
    cups: tuple[int, int] = (1, 2)
    guests: tuple[str, ...] = ()
    milk: Milk = field(default_factory=Milk)
    strength: float | None = None


WHOLE = Tea("assam", 4, 1.5, "x", (3, 4), ("a", "b"), Milk(5.0, True), 0.25)


@pytest.mark.parametrize("recipe", [Tea("sencha"), WHOLE])
def test_a_recipe_comes_back(recipe):
    content = json.loads(json.dumps(recipe_to_json(recipe), allow_nan=False))
    assert recipe_from_json(Tea, content) == recipe


def test_what_is_left_out_takes_its_default_and_what_has_none_is_asked_for():
    assert recipe_from_json(Tea, {"leaf": "sencha"}) == Tea("sencha")
    with pytest.raises(OctavoError, match="field 'leaf' is missing; wanted it, as it has no default"):
        recipe_from_json(Tea, {"minutes": 3})


def test_whole_numbers_are_taken_for_floats_and_stay_equal():
    tea = recipe_from_json(Tea, {"leaf": "assam", "sugar": 2, "strength": 1})
    assert (tea.sugar, type(tea.sugar), type(tea.strength)) == (2.0, float, float)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"minuts": 3}, r"'minuts' is not a field; .*did you mean 'minutes'\?"),
        ({"milk": {"worm": True}}, r"milk: 'worm' is not a field; .*did you mean 'warm'\?"),
        ({"leaf": "asam"}, r"leaf: 'asam' is not a choice; wanted one of: assam, sencha; did you mean 'assam'\?"),
        ({"leaf": None}, "leaf: 'None' is not a choice"),
        ({"leaf": ["assam"]}, "leaf: .* is not a choice"),
        ({"minutes": "3"}, "minutes is '3'; wanted int"),
        ({"minutes": 3.0}, "minutes is 3.0; wanted int"),
        ({"minutes": True}, "minutes is True; wanted int"),
        ({"minutes": None}, "minutes is None; wanted int"),
        ({"sugar": "sweet"}, "sugar is 'sweet'; wanted float"),
        ({"sugar": True}, "sugar is True; wanted float"),
        ({"sugar": float("nan")}, "sugar is nan; wanted a finite number"),
        ({"strength": float("inf")}, "strength is inf; wanted a finite number"),
        ({"strength": "strong"}, "strength is 'strong'; wanted float"),
        ({"name": 3}, "name is 3; wanted str"),
        ({"cups": [1]}, r"cups is \[1\]; wanted a list of 2 values"),
        ({"cups": [1, 2, 3]}, "wanted a list of 2 values"),
        ({"cups": [1, "2"]}, "cups is '2'; wanted int"),
        ({"cups": 1}, "cups is 1; wanted a list"),
        ({"guests": "ab"}, "guests is 'ab'; wanted a list"),
        ({"guests": ["a", 1]}, "guests is 1; wanted str"),
        ({"milk": 5}, "milk is 5; wanted an object"),
        ({"milk": {"warm": 1}}, "milk: warm is 1; wanted bool"),
    ],
)
def test_what_is_misspelt_or_of_another_kind_is_refused(content, message):
    with pytest.raises(OctavoError, match=message) as refusal:
        recipe_from_json(Tea, {"leaf": "assam", **content}, where="RUN/recipe.json")
    assert str(refusal.value).startswith("RUN/recipe.json: ")
    assert "\n" not in str(refusal.value)


def test_choices_misspelt_in_python_are_refused():
    require_choices(WHOLE)
    with pytest.raises(OctavoError, match=r"^leaf: 'senche' is not a choice; .*did you mean 'sencha'\?"):
        require_choices(Tea("senche"))
