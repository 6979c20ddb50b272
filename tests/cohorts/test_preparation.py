import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from octavo.anatomy import Flips, to_right_eye
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError, ScanUnsuitableError
from octavo.volume import Frame, Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume

EYES = (Laterality.OD, Laterality.OS, Laterality.UNKNOWN)
ALL = list(itertools.product(EYES, SlowAxis, Frame))
ANY_RASTER = Preparation(size=(8, 8, 8), hemiretinas=False)


def scan(values, eye=Laterality.OD, slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR, **known):
    said = {"pattern": ScanPattern.RASTER, "region": Region.MACULA_AND_DISC, **known}
    origins = {f"{name}_origin": Origin.READ for name in ("laterality", "slow_axis", "pattern", "region")}
    return Volume(values, Spacing(0.1, 0.004, 0.01), laterality=eye, slow_axis=slow_axis, **said, **origins)


def noise(shape=(6, 10, 12), dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("size", [(6, 10, 12), (8, 8, 8), (3, 5, 6), (12, 7, 16)])
def test_input_is_oriented_then_resampled_then_scaled(size):
    # a few voxels far outside the percentiles: scaling first would cut them off before they are averaged in
    values = noise(dtype="float32")
    values[::3, ::4, ::5] = 4000
    volume = scan(values, Laterality.OS, SlowAxis.INFERIOR_TO_SUPERIOR)
    got = Preparation(size=size).apply(volume)
    oriented = torch.from_numpy(values[::-1, :, ::-1].astype(np.float64))
    for axis, wanted in enumerate(size):
        rows = oriented.movedim(axis, -1)
        flat = rows.reshape(1, 1, -1, rows.shape[-1])
        flat = F.interpolate(flat, size=(flat.shape[2], wanted), mode="bilinear", antialias=True)
        oriented = flat.reshape(*rows.shape[:-1], wanted).movedim(-1, axis)
    low, high = np.percentile(values, [0.5, 99.5])
    expected = np.clip((oriented.numpy() - low) / (high - low), 0, 1) * 255
    assert got.values.dtype == np.uint8
    assert np.abs(got.values - expected).max() <= 0.51
    assert got.flips == Flips(bscan=True, ascan=True)
    assert got.scan_shape == (6, 10, 12)


@pytest.mark.parametrize("size", [(6, 10, 12), (8, 16, 8)])
@pytest.mark.parametrize("intensity", ["percentile", "stored"])
def test_both_eyes_of_a_mirrored_person_give_the_same_input(size, intensity):
    values = noise()
    right = scan(values)
    left = scan(values[::-1, :, ::-1], Laterality.OS, SlowAxis.INFERIOR_TO_SUPERIOR)
    one, other = (Preparation(size=size, intensity=intensity).apply(volume) for volume in (right, left))
    # the same but for the last bit of a sum taken in another order
    assert np.abs(one.values.astype(int) - other.values.astype(int)).max() <= (size != (6, 10, 12))


@pytest.mark.parametrize(("eye", "slow_axis", "frame"), ALL, ids="-".join)
@pytest.mark.parametrize("size", [(8, 12, 16), (16, 8, 8)])
def test_a_hot_corner_comes_back_to_the_corner_it_came_from(eye, slow_axis, frame, size):
    preparation = Preparation(size=size, hemiretinas=False)
    for corner in itertools.product((0, -1), repeat=3):
        values = np.zeros((16, 12, 24), dtype=np.float32)
        block = tuple(slice(0, q) if at == 0 else slice(-q, None) for at, q in zip(corner, (4, 3, 6), strict=True))
        values[block] = 100
        volume = scan(values, eye, slow_axis, frame=frame)
        prepared = preparation.apply(volume)
        heat = prepared.to_scan_grid(prepared.values.astype(np.float32) / 255)
        assert heat.shape == volume.shape
        inside = np.zeros(heat.shape, dtype=bool)
        inside[block] = True
        assert heat[tuple(0 if at == 0 else -1 for at in corner)] == pytest.approx(1)
        assert heat[inside].mean() > 0.7
        assert heat[~inside].mean() < 0.1


@pytest.mark.parametrize(("eye", "slow_axis", "frame"), ALL, ids="-".join)
def test_a_map_on_the_grid_of_the_input_is_the_oriented_scan_turned_back(eye, slow_axis, frame):
    volume = scan(noise((8, 8, 8)), eye, slow_axis, frame=frame)
    prepared = ANY_RASTER.apply(volume)
    heat = to_right_eye(volume).values.astype(np.float32) / 255
    np.testing.assert_allclose(prepared.to_scan_grid(heat), volume.values / np.float32(255), atol=1e-6)


def test_a_coarse_map_keeps_its_range_and_its_constant():
    prepared = ANY_RASTER.apply(scan(noise((20, 9, 14))))
    for heat in (np.full((2, 3, 2), 0.25, np.float32), np.zeros((1, 1, 1), np.float32)):
        np.testing.assert_allclose(prepared.to_scan_grid(heat), heat.flat[0], atol=1e-6)
    noisy = np.random.default_rng(1).random((3, 4, 2), dtype=np.float32) * 0.7
    back = prepared.to_scan_grid(noisy)
    assert back.shape == (20, 9, 14)
    assert back.min() >= noisy.min() - 1e-6
    assert back.max() <= noisy.max()


def test_stored_grey_values_stay_as_they_are_in_8_bit():
    values = noise()
    np.testing.assert_array_equal(Preparation((6, 10, 12), "stored").apply(scan(values)).values, values)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_other_types_are_stored_between_their_extremes(dtype):
    values = (noise().astype(dtype) * 3 + 100).astype(dtype)
    got = Preparation((6, 10, 12), "stored").apply(scan(values)).values
    lowest, highest = float(values.min()), float(values.max())
    np.testing.assert_array_equal(got, np.rint((values - lowest) / (highest - lowest) * 255))


def test_a_scan_that_is_dark_but_for_a_few_voxels_is_not_empty():
    values = np.zeros((8, 8, 8), dtype=np.uint16)
    values[3, 4, 5] = 7
    got = ANY_RASTER.apply(scan(values)).values
    assert got[3, 4, 5] == 255
    assert got.sum() == 255


@pytest.mark.parametrize("pattern", [ScanPattern.CIRCLE, ScanPattern.LINE, ScanPattern.RADIAL])
def test_other_patterns_are_refused(pattern):
    with pytest.raises(ScanUnsuitableError, match=f"this is a {pattern} scan"):
        ANY_RASTER.apply(scan(noise(), pattern=pattern))


def test_one_bscan_is_refused():
    with pytest.raises(ScanUnsuitableError, match="has 1 B-scan; wanted a raster"):
        ANY_RASTER.apply(scan(noise((1, 10, 12))))


@pytest.mark.parametrize("slow_axis", [SlowAxis.TEMPORAL_TO_NASAL, SlowAxis.NASAL_TO_TEMPORAL])
def test_vertical_rasters_are_refused_by_networks_of_halves_only(slow_axis):
    volume = scan(noise(), slow_axis=slow_axis)
    assert ANY_RASTER.apply(volume).values.shape == (8, 8, 8)
    for halved in (Preparation((8, 8, 8)), Preparation((8, 8, 8), hemiretinas=False, both_ends=True)):
        with pytest.raises(ScanUnsuitableError, match="this raster is vertical"):
            halved.apply(volume)


@pytest.mark.parametrize("region", [Region.MACULA, Region.DISC, Region.UNKNOWN])
def test_one_end_of_the_eye_is_refused_by_networks_that_compare_both(region):
    volume = scan(noise(), region=region)
    assert Preparation((8, 8, 8)).apply(volume).values.shape == (8, 8, 8)
    with pytest.raises(ScanUnsuitableError, match=f"region is {region}; wanted macula-and-disc"):
        Preparation((8, 8, 8), both_ends=True).apply(volume)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_scan_is_refused(value):
    with pytest.raises(ScanUnsuitableError, match=f"all grey values are {value}; wanted a scan with contrast"):
        ANY_RASTER.apply(scan(np.full((8, 8, 8), value, np.uint8)))


@pytest.mark.parametrize("size", [(0, 8, 8), (8, -1, 8), (8, 8, 0)])
def test_a_size_that_is_not_positive_is_refused_before_any_scan_is_read(size):
    with pytest.raises(OctavoError, match=f"size is {' x '.join(map(str, size))}; wanted B-scans, depth samples and"):
        Preparation(size)


def test_what_was_taken_as_stored_is_said_once_and_apart_from_the_notes_of_the_reading():
    volume = scan(noise(), Laterality.UNKNOWN, SlowAxis.UNKNOWN).with_note("from the file")
    warnings = ANY_RASTER.apply(volume).warnings
    assert [words.split(":")[0] for words in warnings] == ["eye unknown", "direction of the B-scans unknown"]
    assert ANY_RASTER.apply(scan(noise()).with_note("from the file")).warnings == ()
    # a scan that was oriented before has its warning among its notes already
    assert ANY_RASTER.apply(to_right_eye(volume)).warnings == ()


def test_the_scan_is_left_as_it_was():
    volume = scan(noise(), Laterality.OS, SlowAxis.INFERIOR_TO_SUPERIOR)
    before = volume.values.copy()
    prepared = ANY_RASTER.apply(volume)
    np.testing.assert_array_equal(volume.values, before)
    assert not np.shares_memory(prepared.values, volume.values)


def test_a_size_that_no_scan_has_is_refused_before_any_scan_is_read():
    with pytest.raises(
        OctavoError, match="size is 20000 x 20000 x 20000, 8000000000000 voxels; wanted at most 536870912"
    ):
        Preparation((20000, 20000, 20000))
    assert Preparation((512, 1024, 1024)).size == (512, 1024, 1024)
