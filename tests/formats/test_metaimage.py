import gzip
import os
import re
import zlib

import numpy as np
import pytest

from formats.mutants import attack, mutants_asked
from formats.nifti.test_nifti import foreign
from formats.written_scans import eye
from formats.written_stored_images import MET, write_mha, write_mhd
from octavo.formats import VolumeReadError, files_read_for, find_scans, limits, list_scans, read_volume
from octavo.formats.reader import ReadOptions
from octavo.formats.reading import READERS
from octavo.volume import Laterality, Origin, ScanPattern, Spacing

MM = (0.12, 0.0039, 0.0113)
WRITERS = {"mha": write_mha, "mhd": write_mhd}


def written(folder, suffix, values=None, spacing_mm=MM, **said):
    return WRITERS[suffix](folder / f"eye.{suffix}", eye() if values is None else values, spacing_mm, **said)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", MET)
def test_every_sample_type_and_byte_order_comes_out_as_bscan_depth_ascan(tmp_path, suffix, packed, big, dtype):
    values = eye(dtype=dtype) // 2

    volume = read_volume(written(tmp_path, suffix, values, packed=packed, big=big))

    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.spacing_mm == Spacing(*MM)
    assert volume.pattern is ScanPattern.UNKNOWN
    assert volume.notes == ()


@pytest.mark.parametrize("name", ["ImageLaterality", "Laterality", "0020|0060", "0020|0062", "Eye"])
@pytest.mark.parametrize(("word", "expected"), [("R", Laterality.OD), ("L", Laterality.OS), ("OS", Laterality.OS)])
def test_an_eye_among_the_fields_that_programs_add_is_read(tmp_path, name, word, expected):
    path = written(tmp_path, "mha", eye=None, changes={name: word})

    volume = read_volume(path)

    assert (volume.laterality, volume.laterality_origin) == (expected, Origin.READ)
    assert READERS["metaimage"].scans(path, ReadOptions())[0].laterality is expected


def test_a_header_that_names_both_eyes_names_none(tmp_path):
    volume = read_volume(written(tmp_path, "mha", eye="R", changes={"0020|0060": "L"}))

    assert volume.laterality is Laterality.UNKNOWN
    assert "names both eyes" in volume.notes[0]


@pytest.mark.parametrize("word", [None, "", "Doe^Jane"])
def test_no_eye_in_the_header_is_unknown(tmp_path, word):
    volume = read_volume(written(tmp_path, "mha", eye=word))

    assert volume.laterality is Laterality.UNKNOWN


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("um", 1e3), ("cm", 0.1)])
def test_the_stated_unit_counts(tmp_path, unit, factor):
    sizes = tuple(size * factor for size in MM)

    spacing = read_volume(written(tmp_path, "mhd", spacing_mm=sizes, unit=unit)).spacing_mm

    assert spacing.known_mm() == pytest.approx(MM)
    assert set(spacing.origins) == {Origin.READ}


@pytest.mark.parametrize("unit", [None, "?"])
def test_sizes_without_a_unit_are_assumed_to_be_millimetres_and_say_so(tmp_path, unit):
    volume = read_volume(written(tmp_path, "mha", unit=unit))

    assert volume.spacing_mm.describe() == "120 x 3.9 x 11.3 um (assumed)"
    assert "does not state the unit" in volume.notes[0]


def test_sizes_of_one_without_a_unit_are_no_millimetres(tmp_path):
    volume = read_volume(written(tmp_path, "mha", spacing_mm=(1.0, 1.0, 1.0), unit=None))

    assert volume.spacing_mm == Spacing()
    assert "voxel sizes of 1" in volume.notes[0]


@pytest.mark.parametrize("size", ["0", "-0.0039", "nan"])
def test_sizes_that_are_no_distance_are_unknown_and_say_so(tmp_path, size):
    volume = read_volume(written(tmp_path, "mha", changes={"ElementSpacing": f"0.0113 {size} 0.12"}))

    assert volume.spacing_mm == Spacing()
    assert "which is no distance" in volume.notes[0]


def test_without_sizes_the_spacing_is_unknown(tmp_path):
    assert read_volume(written(tmp_path, "mha", spacing_mm=None)).spacing_mm == Spacing()


def test_the_size_of_a_voxel_stands_in_for_the_distance_with_a_note(tmp_path):
    changes = {"ElementSpacing": None, "ElementSize": "0.0113 0.0039 0.12"}

    volume = read_volume(written(tmp_path, "mha", changes=changes))

    assert volume.spacing_mm == Spacing(*MM)
    assert "only their size" in volume.notes[0]


def test_the_layout_of_a_challenge_cube(tmp_path):
    values = eye(5, 31, 16)
    path = write_mhd(tmp_path / "oct.mhd", values, (0.047, 0.00195, 0.01172), unit=None, eye=None)

    volume = read_volume(path)

    assert (tmp_path / "oct.raw").stat().st_size == 16 * 31 * 5
    assert "DimSize = 16 31 5" in path.read_text()
    np.testing.assert_array_equal(volume.values, values)
    assert volume.spacing_mm.values_mm == (0.047, 0.00195, 0.01172)


def test_the_same_axes_turn_a_metaimage_and_a_nifti_alike(tmp_path):
    order_in_header = eye().transpose(2, 1, 0)
    nifti = foreign(tmp_path / "eye.nii", np.ascontiguousarray(order_in_header), MM[::-1])
    meta = written(tmp_path, "mha")

    for axes in ("ascan,depth,bscan", "depth,bscan,ascan", "bscan,ascan,depth"):
        one, other = read_volume(nifti, axes=axes), read_volume(meta, axes=axes)
        np.testing.assert_array_equal(one.values, other.values)
        assert one.spacing_mm.known_mm() == pytest.approx(other.spacing_mm.known_mm(), rel=1e-6)
    np.testing.assert_array_equal(read_volume(nifti, axes="ascan,depth,bscan").values, read_volume(meta).values)


def test_two_axes_are_one_bscan_and_trailing_axes_of_one_are_dropped(tmp_path):
    flat = read_volume(write_mha(tmp_path / "flat.mha", eye()[0], (0.0039, 0.0113)))
    deep = read_volume(write_mha(tmp_path / "deep.mha", eye()[None], (1.0, *MM)))

    assert (flat.shape, flat.spacing_mm) == ((1, 12, 16), Spacing(None, 0.0039, 0.0113))
    assert (deep.shape, deep.spacing_mm) == ((4, 12, 16), Spacing(*MM))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TransformMatrix": "-1 0 0 0 1 0 0 0 1"}, "turns its axes in the room"),
        ({"TransformMatrix": "0 1 0 1 0 0 0 0 1"}, "turns its axes in the room"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "turns its axes in the room"),
        ({"TransformMatrix": None, "Orientation": "1 0 0 0 1 0 0 0 -1"}, "turns its axes in the room"),
        ({"AnatomicalOrientation": "LPS"}, "calls its axes LPS"),
        ({"ElementToIntensityFunctionSlope": "2"}, "scales its samples"),
    ],
)
def test_what_the_header_turns_or_scales_is_noted_and_not_done(tmp_path, changes, said):
    volume = read_volume(written(tmp_path, "mha", changes=changes))

    np.testing.assert_array_equal(volume.values, eye())
    assert said in volume.notes[0]


def test_words_that_are_no_orientation_are_not_repeated(tmp_path):
    volume = read_volume(written(tmp_path, "mha", changes={"AnatomicalOrientation": "Doe^Jane"}))

    assert volume.notes == ()


@pytest.mark.parametrize("skipped", [7, -1])
def test_bytes_before_the_voxels_are_skipped_as_the_header_says(tmp_path, skipped):
    path = written(tmp_path, "mhd", before=b"private", changes={"HeaderSize": str(skipped)})

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_voxels_at_the_end_of_the_same_file(tmp_path):
    path = written(tmp_path, "mha", changes={"HeaderSize": "-1"})
    header, mark, voxels = path.read_bytes().partition(b"LOCAL\n")
    path.write_bytes(header + mark + b"padding" + voxels)

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_lines_may_end_as_on_windows_and_a_comment_may_come_first(tmp_path):
    path = written(tmp_path, "mhd")
    path.write_bytes(b"Comment = none\r\n" + path.read_bytes().replace(b"\n", b"\r\n"))

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_a_file_is_known_by_what_stands_in_it(tmp_path):
    path = written(tmp_path, "mha").rename(tmp_path / "eye.image")

    assert read_volume(path).source.format == "metaimage"


def test_voxels_beside_the_header_are_no_scan_of_their_own_and_count_as_its_files(tmp_path):
    path = written(tmp_path, "mhd")
    (tmp_path / "inner").mkdir()
    inner = write_mhd(tmp_path / "inner" / "eye.mhd", eye(), MM)

    assert find_scans(tmp_path) == [str(path), str(inner)]
    assert list(files_read_for(path)) == [path, tmp_path / "eye.raw"]
    assert list(files_read_for(written(tmp_path, "mha"))) == [tmp_path / "eye.mha"]
    assert list_scans(path) == ["16 x 12 x 4 uint8"]


@pytest.mark.parametrize(
    "name", ["../eye.raw", "/etc/passwd", "sub/../../eye.raw", "..\\eye.raw", "C:\\eye.raw", "\\\\host\\eye.raw", ""]
)
def test_voxels_outside_the_folder_of_the_header_are_never_opened(tmp_path, name):
    (tmp_path / "inner").mkdir()
    path = write_mhd(tmp_path / "inner" / "eye.mhd", eye(), MM, data=name)
    (tmp_path / "eye.raw").write_bytes((tmp_path / "inner" / "eye.raw").read_bytes())

    with pytest.raises(VolumeReadError, match="outside its own folder; wanted one beside it"):
        read_volume(path)


def test_voxels_in_a_folder_below_are_found(tmp_path):
    path = written(tmp_path, "mhd", data="voxels/eye.raw")
    (tmp_path / "voxels").mkdir()
    (tmp_path / "eye.raw").rename(tmp_path / "voxels" / "eye.raw")

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_a_pipe_in_place_of_voxels_is_not_waited_for(tmp_path):
    path = written(tmp_path, "mhd")
    (tmp_path / "eye.raw").unlink()
    os.mkfifo(tmp_path / "eye.raw")

    with pytest.raises(VolumeReadError, match="names a file of voxels that is not there"):
        read_volume(path)


@pytest.mark.parametrize("data", ["Doe_Jane.raw", "eye.mhd"])
def test_missing_voxels_are_refused_without_the_name_in_the_header(tmp_path, data):
    with pytest.raises(VolumeReadError, match="that is not there; wanted it beside the header") as caught:
        read_volume(written(tmp_path, "mhd", data=data))
    assert "Doe" not in str(caught.value)


REFUSED = [
    ({"DimSize": "16 12"}, "gives 2 lengths of axes; wanted 3"),
    ({"DimSize": "16 12 four"}, "lengths of axes that are no numbers"),
    ({"DimSize": "16 12 4.5"}, "lengths of axes that are not whole"),
    ({"DimSize": "16 12 nan"}, "lengths of axes that are not whole"),
    ({"DimSize": "16 12 0"}, "at least one along every axis"),
    ({"DimSize": "16 12 -4"}, "at least one along every axis"),
    ({"DimSize": "16 12 5"}, "holds 768 bytes of voxels; wanted the 960"),
    ({"DimSize": "16 12 3"}, "holds 768 bytes of voxels; wanted the 576"),
    ({"DimSize": "100000 100000 100000"}, "wanted at most 536870912"),
    ({"DimSize": None}, "has no line DimSize"),
    ({"NDims": "0"}, "promises 0 axes"),
    ({"NDims": "2"}, "wanted 2, one along each axis"),
    ({"NDims": "1000000"}, "promises 1000000 axes"),
    ({"NDims": "1", "DimSize": "768", "ElementSpacing": "1", "TransformMatrix": "1"}, "array has 1 axes"),
    ({"ElementType": "MET_STRING"}, "type of sample that is not known"),
    ({"ElementType": None}, "has no line ElementType"),
    ({"ElementNumberOfChannels": "3"}, "3 channels per voxel; wanted one"),
    ({"BinaryData": "False"}, "voxels as text; wanted binary"),
    ({"ObjectType": "Tube"}, "no image; wanted ObjectType = Image"),
    ({"ElementSpacing": "0.0113 0.0039"}, "gives 2 voxel sizes; wanted 3"),
    ({"ElementSpacing": "0.0113 Doe 0.12"}, "voxel sizes that are no numbers"),
    ({"ElementSpacing": "0.0113 0.0039 300"}, "spacing along bscan cannot be true"),
    ({"TransformMatrix": "1 0 0"}, "gives 3 numbers of its direction matrix; wanted 9"),
    ({"HeaderSize": "-2"}, "says to skip -2 bytes"),
    ({"HeaderSize": "5"}, "says to skip 5 bytes"),
    ({"HeaderSize": "100000"}, "holds .* bytes of voxels; wanted the 768"),
    ({"CompressedData": "True", "HeaderSize": "-1"}, "says to skip -1 bytes"),
    ({"CompressedData": "True", "CompressedDataSize": "99"}, "768 bytes of compressed voxels; wanted the 99"),
    ({"CompressedData": "True"}, "cannot be parsed"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_headers_that_lie_are_refused(tmp_path, changes, sentence):
    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_volume(written(tmp_path, "mha", changes=changes))
    assert "Doe" not in str(caught.value)


def test_time_points_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match="16 x 12 x 4 x 2 voxels; wanted three axes"):
        read_volume(write_mha(tmp_path / "eye.mha", np.stack([eye(), eye()]), (1.0, *MM)))


@pytest.mark.parametrize("data", ["LIST", "LIST 2", "eye%03d.raw 1 4 1"])
def test_voxels_in_several_files_are_refused(tmp_path, data):
    with pytest.raises(VolumeReadError, match="in several files; wanted one"):
        read_volume(written(tmp_path, "mhd", data=data))


def test_a_field_that_stands_twice_and_differently_is_refused(tmp_path):
    path = written(tmp_path, "mhd")
    path.write_bytes(path.read_bytes().replace(b"ElementType", b"DimSize = 12 16 4\nElementType"))

    with pytest.raises(VolumeReadError, match="one thing twice and differently"):
        read_volume(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", WRITERS)
def test_wherever_a_file_is_cut_it_is_refused(tmp_path, suffix, packed):
    path = written(tmp_path, suffix, packed=packed)
    voxels = tmp_path / ("eye.zraw" if packed else "eye.raw")
    cut_file = path if suffix == "mha" else voxels
    whole = cut_file.read_bytes()

    for length in range(0, len(whole), 13):
        cut_file.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError, match="; wanted "):
            read_volume(path)
    cut_file.write_bytes(whole + b"more")
    with pytest.raises(VolumeReadError, match=r"goes on after|bytes of (compressed )?voxels; wanted"):
        read_volume(path)


def test_a_header_without_an_end_is_refused(tmp_path):
    path = tmp_path / "eye.mha"
    path.write_bytes(b"ObjectType = Image\nNDims = 3\n" + b"Comment = x\n" * 40_000)

    with pytest.raises(VolumeReadError, match="does not end within 262144 bytes"):
        read_volume(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 2**16)
    values = np.zeros((64, 64, 64), np.uint8)

    with pytest.raises(VolumeReadError, match="wanted at most 200 times as many"):
        read_volume(written(tmp_path, "mha", values, packed=True))


def test_more_voxels_than_promised_are_unpacked_no_further(tmp_path):
    path = written(tmp_path, "mhd", packed=True)
    (tmp_path / "eye.zraw").write_bytes(zlib.compress(bytes(64 * 2**20)))

    with pytest.raises(VolumeReadError, match="goes on after the 768 bytes"):
        read_volume(path)


def test_a_gzip_stream_is_unpacked_too(tmp_path):
    path = written(tmp_path, "mhd", packed=True)
    (tmp_path / "eye.zraw").write_bytes(gzip.compress(eye().tobytes()))

    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_nothing_that_names_a_patient_comes_out(tmp_path):
    path = written(tmp_path, "mha")
    assert re.search(b"Doe.*4711.*1950", path.read_bytes())

    assert not any(word in repr(read_volume(path)) for word in ("Doe", "4711", "1950"))


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(tmp_path, suffix, packed):
    path = written(tmp_path, suffix, packed=packed)
    count = mutants_asked(60)

    outcome = attack(path, count)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.read + outcome.refused == count
    assert outcome.refused >= count // 6
