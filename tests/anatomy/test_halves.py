import dataclasses

import numpy as np
import pytest

from octavo.anatomy import hemiretinas, macula_and_disc, require_both_ends, require_hemiretinas, require_raster
from octavo.errors import ScanUnsuitableError
from octavo.volume import Frame, Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume

S_TO_I, I_TO_S = SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR


def scan(shape=(6, 3, 8), **known):
    said = {
        "laterality": Laterality.OD,
        "pattern": ScanPattern.RASTER,
        "slow_axis": S_TO_I,
        "region": Region.MACULA_AND_DISC,
        **known,
    }
    origins = {f"{name}_origin": Origin.READ for name in said if name != "frame"}
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(values, Spacing(0.1, 0.004, 0.01), **said, **origins)


@pytest.mark.parametrize("bscans", [2, 3, 6, 7])
def test_superior_and_inferior_are_all_of_the_scan_without_a_gap(bscans):
    volume = scan((bscans, 3, 4))
    superior, inferior = hemiretinas(volume)
    np.testing.assert_array_equal(np.concatenate([superior.values, inferior.values]), volume.values)
    assert superior.shape[0] == bscans // 2
    assert inferior.shape[0] == bscans - bscans // 2  # the middle one of an odd number is inferior


def test_a_raster_that_starts_inferior_has_the_same_halves():
    usual = scan()
    turned = usual.with_values(usual.values[::-1])
    turned = dataclasses.replace(turned, slow_axis=I_TO_S)
    for one, other in zip(hemiretinas(usual), hemiretinas(turned), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert other.slow_axis is S_TO_I
        assert other.frame is Frame.RIGHT_EYE


@pytest.mark.parametrize("ascans", [2, 7, 8])
def test_macula_comes_first_and_nerve_second_in_both_eyes(ascans):
    right = scan((4, 3, ascans))
    left = dataclasses.replace(right.with_values(right.values[:, :, ::-1]), laterality=Laterality.OS)
    for volume in (right, left):
        macula, disc = macula_and_disc(volume)
        np.testing.assert_array_equal(macula.values, right.values[:, :, : ascans // 2])
        np.testing.assert_array_equal(disc.values, right.values[:, :, ascans // 2 :])
        assert (macula.region, disc.region) == (Region.MACULA, Region.DISC)


def test_halves_keep_millimetres_and_leave_the_scan_alone():
    volume = scan()
    before = volume.values.copy()
    for half in (*hemiretinas(volume), *macula_and_disc(volume)):
        assert half.spacing_mm == volume.spacing_mm
    np.testing.assert_array_equal(volume.values, before)
    assert volume.frame is Frame.SCANNER


@pytest.mark.parametrize("refusing", [require_raster, require_hemiretinas, require_both_ends, hemiretinas])
@pytest.mark.parametrize("pattern", [ScanPattern.LINE, ScanPattern.RADIAL, ScanPattern.CIRCLE])
def test_other_patterns_than_rasters_are_refused(refusing, pattern):
    with pytest.raises(ScanUnsuitableError, match=f"this is a {pattern} scan; wanted a raster"):
        refusing(scan(pattern=pattern))


@pytest.mark.parametrize("refusing", [require_raster, require_hemiretinas, require_both_ends, hemiretinas])
def test_what_is_known_to_be_no_raster_is_refused(refusing):
    with pytest.raises(
        ScanUnsuitableError, match=r"\(pattern other\); wanted a raster .* pass --pattern raster if it is one"
    ):
        refusing(scan(pattern=ScanPattern.OTHER))


@pytest.mark.parametrize("refusing", [require_raster, require_hemiretinas, require_both_ends, macula_and_disc])
def test_one_bscan_is_no_raster(refusing):
    with pytest.raises(ScanUnsuitableError, match="this scan has 1 B-scan; wanted a raster of several"):
        refusing(scan((1, 3, 8)))


@pytest.mark.parametrize("slow_axis", [SlowAxis.TEMPORAL_TO_NASAL, SlowAxis.NASAL_TO_TEMPORAL])
@pytest.mark.parametrize("refusing", [require_hemiretinas, require_both_ends, hemiretinas, macula_and_disc])
def test_vertical_rasters_have_no_halves(refusing, slow_axis):
    volume = scan(slow_axis=slow_axis)
    require_raster(volume)
    with pytest.raises(ScanUnsuitableError, match=f"vertical .*{slow_axis}.*wanted a horizontal raster"):
        refusing(volume)


@pytest.mark.parametrize("region", [Region.MACULA, Region.DISC, Region.UNKNOWN])
@pytest.mark.parametrize("refusing", [require_both_ends, macula_and_disc])
def test_macula_against_nerve_needs_a_scan_that_is_said_to_hold_both(refusing, region):
    with pytest.raises(ScanUnsuitableError, match=f"region is {region}; wanted macula-and-disc .*--region"):
        refusing(scan(region=region))


@pytest.mark.parametrize("known", [{"pattern": ScanPattern.UNKNOWN}, {"slow_axis": SlowAxis.UNKNOWN}])
def test_what_is_unknown_is_not_refused_but_said(known):
    volume = scan(**known)
    require_hemiretinas(volume)
    superior, _ = hemiretinas(volume)
    np.testing.assert_array_equal(superior.values, volume.values[:3])
    assert len(superior.notes) == 1
    assert superior.notes[0].startswith("pattern unknown" if "pattern" in known else "direction of the B-scans unknown")
