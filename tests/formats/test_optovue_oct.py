import numpy as np
import pytest

from formats.mutants import attack, mutants_asked
from formats.written_optovue import optovue_bytes, optovue_text, write_optovue
from formats.written_scans import eye
from octavo.formats import VolumeReadError, files_read_for, list_scans, read_volume
from octavo.volume import Laterality, Origin, Region, ScanPattern

FURTHER = "[CL - 3D Retina Step 2]\nXY Scan Length=16\nXY Scan Usage=2\n"


@pytest.mark.parametrize("word", ["OD", "OS"])
def test_the_text_says_millimetres_eye_and_pattern(tmp_path, word):
    path = write_optovue(tmp_path, eye(), optovue_text((4, 12, 16), eye=word))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.spacing_mm.origins == (Origin.READ, Origin.DERIVED, Origin.DERIVED)
    assert (volume.laterality, volume.laterality_origin) == (Laterality(word), Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.DERIVED)
    assert files_read_for(path) == [path, path.with_suffix(".txt")]
    assert not any(name in repr(volume) for name in ("Doe", "Jane", "1950", "4711"))


def test_a_name_tells_the_disc(tmp_path):
    path = write_optovue(tmp_path, eye())
    for end in (".OCT", ".txt"):
        path.with_suffix(end).rename(tmp_path / f"x 3D Disc{end}")

    assert read_volume(tmp_path / "x 3D Disc.OCT").region is Region.DISC


def test_what_is_no_3d_scan_has_no_pattern(tmp_path):
    volume = read_volume(write_optovue(tmp_path, eye(), optovue_text((4, 12, 16), name="Radial Lines")))

    assert volume.pattern is ScanPattern.UNKNOWN
    assert volume.spacing_mm.bscan is None
    assert "nothing says that this is a 3D scan" in volume.notes[0]


def test_further_steps_are_scans_of_their_own(tmp_path):
    path = write_optovue(tmp_path, eye(6), optovue_text((4, 12, 16), more=FURTHER))

    assert list_scans(path) == ["4 B-scans of 12 x 16", "2 B-scans of 12 x 16, for alignment"]
    np.testing.assert_array_equal(read_volume(path, scan=1).values, eye(6)[:4])
    second = read_volume(path, scan=2)
    np.testing.assert_array_equal(second.values, eye(6)[4:])
    assert (second.pattern, second.spacing_mm.ascan) == (ScanPattern.UNKNOWN, None)
    with pytest.raises(VolumeReadError, match="holds 2 scans"):
        read_volume(path)


def test_bscans_beyond_the_first_step_are_not_lost(tmp_path):
    text = optovue_text((4, 12, 16)).replace("Frames Per Data Group=4", "Frames Per Data Group=6")
    path = write_optovue(tmp_path, eye(6), text)

    assert len(list_scans(path)) == 2
    np.testing.assert_array_equal(read_volume(f"{path}#2").values, eye(6)[4:])


def test_a_text_in_utf_16_is_read(tmp_path):
    path = write_optovue(tmp_path, eye())
    path.with_suffix(".txt").write_bytes(optovue_text((4, 12, 16)).encode("utf-16"))

    assert read_volume(path).laterality is Laterality.OD


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is not beside it; wanted a .txt of the same name; copy both"),
        ("hello", "does not say how large the scan is; wanted OCT Window Height"),
        (
            optovue_text((5, 12, 16)),
            "says 5 x 12 x 16 samples and 0 further steps, 3840 bytes in all, and it holds 3072",
        ),
        (optovue_text((4, 12, 15)), "says 4 x 12 x 15 samples"),
        (optovue_text((4, 999999, 999999)), "wanted at most 536870912"),
        ("XY Scan Length=16\n" * 100, "does not say how large the scan is"),
        ("x" * (2**20 + 1), "is longer than 1048576 bytes; wanted Optovue's"),
        (optovue_text((4, 12, 16), spacing_mm=(300.0, 0.0039, 0.0113)), "spacing along bscan cannot be true"),
    ],
)
def test_a_text_that_is_missing_or_lies_is_refused(tmp_path, text, sentence):
    path = write_optovue(tmp_path, eye(), text or "")
    if text is None:
        path.with_suffix(".txt").unlink()

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(path)


def test_another_makers_archive_is_told_apart(tmp_path):
    (tmp_path / "mode2d.oct").write_bytes(b"PK\x03\x04" + bytes(100))

    with pytest.raises(
        VolumeReadError, match="is a ZIP archive, as ThorImage writes it; wanted a Bioptigen or Optovue"
    ):
        read_volume(tmp_path / "mode2d.oct")


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    values = eye().astype(np.float32)
    values[1, 2, 3] = np.nan
    path = write_optovue(tmp_path, values)

    with pytest.raises(VolumeReadError, match="1 of 768 values are not finite"):
        read_volume(path)


def test_cut_anywhere_it_is_refused(tmp_path):
    path = write_optovue(tmp_path, eye())
    whole = optovue_bytes(eye())
    for length in range(1, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError, match=f"and it holds {length}; wanted as many|wanted at most 200 times"):
            read_volume(path)


def test_mutants_of_the_text_give_a_sentence_or_a_plausible_volume(tmp_path):
    path = write_optovue(tmp_path, eye())
    count = mutants_asked(100)

    outcome = attack(path, count, file=path.with_suffix(".txt"))

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.refused >= count // 10
