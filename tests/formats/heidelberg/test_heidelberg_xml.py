from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from formats.mutants import attack, mutants_asked
from formats.written_heyex import UNKNOWN, export_text, planted_series, write_export
from formats.written_scans import bscan_lines, eye, heyex_xml, write_pictures
from octavo.companions import Picture
from octavo.formats import VolumeReadError, files_of, find_scans, list_scans, read_companions, read_volume
from octavo.formats.reader import ReadOptions
from octavo.formats.reading import READERS
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

REAL = Path(__file__).parents[4] / "shared" / "data" / "heidelberg_xml" / "test_volume"


def test_pictures_are_in_the_order_of_the_file_whatever_their_names(tmp_path):
    folder = write_export(tmp_path / "exam", planted_series(12))
    text = (folder / "zz.xml").read_text()
    # the pictures of B-scans 2 and 11 change their names
    for one, other in (("B2.tif", "X"), ("B11.tif", "B2.tif"), ("X", "B11.tif")):
        (folder / one).rename(folder / other)
        text = text.replace(f"\\{one}<", f"\\{other}<")
    (folder / "zz.xml").write_text(text)

    volume = read_volume(folder)

    np.testing.assert_array_equal(volume.values, eye(12))
    assert volume.source.format == "heidelberg-xml"


@pytest.mark.parametrize("name", ["", "zz.xml"])
@pytest.mark.parametrize(
    ("letter", "laterality"), [("R", Laterality.OD), ("L", Laterality.OS), (None, Laterality.UNKNOWN)]
)
def test_what_the_file_says_is_read(tmp_path, name, letter, laterality):
    path = write_export(tmp_path / "exam", planted_series(letter=letter)) / name
    volume = read_volume(path)

    assert volume.laterality is laterality
    assert READERS["heidelberg-xml"].scans(path, ReadOptions())[0].laterality is laterality
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.spacing_mm.origins == (Origin.DERIVED, Origin.READ, Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.DERIVED)
    assert volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR
    assert volume.source.device == "Maker Model 1"
    assert volume.notes == ()


def test_nothing_that_names_the_patient_comes_out(tmp_path):
    layers = {"ILM": np.ones((4, 16)), "drawn by Doe": np.ones((4, 16))}
    folder = write_export(tmp_path / "exam", planted_series(layers=layers, localiser=eye(1)[0]))
    (folder / "B3.tif").unlink()
    with pytest.raises(VolumeReadError) as caught:
        read_volume(folder)
    said = str(caught.value) + repr(list_scans(folder)) + repr(read_companions(folder))

    assert not any(word in said for word in ("Doe", "Jane", "4711", "1950"))


def test_every_series_is_a_scan_with_its_own_eye(tmp_path):
    folder = write_export(
        tmp_path / "exam", planted_series(letter="L"), planted_series(3, prefix="C", letter="R"), name="a.xml"
    )
    write_export(folder, planted_series(2, prefix="D", letter="L"), name="b.xml")

    assert list_scans(folder) == [
        "series 1 of 3: 4 B-scans, OS",
        "series 2 of 3: 3 B-scans, OD",
        "series 3 of 3: 2 B-scans, OS",
    ]
    for scan, (bscans, laterality) in enumerate([(4, "OS"), (3, "OD"), (2, "OS")], 1):
        volume = read_volume(f"{folder}#{scan}")
        np.testing.assert_array_equal(volume.values, eye(bscans))
        assert (volume.laterality, volume.notes) == (laterality, ())
    assert find_scans(tmp_path) == [f"{folder}#{scan}" for scan in (1, 2, 3)]


def test_the_scan_is_made_of_its_files(tmp_path):
    folder = write_export(tmp_path / "exam", planted_series(2, localiser=eye(1)[0]))

    assert find_scans(tmp_path) == [str(folder)]
    assert [path.name for path in files_of(folder)] == ["B1.tif", "B2.tif", "BNIR.tif", "zz.xml"]


def test_pictures_that_no_file_names_are_noted(tmp_path):
    folder = write_export(tmp_path / "exam", planted_series(localiser=eye(1)[0], stated=7))
    Image.fromarray(eye(1)[0]).save(folder / "B5.tif")

    assert read_volume(folder).notes == (
        "the export file says that it has 7 images, and lists 5",
        "pictures that no export file names are not used: 1",
    )


@pytest.mark.parametrize("name", ["", "zz.xml"])
def test_a_missing_picture_is_refused_by_number(tmp_path, name):
    folder = write_export(tmp_path / "exam", planted_series())
    (folder / "B2.tif").unlink()
    (folder / "B4.tif").unlink()

    with pytest.raises(
        VolumeReadError, match="pictures of B-scans 2, 4 of 4 that the export file names are missing; wanted"
    ):
        read_volume(folder / name)


def test_capitals_in_the_names_of_pictures_make_no_difference(tmp_path):
    folder = write_export(tmp_path / "exam", planted_series())
    (folder / "B2.tif").rename(folder / "b2.TIF")

    np.testing.assert_array_equal(read_volume(folder).values, eye())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\\B2.tif", "\\B1.tif", "names one picture for several B-scans; wanted one each"),
        ("<Width>16", "<Width>15", "lists B-scans of 12 x 15, and the pictures are 12 x 16; wanted the same"),
        ("<ScaleX>0.0113", "<ScaleX>0", "different sizes or scales; wanted one"),
        (
            "<ID>2</ID><Laterality>R</Laterality><ImageType><Type>OCT</Type></ImageType><OphthalmicAcquisitionContext><Width>16",
            "<ID>2</ID><ImageType><Type>OCT</Type></ImageType><OphthalmicAcquisitionContext><Width>17",
            "different sizes or scales; wanted one",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, old, new, sentence):
    folder = write_export(tmp_path / "exam", planted_series())
    text = (folder / "zz.xml").read_text()
    assert old in text
    (folder / "zz.xml").write_text(text.replace(old, new))

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(folder)


def changed(folder: Path, place: int, old: str, new: str) -> Path:
    """Change what an export says of one B-scan, counted from 0."""
    parts = (folder / "zz.xml").read_text().split("<Image>")
    assert old in parts[place + 1]
    parts[place + 1] = parts[place + 1].replace(old, new)
    (folder / "zz.xml").write_text("<Image>".join(parts))
    return folder


def test_an_image_of_another_kind_is_said(tmp_path):
    folder = changed(write_export(tmp_path / "exam", planted_series()), 3, "<Type>OCT", "<Type>ANGIO")
    volume = read_volume(folder)

    np.testing.assert_array_equal(volume.values, eye()[:3])
    assert volume.notes == ("1 images of the export file are neither B-scans nor localisers and are not used",)


def test_a_bscan_without_a_place_is_kept_and_one_without_a_size_refused(tmp_path):
    volume = read_volume(changed(write_export(tmp_path / "1", planted_series()), 1, "Start>", "Begin>"))

    np.testing.assert_array_equal(volume.values, eye())
    assert (volume.pattern, volume.spacing_mm) == (ScanPattern.UNKNOWN, Spacing(None, 0.0039, 0.0113))
    assert any("does not say of every B-scan where it lies" in note for note in volume.notes)
    with pytest.raises(VolumeReadError, match="different sizes or scales"):
        read_volume(changed(write_export(tmp_path / "2", planted_series()), 1, "Width>", "Breadth>"))


@pytest.mark.parametrize("name", ["..\\\\..\\\\secret.tif", "../B1.tif", "/etc/passwd", ""])
def test_pictures_outside_the_folder_are_not_opened(tmp_path, name):
    folder = write_export(tmp_path / "exam", planted_series())
    Image.fromarray(eye(1)[0]).save(tmp_path / "secret.tif")
    text = (folder / "zz.xml").read_text()
    (folder / "zz.xml").write_text(text.replace("file:///\\\\domain\\Doe Jane\\B2.tif", name))

    with pytest.raises(VolumeReadError, match=r"(pictures of B-scans 2 of 4|names one picture for several)"):
        read_volume(folder)


def test_a_single_bscan_is_a_line_or_a_circle_and_says_which(tmp_path):
    length = 16 * 0.0113
    circle = np.array([[3.0 + length / (2 * np.pi), 4.0, 3.0, 4.0]])
    line = bscan_lines(1, length=length)

    plain = read_volume(write_export(tmp_path / "1", planted_series(1, lines=line)))
    told = read_volume(write_export(tmp_path / "2", planted_series(1, lines=circle, circle=True)))
    untold = read_volume(write_export(tmp_path / "3", planted_series(1, lines=circle)))

    assert (plain.pattern, told.pattern, untold.pattern) == (ScanPattern.LINE, ScanPattern.CIRCLE, ScanPattern.CIRCLE)
    assert plain.spacing_mm.bscan is told.spacing_mm.bscan is untold.spacing_mm.bscan is None


def test_a_star_with_circles_is_no_raster_and_no_star(tmp_path):
    angles = np.arange(3) * np.pi / 3
    spokes = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    circle = [4.0 + 16 * 0.0113 / (2 * np.pi), 4.0, 4.0, 4.0]
    lines = np.vstack([np.hstack([4 - spokes, 4 + spokes]), circle])

    volume = read_volume(write_export(tmp_path / "exam", planted_series(lines=lines)))

    assert volume.pattern is ScanPattern.OTHER
    assert "1 of 4 B-scans lie on circles and the others on lines" in volume.notes[0]


@pytest.mark.parametrize(
    ("letter", "said", "expected"),
    [
        ("R", None, SlowAxis.TEMPORAL_TO_NASAL),
        ("R", Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL),
        (None, Laterality.OS, SlowAxis.NASAL_TO_TEMPORAL),
    ],
)
def test_upright_bscans_follow_the_nose_of_the_eye_that_is_used(tmp_path, letter, said, expected):
    x = 1 + 0.12 * np.arange(4)
    lines = np.stack([x, np.full(4, 3.0), x, np.full(4, 1.0)], axis=1)
    folder = write_export(tmp_path / "exam", planted_series(lines=lines, letter=letter))

    assert read_volume(folder, laterality=said).slow_axis is expected


def test_a_star_is_radial(tmp_path):
    angles = np.arange(4) * np.pi / 4
    spokes = 3 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    volume = read_volume(write_export(tmp_path / "exam", planted_series(lines=np.hstack([4 - spokes, 4 + spokes]))))

    assert (volume.pattern, volume.slow_axis) == (ScanPattern.RADIAL, SlowAxis.UNKNOWN)
    assert volume.spacing_mm == Spacing(None, 0.0039, 0.0113)


def test_bscans_stored_right_to_left_are_turned_over_with_their_boundaries(tmp_path):
    depths = eye(4, 1, 16)[:, 0] % 11 + 0.5
    folder = write_export(
        tmp_path / "exam", planted_series(lines=bscan_lines(4)[:, [2, 3, 0, 1]], layers={"ILM": depths})
    )
    volume = read_volume(folder)

    np.testing.assert_array_equal(volume.values, eye()[:, :, ::-1])
    assert any("turned over" in note for note in volume.notes)
    np.testing.assert_array_equal(read_companions(folder).surfaces[0].depth, depths[:, ::-1])


def test_boundaries_and_localiser_come_along(tmp_path):
    depths = np.linspace(0.5, 9.5, 64).reshape(4, 16).round(1)
    holes = depths.copy()
    holes[0, :3], holes[1, 4] = UNKNOWN, 12.0
    series = planted_series(
        layers={"ILM": depths, "RPE": holes, "own": depths, "BM": np.full((4, 16), UNKNOWN)}, localiser=eye(1, 9, 7)[0]
    )
    other = planted_series(2, prefix="C", layers={"BM": np.full((2, 16), 2.0)})
    folder = write_export(tmp_path / "exam", series, other)

    companions = read_companions(f"{folder}#1")

    assert [surface.name for surface in companions.surfaces] == ["ILM", "RPE", "surface 2"]
    np.testing.assert_allclose(companions.surfaces[0].depth, depths, rtol=1e-6)
    assert np.argwhere(np.isnan(companions.surfaces[1].depth)).tolist() == [[0, 0], [0, 1], [0, 2], [1, 4]]
    np.testing.assert_array_equal(companions.pictures[0].values, eye(1, 9, 7)[0])
    assert (companions.pictures[0].kind, companions.pictures[0].spacing_mm) == (Picture.INFRARED, (0.0118, 0.0112))
    assert companions.notes == ()
    assert [surface.name for surface in read_companions(f"{folder}#2").surfaces] == ["BM"]


def test_boundaries_and_localisers_that_do_not_fit_are_left_out_with_a_note(tmp_path):
    folder = write_export(
        tmp_path / "exam", planted_series(layers={"ILM": np.ones((4, 15)), "BM": np.ones((4, 17))}, localiser=eye(1)[0])
    )
    (folder / "BNIR.tif").unlink()

    companions = read_companions(folder)

    assert (companions.surfaces, companions.pictures) == ((), ())
    assert companions.notes == (
        "8 boundaries of B-scans have another number of A-scans and were left out",
        "a localiser that the export file names is missing, or no grey picture of the size it says",
    )


def test_boundaries_that_need_far_more_memory_than_the_file_has_are_left_out(tmp_path):
    folder = write_export(tmp_path / "exam", planted_series(20))
    text = (folder / "zz.xml").read_text().replace("<Width>16<", "<Width>1000000<")
    line = f"<SegLine><Name>ILM</Name><Array>{'1 ' * 1_000_000}</Array></SegLine>"
    (folder / "zz.xml").write_text(text.replace("</Segmentation>", line + "</Segmentation>", 1))

    companions = read_companions(folder)

    assert companions.surfaces == ()
    assert companions.notes == ("boundaries of 20 B-scans are more than the export file can hold and were left out",)


def test_a_file_that_names_no_pictures_is_left_to_the_folder_of_numbers(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    (folder / "info.xml").write_text(heyex_xml((4, 12, 16)))

    assert read_volume(folder).source.format == "image-folder"
    assert find_scans(tmp_path) == [str(folder)]


@pytest.mark.parametrize(
    "text",
    [
        export_text([planted_series()])[:-20],
        export_text([planted_series()], beginning='<!DOCTYPE a [<!ENTITY b "bb">]>'),
        "<HEDX>" + "<a>" * 100,
    ],
)
def test_damaged_and_hostile_files_are_not_used_and_the_pictures_say_so(tmp_path, text):
    folder = write_export(tmp_path / "exam", planted_series())
    (folder / "zz.xml").write_text(text)

    volume = read_volume(folder)

    assert (volume.source.format, volume.spacing_mm) == ("image-folder", Spacing())
    assert any("the XML file beside the pictures is not used" in note for note in volume.notes)
    with pytest.raises(VolumeReadError, match="no known kind"):
        read_volume(folder / "zz.xml")


@pytest.mark.parametrize("file", ["zz.xml", "B2.tif"])
def test_mutants_give_a_sentence_or_a_plausible_volume(tmp_path, file):
    series = planted_series(3, localiser=eye(1)[0], layers={"ILM": np.ones((3, 16))})
    folder = write_export(tmp_path / "exam", series)
    count = mutants_asked(40)

    outcome = attack(folder, count, file=folder / file)

    assert (outcome.died, outcome.wrong) == ("", ())
    assert outcome.read + outcome.refused == count


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason=f"the sample export is not at {REAL}")
@pytest.mark.parametrize("name", ["", "test_dummy.xml"])
def test_the_sample_has_ten_bscans_eleven_boundaries_and_a_localiser(name):
    volume, companions = read_volume(REAL / name), read_companions(REAL / name)

    assert (volume.shape, volume.laterality) == ((10, 40, 50), Laterality.OD)
    assert (volume.pattern, volume.slow_axis) == (ScanPattern.RASTER, SlowAxis.INFERIOR_TO_SUPERIOR)
    assert volume.spacing_mm.depth == 0.003872
    assert companions.describe() == ("surfaces ILM, BM, RNFL, GCL, IPL, INL, OPL, ELM, PR1, PR2, RPE; infrared 50 x 50")
    assert any("no export file names are not used: 1" in note for note in volume.notes) == (name == "")
