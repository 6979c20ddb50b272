import csv
from pathlib import Path

import numpy as np
import pytest

from formats.written_scans import eye
from formats.written_topcon import (
    BLOCK,
    chunk,
    compressed,
    contour,
    eye_chunk,
    plain,
    read,
    size_chunk,
    topcon_bytes,
    written,
)
from octavo.companions import Picture
from octavo.formats import VolumeReadError, list_scans, read_companions, read_volume
from octavo.formats.reader import ReadOptions
from octavo.formats.topcon.reading import READER
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "topcon" / "fda_minimized.fda"
SHAPE = (4, 12, 16)


@pytest.mark.parametrize("generation", ["@PARAM_SCAN_04", "@PARAM_SCAN_02"])
@pytest.mark.parametrize("block", [BLOCK, plain(eye()), plain(eye(), name="@IMG_SCAN_02")], ids=["j2k", "03", "02"])
@pytest.mark.parametrize(("code", "laterality"), [(0, Laterality.OD), (1, Laterality.OS)])
def test_what_the_header_says_is_read(tmp_path, generation, block, code, laterality):
    size = size_chunk((0.48, 0.1808), 3.9, generation=generation)
    path = written(tmp_path, topcon_bytes(block, size=size, eye_record=eye_chunk(code)))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.spacing_mm.origins == (Origin.DERIVED, Origin.READ, Origin.DERIVED)
    assert (volume.laterality, volume.laterality_origin) == (laterality, Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.READ)
    assert (volume.region, volume.region_origin) == (Region.MACULA, Origin.DERIVED)
    assert (volume.source.device, volume.source.format) == ("Topcon 3DOCT-1000MK2", "topcon")
    assert volume.notes == ()
    assert READER.scans(path, ReadOptions())[0].laterality is laterality


def test_a_raster_begins_with_the_superior_bscan_where_that_is_known(tmp_path):
    coded, samples = read(tmp_path, topcon_bytes(BLOCK)), read(tmp_path, topcon_bytes(plain(eye())), "exam.fds")

    assert (coded.slow_axis, coded.slow_axis_origin) == (SlowAxis.SUPERIOR_TO_INFERIOR, Origin.ASSUMED)
    assert samples.slow_axis is SlowAxis.UNKNOWN


def test_samples_keep_their_sixteen_bits(tmp_path):
    values = eye(dtype="uint16") * 200

    assert read(tmp_path, topcon_bytes(plain(values))).values.dtype == np.uint16
    np.testing.assert_array_equal(read(tmp_path, topcon_bytes(plain(values))).values, values)


def test_older_records_name_eye_and_device(tmp_path):
    for hardware in ("@HW_INFO_01", "@HW_INFO_02"):
        content = topcon_bytes(BLOCK, eye_record=eye_chunk(1, "@CAPTURE_INFO"), hardware=hardware, model=b"3DOCT-2000")
        volume = read(tmp_path, content)
        assert (volume.laterality, volume.source.device) == (Laterality.OS, "Topcon 3DOCT-2000")


@pytest.mark.parametrize("model", [b"Doe Jane", b"", b"\xff\xfe OCT", b"OCT\nDoe"])
def test_what_is_no_model_is_no_device(tmp_path, model):
    assert read(tmp_path, topcon_bytes(BLOCK, model=model)).source.device == "Topcon"


def test_nothing_names_the_patient(tmp_path):
    surface = np.full(SHAPE[::2], 5.0)
    path = written(tmp_path, topcon_bytes(BLOCK, more=[contour(b"Doe^Jane 4711", surface, 12)]))

    shown = repr(read_volume(path)) + "".join(list_scans(path)) + repr(read_companions(path))

    assert not any(word in shown for word in ("Doe", "Jane", "4711", "1950"))
    assert [found.name for found in read_companions(path).surfaces] == ["surface 1"]


@pytest.mark.parametrize(
    ("mode", "pattern", "bscan_mm", "ascan_mm"),
    [
        (0, ScanPattern.LINE, None, 0.0113),
        (1, ScanPattern.CIRCLE, None, None),
        (2, ScanPattern.RASTER, 0.12, 0.0113),
        (3, ScanPattern.RADIAL, None, 0.0113),
        (4, ScanPattern.OTHER, None, None),
        (6, ScanPattern.RASTER, 0.12, 0.0113),
        (7, ScanPattern.RASTER, None, 0.0113),
        (8, ScanPattern.RASTER, None, 0.0113),
        (9, ScanPattern.OTHER, None, None),
        (11, ScanPattern.OTHER, None, None),
        (200, ScanPattern.OTHER, None, None),
    ],
)
def test_the_mode_tells_the_pattern_and_which_millimetres_it_has(tmp_path, mode, pattern, bscan_mm, ascan_mm):
    for block in (compressed(eye(), mode), plain(eye(), mode)):
        volume = read(tmp_path, topcon_bytes(block))

        assert volume.pattern is pattern
        assert volume.pattern_origin is Origin.READ
        assert volume.spacing_mm.bscan == (None if bscan_mm is None else pytest.approx(bscan_mm))
        assert volume.spacing_mm.ascan == (None if ascan_mm is None else pytest.approx(ascan_mm))
        assert volume.spacing_mm.depth == pytest.approx(0.0039)
        # Whatever stays unknown is said, except where a pattern has no such distance.
        assert bool(volume.notes) == (mode not in {0, 2, 3})
        assert (volume.slow_axis is SlowAxis.UNKNOWN) == (mode != 2 or block == plain(eye(), mode))


@pytest.mark.parametrize(
    ("fixation", "field_mm", "region"),
    [
        (0, (6, 6), Region.UNKNOWN),
        (1, (6, 6), Region.DISC),
        (2, (6, 6), Region.MACULA),
        (3, (6, 6), Region.MACULA_AND_DISC),
        (2, (9, 12), Region.MACULA_AND_DISC),
        (0, (9, 12), Region.MACULA_AND_DISC),
        (15, (9, 12), Region.UNKNOWN),
        (77, (6, 6), Region.UNKNOWN),
    ],
)
def test_fixation_and_size_tell_the_region(tmp_path, fixation, field_mm, region):
    values = eye(10, 12, 16)
    volume = read(tmp_path, topcon_bytes(compressed(values), size=size_chunk(field_mm, 3.5, fixation)))

    assert volume.region is region
    assert any("front of the eye" in note for note in volume.notes) == (fixation == 15)


def test_the_front_of_the_eye_has_no_region(tmp_path):
    volume = read(tmp_path, topcon_bytes(BLOCK, kind=b"FAA"))

    assert volume.region is Region.UNKNOWN
    assert "does not run from vitreous to choroid" in volume.notes[-1]


def test_one_bscan_of_a_raster_is_a_line(tmp_path):
    volume = read(tmp_path, topcon_bytes(compressed(eye(1, 12, 16))))

    assert (volume.pattern, volume.pattern_origin, volume.spacing_mm.bscan) == (ScanPattern.LINE, Origin.DERIVED, None)
    assert volume.slow_axis is SlowAxis.UNKNOWN
    assert volume.notes == ("one B-scan of what the header calls a raster",)


def test_what_the_file_does_not_say_is_unknown_and_noted(tmp_path):
    volume = read(tmp_path, topcon_bytes(BLOCK, size=chunk("@PARAM_SCAN_99", b"\0" * 60), eye_record=eye_chunk(7)))
    short = read(
        tmp_path, topcon_bytes(BLOCK, size=chunk("@PARAM_SCAN_04", b"\0" * 35), eye_record=chunk("@OTHER", b""))
    )

    for found in (volume, short):
        assert found.spacing_mm.values_mm == (None, None, None)
        assert (found.laterality, found.laterality_origin) == (Laterality.UNKNOWN, Origin.UNKNOWN)
        assert found.region is Region.UNKNOWN
    assert "gives 7 for the eye" in volume.notes[0]
    assert "no capture record" in short.notes[0]
    assert "no scan parameters that are known" in volume.notes[1]


def test_records_that_contradict_each_other_are_not_used(tmp_path):
    more = [eye_chunk(1, "@CAPTURE_INFO"), size_chunk((6.0, 6.0), 3.5, generation="@PARAM_SCAN_02")]
    volume = read(tmp_path, topcon_bytes(BLOCK, more=more))
    repeated = read(tmp_path, topcon_bytes(BLOCK, more=[eye_chunk(0), size_chunk((0.48, 0.1808), 3.9)]))

    assert volume.laterality is Laterality.UNKNOWN
    assert volume.spacing_mm.values_mm == (None, None, None)
    assert ["contradict" in note or "different eyes" in note for note in volume.notes] == [True, True]
    assert (repeated.laterality, repeated.notes) == (Laterality.OD, ())


@pytest.mark.parametrize("bad", [0.0, -6.0, float("nan"), float("inf")])
def test_sizes_that_are_no_length_are_not_used(tmp_path, bad):
    volume = read(tmp_path, topcon_bytes(BLOCK, size=size_chunk((0.48, bad), 3.9)))

    assert volume.spacing_mm.ascan is None
    assert volume.spacing_mm.bscan == pytest.approx(0.12)
    assert "no length" in volume.notes[0]


def test_sizes_that_no_eye_has_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match="spacing along ascan cannot be true"):
        read(tmp_path, topcon_bytes(BLOCK, size=size_chunk((0.48, 300.0), 3.9)))


def test_two_blocks_of_bscans_are_two_scans(tmp_path):
    second = compressed(eye(2, 8, 16) + np.uint8(3))
    path = written(tmp_path, topcon_bytes(BLOCK, more=[second], eye_record=eye_chunk(1)))

    assert list_scans(path) == ["4 B-scans of 12 x 16, raster, block 1", "2 B-scans of 8 x 16, raster, block 2"]
    with pytest.raises(VolumeReadError, match="#1 4 B-scans"):
        read_volume(path)
    volume = read_volume(path, scan=2)
    np.testing.assert_array_equal(volume.values, eye(2, 8, 16) + np.uint8(3))
    assert (volume.laterality, volume.spacing_mm.values_mm) == (Laterality.OS, (None, None, None))
    assert "holds 2 blocks of B-scans" in volume.notes[0]
    assert "nothing tells to which" in read_companions(path, scan=1).notes[0]


@pytest.mark.parametrize("name", ["@IMG_MOT_COMP_03", "@IMG_MOT_COMP_03 long"])
def test_motion_corrected_bscans_are_read_for_want_of_others(tmp_path, name):
    moved = plain(eye() + 1, name=name)
    alone, beside = read(tmp_path, topcon_bytes(moved)), read(tmp_path, topcon_bytes(moved + BLOCK))

    np.testing.assert_array_equal(alone.values, eye() + 1)
    assert alone.spacing_mm.bscan is None
    assert "after correction of motion" in alone.notes[-1]
    np.testing.assert_array_equal(beside.values, eye())


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the sample scan is not at {SAMPLE}")
def test_the_sample_says_what_is_known_of_it():
    volume, found = read_volume(SAMPLE), read_companions(SAMPLE)

    with (SAMPLE.parents[1] / "expected.csv").open() as table:
        (row,) = [row for row in csv.DictReader(table) if row["path"].endswith(SAMPLE.name)]
    assert volume.shape == (int(row["bscans"]), int(row["depth"]), int(row["ascans"]))
    assert volume.spacing_mm.bscan is None
    assert volume.spacing_mm.depth * 1000 == pytest.approx(float(row["depth_um"]))
    assert volume.spacing_mm.ascan * 1000 == pytest.approx(float(row["ascan_um"]), rel=5e-4)
    assert (volume.laterality, volume.region) == (row["laterality"], Region.MACULA)
    assert volume.source.device == "Topcon 3DOCT-1000MK2"
    assert "boundaries for 128 B-scans and holds 1" in volume.notes[1]
    # Vitreous above, retina below: the brightest row lies beneath a dark third.
    rows = volume.values[0].mean(axis=1)
    assert rows[:200].max() < 20 < rows[300:400].max()
    assert found.surfaces == ()
    assert [picture.values.shape for picture in found.pictures] == [(3, 2, 3), (128, 512)]


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the sample scan is not at {SAMPLE}")
def test_boundaries_of_the_sample_lie_on_its_edges():
    """The one B-scan left in the sample is that of the first rows of its boundaries and of the last of its projection."""
    content, values = SAMPLE.read_bytes(), read_volume(SAMPLE).values[0].astype(float)
    start = content.index(b"RETINA_1\0") + 34
    ilm = 649 - np.frombuffer(content[start : start + 1024], "<u2").astype(int)
    edge = np.gradient(values, axis=0)
    columns = np.arange(512)
    strength = {shift: edge[ilm + shift, columns].mean() for shift in range(-5, 6)}

    assert max(strength, key=strength.__getitem__) == 0
    (slab,) = [picture for picture in read_companions(SAMPLE).pictures if picture.kind is Picture.SLAB]
    assert np.corrcoef(slab.values[-1], values.mean(axis=0))[0, 1] > 0.95


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the sample scan is not at {SAMPLE}")
def test_the_motion_of_the_sample_follows_its_boundaries_turned_over():
    """How far each B-scan was moved is written in their order: steps of the boundary there and back cancel."""
    content = SAMPLE.read_bytes()
    moved = content.index(b"@ALIGN_INFO") + len(b"@ALIGN_INFO") + 4 + 10
    steps = np.diff(np.frombuffer(content[moved : moved + 256], "<u2").astype(float))
    start = content.index(b"RETINA_1\0") + 34
    height = np.frombuffer(content[start : start + 131072], "<u2").reshape(128, 512).mean(axis=1)

    assert np.corrcoef(steps, np.diff(height[::-1]))[0, 1] < -0.4
    assert abs(np.corrcoef(steps, np.diff(height))[0, 1]) < 0.2


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the sample scan is not at {SAMPLE}")
def test_another_programs_export_of_the_sample_has_the_same_geometry():
    ours, theirs = read_volume(SAMPLE), read_volume(SAMPLE.parents[1] / "dicom_opt" / "topcon_1frame_from_fda.dcm")

    assert ours.shape == theirs.shape
    assert ours.spacing_mm.values_mm[1:] == pytest.approx(theirs.spacing_mm.values_mm[1:])
    assert ours.laterality is theirs.laterality
    assert np.corrcoef(ours.values.ravel(), theirs.values.ravel())[0, 1] > 0.99
