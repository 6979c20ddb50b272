import numpy as np
import pytest

from formats.written_bioptigen import bioptigen_bytes
from formats.written_scans import eye
from octavo.formats import VolumeReadError, read_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis


def read(folder, content: bytes, name: str = "exam.OCT"):
    (folder / name).write_bytes(content)
    return read_volume(folder / name)


@pytest.mark.parametrize("sample", ["<u2", "u1"])
@pytest.mark.parametrize("lines_in_frames", [True, False])
def test_a_raster_says_millimetres_and_pattern(tmp_path, sample, lines_in_frames):
    volume = read(tmp_path, bioptigen_bytes(eye(), sample=sample, lines_in_frames=lines_in_frames))

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.values.dtype == np.dtype(sample)
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert set(volume.spacing_mm.origins) == {Origin.DERIVED}
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.READ)
    assert volume.slow_axis is SlowAxis.UNKNOWN
    assert "by hand" in volume.notes[0]


@pytest.mark.parametrize("word", ["OD", "OS"])
def test_the_eye_is_taken_from_the_name_alone(tmp_path, word):
    named = read(tmp_path, bioptigen_bytes(eye()), f"sample_{word}_V_12x12_0.OCT")

    assert (named.laterality, named.laterality_origin) == (Laterality(word), Origin.DERIVED)
    assert read(tmp_path, bioptigen_bytes(eye())).laterality is Laterality.UNKNOWN


@pytest.mark.parametrize(
    ("scan_type", "pattern"), [(0, ScanPattern.LINE), (3, ScanPattern.RADIAL), (2, ScanPattern.UNKNOWN)]
)
def test_other_patterns_have_no_distance_between_bscans(tmp_path, scan_type, pattern):
    volume = read(tmp_path, bioptigen_bytes(eye(), scan_type=scan_type))

    assert volume.pattern is pattern
    assert volume.spacing_mm.bscan is None
    assert volume.spacing_mm.ascan == pytest.approx(0.0113)


def test_repeats_are_all_read_and_are_no_raster(tmp_path):
    volume = read(tmp_path, bioptigen_bytes(eye(), scans=2, frames=2))

    assert volume.shape == (4, 12, 16)
    assert volume.pattern is ScanPattern.OTHER
    assert volume.spacing_mm.bscan is None
    assert "each of 2 positions was scanned 2 times" in volume.notes[1]


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"FRAMECOUNT": 5}, r"holds 0 bytes of fields; wanted|number 5 is not there; wanted all of them"),
        ({"FRAMECOUNT": 3}, "header promises 3 B-scans, and .* bytes follow them; wanted nothing there"),
        ({"LINECOUNT": 15}, "B-scan 1 has 16 A-scans, and the header says 15"),
        ({"LINELENGTH": 11}, "wanted one or two for each of 11 x 16 samples"),
        ({"FRAMECOUNT": 0}, "wanted at least one along every axis"),
        ({"FRAMECOUNT": 2**31, "LINECOUNT": 2**31}, "wanted at most 536870912"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, stated, sentence):
    with pytest.raises(VolumeReadError, match=sentence):
        read(tmp_path, bioptigen_bytes(eye(), stated=stated))


def test_mixed_density_and_torn_headers_are_refused(tmp_path):
    whole = bioptigen_bytes(eye())
    with pytest.raises(VolumeReadError, match=r"mixed density.*; wanted another"):
        read(tmp_path, bioptigen_bytes(eye(), scan_type=6))
    with pytest.raises(VolumeReadError, match="wanted FRAMEHEADER"):
        read(tmp_path, whole.replace(b"FRAMEHEADER", b"FRAMEHEADEX"))
    with pytest.raises(VolumeReadError, match="header lacks LINELENGTH"):
        read(tmp_path, whole.replace(b"LINELENGTH", b"LINELENGTX"))
    with pytest.raises(VolumeReadError, match="number 2 is not there"):
        read(tmp_path, whole.replace(b"FRAMESAMPLES", b"FRAMESAMPLEX").replace(b"FRAMESAMPLEX", b"FRAMESAMPLES", 1))


def test_cut_anywhere_it_is_refused(tmp_path):
    whole = bioptigen_bytes(eye())
    for length in range(5, len(whole), 23):
        with pytest.raises(VolumeReadError):
            read(tmp_path, whole[:length])


def test_nothing_that_names_a_person_comes_out(tmp_path):
    volume = read(tmp_path, bioptigen_bytes(eye()))

    assert not any(word in repr(volume) for word in ("Doe", "Jane", "1950"))
