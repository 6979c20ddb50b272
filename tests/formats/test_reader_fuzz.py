"""Damaged files of every format: a sentence or a plausible volume, never another exception."""

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from contracts.test_readers import CASES
from formats.test_nifti import FULL
from formats.written_scans import eye, opt_dataset, write_dicom
from octavo.formats import VolumeReadError, read_volume, write_volume

MUTANTS = 60
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


def mutant(whole: bytes, generator: np.random.Generator) -> bytes:
    """Flip, overwrite, cut out, repeat or truncate, mostly near the beginning, where headers are."""
    content = bytearray(whole)
    reach = len(content) if generator.random() < 0.4 else min(len(content), 1200)
    for _ in range(generator.integers(1, 4)):
        at = int(generator.integers(0, reach))
        length = int(generator.integers(1, 9))
        kind = generator.integers(0, 6)
        if kind == 0:
            content[at % len(content)] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            content[at : at + length] = generator.bytes(length)
        elif kind == 2:
            content[at : at + 4] = b"\xff\xff\xff\x7f"
        elif kind == 3:
            del content[at : at + length]
        elif kind == 4:
            content[at:at] = content[at : at + length]
        else:
            content[at : at + length] = bytes(length)
        if len(content) < 2:
            break
    return bytes(content[: int(generator.integers(1, len(content) + 1))] if generator.random() < 0.1 else content)


@pytest.mark.parametrize(("name", "write"), CASES + MORE)
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(name, write, tmp_path):
    path = write(tmp_path)
    file = sorted(path.iterdir())[1] if path.is_dir() else path
    whole = file.read_bytes()
    generator = np.random.default_rng(17)
    mutants = 8 if file.read_bytes().count(b"\xff\xd8\xff\xf7") else MUTANTS
    sentences: list[str] = []

    for _ in range(mutants):
        file.write_bytes(mutant(whole, generator))
        try:
            volume = read_volume(path)
        except VolumeReadError as refusal:
            sentences.append(str(refusal))
            continue
        assert 0 < volume.values.size <= 2**20
        assert all(mm is None or 0.001 <= mm <= 10 for mm in volume.spacing_mm.values_mm)

    assert len(sentences) >= mutants // 6
    assert all(sentence.startswith(f"{path}: ") and "\n" not in sentence for sentence in sentences)
