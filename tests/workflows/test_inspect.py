import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from formats.written_scans import bscan_lines, eye, opt_dataset, vol_bytes, write_dicom
from octavo.cli import main
from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.figures.preview import draw_preview
from octavo.formats import read_volume, write_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing, Volume
from octavo.workflows.inspect import as_json, describe, inspect_scans, inspect_volume


@pytest.fixture
def vol(tmp_path):
    (tmp_path / "exam.vol").write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4, slo=(0, 0)))
    return tmp_path / "exam.vol"


def test_everything_known_is_said_with_its_origin(vol):
    (inspection,) = inspect_scans([vol])

    assert describe(inspection).splitlines() == [
        str(vol),
        "  format     heidelberg-vol, Heidelberg Engineering Spectralis",
        "  size       4 B-scans x 12 depth x 16 A-scans, float32, 3 to 211",
        "  spacing    120 x 3.9 x 11.3 um (read)",
        "  extent     0.48 x 0.0468 x 0.1808 mm",
        "  eye        OD (read)",
        "  pattern    raster (read)",
        "  slow axis  inferior-to-superior (derived)",
        "  region     unknown",
    ]


def test_one_bscan_is_not_said_to_lack_a_distance():
    volume = Volume(eye(1), Spacing(None, 0.004, 0.01))

    assert "spacing    depth 4 um (read), A-scans 10 um (read)" in describe(inspect_volume(volume))


def test_json_holds_the_same_and_unknown_numbers_are_null(tmp_path):
    np.save(tmp_path / "eye_OS.npy", eye())

    (inspection,) = json.loads(as_json(inspect_scans([tmp_path / "eye_OS.npy"])))

    assert inspection["shape"] == [4, 12, 16]
    assert inspection["spacing_mm"] == [None, None, None]
    assert (inspection["laterality"], inspection["laterality_origin"]) == ("OS", "derived")
    assert inspection["refusal"] is None


def test_a_refused_scan_does_not_stop_the_others(tmp_path, vol, capsys):
    (tmp_path / "bad.dcm").write_text("text")
    np.save(tmp_path / "eye.npy", eye())

    code = main(["inspect", str(tmp_path)])

    told = capsys.readouterr()
    assert code == 1
    assert "exam.vol" in told.out
    assert "eye.npy" in told.out
    assert told.err.count("\n") == 1
    assert told.err.startswith(f"octavo: {tmp_path / 'bad.dcm'}: holds 4 bytes without the mark DICM")


def damaged_files(folder):
    truncated = write_dicom(folder / "whole.dcm", opt_dataset(eye())).read_bytes()[:-200]
    (folder / "truncated.dcm").write_bytes(truncated)
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.dcm").write_text("exam_id,path\n")
    np.save(folder / "nan.npy", np.full((2, 3, 4), np.nan))
    np.save(folder / "constant.npy", np.full((2, 3, 4), 9.0))
    (folder / "lie.vol").write_bytes(vol_bytes(eye() / 255, stated={"bscans": 4000}))
    np.save(folder / "objects.npy", np.array([[["a"]]], dtype=object), allow_pickle=True)
    return [path for path in sorted(folder.iterdir()) if path.name != "whole.dcm"]


def test_bad_input_gets_one_line_and_code_two_and_leaves_what_was_there(tmp_path, capsys):
    files = damaged_files(tmp_path)
    assert len(files) == 7
    before = {path: path.read_bytes() for path in files}

    for path in files:
        assert main(["inspect", str(path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith(f"octavo: {path}: ")
        assert told.err.count("\n") == 1
        assert "; wanted " in told.err

    assert {path: path.read_bytes() for path in files} == before


def test_options_reach_the_reader(tmp_path, capsys):
    np.savez(tmp_path / "exam.npz", data=eye().transpose(1, 0, 2), other=eye())
    words = ["--key", "data", "--axes", "depth,bscan,ascan", "--spacing-mm", "0.1", "0.004", "0.01"]
    words += ["--laterality", "OS", "--slow-axis", "inferior-to-superior", "--region", "macula", "--json"]

    assert main(["inspect", str(tmp_path / "exam.npz"), *words]) == 0

    (said,) = json.loads(capsys.readouterr().out)
    assert said["shape"] == [4, 12, 16]
    assert said["spacing_mm"] == [0.1, 0.004, 0.01]
    assert said["spacing_origins"] == ["user"] * 3
    assert (said["laterality"], said["slow_axis"], said["region"]) == ("OS", "inferior-to-superior", "macula")


def test_options_for_a_folder_refuse_no_file_that_states_its_own(tmp_path, capsys):
    write_volume(Volume(eye(), Spacing(0.12, 0.0039, 0.0113)), tmp_path / "own.npz")
    np.save(tmp_path / "plain.npy", eye().transpose(1, 0, 2))
    write_dicom(tmp_path / "image.dcm", opt_dataset(eye()))
    assert main(["inspect", str(tmp_path), "--axes", "depth,bscan,ascan", "--key", "data"]) == 0
    assert capsys.readouterr().out.count("4 B-scans x 12 depth x 16 A-scans") == 3
    for words, says in ((["own.npz"], "states its own axes"), (["image.dcm"], "has no axes")):
        assert main(["inspect", str(tmp_path / words[0]), "--axes", "depth,bscan,ascan"]) == 2
        assert says in capsys.readouterr().err


def test_no_path_is_refused(capsys):
    assert main(["inspect"]) == 2
    assert "no scan was named; wanted files or folders" in capsys.readouterr().err


def test_several_scans_in_a_file_are_refused_with_their_list(tmp_path, capsys):
    np.savez(tmp_path / "exam.npz", left=eye(), right=eye())

    assert main(["inspect", str(tmp_path / "exam.npz")]) == 2
    assert "holds 2 scans (#1 left: 4 x 12 x 16 uint8; #2 right" in capsys.readouterr().err
    assert main(["inspect", f"{tmp_path / 'exam.npz'}#2"]) == 0


def panels(volume: Volume) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(draw_preview(volume))))


def test_the_preview_is_true_to_millimetres():
    # 2 mm deep and 4 mm wide; seen from above 4 mm by 4 mm.
    volume = Volume(eye(8, 50, 40), Spacing(0.5, 0.04, 0.1), pattern=ScanPattern.RASTER)

    picture = panels(volume)

    assert picture.shape == (512 + 24 + 24, 512 + 512 + 36, 3)
    assert picture[12:268, 12:524].std() > 10
    # Under the B-scan, which is half as high, lies paper with its caption.
    assert (picture[300:500, 12:524] == 32).all()


@pytest.mark.parametrize(
    ("slow_axis", "top_is_first"),
    [(SlowAxis.SUPERIOR_TO_INFERIOR, True), (SlowAxis.INFERIOR_TO_SUPERIOR, False), (SlowAxis.UNKNOWN, True)],
)
def test_seen_from_above_superior_is_up(slow_axis, top_is_first):
    values = np.zeros((8, 10, 12), np.uint8)
    values[0] = 200
    volume = Volume(values, Spacing(0.1, 0.01, 0.1), slow_axis=slow_axis, slow_axis_origin=Origin.USER)

    from_above = panels(volume)[12:, 536:1048]

    assert (from_above[5].mean() > 200) == top_is_first
    assert (from_above[330].mean() > 200) != top_is_first


def test_what_comes_with_a_scan_is_said_and_drawn(tmp_path):
    volume = Volume(np.full((8, 50, 40), 90, np.uint8), Spacing(0.5, 0.04, 0.1), pattern=ScanPattern.RASTER)
    values = volume.values.copy()
    values[0, 0, 0] = 200
    depth = np.full((8, 40), 24.5)
    depth[:, 20:] = np.nan
    beside = Companions(
        (Surface("ILM", depth),), (EnFace(Picture.COLOUR, np.full((10, 20, 3), (9, 99, 199), np.uint8)),), ("a note",)
    )
    path = write_volume(volume.with_values(values), tmp_path / "eye.npz", beside)

    (inspection,) = inspect_scans([path], preview=tmp_path / "pictures")
    picture = np.asarray(Image.open(inspection.preview))

    assert "  comes with surfaces ILM; colour 10 x 20; a note" in describe(inspection).splitlines()
    # half way down the B-scan of 256 rows, in its left half, runs the surface; the grey around it has no colour
    row = picture[12 + 128, 12:524].astype(int)
    coloured = np.ptp(row, axis=1) > 40
    assert coloured[8:248].all()
    assert not coloured[262:].any()
    assert (picture[100, 12 + 2 * 524 + 50] == (9, 99, 199)).all()


@pytest.mark.parametrize("pattern", [ScanPattern.CIRCLE, ScanPattern.RADIAL, ScanPattern.LINE])
def test_patterns_that_fill_no_area_have_no_picture_from_above(pattern):
    values = eye(1) if pattern is not ScanPattern.RADIAL else eye()

    assert panels(Volume(values, Spacing(None, 0.004, 0.01), pattern=pattern)).shape[1] == 512 + 24


def test_previews_are_written_for_every_scan_and_names_do_not_clash(tmp_path, vol):
    np.save(tmp_path / "eye.npy", eye())
    (tmp_path / "more").mkdir()
    np.save(tmp_path / "more" / "eye.npy", eye())

    inspections = inspect_scans([tmp_path], preview=tmp_path / "pictures")

    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "exam.vol.png",
        "eye.npy-2.png",
        "eye.npy.png",
    ]
    assert len({inspection.preview for inspection in inspections}) == 3


def test_inspection_keeps_no_voxels(vol):
    (inspection,) = inspect_scans([vol], laterality=Laterality.OS)

    assert not any(isinstance(value, np.ndarray) for value in vars(inspection).values())
    assert inspection.notes == ("laterality OS (user) is used; the file says OD (read)",)


def test_looking_at_an_array_loads_nothing_heavy(tmp_path):
    np.save(tmp_path / "eye.npy", eye())
    code = (
        "import sys; from octavo.cli import main; "
        f"assert main(['inspect', {str(tmp_path / 'eye.npy')!r}]) == 0; "
        "heavy = {'torch', 'lightning', 'scipy', 'matplotlib', 'nibabel', 'pydicom', 'PIL'} & set(sys.modules); "
        "assert not heavy, heavy"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_vertical_raster_is_inspected_as_such(tmp_path):
    x = 3 + 0.12 * np.arange(4)
    upright = np.stack([x, np.full(4, 1.0), x, np.full(4, 7.0)], axis=1)
    (tmp_path / "up.vol").write_bytes(vol_bytes(eye() / 255, lines=upright))
    (tmp_path / "across.vol").write_bytes(vol_bytes(eye() / 255, lines=bscan_lines(4)))

    slow = [inspection.slow_axis for inspection in inspect_scans([tmp_path / "up.vol", tmp_path / "across.vol"])]

    assert slow == ["temporal-to-nasal", "inferior-to-superior"]


def test_a_volume_written_by_octavo_says_the_same(tmp_path, vol):
    (before,) = inspect_scans([vol])
    (after,) = inspect_scans([write_volume(read_volume(vol), tmp_path / "exam.npz")])

    unlike = {name for name, value in vars(before).items() if value != getattr(after, name)}
    assert unlike == {"path", "format"}
