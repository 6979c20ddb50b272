import dataclasses
import json

import numpy as np
import pytest

from octavo.anatomy import Flips
from octavo.cohorts.preparation import Preparation, Prepared
from octavo.cohorts.reference import OUTSIDE, PHANTOMS, Reference, ScanFacts, is_caution
from octavo.errors import OctavoError
from octavo.phantom import DEVICE, make_eye
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis, Spacing, Volume

USUAL = ScanFacts(
    shape=(32, 64, 48),
    size_mm=(9.0, 1.5, 12.0),
    pattern="raster",
    slow_axis="superior-to-inferior",
    region="macula-and-disc",
    device="Maker Model 1",
    laterality="OD",
    grey=(0.4, 0.2, 0.25, 0.35, 0.6),
)


def facts(**changes):
    return dataclasses.replace(USUAL, **changes)


@pytest.fixture
def reference():
    """Learnt from scans of 32 to 40 B-scans over 9 to 10 mm, of mean grey 0.4 to 0.5."""
    return Reference.of([USUAL, facts(shape=(40, 64, 48), size_mm=(10.0, 1.5, 12.0), grey=(0.5, 0.2, 0.25, 0.35, 0.6))])


def outside(reference, **changes):
    """The reasons against a scan, empty if there are none."""
    warnings = reference.warnings(facts(**changes))
    if not warnings:
        return ""
    (warning,) = warnings
    assert warning.startswith(OUTSIDE + ": ")
    return warning.removeprefix(OUTSIDE + ": ")


def test_scans_like_those_learnt_from_raise_no_doubt(reference):
    for change in (
        {},
        {"shape": (36, 64, 48)},
        {"size_mm": (9.5, 1.5, 12.0)},
        {"grey": (0.45, 0.2, 0.25, 0.35, 0.6)},
        {"laterality": "OS"},
        {"device": "another"},
        # a quarter of the upper end beyond it
        {"shape": (50, 64, 48)},
        {"shape": (22, 64, 48)},
        {"size_mm": (12.5, 1.5, 12.0)},
    ):
        assert outside(reference, **change) == "", change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shape": (51, 64, 48)}, "51 samples along bscan, learnt from 32 to 40"),
        ({"shape": (21, 64, 48)}, "21 samples along bscan, learnt from 32 to 40"),
        ({"shape": (32, 496, 48)}, "496 samples along depth, learnt from 64"),
        ({"shape": (32, 64, 8)}, "8 samples along ascan, learnt from 48"),
        ({"size_mm": (12.6, 1.5, 12.0)}, "12.6 mm along bscan, learnt from 9 to 10 mm"),
        ({"size_mm": (9.0, 3.0, 12.0)}, "3 mm along depth, learnt from 1.5 mm"),
        ({"size_mm": (9.0, 1.5, 6.0)}, "6 mm along ascan, learnt from 12 mm"),
        ({"size_mm": (9.0, None, 12.0)}, "millimetres along depth unknown"),
        ({"pattern": "unknown"}, "pattern unknown, learnt from raster"),
        ({"slow_axis": "temporal-to-nasal"}, "direction temporal-to-nasal, learnt from superior-to-inferior"),
        ({"slow_axis": "unknown"}, "direction unknown, learnt from superior-to-inferior"),
        ({"region": "macula"}, "region macula, learnt from macula-and-disc"),
        ({"grey": (0.7, 0.2, 0.25, 0.35, 0.6)}, "mean grey value 0.70, learnt from 0.4 to 0.5"),
        ({"grey": (0.4, 0.4, 0.25, 0.35, 0.6)}, "spread of grey values 0.40, learnt from 0.2"),
        ({"grey": (0.4, 0.2, 0.0, 0.35, 0.6)}, "25 % grey value 0.00, learnt from 0.25"),
        ({"grey": (0.4, 0.2, 0.25, 0.9, 0.6)}, "median grey value 0.90, learnt from 0.35"),
        ({"grey": (0.4, 0.2, 0.25, 0.35, 0.2)}, "75 % grey value 0.20, learnt from 0.6"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_whatever_is_unlike_is_named_with_what_was_learnt_from(reference, change, says):
    assert outside(reference, **change) == says


def test_several_reasons_stand_in_one_warning(reference):
    said = outside(reference, shape=(3, 64, 48), region="disc", size_mm=(None, None, None))
    assert said.split("; ") == [
        "3 samples along bscan, learnt from 32 to 40",
        "millimetres along bscan unknown",
        "millimetres along depth unknown",
        "millimetres along ascan unknown",
        "region disc, learnt from macula-and-disc",
    ]


def test_millimetres_that_training_did_not_know_are_not_compared():
    reference = Reference.of([facts(size_mm=(None, 1.5, None))])
    assert reference.size_mm == (None, (1.5, 1.5), None)
    assert outside(reference, size_mm=(99.0, 1.5, None)) == ""


def test_several_kinds_that_were_learnt_from_are_all_known():
    reference = Reference.of([USUAL, facts(region="macula", slow_axis="unknown")])
    assert outside(reference, region="macula") == ""
    assert outside(reference, slow_axis="unknown") == ""
    assert outside(reference, region="disc") == "region disc, learnt from macula and macula-and-disc"


def test_a_model_of_phantoms_alone_says_so_about_every_scan():
    phantom = facts(device=DEVICE)
    alone, mixed = Reference.of([phantom, phantom]), Reference.of([phantom, USUAL])
    assert (alone.phantoms, mixed.phantoms) == (2, 1)
    assert alone.warnings(USUAL) == (PHANTOMS,)
    assert alone.warnings(phantom) == (PHANTOMS,)
    assert mixed.warnings(phantom) == ("1 of the 2 scans that this model learnt from were synthetic eyes",)
    first, last = alone.warnings(facts(region="macula"))
    assert first.startswith(OUTSIDE)
    assert last == PHANTOMS


def test_phantoms_are_known_by_what_the_phantom_says_of_itself():
    volume = make_eye(3, shape=(8, 32, 16)).volume
    said = ScanFacts.of(volume, Preparation(size=(8, 8, 8)).apply(volume))
    assert Reference.of([said]).phantoms == 1


def test_the_facts_are_those_of_the_scan():
    values = np.random.default_rng(0).integers(0, 256, (6, 10, 12), dtype=np.uint8)
    volume = Volume(
        values,
        Spacing(0.5, None, 0.01),
        laterality=Laterality.OS,
        pattern=ScanPattern.RASTER,
        slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
        region=Region.DISC,
    )
    said = ScanFacts.of(volume, Prepared(volume, Flips(True, True), volume.shape, ()))
    assert said.shape == (6, 10, 12)
    assert said.size_mm == (3.0, None, pytest.approx(0.12))
    assert (said.pattern, said.region, said.laterality, said.device) == ("raster", "disc", "OS", "")
    # turned over for reading, so a raster from the other end is the same
    assert said.slow_axis == "superior-to-inferior"
    grey = values / 255
    wanted = (grey.mean(), grey.std(), *np.quantile(grey, [0.25, 0.5, 0.75], method="inverted_cdf"))
    np.testing.assert_allclose(said.grey, wanted, atol=1e-12)


def test_both_go_to_json_and_back(reference):
    for one in (reference, Reference.of([facts(size_mm=(None, None, None))])):
        assert Reference.from_json(json.loads(json.dumps(one.to_json()))) == one
    for said in (USUAL, facts(size_mm=(None, 1.5, None))):
        assert ScanFacts.from_json(json.loads(json.dumps(dataclasses.asdict(said)))) == said


def test_a_damaged_reference_is_refused(reference):
    content = json.loads(json.dumps(reference.to_json()))
    for damaged in (
        {**content, "extra": 1},
        {name: content[name] for name in list(content)[1:]},
        {**content, "shape": [1, 2, 3]},
        {**content, "grey": [["a", "b"]] * 5},
        {**content, "patterns": [1]},
        {**content, "phantoms": "all"},
        {**content, "size_mm": 3},
    ):
        with pytest.raises(OctavoError, match=r"(?s)reference\.json: .*wanted the file that training wrote"):
            Reference.from_json(damaged)


def test_no_scans_are_no_reference():
    with pytest.raises(OctavoError, match="no training scans to refer to"):
        Reference.of([])


def test_one_real_eye_among_phantoms_does_not_hide_them():
    mixed = Reference.of([facts(device="octavo phantom"), facts(device="octavo phantom"), facts()])
    (said,) = mixed.warnings(facts())
    assert said == "2 of the 3 scans that this model learnt from were synthetic eyes"
    assert is_caution(said)
    assert not is_caution("eye unknown")
    assert Reference.of([facts()]).phantom_caution == ""
