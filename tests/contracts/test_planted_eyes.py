"""Two planted eyes in every format: each comes back as itself, and a conflict with the name stops adoption."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from formats.written_analyze import write_analyze
from formats.written_bioptigen import bioptigen_bytes
from formats.written_e2e import codes_of, planted_raster, write_e2e
from formats.written_heyex import planted_series, write_export
from formats.written_matlab import export_variables, write_mat5, write_mat73
from formats.written_optovue import optovue_text, write_optovue
from formats.written_scans import eye, heyex_xml, opt_dataset, vol_bytes, write_dicom, write_pictures, write_series
from formats.written_stored_images import write_mha, write_mhd, write_nhdr, write_nrrd
from formats.written_topcon import compressed, eye_chunk, plain, topcon_bytes
from formats.written_zeiss import cube_name, img_bytes, textured, write_profiled
from octavo.cohorts.adapters import AdoptionOptions
from octavo.cohorts.exam import LateralityConflictError
from octavo.formats import READERS, list_scans, read_volume, write_volume
from octavo.formats.header_eye import header_laterality
from octavo.volume import Laterality, Origin, Spacing, Volume
from octavo.workflows.cohort_adopt import adopt_cohort

MILLIMETRES = (0.12, 0.0039, 0.0113)
VALUES = {"OD": eye(), "OS": np.ascontiguousarray(250 - eye()[:, ::-1])}
"""Voxels of the right eye and of the left, of which no two agree."""

LETTERS = {"OD": "R", "OS": "L"}
COARSE = {"heidelberg-e2e": 0.04, "heidelberg-vol": 0.01}
TOLD = Callable[[Path, str], Path]


def placed(content: Callable[[str], bytes], name: str) -> TOLD:
    def write(folder: Path, side: str) -> Path:
        (folder / name).write_bytes(content(side))
        return folder / name

    return write


def own(name: str) -> TOLD:
    def write(folder: Path, side: str) -> Path:
        volume = Volume(VALUES[side], Spacing(*MILLIMETRES), laterality=Laterality(side), laterality_origin=Origin.USER)
        return write_volume(volume, folder / name)

    return write


def dicom_series(folder: Path, side: str, name: str = "exam") -> Path:
    for path in write_series(folder / name, VALUES[side], spacing_mm=MILLIMETRES):
        dataset = dcmread(path)
        dataset.ImageLaterality = LETTERS[side]
        dataset.save_as(path)
    return folder / name


def pictures(folder: Path, side: str) -> Path:
    write_pictures(folder / "exam", VALUES[side])
    (folder / "exam" / "info.xml").write_text(heyex_xml((4, 12, 16), laterality=LETTERS[side]))
    return folder / "exam"


def series(side: str, **more: object):
    return planted_series(values=VALUES[side], letter=LETTERS[side], **more)


def raster(side: str, **more: object):
    return planted_raster(codes=codes_of(VALUES[side]), letter=LETTERS[side], **more)


def export(side: str) -> dict[str, object]:
    return export_variables(VALUES[side], eye=side)


STATED: dict[str, list[TOLD]] = {
    "numpy": [own("exam.npz")],
    "nifti": [own("exam.nii"), own("exam.nii.gz")],
    "tiff": [own("exam.tif")],
    "dicom": [
        own("exam.dcm"),
        lambda folder, side: write_dicom(folder / "exam.dcm", opt_dataset(VALUES[side], laterality=LETTERS[side])),
        dicom_series,
    ],
    "heidelberg-vol": [
        placed(
            lambda side: vol_bytes((VALUES[side].astype(np.float32) / 255) ** 4, eye_code=side.encode() + b"\0\0"),
            "exam.vol",
        )
    ],
    "heidelberg-e2e": [lambda folder, side: write_e2e(folder, raster(side))],
    "heidelberg-xml": [lambda folder, side: write_export(folder / "exam", series(side))],
    "topcon": [
        placed(
            lambda side: topcon_bytes(compressed(VALUES[side]), eye_record=eye_chunk(int(side == "OS"))), "exam.fda"
        ),
        placed(
            lambda side: topcon_bytes(plain(VALUES[side]), eye_record=eye_chunk(int(side == "OS"), "@CAPTURE_INFO")),
            "exam.fds",
        ),
    ],
    "metaimage": [
        lambda folder, side: write_mha(folder / "exam.mha", VALUES[side], MILLIMETRES, eye=LETTERS[side]),
        lambda folder, side: write_mhd(folder / "exam.mhd", VALUES[side], MILLIMETRES, eye=LETTERS[side]),
    ],
    "nrrd": [
        lambda folder, side: write_nrrd(folder / "exam.nrrd", VALUES[side], MILLIMETRES, eye=LETTERS[side]),
        lambda folder, side: write_nhdr(folder / "exam.nhdr", VALUES[side], MILLIMETRES, eye=LETTERS[side]),
    ],
    "zeiss-img": [lambda folder, side: write_profiled(folder, VALUES[side], laterality=side)],
    "matlab": [
        lambda folder, side: write_mat5(folder / "exam.mat", export(side)),
        lambda folder, side: write_mat73(folder / "exam.mat", export(side)),
    ],
    "optovue-oct": [
        lambda folder, side: write_optovue(folder, VALUES[side], optovue_text(VALUES[side].shape, eye=side))
    ],
    "image-folder": [pictures],
}
"""Formats in which an eye can stand, and what writes one into a folder."""


def saved(folder: Path, side: str) -> Path:
    np.save(folder / f"exam_{side}.npy", VALUES[side])
    return folder / f"exam_{side}.npy"


def pages(folder: Path, side: str) -> Path:
    first, *others = [Image.fromarray(bscan) for bscan in VALUES[side]]
    first.save(folder / f"exam_{side}.tif", save_all=True, append_images=others)
    return folder / f"exam_{side}.tif"


def picture(folder: Path, side: str) -> Path:
    Image.fromarray(VALUES[side][0]).save(folder / f"exam_{side}.png")
    return folder / f"exam_{side}.png"


def bioptigen(folder: Path, side: str) -> Path:
    path = folder / f"exam_{side}.OCT"
    path.write_bytes(bioptigen_bytes(VALUES[side]))
    return path


NAMED: dict[str, TOLD] = {
    "numpy": saved,
    "analyze": lambda folder, side: write_analyze(folder / f"exam_{side}.hdr", VALUES[side]),
    "tiff": pages,
    "picture": picture,
    "bioptigen-oct": bioptigen,
    "metaimage": lambda folder, side: write_mha(folder / f"exam_{side}.mha", VALUES[side], MILLIMETRES, eye=None),
    "nrrd": lambda folder, side: write_nrrd(folder / f"exam_{side}.nrrd", VALUES[side], MILLIMETRES, eye=None),
    "dicom": lambda folder, side: write_dicom(folder / f"exam_{side}.dcm", opt_dataset(VALUES[side], laterality=None)),
    "matlab": lambda folder, side: write_mat5(folder / f"exam_{side}.mat", {"v": VALUES[side].transpose(1, 2, 0)}),
    "image-folder": lambda folder, side: write_pictures(folder / f"exam_{side}", VALUES[side]),
}
"""Formats in which none can stand, or need not: the eye stands in the name."""

CASES = [
    pytest.param(name, write, id=f"{name}-{number}")
    for name, writes in STATED.items()
    for number, write in enumerate(writes)
]


def test_every_reader_has_two_eyes_here():
    assert set(STATED) | set(NAMED) == set(READERS)


@pytest.mark.parametrize("side", ["OD", "OS"])
@pytest.mark.parametrize(("name", "write"), CASES)
def test_an_eye_that_the_file_states_comes_back(name, write, side, tmp_path):
    path = write(tmp_path, side)

    volume = read_volume(path)

    assert (volume.laterality, volume.laterality_origin) == (side, origin_of(path))
    np.testing.assert_allclose(volume.values, VALUES[side], atol=COARSE.get(name, 0.01))
    assert volume.source.format == name
    assert header_laterality(path) == side


def origin_of(path: Path) -> Origin:
    """octavo's own files keep how the eye was known when they were written."""
    is_own = path.suffix in {".npz", ".nii", ".gz", ".tif"} or (
        path.suffix == ".dcm" and b"OCTAVO" in path.read_bytes()
    )
    return Origin.USER if is_own else Origin.READ


@pytest.mark.parametrize("side", ["OD", "OS"])
@pytest.mark.parametrize(("name", "write"), NAMED.items())
def test_an_eye_that_stands_in_the_name_is_derived(name, write, side, tmp_path):
    volume = read_volume(write(tmp_path, side))

    assert (volume.laterality, volume.laterality_origin) == (side, Origin.DERIVED)
    values = VALUES[side][:1] if name == "picture" else VALUES[side]
    np.testing.assert_allclose(volume.values, values, atol=0.01)
    assert volume.source.format == name


@pytest.mark.parametrize("side", ["OD", "OS"])
def test_the_name_that_a_device_gives_states_the_eye(tmp_path, side):
    path = tmp_path / cube_name("Macular Cube", 128, 512, eye=side)
    path.write_bytes(img_bytes(textured(128, 1024, 512)))

    assert (read_volume(path).laterality, header_laterality(path)) == (side, side)


def both_in_dicom(folder: Path) -> Path:
    for side in VALUES:
        for path in sorted(dicom_series(folder, side, f"part{side}").iterdir()):
            (folder / "both").mkdir(exist_ok=True)
            path.rename(folder / "both" / f"{side}-{path.name}")
        shutil.rmtree(folder / f"part{side}")
    return folder / "both"


TWO = {
    "dicom": both_in_dicom,
    "heidelberg-e2e": lambda folder: write_e2e(folder, raster("OD"), raster("OS", ids=(7, 8, 10))),
    "heidelberg-xml": lambda folder: write_export(folder / "both", series("OD", prefix="A"), series("OS", prefix="B")),
}
"""Files and folders that hold a scan of each eye."""


@pytest.mark.parametrize(("name", "write"), TWO.items())
def test_two_scans_of_one_file_keep_their_own_eyes(name, write, tmp_path):
    path = write(tmp_path)
    assert len(list_scans(path)) == 2

    volumes = [read_volume(path, scan=number) for number in (1, 2)]

    assert {volume.laterality for volume in volumes} == set(VALUES)
    for number, volume in enumerate(volumes, 1):
        assert volume.laterality_origin is Origin.READ
        np.testing.assert_allclose(volume.values, VALUES[volume.laterality], atol=COARSE.get(name, 0.01))
        assert header_laterality(f"{path}#{number}") == volume.laterality
    assert header_laterality(path) is Laterality.UNKNOWN


def in_class_folders(path: Path, root: Path, name: str) -> Path:
    """A tree of two classes; the scan and what goes by its name lie in one of them, under another name."""
    there = root / "glaucoma"
    (root / "normal").mkdir(parents=True)
    np.save(root / "normal" / "other.npy", eye())
    shutil.copytree(path.parent, there)
    for part in [*there.iterdir()] if path.is_file() else [there / path.name]:
        # a header names its file of voxels, which keeps its name
        if part.name.split(".")[0] == path.name.split(".")[0] and part.suffix not in {".raw", ".zraw"}:
            part.rename(part.with_name(name + part.name.removeprefix(path.name.split(".")[0])))
    return root


@pytest.mark.parametrize(("side", "other"), [("OD", "OS"), ("OS", "OD")])
@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_name_that_contradicts_the_header_stops_adoption(name, write, side, other, tmp_path):
    (tmp_path / "made").mkdir()
    path = write(tmp_path / "made", side)
    root, out = in_class_folders(path, tmp_path / "root", f"exam_{other}"), tmp_path / "manifest.csv"

    with pytest.raises(LateralityConflictError) as caught:
        adopt_cohort("class-folders", root, out)

    assert f"exam_{other}" in str(caught.value)
    assert f"says {other}" in str(caught.value)
    assert f"the header says {side}" in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("side", ["OD", "OS"])
@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_name_that_agrees_with_the_header_is_adopted(name, write, side, tmp_path):
    (tmp_path / "made").mkdir()
    path = write(tmp_path / "made", side)
    root = in_class_folders(path, tmp_path / "root", path.name.split(".")[0])

    assert adopt_cohort("class-folders", root, tmp_path / "manifest.csv").exams == 2


def table(root: Path, rows: list[tuple[str, str]]) -> Path:
    with (root / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "patient_id", "laterality", "label"])
        writer.writerows((path, f"p{number}", side, number % 2) for number, (path, side) in enumerate(rows))
    return root


@pytest.mark.parametrize(("name", "write"), CASES)
def test_a_table_that_contradicts_the_header_stops_adoption(name, write, tmp_path):
    (tmp_path / "root").mkdir()
    path = write(tmp_path / "root", "OD")
    root, out = table(tmp_path / "root", [(path.name, "OS")]), tmp_path / "manifest.csv"

    with pytest.raises(LateralityConflictError, match=r"the layout says OS and the header says OD"):
        adopt_cohort("csv", root, out, options=AdoptionOptions(unlabelled=True))

    assert not out.exists()


@pytest.mark.parametrize(("name", "write"), TWO.items())
def test_a_table_names_the_eye_of_each_scan_in_a_file(name, write, tmp_path):
    (tmp_path / "root").mkdir()
    path = write(tmp_path / "root")
    eyes = [header_laterality(f"{path}#{number}").value for number in (1, 2)]
    right = table(tmp_path / "root", [(f"{path.name}#{number}", eyes[number - 1]) for number in (1, 2)])

    assert adopt_cohort("csv", right, tmp_path / "manifest.csv").exams == 2

    wrong = table(tmp_path / "root", [(f"{path.name}#{number}", eyes[2 - number]) for number in (1, 2)])
    with pytest.raises(LateralityConflictError, match="2 of 2 scans are said to be of both eyes"):
        adopt_cohort("csv", wrong, tmp_path / "again.csv")
