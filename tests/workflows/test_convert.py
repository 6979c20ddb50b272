import numpy as np
import pytest

from formats.test_numpy_file import same
from formats.written_scans import eye, vol_bytes
from octavo.cli import main
from octavo.companions import Companions, Surface
from octavo.errors import OctavoError
from octavo.formats import read_companions, read_volume, write_volume
from octavo.volume import Laterality, Origin, Spacing, Volume
from octavo.workflows.convert import convert_scan


@pytest.fixture
def vol(tmp_path):
    (tmp_path / "exam.vol").write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4))
    return tmp_path / "exam.vol"


@pytest.mark.parametrize("suffix", [".npz", ".nii", ".nii.gz", ".tif"])
def test_a_chain_of_conversions_loses_nothing(tmp_path, vol, suffix):
    first = convert_scan(vol, tmp_path / f"one{suffix}").volume

    convert_scan(tmp_path / f"one{suffix}", tmp_path / "two.npz")

    assert same(read_volume(tmp_path / "two.npz"), first)
    assert same(read_volume(vol), first)


def test_what_the_user_says_is_written_down(tmp_path):
    np.save(tmp_path / "eye.npy", eye())

    convert_scan(tmp_path / "eye.npy", tmp_path / "eye.nii", spacing_mm=(0.1, 0.004, 0.01), laterality=Laterality.OS)

    volume = read_volume(tmp_path / "eye.nii")
    assert volume.spacing_mm.describe() == "100 x 4 x 10 um (user)"
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.USER)


def test_what_comes_with_a_scan_is_kept_or_said_to_be_left_out(tmp_path, capsys):
    beside = Companions((Surface("ILM", np.full((4, 16), 3.5)),))
    write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), tmp_path / "eye.npz", beside)

    assert main(["convert", str(tmp_path / "eye.npz"), str(tmp_path / "one.nii")]) == 0
    assert "left out   surfaces ILM; pass --companions DIR to keep it" in capsys.readouterr().out
    arguments = [str(tmp_path / "eye.npz"), str(tmp_path / "two.nii"), "--companions", str(tmp_path / "beside")]
    assert main(["convert", *arguments]) == 0
    assert f"beside     {tmp_path / 'beside' / 'surface-ILM.csv'}" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "eye.npz"), str(tmp_path / "three.npz")]) == 0
    assert "left out" not in capsys.readouterr().out
    np.testing.assert_array_equal(read_companions(tmp_path / "three.npz").surfaces[0].depth, beside.surfaces[0].depth)


def test_the_command_converts_and_says_what_it_wrote(tmp_path, vol, capsys):
    assert main(["convert", str(vol), str(tmp_path / "exam.tif")]) == 0

    told = capsys.readouterr().out
    assert told.startswith(f"{tmp_path / 'exam.tif'} written from\n{vol}\n")
    assert same(read_volume(tmp_path / "exam.tif"), read_volume(vol))


def test_a_refusal_leaves_what_was_there(tmp_path, vol, capsys):
    target = tmp_path / "exam.npz"
    target.write_bytes(b"precious")

    assert main(["convert", str(vol), str(target)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "nothing.vol"), str(target), "--overwrite"]) == 2
    assert target.read_bytes() == b"precious"

    assert main(["convert", str(vol), str(target), "--overwrite"]) == 0
    assert same(read_volume(target), read_volume(vol))


def test_a_refused_conversion_leaves_no_new_folder(tmp_path):
    np.save(tmp_path / "eye.npy", eye())
    with pytest.raises(OctavoError, match="is unknown and millimetres were asked for"):
        convert_scan(tmp_path / "eye.npy", tmp_path / "new" / "deep" / "eye.nii")
    assert [path.name for path in tmp_path.iterdir()] == ["eye.npy"]


def test_unknown_millimetres_cannot_become_nifti(tmp_path):
    np.save(tmp_path / "eye.npy", eye())

    with pytest.raises(OctavoError, match=r"spacing along bscan, depth, ascan is unknown .*; pass --spacing-mm"):
        convert_scan(tmp_path / "eye.npy", tmp_path / "eye.nii.gz")
    assert not (tmp_path / "eye.nii.gz").exists()
