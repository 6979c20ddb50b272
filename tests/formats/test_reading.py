import dataclasses
import inspect
import shutil

import numpy as np
import pytest

from formats.written_scans import eye, opt_dataset, vol_bytes, write_dicom
from octavo.anatomy import to_right_eye
from octavo.errors import OctavoError
from octavo.formats import READERS, Said, VolumeReadError, list_scans, name_scan, read_volume, write_volume
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume


@pytest.fixture
def vol(tmp_path):
    reflectivity = (eye().astype(np.float32) / 255) ** 4
    (tmp_path / "exam.vol").write_bytes(vol_bytes(reflectivity))
    return tmp_path / "exam.vol"


def test_the_format_is_known_by_content_whatever_the_name(tmp_path, vol):
    write_dicom(tmp_path / "image.tif", opt_dataset(eye()))
    shutil.copy(vol, tmp_path / "scan.npy")

    assert read_volume(tmp_path / "image.tif").source.format == "dicom"
    assert read_volume(tmp_path / "scan.npy").source.format == "heidelberg-vol"


def test_what_the_user_says_wins_and_contradictions_are_noted(vol):
    volume = read_volume(
        vol,
        spacing_mm=(0.2, 0.0039, 0.0113),
        laterality=Laterality.OS,
        slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR,
        region=Region.DISC,
        pattern=ScanPattern.RASTER,
    )

    assert volume.spacing_mm == Spacing(0.2, 0.0039, 0.0113, (Origin.USER,) * 3)
    for name in ("laterality", "slow_axis", "region", "pattern"):
        assert getattr(volume, f"{name}_origin") is Origin.USER
    assert volume.notes == (
        "spacing 200 x 3.9 x 11.3 um (user) is used; the file says 120 x 3.9 x 11.3 um (read)",
        "laterality OS (user) is used; the file says OD (read)",
        "slow axis superior-to-inferior (user) is used; the file says inferior-to-superior (derived)",
    )


def test_what_the_user_confirms_or_leaves_open_makes_no_note(vol):
    volume = read_volume(
        vol,
        spacing_mm=(0.12, 0.0039, 0.0113),
        laterality=Laterality.OD,
        slow_axis=SlowAxis.UNKNOWN,
    )

    assert volume.notes == ()
    assert volume.laterality_origin is Origin.USER
    assert volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR


@pytest.mark.parametrize(
    ("name", "text", "member"),
    [
        ("laterality", "OS", Laterality.OS),
        ("slow_axis", "superior-to-inferior", SlowAxis.SUPERIOR_TO_INFERIOR),
        ("region", "disc", Region.DISC),
        ("pattern", "radial", ScanPattern.RADIAL),
    ],
)
def test_what_the_user_says_may_be_plain_text(vol, name, text, member):
    volume = read_volume(vol, **{name: text})

    assert getattr(volume, name) is member
    assert volume.notes == read_volume(vol, **{name: member}).notes
    assert not np.array_equal(
        to_right_eye(read_volume(vol, laterality="OS")).values, to_right_eye(read_volume(vol)).values
    )


@pytest.mark.parametrize(
    ("name", "word", "known"),
    [
        ("laterality", "banana", "OD, OS, unknown"),
        ("laterality", "left", "OD, OS"),
        ("pattern", "cube", "raster, line"),
    ],
)
def test_a_word_that_is_none_is_refused_with_the_path_and_those_that_there_are(vol, name, word, known):
    with pytest.raises(VolumeReadError, match=rf"exam\.vol: '{word}' is not a word for {name}; wanted one of: {known}"):
        read_volume(vol, **{name: word})


UPRIGHT = np.stack([1 + 0.12 * np.arange(4), np.full(4, 3.0), 1 + 0.12 * np.arange(4), np.full(4, 1.0)], axis=1)
"""Upright B-scans that follow one another to the right as one looks at the fundus: towards the nose of a right eye."""


@pytest.mark.parametrize(
    ("stated", "name", "said", "expected"),
    [
        (b"OD\0\0", "exam", None, SlowAxis.TEMPORAL_TO_NASAL),
        (b"OD\0\0", "exam", Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL),
        (b"OS\0\0", "exam", Laterality.OD, SlowAxis.TEMPORAL_TO_NASAL),
        (bytes(4), "exam", Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL),
        (bytes(4), "exam_OS", None, SlowAxis.NASAL_TO_TEMPORAL),
        (bytes(4), "exam_OD", None, SlowAxis.TEMPORAL_TO_NASAL),
        (bytes(4), "exam_OD", Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL),
        (b"OD\0\0", "exam_OS", None, SlowAxis.TEMPORAL_TO_NASAL),
        (bytes(4), "exam", None, SlowAxis.UNKNOWN),
    ],
)
def test_a_direction_that_follows_from_the_eye_follows_from_the_one_that_is_used(
    tmp_path, stated, name, said, expected
):
    path = tmp_path / f"{name}.vol"
    path.write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4, lines=UPRIGHT, eye_code=stated))

    volume = read_volume(path, laterality=said)

    assert volume.slow_axis is expected
    assert any("unknown because the eye is" in note for note in volume.notes) == (expected is SlowAxis.UNKNOWN)


@pytest.mark.parametrize("suffix", ["npz", "nii", "tif", "dcm"])
def test_a_stored_direction_is_told_again_from_another_eye_only_where_it_was_told_from_one(tmp_path, suffix):
    derived = Volume(
        eye(),
        Spacing(0.12, 0.004, 0.01),
        laterality=Laterality.OD,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
        slow_axis=SlowAxis.TEMPORAL_TO_NASAL,
        slow_axis_origin=Origin.DERIVED,
    )
    read = dataclasses.replace(derived, slow_axis_origin=Origin.READ)

    for volume, expected in ((derived, SlowAxis.NASAL_TO_TEMPORAL), (read, SlowAxis.TEMPORAL_TO_NASAL)):
        path = write_volume(volume, tmp_path / f"eye.{suffix}", overwrite=True)
        assert read_volume(path).slow_axis is SlowAxis.TEMPORAL_TO_NASAL
        assert read_volume(path, laterality=Laterality.OS).slow_axis is expected


def oriented(tmp_path, **known):
    """A left eye with the inferior B-scan first, brought to right-eye orientation and stored so."""
    said = {"laterality": Laterality.OS, "slow_axis": SlowAxis.INFERIOR_TO_SUPERIOR, **known}
    origins = {f"{name}_origin": Origin.READ for name in said}
    return write_volume(to_right_eye(Volume(eye(), **said, **origins)), tmp_path / "turned.npz")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, {"laterality": Laterality.OD}),
        ({}, {"slow_axis": SlowAxis.INFERIOR_TO_SUPERIOR}),
        ({"laterality": Laterality.UNKNOWN}, {"laterality": Laterality.OS}),
        ({"slow_axis": SlowAxis.UNKNOWN}, {"slow_axis": SlowAxis.INFERIOR_TO_SUPERIOR}),
        # upright B-scans would not have been mirrored
        ({"slow_axis": SlowAxis.UNKNOWN}, {"slow_axis": SlowAxis.TEMPORAL_TO_NASAL}),
    ],
)
def test_a_scan_that_was_turned_is_not_said_to_be_another(tmp_path, known, said):
    path = oriented(tmp_path, **known)

    with pytest.raises(
        VolumeReadError, match=r"brought to right-eye orientation with .* was given; wanted the same; .*--"
    ):
        read_volume(path, **said)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, {"laterality": Laterality.OS, "slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR}),
        ({"laterality": Laterality.UNKNOWN}, {"laterality": Laterality.OD}),
        ({"slow_axis": SlowAxis.UNKNOWN}, {"slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR}),
        ({}, {"region": Region.DISC, "pattern": ScanPattern.RASTER}),
    ],
)
def test_a_scan_that_was_turned_takes_what_would_have_turned_it_so(tmp_path, known, said):
    volume = read_volume(oriented(tmp_path, **known), **said)

    assert {name: getattr(volume, name) for name in said} == said


def test_a_name_does_not_make_a_left_eye_of_a_scan_that_was_taken_for_a_right_one(tmp_path):
    path = oriented(tmp_path, laterality=Laterality.UNKNOWN)

    volume = read_volume(path.rename(tmp_path / "exam_OS.npz"))

    assert volume.laterality is Laterality.UNKNOWN
    assert "the name says OS" in volume.notes[-1]


def test_implausible_millimetres_are_refused_unless_the_user_gives_others(tmp_path):
    scan = Volume(eye(), Spacing(300.0, 0.004, 0.01))
    path = write_volume(scan, tmp_path / "eye.npz")

    with pytest.raises(VolumeReadError, match=r"eye\.npz: spacing along bscan cannot be true: 300000 x 4 x 10 um"):
        read_volume(path)
    assert read_volume(path, spacing_mm=(0.3, 0.004, 0.01)).spacing_mm.bscan == 0.3


@pytest.mark.parametrize("millimetres", [0.001, 10.0])
def test_the_ends_of_the_plausible_range_belong_to_it(tmp_path, millimetres):
    path = write_volume(Volume(eye(), Spacing(millimetres, 0.004, 0.01)), tmp_path / "eye.nii")

    assert read_volume(path).spacing_mm.bscan == pytest.approx(millimetres)


def test_the_users_own_millimetres_may_be_anything_positive_and_come_back(tmp_path):
    np.save(tmp_path / "eye.npy", eye())

    path = write_volume(read_volume(tmp_path / "eye.npy", spacing_mm=(300.0, 1.0, 1.0)), tmp_path / "eye.npz")

    assert read_volume(path).spacing_mm.bscan == 300.0
    with pytest.raises(VolumeReadError, match=r"eye\.npy: spacing along depth is -1"):
        read_volume(tmp_path / "eye.npy", spacing_mm=(0.1, -1.0, 0.01))


@pytest.mark.parametrize(
    ("name", "eye_of_name"),
    [
        ("POAG-001978-2012-02-08-OS.npy", Laterality.OS),
        ("exam_OD_macula.npy", Laterality.OD),
        ("MODEL.npy", Laterality.UNKNOWN),
        ("OS_and_OD.npy", Laterality.UNKNOWN),
        ("os.npy", Laterality.UNKNOWN),
    ],
)
def test_an_eye_in_the_name_is_taken_where_the_file_has_none(tmp_path, name, eye_of_name):
    np.save(tmp_path / name, eye())

    volume = read_volume(tmp_path / name)

    assert volume.laterality is eye_of_name
    assert (volume.laterality_origin is Origin.DERIVED) == (eye_of_name is not Laterality.UNKNOWN)


def test_a_name_that_contradicts_the_file_is_noted(vol):
    volume = read_volume(vol.rename(vol.with_name("exam_OS.vol")))

    assert volume.laterality is Laterality.OD
    assert volume.notes == ("the file says OD, and its name says OS; the file's word is used",)


def test_the_path_is_kept_as_it_was_given(vol, monkeypatch):
    monkeypatch.chdir(vol.parent)

    assert read_volume("exam.vol").source.path == "exam.vol"
    assert read_volume("exam.vol#1").source.path == "exam.vol#1"


def test_a_scan_that_is_not_there_is_refused_with_the_list(vol):
    with pytest.raises(VolumeReadError, match=r"scan 2 was named, and it holds 1 \(#1 4 B-scans of 12 x 16, raster\)"):
        read_volume(f"{vol}#2")
    with pytest.raises(VolumeReadError, match="scan 0 was named"):
        read_volume(vol, scan=0)
    with pytest.raises(VolumeReadError, match="names scan 1 and scan 2 was given"):
        read_volume(f"{vol}#1", scan=2)


def test_a_file_that_is_really_called_so_is_not_split(tmp_path):
    np.save(tmp_path / "odd#2", eye())
    (tmp_path / "odd#2.npy").rename(tmp_path / "odd#2")

    assert read_volume(tmp_path / "odd#2").shape == (4, 12, 16)


def test_a_constant_volume_is_no_picture(tmp_path):
    np.save(tmp_path / "flat.npy", np.full((4, 5, 6), 7))

    with pytest.raises(VolumeReadError, match=r"flat\.npy: all 120 samples are 7; wanted a picture of something"):
        read_volume(tmp_path / "flat.npy")
    assert read_volume(tmp_path / "flat.npy", allow_constant=True).shape == (4, 5, 6)


@pytest.mark.parametrize(("option", "value"), [("axes", "depth,bscan,ascan"), ("key", "data")])
def test_options_that_mean_nothing_for_a_format_are_refused(vol, option, value):
    with pytest.raises(VolumeReadError, match=rf"is a Heidelberg \.vol export, which has no {option}"):
        read_volume(vol, **{option: value})


@pytest.mark.parametrize("axes", ["depth,bscan", "depth,bscan,bscan", "x,y,z", ""])
def test_axes_that_are_not_the_three_are_refused(tmp_path, axes):
    np.save(tmp_path / "eye.npy", eye())

    with pytest.raises(VolumeReadError, match=r"eye\.npy: axes are given as .*; wanted bscan, depth, ascan"):
        read_volume(tmp_path / "eye.npy", axes=axes)


def test_missing_empty_and_unknown_files_are_refused(tmp_path):
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder").mkdir()

    for name, sentence in {
        "nothing.npy": "there is no such file or folder",
        "empty.nii": "is empty (0 bytes)",
        "notes.txt": "file of no known kind",
        "folder": "folder of no known kind",
    }.items():
        with pytest.raises(VolumeReadError) as refusal:
            read_volume(tmp_path / name)
        assert str(refusal.value).startswith(f"{tmp_path / name}: {sentence}; wanted ")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.npy", "two\nlines.npy", "/dev/null", "", "#2"])
def test_names_that_are_no_files_get_one_line(name):
    for ask in (read_volume, list_scans):
        with pytest.raises(VolumeReadError) as refusal:
            ask(name)
        assert "; wanted " in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_name_says_its_number_once(tmp_path, monkeypatch):
    assert name_scan("./a.npz", 2) == "./a.npz#2"
    assert name_scan("./a.npz#2", 2) == name_scan("./a.npz#2", None) == "./a.npz#2"
    with pytest.raises(VolumeReadError, match="names scan 2 and scan 1 was given"):
        name_scan("a.npz#2", 1)


def test_a_scan_is_listed_by_name_and_number(vol):
    assert list_scans(vol) == list_scans(f"{vol}#1") == ["4 B-scans of 12 x 16, raster"]


def test_said_names_the_arguments_of_read_volume():
    parameters = set(inspect.signature(read_volume).parameters) - {"path", "allow_constant"}

    assert set(Said.__annotations__) == parameters


def test_refusals_are_octavos_own_and_readers_have_unlike_names():
    assert issubclass(VolumeReadError, OctavoError)
    assert all(name == reader.name for name, reader in READERS.items())
    assert all(dataclasses.is_dataclass(reader) for reader in READERS.values())
