"""Every writer against every kind of scan: read, written and read again, it is the same or was refused with a reason."""

import itertools

import numpy as np
import pytest

from formats.test_numpy_file import same
from formats.written_scans import eye
from octavo.errors import OctavoError
from octavo.formats import WRITERS, read_volume, write_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing, Volume

EYES = {Laterality.OD: Origin.READ, Laterality.OS: Origin.DERIVED, Laterality.UNKNOWN: Origin.UNKNOWN}
SCANS = {
    "superior first": (4, SlowAxis.SUPERIOR_TO_INFERIOR, ScanPattern.RASTER),
    "inferior first": (4, SlowAxis.INFERIOR_TO_SUPERIOR, ScanPattern.RASTER),
    "temporal first": (4, SlowAxis.TEMPORAL_TO_NASAL, ScanPattern.RASTER),
    "line": (1, SlowAxis.UNKNOWN, ScanPattern.LINE),
    "circle": (1, SlowAxis.UNKNOWN, ScanPattern.CIRCLE),
}
TYPES = ("uint8", "uint16", "float32")
SUFFIXES = [suffix for writer in WRITERS.values() for suffix in writer.suffixes]


def scan(laterality: Laterality, kind: str, dtype: str) -> Volume:
    """An asymmetric scan with every fact known in another way."""
    bscans, slow_axis, pattern = SCANS[kind]
    # neither all whole nor all positive where the type allows it
    values = eye(bscans, dtype=dtype) / np.float32(7) - 3 if dtype == "float32" else eye(bscans, dtype=dtype)
    values = values * np.uint16(257) if dtype == "uint16" else values
    bscan_mm = 0.1197 if pattern is ScanPattern.RASTER else None
    return Volume(
        values,
        Spacing(bscan_mm, 0.003872, 0.011182, (Origin.DERIVED, Origin.READ, Origin.USER)),
        laterality=laterality,
        laterality_origin=EYES[laterality],
        pattern=pattern,
        pattern_origin=Origin.READ,
        slow_axis=slow_axis,
        slow_axis_origin=Origin.DERIVED,
        notes=("a note",),
    )


def reason_against(suffix: str, volume: Volume) -> str | None:
    """Why a format cannot hold a scan, as the refusal says it."""
    if suffix.startswith(".nii") and volume.spacing_mm.bscan is None:
        return "spacing along bscan is unknown and millimetres were asked for"
    if suffix == ".dcm" and volume.values.dtype == np.float32:
        return "holds float32 samples; DICOM tomography wants uint8 or uint16"
    if suffix == ".dcm" and volume.laterality is Laterality.UNKNOWN:
        return "the eye is unknown, and DICOM tomography must name it"
    return None


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", SCANS)
def test_read_write_read_gives_the_same_scan_or_a_reason(tmp_path, suffix, dtype, kind):
    for laterality in EYES:
        volume = scan(laterality, kind, dtype)
        path = tmp_path / f"{laterality}{suffix}".replace("OD", "right").replace("OS", "left")
        reason = reason_against(suffix, volume)
        if reason is not None:
            with pytest.raises(OctavoError, match=reason):
                write_volume(volume, path)
            assert not path.exists()
            continue

        once = read_volume(write_volume(volume, path))
        twice = read_volume(write_volume(once, path, overwrite=True))

        assert same(once, volume)
        assert same(twice, volume)


def test_every_format_holds_both_eyes_and_every_direction_of_some_type():
    for suffix, laterality, kind in itertools.product(SUFFIXES, (Laterality.OD, Laterality.OS), SCANS):
        if not (suffix.startswith(".nii") and SCANS[kind][0] == 1):
            assert reason_against(suffix, scan(laterality, kind, "uint8")) is None
