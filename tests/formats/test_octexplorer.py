import time
from pathlib import Path

import numpy as np
import pytest

from formats.mutants import mutant, mutants_asked
from formats.written_octexplorer import planted, surfaces_xml, write_surfaces
from formats.written_scans import eye
from octavo.companions import Companions, EnFace, Picture
from octavo.formats import VolumeReadError, find_scans, read_volume
from octavo.formats.octexplorer import (
    NO_SCAN,
    files_beside,
    is_octexplorer,
    read_octexplorer,
    with_surfaces_beside,
)
from octavo.volume import Laterality, Origin, Region, Spacing

SHAPE = (4, 12, 16)
REAL = Path(__file__).parents[3] / "shared" / "data" / "surfaces_octexplorer" / "spectralis_19x512_v4_Surfaces_Iowa.xml"


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("word", "expected"), [("OD", Laterality.OD), ("OS", Laterality.OS), ("NA", "unknown")])
def test_what_was_planted_comes_out(tmp_path, version, word, expected):
    path = write_surfaces(tmp_path / "eye_Surfaces_Iowa.xml", SHAPE, version=version, laterality=word)

    found = read_octexplorer(path)

    assert found.shape == SHAPE
    assert [surface.name for surface in found.surfaces] == ["ILM", "OB_RPE"]
    for surface, table in zip(found.surfaces, planted(SHAPE).values(), strict=True):
        np.testing.assert_array_equal(surface.depth, table)
    assert found.spacing_mm == Spacing(0.24, 0.0039, 0.0117, (Origin.READ,) * 3)
    assert (found.laterality, found.region, found.notes) == (expected, Region.MACULA, ())


@pytest.mark.parametrize(("word", "region"), [("ONH", Region.DISC), ("NA", Region.UNKNOWN)])
def test_the_region_is_read(tmp_path, word, region):
    assert read_octexplorer(write_surfaces(tmp_path / "a.xml", SHAPE, center=word)).region is region


@pytest.mark.parametrize(("unit", "expected"), [("um", 0.00024), ("furlong", None)])
def test_the_unit_of_the_voxel_counts(tmp_path, unit, expected):
    bscan_mm = read_octexplorer(write_surfaces(tmp_path / "a.xml", SHAPE, unit=unit)).spacing_mm.bscan

    assert bscan_mm == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("version", [3, 4])
def test_undefined_ascans_are_not_known_in_any_surface(tmp_path, version):
    found = read_octexplorer(write_surfaces(tmp_path / "a.xml", SHAPE, undefined=((0, 15), (3, 2)), version=version))

    for surface in found.surfaces:
        assert np.argwhere(np.isnan(surface.depth)).tolist() == [[0, 15], [3, 2]]
    assert found.notes == ("the segmentation is undefined under 2 of 64 A-scans",)


def test_depths_of_nought_or_outside_the_scan_and_na_are_not_known(tmp_path):
    table = planted(SHAPE)["ILM (ILM)"]
    table[1, 2], table[1, 3], table[1, 4], table[1, 5] = 0, 12, -1, np.nan
    (tmp_path / "a.xml").write_text(surfaces_xml({"ILM": table}, SHAPE))

    found = read_octexplorer(tmp_path / "a.xml")

    assert np.argwhere(np.isnan(found.surfaces[0].depth)).tolist() == [[1, 2], [1, 3], [1, 4], [1, 5]]
    assert found.notes == ("3 depths of 0 or outside the scan are taken for nothing found",)


@pytest.mark.parametrize("name", ["", "Jane Doe, born 1950-01-02; 4711", "JaneDoe", "ILM (Doe)", "x" * 60])
def test_a_name_that_is_no_name_of_a_surface_becomes_a_number(tmp_path, name):
    (tmp_path / "a.xml").write_text(surfaces_xml({name: planted(SHAPE)["ILM (ILM)"]}, SHAPE))

    assert read_octexplorer(tmp_path / "a.xml").surfaces[0].name == "surface 1"


def test_nobody_who_made_the_file_comes_out(tmp_path):
    path = write_surfaces(tmp_path / "a.xml", SHAPE)
    assert "Doe" in path.read_text()

    assert "Doe" not in repr(read_octexplorer(path))


REFUSED = [
    ({"stated": {"surface_num": "3"}}, "holds 2 surfaces; wanted the 3"),
    ({"stated": {"x": "15"}}, "surfaces 16 long along x, and of a scan 15 long"),
    ({"stated": {"x": "15", "surface_x": "15"}}, "surface 1 is not of 4 B-scans with 15 A-scans each"),
    ({"stated": {"z": "many"}}, "states no .*size/z; wanted a whole number"),
    ({"stated": {"z": "999999999"}}, "wanted at most"),
    ({"stated": {"unit": "mm"}}, "another unit than voxels"),
    ({"undefined": ((4, 0),)}, "undefined that are not there"),
    ({"undefined": ((0, 99),)}, "undefined that are not there"),
    ({"beginning": "<!DOCTYPE a [<!ENTITY b 'c'>]>"}, "declares a document type"),
    ({"beginning": "<a>" * 20}, "nested deeper"),
    ({"beginning": "Dear colleague,"}, "cannot be parsed .ExpatError."),
]


@pytest.mark.parametrize(("said", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_file_that_lies_is_refused(tmp_path, said, sentence):
    path = write_surfaces(tmp_path / "a.xml", SHAPE, **said)

    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_octexplorer(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<surfaces><surface><bscan><y>1</y><z>2</z></bscan></surface><unit>voxel</unit></surfaces>", "no axis, or"),
        ("<HEDX></HEDX>", "holds no surfaces"),
        ("<surfaces>" + "<surface></surface>" * 65 + "</surfaces>", "more than 64 surfaces"),
        ("<surfaces><surface><bscan><y>Doe</y></bscan></surface></surfaces>", "cannot be parsed .ValueError."),
        ("", "cannot be parsed"),
    ],
)
def test_other_xml_is_refused(tmp_path, text, sentence):
    (tmp_path / "a.xml").write_text(text)

    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_octexplorer(tmp_path / "a.xml")
    assert "Doe" not in str(caught.value)


def test_wherever_a_file_is_cut_it_is_refused(tmp_path):
    path = write_surfaces(tmp_path / "a.xml", SHAPE)
    whole = path.read_bytes()

    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError, match="; wanted "):
            read_octexplorer(path)


def test_a_comment_that_never_ends_keeps_nobody_busy(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"<surfaces><!--" + b"x" * 2**24)
    started = time.process_time()

    with pytest.raises(VolumeReadError, match="cannot be parsed"):
        read_octexplorer(tmp_path / "a.xml")
    assert time.process_time() - started < 2


def test_a_mutant_gives_a_sentence_or_sound_surfaces(tmp_path):
    path = write_surfaces(tmp_path / "a.xml", SHAPE)
    whole, generator, refused = path.read_bytes(), np.random.default_rng(5), 0

    for _ in range(mutants_asked(100)):
        path.write_bytes(mutant(whole, generator))
        try:
            found = read_octexplorer(path)
        except VolumeReadError:
            refused += 1
            continue
        for surface in found.surfaces:
            known = surface.depth[~np.isnan(surface.depth)]
            assert surface.depth.shape == (found.shape[0], found.shape[2])
            assert ((known > 0) & (known < found.shape[1])).all()
    assert refused > 20


SCANS = {"eye.npy": "eye", "eye_OCT_Iowa.npy": "eye", "eye.nii.gz": "eye", "exam_OD.1.vol": "exam_OD.1"}


@pytest.mark.parametrize(("scan", "stem"), SCANS.items())
@pytest.mark.parametrize("place", ["", "{stem}", "{stem}_OCT_Iowa"])
def test_surfaces_are_found_beside_the_scan_by_their_name(tmp_path, scan, stem, place):
    (tmp_path / scan).write_bytes(b"")
    folder = tmp_path / place.format(stem=stem)
    folder.mkdir(exist_ok=True)
    path = write_surfaces(folder / f"{stem}_Surfaces_Iowa.xml", SHAPE)
    write_surfaces(tmp_path / "other_Surfaces_Iowa.xml", SHAPE)

    assert files_beside(tmp_path / scan) == [path]


def test_surfaces_are_found_in_and_beside_a_folder_of_pictures(tmp_path):
    (tmp_path / "eye").mkdir()
    path = write_surfaces(tmp_path / "eye" / "eye_Sequence_Surfaces_Iowa.xml", SHAPE)

    assert files_beside(tmp_path / "eye") == [path]


NONE = Companions()


def companions(folder, shape=SHAPE, laterality=Laterality.OD, given=NONE):
    return with_surfaces_beside(given, folder / "eye.npy", lambda: shape, laterality)


def test_surfaces_that_fit_come_along(tmp_path):
    write_surfaces(tmp_path / "eye_Surfaces_Iowa.xml", SHAPE)
    picture = EnFace(Picture.INFRARED, np.zeros((2, 3)))

    found = companions(tmp_path, given=Companions(pictures=(picture,), notes=("given",)))

    assert [surface.name for surface in found.surfaces] == ["ILM", "OB_RPE"]
    assert found.pictures == (picture,)
    assert found.notes[0] == "given"
    assert "in the order of the scan's B-scans and A-scans" in found.notes[1]


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ({"shape": (4, 12, 15)}, "of one of 4 x 12 x 16 samples and do not fit it"),
        ({"laterality": Laterality.OS}, "are of OD, and it is OS"),
    ],
)
def test_surfaces_that_do_not_fit_are_left_out_and_noted(tmp_path, said, note):
    write_surfaces(tmp_path / "eye_Surfaces_Iowa.xml", SHAPE)

    found = companions(tmp_path, **said)

    assert found.surfaces == ()
    assert note in found.notes[0]


def test_without_surfaces_the_scan_is_not_read_for_its_shape(tmp_path):
    def never() -> tuple[int, int, int]:
        raise AssertionError

    given = Companions(notes=("given",))
    assert with_surfaces_beside(given, tmp_path / "eye.npy", never, Laterality.OD) is given


def test_damaged_and_doubled_surfaces_are_noted(tmp_path):
    (tmp_path / "eye_Surfaces_Iowa.xml").write_text("<surfaces>")
    assert "cannot be used: cannot be parsed" in companions(tmp_path).notes[0]

    (tmp_path / "eye_OCT_Iowa").mkdir()
    write_surfaces(tmp_path / "eye_OCT_Iowa" / "eye_Surfaces_Iowa.xml", SHAPE)
    assert "2 files of OCTExplorer's surfaces" in companions(tmp_path).notes[0]


def test_the_file_is_no_scan(tmp_path):
    path = write_surfaces(tmp_path / "eye_Surfaces_Iowa.xml", SHAPE)
    np.save(tmp_path / "eye.npy", eye())

    assert find_scans(tmp_path) == [str(tmp_path / "eye.npy")]
    assert is_octexplorer(path.read_bytes()[:1024])
    assert not is_octexplorer(b'<?xml version="1.0"?><HEDX><surfaces>')
    assert "wanted the scan that they belong to" in NO_SCAN
    with pytest.raises(VolumeReadError):
        read_volume(path)


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="the sample surfaces are not beside the repository")
def test_the_real_sample():
    found = read_octexplorer(REAL)

    assert is_octexplorer(REAL.read_bytes()[:1024])
    assert found.shape == (19, 496, 512)
    assert found.spacing_mm.values_mm == (0.249175, 0.003872, 0.01168)
    assert (found.laterality, found.region) == (Laterality.OD, Region.MACULA)
    assert len(found.surfaces) == 11
    assert (found.surfaces[0].name, found.surfaces[-1].name) == ("ILM", "OB_RPE")
    assert found.notes == ("the segmentation is undefined under 84 of 9728 A-scans",)
    depths = np.stack([surface.depth for surface in found.surfaces])
    assert np.isnan(depths).any(axis=0).sum() == 84
    assert np.isnan(found.surfaces[0].depth[1, 498])
    # from the vitreous to the choroid, everywhere
    assert (np.diff(np.nan_to_num(depths), axis=0) >= 0).all()
    assert 70 * 0.003872 < np.nanmean(depths[-1] - depths[0]) * 0.003872 < 100 * 0.003872
