"""Damaged files of every format: a sentence or a plausible volume, never another exception, a hang or a crash."""

import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from contracts.test_readers import CASES, SALVAGED
from formats.mutants import attack, mutants_asked
from formats.test_nifti import FULL
from formats.written_scans import eye, opt_dataset, write_dicom
from octavo.formats import write_volume

MORE = [
    pytest.param(
        "dicom", lambda folder: write_dicom(folder / "a.dcm", opt_dataset(eye(2, 40, 48)), RLELossless), id="rle"
    ),
    pytest.param(
        "dicom", lambda folder: write_dicom(folder / "a.dcm", opt_dataset(eye(2, 40, 48)), JPEGLSLossless), id="jpeg-ls"
    ),
    pytest.param(
        "dicom", lambda folder: write_dicom(folder / "a.dcm", opt_dataset(eye(2, 40, 48)), JPEG2000Lossless), id="j2k"
    ),
    pytest.param("nifti", lambda folder: write_volume(FULL, folder / "a.nii"), id="nifti-full"),
]
"""Seeds beside the one eye of every format in the contract."""


@pytest.mark.parametrize(("name", "write"), CASES + MORE)
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(name, write, tmp_path):
    path = write(tmp_path)
    file = sorted(path.iterdir())[1] if path.is_dir() else path
    # frames of JPEG-LS are decoded in a process each
    reduced = 8 if file.read_bytes().count(b"\xff\xd8\xff\xf7") else 60
    count = mutants_asked(reduced)

    outcome = attack(path, count, file=file)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.read + outcome.refused == count
    # a chunk that is lost costs that chunk, so that most damage leaves something to read
    assert outcome.refused >= (0 if name in SALVAGED else count // 6)
