import json

import numpy as np
import pytest

from formats.mutants import attack, mutants_asked
from formats.written_scans import eye
from formats.written_zeiss import cube_name, img_bytes, scrambled_dicom, textured, write_profiled
from octavo.anatomy import hemiretinas
from octavo.companions import Picture
from octavo.errors import ScanUnsuitableError
from octavo.formats import VolumeReadError, files_read_for, list_scans, read_companions, read_volume
from octavo.formats.zeiss.protocols import PROTOCOLS, find_protocol
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis

MIB = 2**20


def sparse(folder, name: str, size: int):
    """A file of so many bytes that takes no room."""
    path = folder / name
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    ("what", "bscans", "ascans", "depth", "size_mm", "region"),
    [
        ("Macular Cube", 128, 512, 1024, (6, 2, 6), Region.MACULA),
        ("Macular Cube", 200, 200, 1024, (6, 2, 6), Region.MACULA),
        ("Optic Disc Cube", 200, 200, 1024, (6, 2, 6), Region.DISC),
        ("Anterior Segment Cube", 128, 512, 1024, (None, None, None), Region.UNKNOWN),
        ("Angiography 3x3 mm", 245, 245, 1024, (3, 2, 3), Region.UNKNOWN),
        ("Angiography 6x6 mm", 350, 350, 1024, (6, 2, 6), Region.UNKNOWN),
        ("Angio (3mmx3mm)", 300, 300, 1536, (3, 3, 3), Region.UNKNOWN),
        ("Angio (12mmx12mm)", 500, 500, 1536, (12, 3, 12), Region.UNKNOWN),
        ("HD 5 Line Raster", 5, 1024, 1024, (None, 2, None), Region.UNKNOWN),
        ("HD 5 Line Raster", 5, 4096, 1024, (None, 2, None), Region.UNKNOWN),
        ("HD 21 Line", 21, 1024, 1024, (None, 2, None), Region.UNKNOWN),
    ],
)
def test_shapes_are_told_apart_by_name_and_size(tmp_path, what, bscans, ascans, depth, size_mm, region):
    name = cube_name(what, bscans, ascans) if "Cube" in what else f"P9_{what}_1-2-2020_3-4-5_OS_sn12_cube_z.img"

    protocol = find_protocol(name, bscans * depth * ascans)

    assert protocol.shape == (bscans, depth, ascans)
    assert protocol.size_mm == size_mm
    assert protocol.region is region
    assert protocol.is_sure
    labels = list_scans(sparse(tmp_path, name, bscans * depth * ascans))
    assert labels[0].endswith(f": {bscans} x {depth} x {ascans}")
    assert "P9" not in labels[0]


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (128 * 1024 * 512, (128, 1024, 512)),
        (200 * 1024 * 200, (200, 1024, 200)),
        (245 * 1024 * 245, (245, 1024, 245)),
        (350 * 1024 * 350, (350, 1024, 350)),
        (300 * 1536 * 300, (300, 1536, 300)),
        (500 * 1536 * 500, (500, 1536, 500)),
        (21 * 1024 * 1024, (21, 1024, 1024)),
        (2 * 1024 * 1000, (2, 1024, 1000)),
    ],
)
def test_a_size_that_only_one_shape_has_is_enough_and_is_noted(size, shape):
    protocol = find_protocol("renamed.img", size)

    assert protocol.shape == shape
    assert not protocol.is_sure
    assert "the name does not say which scan this is" in protocol.notes[-1]


@pytest.mark.parametrize(
    ("size", "shapes"),
    [
        (20 * MIB, ("5 x 1024 x 4096", "20 x 1024 x 1024")),
        (5 * MIB, ("5 x 1024 x 1024", "10 x 1024 x 512")),
        (2 * MIB, ("2 x 1024 x 1024", "4 x 1024 x 512")),
    ],
)
def test_a_size_that_several_shapes_have_is_refused_with_them_and_the_cure(tmp_path, size, shapes):
    path = sparse(tmp_path, "renamed.img", size)

    with pytest.raises(VolumeReadError, match=r"wanted only one that fits; .*NAME\.img\.json") as caught:
        read_volume(path)

    assert all(shape in str(caught.value) for shape in shapes)


def test_no_two_known_shapes_are_listed_twice():
    assert len({protocol.shape for protocol in PROTOCOLS}) == len(PROTOCOLS)


@pytest.mark.parametrize("eye_word", ["OD", "OS"])
@pytest.mark.parametrize("ending", ["cube_z", "cube_raw"])
def test_a_cube_is_turned_back_and_says_its_eye_and_millimetres(tmp_path, eye_word, ending):
    planted = textured(200, 1024, 16)
    path = tmp_path / cube_name("Optic Disc Cube", 200, 16, eye=eye_word, ending=ending)
    path.write_bytes(img_bytes(planted))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, planted)
    assert (volume.laterality, volume.laterality_origin) == (Laterality(eye_word), Origin.DERIVED)
    assert volume.spacing_mm.known_mm() == pytest.approx((6 / 200, 2 / 1024, 6 / 16))
    assert set(volume.spacing_mm.origins) == {Origin.DERIVED}
    assert (volume.region, volume.region_origin) == (Region.DISC, Origin.DERIVED)
    assert (volume.pattern, volume.slow_axis) == (ScanPattern.RASTER, SlowAxis.UNKNOWN)
    assert any("turned by 180 degrees" in note for note in volume.notes)
    assert any("raw" in note for note in volume.notes) == (ending == "cube_raw")
    assert not any("P99" in note for note in volume.notes)


def test_crossed_lines_are_no_raster(tmp_path):
    planted = textured(2, 1024, 1000)
    path = tmp_path / cube_name("Optic Disc Cube", 200, 200, ending="hidef")
    path.write_bytes(img_bytes(planted))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, planted)
    assert volume.pattern is ScanPattern.OTHER
    with pytest.raises(ScanUnsuitableError, match="wanted a raster"):
        hemiretinas(volume)
    assert volume.spacing_mm.bscan is None
    assert any("cross" in note for note in volume.notes)


def test_wide_field_cubes_keep_their_ascans_and_say_so():
    assert not find_protocol("renamed.img", 300 * 1536 * 300).is_mirrored


def test_a_name_that_the_size_contradicts_is_refused(tmp_path):
    path = sparse(tmp_path, cube_name("Macular Cube", 128, 512), 200 * 1024 * 200)

    with pytest.raises(
        VolumeReadError, match=r"its name says 128 x 1024 x 512 samples .* holds 40960000 bytes; wanted"
    ):
        read_volume(path)


def test_an_unknown_size_is_refused_with_the_known_shapes(tmp_path):
    with pytest.raises(VolumeReadError, match=r"holds 1234 bytes, which is no known cube; wanted .*128 x 1024 x 512"):
        read_volume(sparse(tmp_path, "some.img", 1234))


def test_a_profile_says_everything(tmp_path):
    path = write_profiled(tmp_path, eye(), laterality="OS", region="macula", slow_axis="inferior-to-superior")

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.READ)
    assert (volume.region, volume.slow_axis) == (Region.MACULA, SlowAxis.INFERIOR_TO_SUPERIOR)
    assert volume.pattern is ScanPattern.RASTER
    assert files_read_for(path) == [path, path.with_name("eye.img.json")]


def test_a_profile_of_the_folder_serves_every_file_and_its_own_comes_first(tmp_path):
    for name in ("a_OD.img", "b.img"):
        (tmp_path / name).write_bytes(img_bytes(eye(), is_mirrored=False))
    (tmp_path / "octavo-zeiss.json").write_text('{"shape": [4, 12, 16], "is_mirrored": false}')
    (tmp_path / "b.img.json").write_text('{"shape": [2, 12, 32], "is_mirrored": false, "laterality": "OS"}')

    first, second = read_volume(tmp_path / "a_OD.img"), read_volume(tmp_path / "b.img")

    np.testing.assert_array_equal(first.values, eye())
    assert (first.laterality, first.laterality_origin) == (Laterality.OD, Origin.DERIVED)
    assert (second.shape, second.laterality) == ((2, 12, 32), Laterality.OS)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("no json", "is no JSON"),
        ("[1, 2]", "is no JSON object"),
        ("[" * 6000, "is no JSON"),
        ("{}", "shape in the profile beside it is not three positive whole numbers"),
        ('{"shape": [4, 12]}', "not three positive whole numbers"),
        ('{"shape": [4, 12, true]}', "not three positive whole numbers"),
        ('{"shape": [4, 12, -16]}', "not three positive whole numbers"),
        ('{"shape": [4, 12, 16], "size_mm": [1, NaN, 1]}', "size_mm in the profile beside it is not three positive"),
        ('{"shape": [4, 12, 16], "laterality": "Doe"}', "laterality in the profile beside it is none of its words"),
        ('{"shape": [4, 12, 16], "is_mirrored": 1}', "is no yes or no"),
        ('{"shape": [4, 12, 16], "Jane": 1}', "has a field that is none"),
        ('{"shape": [4, 12, 17]}', "its profile says 4 x 12 x 17 samples of one byte, and it holds 768 bytes"),
        ('{"shape": [2000000, 12000, 16000]}', "wanted at most 536870912"),
        (" " * 20000, "is longer than 16384 bytes"),
    ],
)
def test_a_profile_that_is_wrong_is_refused(tmp_path, said, sentence):
    path = write_profiled(tmp_path, eye())
    path.with_name("eye.img.json").write_text(said)

    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_volume(path)

    assert "; wanted " in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert "Jane" not in str(caught.value)


def test_a_profile_of_a_folder_names_no_eye(tmp_path):
    (tmp_path / "a.img").write_bytes(img_bytes(eye()))
    (tmp_path / "octavo-zeiss.json").write_text('{"shape": [4, 12, 16], "laterality": "OD"}')

    with pytest.raises(
        VolumeReadError, match=r"names an eye for a whole folder; wanted .*; move it to NAME\.img\.json"
    ):
        read_volume(tmp_path / "a.img")


def test_noise_of_the_right_size_is_known_as_scrambled(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (128, 64, 16), dtype=np.uint8)
    path = write_profiled(tmp_path, noise)

    with pytest.raises(
        VolumeReadError, match=r"samples like noise.*; wanted a scan; export it from the review software"
    ):
        read_volume(path)


def test_a_dark_speckled_scan_is_not_taken_for_scrambled(tmp_path):
    speckle = np.random.default_rng(1).gamma(2.0, 18.0, (16, 64, 128)).clip(0, 255).astype(np.uint8)

    np.testing.assert_array_equal(read_volume(write_profiled(tmp_path, speckle)).values, speckle)


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("name", ["exam.dcm", "exam.img"])
def test_a_scrambled_dicom_is_recognised_and_the_user_told_how_to_export(tmp_path, private, name):
    path = tmp_path / name
    path.write_bytes(scrambled_dicom(private=private))

    with pytest.raises(
        VolumeReadError, match=r"samples are scrambled; wanted open ones; export it .* without obfuscation"
    ) as caught:
        read_volume(path)

    assert "Doe" not in str(caught.value)


def test_a_dicom_whose_frames_are_jpeg_2000_is_left_to_its_own_reader(tmp_path):
    path = tmp_path / "exam.dcm"
    path.write_bytes(scrambled_dicom(private=False).replace(bytes(range(90, 122)), b"\xff\x4f\xff\x51" + bytes(28)))

    with pytest.raises(VolumeReadError) as caught:
        read_volume(path)

    assert "scrambled" not in str(caught.value)


def test_half_of_another_pair_is_refused(tmp_path):
    (tmp_path / "brain.img").write_bytes(bytes(100))
    (tmp_path / "brain.hdr").write_bytes(bytes(348))

    with pytest.raises(VolumeReadError, match=r"has a \.hdr beside it .*; wanted a Zeiss export by itself"):
        read_volume(tmp_path / "brain.img")


def test_the_fundus_image_comes_along(tmp_path):
    name = cube_name("Macular Cube", 200, 16)
    (tmp_path / name).write_bytes(img_bytes(textured(200, 1024, 16)))
    slo = np.random.default_rng(0).integers(0, 255, (512, 664), dtype=np.uint8)
    beside = tmp_path / name.replace("_cube_z.img", "_lslo.bin")
    beside.write_bytes(slo.tobytes())

    companions = read_companions(tmp_path / name)

    assert companions.pictures[0].kind is Picture.INFRARED
    np.testing.assert_array_equal(companions.pictures[0].values, slo)
    beside.write_bytes(slo.tobytes()[:-1])
    assert read_companions(tmp_path / name).pictures == ()
    assert "another size" in read_companions(tmp_path / name).notes[0]


def test_every_length_but_the_right_one_is_refused(tmp_path):
    path = write_profiled(tmp_path, eye())
    whole = path.read_bytes()
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError, match=f"holds {length} bytes"):
            read_volume(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(VolumeReadError, match="holds 769 bytes"):
        read_volume(path)


def test_mutants_of_a_profile_give_a_sentence_or_a_plausible_volume(tmp_path):
    path = write_profiled(tmp_path, eye(), region="disc")
    count = mutants_asked(100)

    outcome = attack(path, count, file=path.with_name("eye.img.json"))

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.refused >= count // 6
    assert json.loads(path.with_name("eye.img.json").read_text())["region"] == "disc"
