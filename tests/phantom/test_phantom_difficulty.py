import dataclasses

import pytest

from octavo.errors import OctavoError
from octavo.phantom import DIFFICULTIES, Difficulty
from octavo.phantom.difficulty import find_difficulty


def test_every_setting_is_harder_than_the_one_before():
    easy, standard, hard = (DIFFICULTIES[name] for name in ("easy", "standard", "hard"))
    for milder, harder in ((easy, standard), (standard, hard)):
        assert harder.severity_low < milder.severity_low
        assert harder.severity_high < milder.severity_high
        assert harder.speckle_looks < milder.speckle_looks
        assert harder.cup_growth < milder.cup_growth
        spreads = [field.name for field in dataclasses.fields(Difficulty) if field.name.endswith("_sd")]
        assert len(spreads) >= 10
        assert all(getattr(harder, name) > getattr(milder, name) for name in spreads)


def test_an_unknown_setting_is_answered_with_the_known_ones():
    with pytest.raises(
        OctavoError, match="'hart' is not a difficulty; wanted one of: easy, standard, hard; did you mean"
    ):
        find_difficulty("hart")


def test_a_setting_of_ones_own_is_passed_through():
    own = dataclasses.replace(DIFFICULTIES["easy"], name="own", noise=0.0)
    assert find_difficulty(own) is own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"severity_low": 0.0}, "severities run from 0.0"),
        ({"severity_low": 0.9, "severity_high": 0.8}, "severities run from 0.9 to 0.8"),
        ({"severity_high": 1.2}, "0 < low <= high <= 1"),
        ({"both_bundles": 1.5}, "both_bundles is 1.5"),
        ({"tilt_um": -1.0}, "tilt_um of difficulty 'easy' must"),
        ({"speckle_looks": 0.0}, "speckle_looks of difficulty 'easy' must"),
    ],
)
def test_impossible_settings_are_refused(change, said):
    with pytest.raises(OctavoError, match=said):
        dataclasses.replace(DIFFICULTIES["easy"], **change)
