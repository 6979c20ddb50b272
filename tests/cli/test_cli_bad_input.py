"""Bad input, one kind after the other: one line, exit code 2, no traceback, and whatever was there stays as it was."""

import functools
import json
import shutil
import signal
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch

from formats.written_scans import eye, opt_dataset, vol_bytes, write_dicom
from octavo.cli import main
from octavo.formats import write_volume
from octavo.phantom import make_eye
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.recipe import recipe_to_json
from octavo.training.run import save_model
from octavo.volume import Spacing, Volume

TINY = AICNet3DRecipe(size=(8, 8, 8), channels=4, heads=2, attention="hemiretinal")
HEADER = "exam_id,patient_id,path,laterality,label"


@pytest.fixture(autouse=True)
def calm_signals():
    """The command line takes over SIGTERM; the test process gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An untrained model and a good scan, made once."""
    home = tmp_path_factory.mktemp("built")
    torch.manual_seed(0)
    save_model(home / "model" / "model.safetensors", TINY.build_network().state_dict())
    recipe = {"system": "ai-cnet3d", **recipe_to_json(TINY)}
    (home / "model" / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    write_volume(make_eye(1, shape=(8, 32, 16)).volume, home / "good.npz")
    return home


@pytest.fixture
def place(built, tmp_path, monkeypatch):
    """A folder with a model, a good scan, and older results that must stay."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    (tmp_path / "older.csv").write_text("precious", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def folders(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


def refused(place, capsys, words, says, lines=1):
    """The call is refused in one line that says so, and nothing is written or changed."""
    before, before_folders = everything(place), folders(place)
    assert main([str(word) for word in words]) == 2
    told = capsys.readouterr()
    errors = told.err.splitlines()
    assert len(errors) == lines, told.err
    for line in errors:
        assert line.startswith("octavo: ")
        assert "Traceback" not in line
        assert len(line) < 700
        assert "; " in line, line  # never the complaint alone
    assert says in told.err, told.err
    assert told.out == ""
    assert everything(place) == before
    assert folders(place) == before_folders
    return errors


def refused_with_a_cure(*call, **options):
    """Got; wanted; cure."""
    (line,) = refused(*call, **options)
    assert line.count("; ") >= 2, line
    return line


def truncated_npy(path):
    np.save(path, eye())
    path.write_bytes(path.read_bytes()[:-50])


def truncated_dicom(path):
    write_dicom(path, opt_dataset(eye()))
    path.write_bytes(path.read_bytes()[:-300])


def truncated_vol(path):
    path.write_bytes(vol_bytes(eye().astype(np.float32) / 255)[:-300])


def truncated_nifti(path):
    write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_tiff(path):
    write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), path)
    path.write_bytes(path.read_bytes()[:-40])


def nan_volume(path):
    values = eye().astype(np.float32)
    values[1, 2, 3] = np.nan
    np.save(path, values)


def header_that_lies(path):
    """A header that promises sixteen times the voxels there are."""
    np.save(path, eye())
    head, _, tail = path.read_bytes().partition(b"(4, 12, 16)")
    path.write_bytes(head + b"(64,12, 16)" + tail)


def vol_that_lies(path):
    path.write_bytes(vol_bytes(eye().astype(np.float32) / 255, stated={"bscans": 10_000_000}))


def npy_bomb(path):
    """A header that asks for terabytes."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000, 1000), }"
    header += b" " * (117 - len(header)) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 100)


@functools.cache
def squeezed_zeros():
    """A beginning and 330 MiB of zeros in a few hundred kilobytes; the beginning is a NIfTI header that fits them."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 700, 700, 700, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, 1, 0.1, 0.004, 0.01, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[344:348] = b"n+1\0"
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    return squeeze.compress(bytes(header)) + b"".join(squeeze.compress(zeros) for _ in range(330)) + squeeze.flush()


def gzip_bomb(path):
    path.write_bytes(squeezed_zeros())


def objects(path):
    np.save(path, np.array([[["a", {}], [1, None]]], dtype=object), allow_pickle=True)


BAD_SCANS = {
    "truncated .npy": ("scan.npy", truncated_npy, "holds 718 bytes of voxels; wanted the 768 that its header"),
    "truncated DICOM": ("scan.dcm", truncated_dicom, "holds 468 bytes of pixels; wanted the 768 that its header"),
    "truncated .vol": ("scan.vol", truncated_vol, "holds 468 bytes of voxels; wanted the 768 that its header"),
    "truncated NIfTI": (
        "scan.nii.gz",
        truncated_nifti,
        "wanted a NIfTI file (.nii, .nii.gz); the file may be cut short",
    ),
    "truncated TIFF": ("scan.tif", truncated_tiff, "reaches beyond the end of the file; wanted a complete TIFF"),
    "empty": ("scan.dcm", lambda path: path.write_bytes(b""), "is empty (0 bytes); wanted a scan"),
    "text named .dcm": ("scan.dcm", lambda path: path.write_text("Dear colleague,\n" * 40), "wanted a DICOM file"),
    "text named .npy": ("scan.npy", lambda path: path.write_text("1 2 3\n"), "wanted a .npy or .npz file"),
    "NaN": ("scan.npy", nan_volume, "1 of 768 values are not finite numbers"),
    "constant": ("scan.npy", lambda path: np.save(path, np.full((4, 12, 16), 7, np.uint8)), "all 768 samples are 7"),
    "shape lie": ("scan.npy", header_that_lies, "holds 768 bytes of voxels; wanted the 12288 that its header promises"),
    "shape lie in .vol": ("scan.vol", vol_that_lies, "header promises 10000000 x 12 x 16 voxels; wanted at most"),
    "bomb in a header": ("scan.npy", npy_bomb, "header promises 1000000 x 1000 x 1000 voxels; wanted at most"),
    "bomb in gzip": ("scan.nii.gz", gzip_bomb, "promise 343000000 bytes of voxels; wanted at most 200 times as many"),
    "objects": ("scan.npy", objects, "array holds Python objects, which could run code; wanted plain numbers"),
}
BAD = pytest.mark.parametrize(("name", "write", "says"), BAD_SCANS.values(), ids=BAD_SCANS)


@BAD
def test_inspect_refuses_a_bad_scan(place, capsys, name, write, says):
    write(place / name)
    refused_with_a_cure(place, capsys, ["inspect", name], says)


@BAD
def test_convert_refuses_a_bad_scan_and_writes_nothing(place, capsys, name, write, says):
    write(place / name)
    refused_with_a_cure(place, capsys, ["convert", name, "new.npz"], says)
    refused_with_a_cure(place, capsys, ["convert", name, "good.npz", "--overwrite"], says)


@BAD
def test_predict_refuses_a_bad_scan_and_leaves_older_answers(place, capsys, name, write, says):
    write(place / name)
    words = ["predict", "model", name, "--out", "older.csv", "--overwrite"]
    line = refused_with_a_cure(place, capsys, words, says)
    assert line.startswith("octavo: scan: ")


@BAD
def test_explain_refuses_a_bad_scan_and_makes_no_folder(place, capsys, name, write, says):
    write(place / name)
    refused_with_a_cure(place, capsys, ["explain", "model", name, "--out", "maps"], says)


@BAD
def test_one_bad_scan_among_good_ones_costs_only_itself(place, capsys, name, write, says):
    write(place / name)
    assert main(["inspect", "good.npz", name]) == 1
    told = capsys.readouterr()
    assert "8 B-scans x 32 depth x 16 A-scans" in told.out
    assert len(told.err.splitlines()) == 1
    assert says in told.err
    assert main(["predict", "model", name, "good.npz", "--out", "p.csv"]) == 1
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    bad, good = (place / "p.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert bad.split(",")[5] == ""
    assert 0 < float(good.split(",")[5]) < 1


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_one_bscan_where_a_raster_is_needed(place, capsys, command):
    np.save(place / "one.npy", eye(bscans=1))
    says = "this scan has 1 B-scan; wanted a raster of several; choose the volume scan of this eye"
    refused(place, capsys, [command, "model", "one.npy", "--out", "new"], says)


@pytest.mark.parametrize("pattern", ["circle", "line", "radial"])
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_other_patterns_are_read_but_not_answered(place, capsys, command, pattern):
    says = f"this is a {pattern} scan; wanted a raster of parallel B-scans"
    refused(place, capsys, [command, "model", "good.npz", "--out", "new", "--pattern", pattern], says)
    assert main(["inspect", "good.npz", "--pattern", pattern]) == 0
    assert f"{pattern} (user)" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["predict", "explain", "evaluate"])
def test_a_run_folder_without_a_model(place, capsys, command):
    (place / "run").mkdir()
    words = [command, "run", *([] if command == "evaluate" else ["good.npz", "--out", "new"])]
    refused(
        place, capsys, words, "run: holds no model (model.safetensors); wanted a finished run; octavo train makes one"
    )
    words[1] = "nowhere"
    refused(place, capsys, words, "nowhere: there is no such folder; wanted a finished run")


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_misspelt_field_in_a_recipe(place, capsys, command):
    recipe = place / "model" / "recipe.json"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"heads"', '"haeds"'), encoding="utf-8")
    says = "recipe.json: 'haeds' is not a field; wanted one of: "
    (line,) = refused(place, capsys, [command, "model", "good.npz", "--out", "new"], says)
    assert line.endswith("did you mean 'heads'?")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"system": "ai-cnet3d", "size": "large"}'])
def test_a_damaged_recipe(place, capsys, content):
    (place / "model" / "recipe.json").write_text(content, encoding="utf-8")
    refused(place, capsys, ["predict", "model", "good.npz", "--out", "new.csv"], "recipe.json")


def manifest(place, text):
    (place / "cohort.csv").write_text(text, encoding="utf-8")
    return "cohort.csv"


BAD_MANIFESTS = {
    "a missing column": ("exam_id,patient_id,path,laterality\ne1,p1,good.npz,R\n", "column 'label' is missing"),
    "no patients": ("exam_id,path,laterality,label\ne1,good.npz,R,1\n", "column 'patient_id' is missing"),
    "a label that is neither class": (
        f"{HEADER}\ne1,p1,good.npz,R,2\n",
        "line 2, column 'label': is '2'; wanted 0 or 1",
    ),
    "a name among numbers": (f"{HEADER}\ne1,p1,a,R,1\ne2,p2,b,L,0\ne3,p3,c,R,ill\n", "is 'ill'; wanted 0 or 1"),
    "no label": (f"{HEADER}\ne1,p1,good.npz,R,\n", "column 'label': is empty; wanted a label for every exam"),
    "an eye that is none": (f"{HEADER}\ne1,p1,good.npz,middle,1\n", "is 'middle'; wanted OD or OS"),
    "a misspelt column": (f"{HEADER},Slow-Axis\ne1,p1,good.npz,R,1,x\n", "wanted the spelling 'slow_axis'"),
    "no rows": (f"{HEADER}\n", "holds a header and no exams"),
    "nothing": ("", "is empty; wanted a CSV file with a header"),
}


@pytest.mark.parametrize(("text", "says"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
@pytest.mark.parametrize(
    "words",
    [
        ["cohort", "check", "cohort.csv"],
        ["cohort", "split", "cohort.csv", "--out", "split.csv"],
        ["train", "ai-cnet3d", "--cohort", "cohort.csv", "--run", "run"],
    ],
    ids=["check", "split", "train"],
)
def test_a_faulty_manifest(place, capsys, words, text, says):
    manifest(place, text)
    refused(place, capsys, words, says)


def test_a_label_that_is_neither_of_two_names(place, capsys):
    manifest(place, f"{HEADER}\ne1,p1,a,R,POAG\ne2,p2,b,L,Normal\ne3,p3,c,R,suspect\n")
    for words in (["cohort", "check", "cohort.csv"], ["train", "ai-cnet3d", "--cohort", "cohort.csv", "--run", "run"]):
        refused(
            place, capsys, [*words, "--positive", "POAG"], "3 names ('Normal', 'POAG', 'suspect'); wanted exactly two"
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--seeds", "-1"], "seeds are -1; wanted one or more different whole numbers"),
        (["--channels", "6"], "6 channels cannot be shared by 4 heads"),
        (["--size", "30", "64", "30"], "volumes are (30, 64, 30); hemiretinal attention takes sizes"),
        (["--split", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_impossible_training_is_refused_before_anything_is_written(place, capsys, options, says):
    rows = "".join(f"e{n},p{n},good.npz,R,{n % 2}\n" for n in range(8))
    manifest(place, f"{HEADER}\n{rows}")
    words = ["train", "ai-cnet3d", "--cohort", "cohort.csv", "--run", "run", *options]
    refused(place, capsys, words, says)


def test_a_value_that_no_recipe_takes_is_one_line(place, capsys):
    manifest(place, f"{HEADER}\ne1,p1,good.npz,R,1\n")
    before = everything(place)
    assert main(["train", "ai-cnet3d", "--cohort", "cohort.csv", "--run", "run", "--batch-size", "0"]) == 2
    assert capsys.readouterr().err == "octavo: batch size, epochs and patience must be at least 1\n"
    assert everything(place) == before


def test_a_place_that_cannot_be_written_is_one_line_too(place, capsys):
    words = ["predict", "model", "good.npz", "--out", "older.csv/p.csv"]
    refused(place, capsys, words, "older.csv")


def test_the_shell_shows_no_traceback(place):
    """The same as a process: what a user sees."""
    (place / "scan.dcm").write_text("Dear colleague")
    done = subprocess.run(
        [sys.executable, "-m", "octavo", "inspect", "scan.dcm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("octavo: scan.dcm: ")
