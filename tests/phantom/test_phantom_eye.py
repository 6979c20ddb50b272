import dataclasses
import subprocess
import sys
import zlib
from itertools import pairwise

import numpy as np
import pytest

from octavo.anatomy import flip, flips_to_right_eye, to_right_eye
from octavo.errors import OctavoError
from octavo.phantom import DEVICE, DIFFICULTIES, LAYERS, THINNED_UM, Bundle, make_eye
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis

OD, OS = Laterality.OD, Laterality.OS
SUPERIOR_FIRST, INFERIOR_FIRST = SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR
STORED = [(OD, SUPERIOR_FIRST), (OS, SUPERIOR_FIRST), (OD, INFERIOR_FIRST), (OS, INFERIOR_FIRST)]


def checksum(values):
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def test_the_same_arguments_make_the_same_voxels():
    first, second = (make_eye(3, OS, severity=0.5, bundles=["superior"]) for _ in range(2))
    assert np.array_equal(first.volume.values, second.volume.values)
    assert np.array_equal(first.thinned, second.thinned)
    assert not np.array_equal(first.volume.values, make_eye(4, OS).volume.values)
    assert not np.array_equal(first.volume.values, make_eye(3, OD).volume.values)


def test_another_process_makes_the_same_voxels():
    program = (
        "import zlib; from octavo.phantom import make_eye; "
        "print(zlib.crc32(make_eye(11, severity=0.6, bundles=['inferior', 'superior']).volume.values.tobytes()))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": salt}
        ).stdout
        for salt in ("1", "2")
    }
    here = checksum(make_eye(11, severity=0.6, bundles=["superior", "inferior"]).volume.values)
    assert told == {f"{here}\n"}


@pytest.mark.parametrize(("laterality", "slow_axis"), STORED)
def test_a_volume_says_what_it_is(laterality, slow_axis):
    volume = make_eye(1, laterality, slow_axis=slow_axis, shape=(18, 64, 24)).volume
    assert volume.shape == (18, 64, 24)
    assert volume.values.dtype == np.uint8
    assert volume.spacing_mm.values_mm == pytest.approx((0.5, 0.02, 0.5))
    assert volume.size_mm == pytest.approx((9, 1.28, 12))
    said = (volume.laterality, volume.slow_axis, volume.pattern, volume.region)
    assert said == (laterality, slow_axis, ScanPattern.RASTER, Region.MACULA_AND_DISC)
    origins = {volume.laterality_origin, volume.slow_axis_origin, volume.pattern_origin, volume.region_origin}
    assert origins == {Origin.READ}
    assert volume.source.device == DEVICE == "octavo phantom"
    assert volume.notes == ()


@pytest.mark.parametrize(("laterality", "slow_axis"), STORED)
def test_every_eye_is_the_same_way_round_once_it_is_oriented(laterality, slow_axis):
    eye = make_eye(5, laterality, slow_axis=slow_axis, severity=0.8, bundles=["superior"], shape=(48, 64, 64))
    flips = flips_to_right_eye(eye.volume)
    bscans, _, ascans = eye.volume.shape
    rows = [place[0] if not flips.bscan else bscans - 1 - place[0] for place in (eye.fovea, eye.disc_centre)]
    columns = [place[1] if not flips.ascan else ascans - 1 - place[1] for place in (eye.fovea, eye.disc_centre)]
    assert columns[0] < ascans / 2 < columns[1]
    assert rows[1] < rows[0]
    # the disc is found in the voxels: its cup is where the inside of the eye reaches deepest
    values = to_right_eye(eye.volume).values.astype(float)
    dark = (values < np.percentile(values, 60)).cumprod(axis=1).sum(axis=1)
    row, column = np.unravel_index(dark.argmax(), dark.shape)
    assert abs(row - rows[1]) < 4
    assert abs(column - columns[1]) < 4
    thinned = flip(eye.thinned, flips).any(axis=1)
    assert thinned[: round(rows[0])].sum() == thinned.sum() > 100
    assert thinned[:, : round(columns[1])].sum() == thinned.sum()


@pytest.mark.parametrize("laterality", [OD, OS])
def test_a_scanner_that_starts_inferior_stores_the_same_eye_turned_over(laterality):
    usual, turned = (
        make_eye(6, laterality, slow_axis=slow_axis, severity=0.5, bundles=["inferior"])
        for slow_axis in (SUPERIOR_FIRST, INFERIOR_FIRST)
    )
    assert np.array_equal(usual.volume.values[::-1], turned.volume.values)
    assert np.array_equal(usual.thinned[::-1], turned.thinned)
    assert np.array_equal(usual.surfaces["rnfl"][::-1], turned.surfaces["rnfl"])
    assert np.array_equal(usual.lost_um["rnfl"][::-1], turned.lost_um["rnfl"])
    assert np.array_equal(usual.disc[::-1], turned.disc)


def right_eye_map(seed, laterality):
    eye = make_eye(seed, laterality, difficulty="standard", shape=(24, 32, 32))
    return np.log(eye.thickness_um("rnfl")[:, :: -1 if laterality is OS else 1])


def test_both_eyes_of_a_patient_are_mirror_images_and_more_alike_than_two_patients():
    rights = np.array([right_eye_map(seed, OD) for seed in range(16)])
    lefts = np.array([right_eye_map(seed, OS) for seed in range(16)])
    seen = np.isfinite(rights).all(axis=0) & np.isfinite(lefts).all(axis=0)
    assert seen.mean() > 0.5
    usual = np.mean([rights[:, seen], lefts[:, seen]], axis=(0, 1))
    correlation = np.corrcoef(rights[:, seen] - usual, lefts[:, seen] - usual)[:16, 16:]
    own, others = np.diag(correlation), correlation[~np.eye(16, dtype=bool)]
    assert own.mean() > 0.7
    assert np.all(own > correlation.mean(axis=1))
    assert abs(others.mean()) < 0.2


def test_a_left_eye_is_stored_as_the_mirror_of_a_right_one():
    right, left = (make_eye(5, laterality, shape=(32, 64, 48)) for laterality in (OD, OS))
    reached = [eye.surfaces["ilm"] - np.median(eye.surfaces["ilm"]) for eye in (right, left)]
    mirrored = np.corrcoef(reached[0].ravel(), reached[1][:, ::-1].ravel())[0, 1]
    copied = np.corrcoef(reached[0].ravel(), reached[1].ravel())[0, 1]
    assert mirrored > 0.4 > copied + 0.2


@pytest.mark.parametrize("shape", [(16, 192, 24), (16, 64, 24)])
def test_the_voxels_agree_with_the_surfaces(shape):
    clear = dataclasses.replace(DIFFICULTIES["easy"], speckle_looks=200.0, noise=0.0, shading_sd=0.0)
    eye = make_eye(9, severity=0.7, bundles=["superior"], difficulty=clear, shape=shape)
    values = eye.volume.values.astype(float)
    vitreous = np.median(values[:, : shape[1] // 10])
    bright = np.percentile(values, 99)
    entered = (values > (vitreous + bright) / 2).argmax(axis=1)
    outside = ~eye.disc & (eye.thickness_um("rnfl") > 1.5 * 1000 * eye.volume.spacing_mm.depth)
    error = np.abs(entered - eye.surfaces["ilm"])[outside]
    assert outside.mean() > 0.3
    assert np.mean(error < 1) > 0.97


def test_thickness_is_the_distance_between_surfaces_and_unknown_on_the_disc():
    eye = make_eye(2, shape=(32, 64, 48))
    step_um = 20.0
    for inner, layer in zip(("ilm", *LAYERS), LAYERS, strict=False):
        thickness = eye.thickness_um(layer)
        assert np.array_equal(np.isnan(thickness), eye.disc)
        stated = (eye.surfaces[layer] - eye.surfaces[inner]) * step_um
        assert thickness[~eye.disc] == pytest.approx(stated[~eye.disc])
    with pytest.raises(OctavoError, match=r"'gcl' is not a layer of the phantom; .* did you mean 'gcl_ipl'"):
        eye.thickness_um("gcl")


def test_what_was_lost_is_what_a_healthy_twin_has_more():
    healthy, ill = make_eye(8), make_eye(8, severity=0.9, bundles=["superior", "inferior"])
    for layer in ("rnfl", "gcl_ipl"):
        more = healthy.thickness_um(layer) - ill.thickness_um(layer)
        assert np.nanmax(np.abs(more - np.where(ill.disc, np.nan, ill.lost_um[layer]))) < 1e-6
        assert np.nanmax(more) > 30
    for layer in LAYERS[2:]:
        assert healthy.thickness_um(layer) == pytest.approx(ill.thickness_um(layer), nan_ok=True)


def test_disease_changes_nothing_but_what_it_takes():
    healthy, ill = make_eye(8), make_eye(8, severity=0.6, bundles=["superior"])
    untouched = (ill.lost_um["rnfl"] + ill.lost_um["gcl_ipl"] < 1e-9) & ~ill.disc
    same = (healthy.volume.values == ill.volume.values).all(axis=1)
    assert untouched.mean() > 0.3
    assert same[untouched].all()
    assert not same[ill.thinned.any(axis=1)].any()
    assert ill.cup_ratio > healthy.cup_ratio


def test_the_mask_is_the_inner_retina_where_it_was_and_is():
    healthy, ill = (
        make_eye(8, shape=(32, 192, 48)),
        make_eye(8, severity=0.7, bundles=["inferior"], shape=(32, 192, 48)),
    )
    columns = ill.thinned.any(axis=1)
    gone = (ill.lost_um["rnfl"] >= THINNED_UM) | (ill.lost_um["gcl_ipl"] >= THINNED_UM)
    assert np.array_equal(columns, gone & ~ill.disc)
    depth = np.arange(192)[None, :, None]
    inside = (depth >= healthy.surfaces["ilm"][:, None]) & (depth < ill.surfaces["gcl_ipl"][:, None])
    assert not (ill.thinned & ~inside).any()
    # where both layers lost enough, it is all of it, vitreous that was tissue included
    both = (ill.lost_um["rnfl"] >= THINNED_UM) & (ill.lost_um["gcl_ipl"] >= THINNED_UM) & ~ill.disc
    assert both.sum() > 50
    assert np.array_equal((ill.thinned & both[:, None]), inside & both[:, None])
    now_vitreous = ill.thinned & (depth < ill.surfaces["ilm"][:, None] - 0.5)
    assert now_vitreous.any()


def test_a_healthy_eye_has_an_empty_mask_and_no_disease():
    eye = make_eye(8)
    assert not eye.thinned.any()
    assert not eye.glaucoma
    assert eye.bundles == ()
    assert max(loss.max() for loss in eye.lost_um.values()) == 0


def test_severity_is_graded():
    eyes = [make_eye(8, severity=severity, bundles=["inferior"]) for severity in (0.2, 0.4, 0.6, 0.8, 1.0)]
    for milder, graver in pairwise(eyes):
        assert graver.lost_um["rnfl"].sum() > 1.1 * milder.lost_um["rnfl"].sum()
        assert graver.thinned.sum() > milder.thinned.sum() > 0
        assert graver.cup_ratio > milder.cup_ratio
        assert all(eye.glaucoma for eye in eyes)


def test_bundles_hit_their_own_side():
    middle = round(make_eye(8).fovea[0])
    for bundles, above, below in ((["superior"], True, False), (["inferior"], False, True), (Bundle, True, True)):
        thinned = make_eye(8, severity=0.7, bundles=bundles).thinned
        assert (thinned[: middle - 1].any(), thinned[middle + 2 :].any()) == (above, below)


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_eyes_are_possible_at_every_setting(name):
    for seed in range(15):
        eye = make_eye(seed, difficulty=name, severity=0.5, bundles=["superior"])
        surfaces = list(eye.surfaces.values())
        assert min((outer - inner).min() for inner, outer in pairwise(surfaces)) > -1e-9
        assert surfaces[0].min() > 0
        assert eye.surfaces["bruch"][~eye.disc].max() < 63
        assert 0.08 <= eye.cup_ratio <= 0.88


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patient_seed": -1}, "patient_seed is -1; wanted a whole number from 0"),
        ({"laterality": Laterality.UNKNOWN}, "laterality unknown, wanted OD or OS"),
        ({"severity": -0.1}, "severity is -0.1; wanted 0"),
        ({"severity": float("nan")}, "severity is nan; wanted 0"),
        ({"severity": 0.5}, "severity is 0.5 and 0 bundles are damaged; name a bundle"),
        ({"bundles": ["superior"]}, "severity is 0.0 and 1 bundles are damaged; give a severity above 0"),
        (
            {"severity": 0.5, "bundles": ["nasal"]},
            "'nasal' is not a nerve fibre bundle; wanted one of: superior, inferior",
        ),
        ({"difficulty": "hart"}, "did you mean 'hard'"),
        ({"shape": (4, 64, 48)}, "shape is 4 x 64 x 48; wanted bscan x depth x ascan of at least 8 x 32 x 16"),
        ({"slow_axis": SlowAxis.NASAL_TO_TEMPORAL}, "phantoms have horizontal B-scans"),
        ({"slow_axis": SlowAxis.UNKNOWN}, "wanted superior-to-inferior or inferior-to-superior"),
    ],
)
def test_impossible_eyes_are_refused(change, said):
    with pytest.raises(OctavoError, match=said):
        make_eye(**{"patient_seed": 1, **change})


def test_an_eye_is_made_quickly():
    # a generous multiple of what it takes, so that only a lost vectorisation fails it
    from timeit import repeat

    assert min(repeat(lambda: make_eye(1), number=1, repeat=5)) < 0.3
