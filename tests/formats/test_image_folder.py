import numpy as np
import pytest
from PIL import Image

from formats.written_scans import bscan_lines, eye, heyex_xml, write_pictures
from octavo.formats import VolumeReadError, list_scans, read_volume
from octavo.formats.header_eye import header_laterality
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing


@pytest.mark.parametrize(
    "name", ["{}.bmp", "{}_image.png", "{}-Input.tif", "OCT-0_{}.png", "{:03d}.tif", "B{}.TIF", "v2 scan 7 ({}).png"]
)
@pytest.mark.parametrize("first", [0, 1, 95])
def test_pictures_are_sorted_by_their_number(tmp_path, name, first):
    volume = read_volume(write_pictures(tmp_path / "scan", eye(12), name, first))

    np.testing.assert_array_equal(volume.values, eye(12))
    assert volume.spacing_mm == Spacing()
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.ASSUMED)
    assert volume.slow_axis is SlowAxis.UNKNOWN


def test_jpegs_of_grey_channels_are_grey(tmp_path):
    smooth = np.repeat((np.add.outer(np.arange(3) * 20, np.arange(64) * 2))[:, None], 48, axis=1).astype(np.uint8)
    (tmp_path / "scan").mkdir()
    for number, bscan in enumerate(smooth, 1):
        Image.fromarray(bscan).convert("RGB").save(tmp_path / "scan" / f"{number}_image.jpg", quality=95)

    volume = read_volume(tmp_path / "scan")

    assert volume.shape == (3, 48, 64)
    assert np.abs(volume.values.astype(int) - smooth).max() <= 3


def test_other_files_are_left_alone(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    (folder / "notes.txt").write_text("3-Input.tif")
    (folder / ".5-Input.tif").write_bytes(b"hidden")
    (folder / "7.csv").write_text("")
    # a picture may be called after the patient, and notes go into every converted file
    Image.new("RGB", (9, 9), "red").save(folder / "DOE_JANE_overview.png")
    Image.new("L", (9, 9)).save(folder / "NIR1.tif")

    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.values, eye())
    assert volume.notes == ("pictures whose names do not count with others are not used: 2",)


def test_capitals_make_no_other_scan(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(6), "bscan-{}.png")
    (folder / "bscan-6.png").rename(folder / "Bscan-6.PNG")

    assert list_scans(folder) == ["Bscan-*: 6 B-scans"]
    np.testing.assert_array_equal(read_volume(folder).values, eye(6))


@pytest.mark.parametrize(("first", "notes"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_numbers_that_begin_late_are_noted(tmp_path, first, notes):
    volume = read_volume(write_pictures(tmp_path / "scan", eye(), "{}.png", first=first))

    assert len(volume.notes) == notes
    if notes:
        assert volume.notes[0].startswith(f"B-scans are numbered from {first} to {first + 3}; ")


def test_a_gap_names_the_missing_numbers(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(12))
    (folder / "3-Input.tif").unlink()
    (folder / "10-Input.tif").unlink()

    with pytest.raises(VolumeReadError, match=r"B-scans 3, 10 of \*-Input are missing between 1 and 12"):
        read_volume(folder)


@pytest.mark.parametrize("twin", ["04-Input.tif", "4-Input.png"])
def test_a_doubled_number_names_both(tmp_path, twin):
    folder = write_pictures(tmp_path / "scan", eye())
    Image.fromarray(eye()[0]).save(folder / twin)

    with pytest.raises(VolumeReadError, match=r"numbers stand twice: .*4-Input"):
        read_volume(folder)


def test_a_picture_of_another_size_is_named(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    Image.fromarray(eye()[0][:, :9]).save(folder / "3-Input.tif")

    with pytest.raises(VolumeReadError, match=r"3-Input\.tif is 12 x 9 and 1-Input\.tif is 12 x 16"):
        read_volume(folder)


def test_a_damaged_picture_is_named(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(), "{}.png")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(VolumeReadError, match=r"2\.png cannot be opened as a picture"):
        read_volume(folder)


def test_a_coloured_picture_is_named(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    Image.new("RGB", (16, 12), "red").save(folder / "3-Input.tif")

    with pytest.raises(VolumeReadError, match=r"3-Input\.tif shows colour"):
        read_volume(folder)


def test_two_scans_in_one_folder_are_listed(tmp_path):
    write_pictures(tmp_path / "scan", eye(3), "OCT-0_{}.png")
    folder = write_pictures(tmp_path / "scan", eye(5), "OCT-1_{}.png", first=0)

    assert list_scans(folder) == ["OCT-0_*: 3 B-scans", "OCT-1_*: 5 B-scans"]
    np.testing.assert_array_equal(read_volume(f"{folder}#2").values, eye(5))
    with pytest.raises(VolumeReadError, match="holds 2 scans"):
        read_volume(folder)


def test_a_folder_of_multi_page_files_is_no_scan(tmp_path):
    pages = [Image.fromarray(page) for page in eye()]
    for number in (1, 2):
        pages[0].save(tmp_path / f"{number}.tif", save_all=True, append_images=pages[1:])

    with pytest.raises(VolumeReadError, match="folder of no known kind"):
        read_volume(tmp_path)


@pytest.mark.parametrize("above", [False, True])
def test_an_export_file_gives_millimetres_eye_and_direction(tmp_path, above):
    folder = write_pictures(tmp_path / "exam" / "scan", eye())
    (folder.parent if above else folder).joinpath("info.xml").write_text(heyex_xml((4, 12, 16)))

    volume = read_volume(folder)

    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.spacing_mm.origins == (Origin.DERIVED, Origin.READ, Origin.READ)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.READ)
    assert (volume.slow_axis, volume.slow_axis_origin) == (SlowAxis.INFERIOR_TO_SUPERIOR, Origin.DERIVED)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.DERIVED)
    assert volume.source.device == "Maker Model 1"
    assert "Doe" not in repr(volume)


def test_bscans_stored_right_to_left_are_turned_over(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    lines = bscan_lines(4)[:, [2, 3, 0, 1]]
    (folder / "info.xml").write_text(heyex_xml((4, 12, 16), lines=lines))

    volume = read_volume(folder)

    np.testing.assert_array_equal(volume.values, eye()[:, :, ::-1])
    assert any("turned over" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (heyex_xml((5, 12, 16)), "lists 5 B-scans of 12 x 16, and the pictures are 4 B-scans of 12 x 16"),
        (heyex_xml((4, 16, 12)), "lists 4 B-scans of 16 x 12"),
        (heyex_xml((4, 12, 16))[:-20], "is not used: it cannot be parsed"),
        (
            heyex_xml((4, 12, 16), beginning='<!DOCTYPE a [<!ENTITY b "bb">]>'),
            "is not used: it declares a document type",
        ),
    ],
)
def test_an_export_file_that_does_not_fit_is_not_used_and_the_note_says_so(tmp_path, text, note):
    folder = write_pictures(tmp_path / "scan", eye())
    (folder / "info.xml").write_text(text)

    volume = read_volume(folder)

    assert volume.spacing_mm == Spacing()
    assert note in volume.notes[0]


def test_of_several_export_files_none_is_used(tmp_path):
    folder = write_pictures(tmp_path / "exam" / "scan", eye())
    for name in ("left", "right"):
        (folder.parent / f"{name}.xml").write_text(heyex_xml((4, 12, 16)))

    assert read_volume(folder).spacing_mm == Spacing()


@pytest.mark.parametrize("where", ["beside", "above", "above, beside pictures"])
def test_an_export_file_with_several_scans_is_not_used_for_any(tmp_path, where):
    above = tmp_path / "exam"
    first = write_pictures(above / "left", eye(), "{}.tif")
    second = {
        "beside": lambda: write_pictures(above / "left", eye(), "other-{}.tif"),
        "above": lambda: write_pictures(above / "right", eye(), "{}.tif"),
        "above, beside pictures": lambda: write_pictures(above, eye(), "{}.tif"),
    }[where]()
    (first if where == "beside" else above).joinpath("info.xml").write_text(heyex_xml((4, 12, 16)))

    scans = [f"{first}#1", f"{first}#2"] if where == "beside" else [first]
    scans += [second] if where == "above" else []
    for scan in scans:
        volume = read_volume(scan)
        assert (volume.spacing_mm, volume.laterality) == (Spacing(), Laterality.UNKNOWN)
        assert any("is not used: it lies with several scans" in note for note in volume.notes)


def test_of_two_folders_the_export_file_tells_its_own_by_the_format_it_names(tmp_path):
    scan = write_pictures(tmp_path / "exam" / "scan", eye(), "{}-Input.tif")
    layers = write_pictures(tmp_path / "exam" / "layers", eye(), "{}-layers.png")
    xml = heyex_xml((4, 12, 16)).replace("</Image>", "<ImageData><Extension>TIF</Extension></ImageData></Image>")
    (tmp_path / "exam" / "info.xml").write_text(xml)

    assert read_volume(scan).laterality is Laterality.OS
    assert read_volume(layers).laterality is Laterality.UNKNOWN
    for picture in scan.iterdir():
        picture.unlink()
    # alone, pictures may have been saved in another format since
    assert read_volume(layers).laterality is Laterality.OS


def test_any_other_xml_beside_the_pictures_is_left_alone(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    (folder / "labels.xml").write_text("<annotation><size>3</size></annotation>")

    assert read_volume(folder).notes == ()


@pytest.mark.parametrize("told", ["end", "centre"])
def test_circles_that_are_numbered_are_circles(tmp_path, told):
    folder = write_pictures(tmp_path / "scan", eye())
    radius = 16 * 0.0113 / (2 * np.pi)
    text = heyex_xml((4, 12, 16), lines=np.tile([3.0 + radius, 4.0, 3.0, 4.0], (4, 1)))
    (folder / "info.xml").write_text(text.replace("End>", "Center>") if told == "centre" else text)

    volume = read_volume(folder)

    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.CIRCLE, Origin.DERIVED)
    assert (volume.laterality, volume.slow_axis) == (Laterality.OS, SlowAxis.UNKNOWN)
    assert volume.spacing_mm == Spacing(None, 0.0039, 0.0113)


@pytest.mark.parametrize("name", ["visit1", "visit1_OD", "visit1_OD_OS"])
def test_each_row_of_pictures_is_of_the_eye_in_its_names(tmp_path, name):
    for side in ("OD", "OS"):
        folder = write_pictures(tmp_path / name, eye(), f"P1_{side}_{{}}.png")

    for number, side in enumerate(("OD", "OS"), 1):
        volume = read_volume(f"{folder}#{number}")
        assert (volume.laterality, volume.laterality_origin) == (side, Origin.DERIVED)
        assert header_laterality(f"{folder}#{number}") is volume.laterality
        assert volume.notes == ()


def test_a_row_without_an_eye_takes_none_from_a_folder_that_names_another_row_wrongly(tmp_path):
    write_pictures(tmp_path / "visit_OD", eye(), "P1_OS_{}.png")
    folder = write_pictures(tmp_path / "visit_OD", eye(), "x_{}.png")

    assert read_volume(f"{folder}#2").laterality is Laterality.UNKNOWN


def test_a_folder_and_its_pictures_that_name_two_eyes_leave_the_eye_unknown(tmp_path):
    folder = write_pictures(tmp_path / "visit_OD", eye(), "P1_OS_{}.png")

    volume = read_volume(folder)

    assert (volume.laterality, volume.laterality_origin) == (Laterality.UNKNOWN, Origin.UNKNOWN)
    assert volume.notes == (
        "the folder's name says OD, and those of its pictures say OS; the eye is unknown: say which",
    )
    said = read_volume(folder, laterality=Laterality.OS)
    assert (said.laterality, said.laterality_origin) == (Laterality.OS, Origin.USER)
    assert not any("unknown" in note for note in said.notes)


def test_an_export_file_counts_more_than_the_names_of_the_pictures(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(), "P1_OD_{}.png")
    (folder / "info.xml").write_text(heyex_xml((4, 12, 16), laterality="L"))

    volume = read_volume(folder)

    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.READ)
    assert volume.notes[-1] == "the file says OS, and the names of its pictures say OD; the file's word is used"


@pytest.mark.parametrize(
    ("name", "said"), [("P1_OS_{}.png", None), ("{}.png", Laterality.OS), ("P1_OD_{}.png", Laterality.OS)]
)
def test_upright_bscans_follow_the_nose_of_the_eye_that_is_used(tmp_path, name, said):
    folder = write_pictures(tmp_path / "scan", eye(), name)
    x = 1 + 0.12 * np.arange(4)
    lines = np.stack([x, np.full(4, 3.0), x, np.full(4, 1.0)], axis=1)
    (folder / "info.xml").write_text(heyex_xml((4, 12, 16), lines=lines, laterality=None))

    volume = read_volume(folder, laterality=said)

    assert (volume.laterality, volume.slow_axis) == (Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL)
