import numpy as np
import pytest

from formats.mutants import attack, mutants_asked
from formats.written_scans import eye
from formats.written_stored_images import MET, write_mha, write_nhdr, write_nrrd
from octavo.formats import VolumeReadError, files_read_for, find_scans, limits, read_volume
from octavo.volume import Laterality, Origin, ScanPattern, Spacing

MM = (0.12, 0.0039, 0.0113)
WRITERS = {"nrrd": write_nrrd, "nhdr": write_nhdr}


def written(folder, suffix, values=None, spacing_mm=MM, **said):
    return WRITERS[suffix](folder / f"eye.{suffix}", eye() if values is None else values, spacing_mm, **said)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bz2"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", MET)
def test_every_sample_type_and_byte_order_comes_out_as_bscan_depth_ascan(tmp_path, suffix, encoding, big, dtype):
    values = eye(dtype=dtype) // 2

    volume = read_volume(written(tmp_path, suffix, values, encoding=encoding, big=big))

    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.spacing_mm == Spacing(*MM)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, Origin.READ)
    assert volume.pattern is ScanPattern.UNKNOWN
    assert volume.notes == ()


@pytest.mark.parametrize(
    "word", ["unsigned char", "uchar", "uint8", "uint8_t", "UNSIGNED  CHAR"], ids=lambda word: word.replace(" ", "_")
)
def test_a_type_may_be_spelt_in_several_ways(tmp_path, word):
    assert read_volume(written(tmp_path, "nrrd", changes={"type": word})).values.dtype == np.uint8


@pytest.mark.parametrize(("word", "expected"), [("R", Laterality.OD), ("L", Laterality.OS), (None, Laterality.UNKNOWN)])
def test_the_eye_is_read_where_a_program_added_it(tmp_path, word, expected):
    assert read_volume(written(tmp_path, "nrrd", eye=word)).laterality is expected


@pytest.mark.parametrize("directions", [True, False])
@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("um", 1e3), ("micron", 1e3), ("m", 1e-3)])
def test_the_stated_unit_counts(tmp_path, directions, unit, factor):
    sizes = tuple(size * factor for size in MM)

    spacing = read_volume(written(tmp_path, "nrrd", spacing_mm=sizes, unit=unit, directions=directions)).spacing_mm

    assert spacing.known_mm() == pytest.approx(MM)
    assert set(spacing.origins) == {Origin.READ}


@pytest.mark.parametrize("directions", [True, False])
def test_sizes_without_a_unit_are_assumed_to_be_millimetres_and_say_so(tmp_path, directions):
    volume = read_volume(written(tmp_path, "nrrd", unit=None, directions=directions))

    assert volume.spacing_mm.describe() == "120 x 3.9 x 11.3 um (assumed)"
    assert "does not state the unit" in volume.notes[0]


def test_sizes_of_one_without_a_unit_and_no_sizes_are_unknown(tmp_path):
    assert read_volume(written(tmp_path, "nrrd", spacing_mm=(1.0, 1.0, 1.0), unit=None)).spacing_mm == Spacing()
    assert read_volume(written(tmp_path, "nrrd", spacing_mm=None)).spacing_mm == Spacing()


def test_a_size_that_is_not_known_leaves_the_others(tmp_path):
    path = written(tmp_path, "nrrd", directions=False, changes={"spacings": "0.0113 0.0039 NaN"})

    assert read_volume(path).spacing_mm == Spacing(None, 0.0039, 0.0113)


def test_a_length_in_another_unit_than_length_is_no_millimetres(tmp_path):
    path = written(tmp_path, "nrrd", directions=False, changes={"units": '"mm" "mm" "s"'})

    assert read_volume(path).spacing_mm == Spacing(None, 0.0039, 0.0113)


def test_the_size_is_the_length_of_a_direction_and_a_turn_is_noted(tmp_path):
    slanted = "(0.00678,0.00904,0) (0,0,0.0039) (0,0.12,0)"

    volume = read_volume(written(tmp_path, "nrrd", changes={"space directions": slanted}))

    assert volume.spacing_mm.known_mm() == pytest.approx(MM)
    assert "turns its axes in the room (space directions)" in volume.notes[0]


def test_the_same_scan_as_metaimage_and_nrrd_is_the_same(tmp_path):
    meta, nrrd = write_mha(tmp_path / "eye.mha", eye(), MM), written(tmp_path, "nrrd")

    for axes in (None, "depth,bscan,ascan", "bscan,depth,ascan"):
        one, other = read_volume(meta, axes=axes), read_volume(nrrd, axes=axes)
        np.testing.assert_array_equal(one.values, other.values)
        assert one.spacing_mm == other.spacing_mm


def test_two_axes_are_one_bscan_and_trailing_axes_of_one_are_dropped(tmp_path):
    flat = read_volume(write_nrrd(tmp_path / "flat.nrrd", eye()[0], (0.0039, 0.0113)))
    listed = {"kinds": "domain domain domain list"}
    deep = read_volume(write_nrrd(tmp_path / "deep.nrrd", eye()[None], (1.0, *MM), changes=listed, directions=False))

    assert (flat.shape, flat.spacing_mm) == ((1, 12, 16), Spacing(None, 0.0039, 0.0113))
    assert (deep.shape, deep.spacing_mm) == ((4, 12, 16), Spacing(*MM))


def test_lines_and_bytes_before_the_voxels_are_skipped_as_the_header_says(tmp_path):
    before = b"one line\nanother\n1234"

    ahead = written(tmp_path, "nhdr", before=before, changes={"line skip": "2", "byte skip": "4"})
    np.testing.assert_array_equal(read_volume(ahead).values, eye())
    behind = written(tmp_path, "nhdr", before=before, changes={"byteskip": "-1"})
    np.testing.assert_array_equal(read_volume(behind).values, eye())


def test_lines_may_end_as_on_windows(tmp_path):
    path = written(tmp_path, "nrrd")
    header, end, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes((header + end).replace(b"\n", b"\r\n") + voxels)

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_voxels_beside_the_header_are_no_scan_of_their_own_and_count_as_its_files(tmp_path):
    path = written(tmp_path, "nhdr")

    assert find_scans(tmp_path) == [str(path)]
    assert list(files_read_for(path)) == [path, tmp_path / "eye.raw"]


@pytest.mark.parametrize("name", ["../eye.raw", "/etc/passwd", "..\\eye.raw", "C:\\eye.raw"])
def test_voxels_outside_the_folder_of_the_header_are_never_opened(tmp_path, name):
    (tmp_path / "inner").mkdir()
    path = write_nhdr(tmp_path / "inner" / "eye.nhdr", eye(), MM, data=name)
    (tmp_path / "eye.raw").write_bytes(eye().tobytes())

    with pytest.raises(VolumeReadError, match="outside its own folder; wanted one beside it"):
        read_volume(path)


REFUSED = [
    ({"sizes": "16 12"}, "gives 2 lengths of axes; wanted 3"),
    ({"sizes": "16 12 four"}, "lengths of axes that are no numbers"),
    ({"sizes": "16 12 -4"}, "at least one along every axis"),
    ({"sizes": "16 12 5"}, "holds 768 bytes of voxels; wanted the 960"),
    ({"sizes": "16 12 3"}, "holds 768 bytes of voxels; wanted the 576"),
    ({"sizes": "100000 100000 100000"}, "wanted at most 536870912"),
    ({"sizes": None}, "has no field sizes"),
    ({"dimension": "0"}, "promises 0 axes"),
    ({"dimension": "17"}, "promises 17 axes"),
    ({"type": "block"}, "type of sample that is not known"),
    ({"type": None}, "has no field type"),
    ({"type": "int16", "endian": "middle"}, "neither little nor big"),
    ({"type": "int16", "endian": None}, "has no field endian"),
    ({"encoding": "ascii"}, "stores its voxels as text"),
    ({"encoding": "hex"}, "stores its voxels as text"),
    ({"encoding": None}, "has no field encoding"),
    ({"encoding": "gzip"}, "cannot be parsed"),
    ({"encoding": "bzip2"}, "cannot be parsed"),
    ({"kinds": "RGB-color domain domain"}, "several channels per voxel"),
    ({"kinds": "domain domain time"}, "several channels per voxel, or time points"),
    ({"kinds": "domain domain"}, "gives 2 kinds of axes; wanted 3"),
    ({"space directions": "(1,0,0) (0,1,0)"}, "gives 2 directions of axes; wanted 3"),
    ({"space directions": "(1,0,0) (0,Doe,0) (0,0,1)"}, "coordinates that are no numbers"),
    ({"space directions": "(0.01,0,0) (0,0.004,0) (0,0,300)"}, "spacing along bscan cannot be true"),
    ({"line skip": "-1"}, "header skips -1 lines"),
    ({"line skip": "100000"}, "header skips 100000 lines"),
    ({"byte skip": "-2"}, "and -2 bytes before the voxels"),
    ({"byte skip": "4"}, "holds 764 bytes of voxels"),
    ({"data file": "LIST"}, "in several files"),
    ({"data file": "eye%03d.raw 1 4 1"}, "in several files"),
    ({"data file": "Doe.raw"}, "that is not there; wanted it beside the header"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_headers_that_lie_are_refused(tmp_path, changes, sentence):
    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_volume(written(tmp_path, "nrrd", changes=changes))
    assert "Doe" not in str(caught.value)


def test_skips_before_compressed_voxels_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match="wanted none, or some before raw"):
        read_volume(written(tmp_path, "nrrd", encoding="gzip", changes={"byte skip": "1"}))


def test_channels_without_kinds_are_refused_by_their_number(tmp_path):
    coloured = np.stack([eye()] * 3, -1)

    with pytest.raises(VolumeReadError, match="3 x 16 x 12 x 4 voxels; wanted three axes"):
        read_volume(write_nrrd(tmp_path / "eye.nrrd", coloured, None, changes={"kinds": None}))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_wherever_a_file_is_cut_it_is_refused(tmp_path, suffix, encoding):
    path = written(tmp_path, suffix, encoding=encoding)
    cut_file = path if suffix == "nrrd" else tmp_path / "eye.raw"
    whole = cut_file.read_bytes()

    for length in range(0, len(whole), 13):
        cut_file.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError, match="; wanted "):
            read_volume(path)


def test_voxels_that_go_on_are_refused(tmp_path):
    path = written(tmp_path, "nrrd")
    path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(VolumeReadError, match="holds 772 bytes of voxels; wanted the 768"):
        read_volume(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(limits, "FREE_BYTES", 2**16)

    with pytest.raises(VolumeReadError, match="wanted at most 200 times as many"):
        read_volume(written(tmp_path, "nrrd", np.zeros((64, 64, 64), np.uint8), encoding=encoding))


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_more_voxels_than_promised_are_unpacked_no_further(tmp_path, encoding):
    path = written(tmp_path, "nrrd", np.zeros((64, 256, 256), np.uint8), encoding=encoding)
    path.write_bytes(path.read_bytes().replace(b"sizes: 256 256 64", b"sizes: 16 12 4\n# 34"))

    with pytest.raises(VolumeReadError, match="goes on after the 768 bytes"):
        read_volume(path)


def test_another_magic_is_refused(tmp_path):
    path = written(tmp_path, "nrrd")
    path.write_bytes(path.read_bytes().replace(b"NRRD0004", b"NRRD0009"))

    with pytest.raises(VolumeReadError, match="does not begin with a line NRRD0001"):
        read_volume(path)


def test_nothing_that_names_a_patient_comes_out(tmp_path):
    path = written(tmp_path, "nrrd")
    assert b"Doe" in path.read_bytes()

    assert not any(word in repr(read_volume(path)) for word in ("Doe", "4711", "1950"))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(tmp_path, suffix, encoding):
    path = written(tmp_path, suffix, encoding=encoding)
    count = mutants_asked(60)

    outcome = attack(path, count)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.read + outcome.refused == count
    assert outcome.refused >= count // 6
