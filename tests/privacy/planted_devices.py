"""One eye in every format of a device, with a planted word in each field that could name a person."""

import struct
from pathlib import Path

import h5py
import numpy as np

from formats.written_bioptigen import bioptigen_bytes
from formats.written_e2e import Block, blocks_of, codes_of, e2e_bytes, planted_raster
from formats.written_heyex import export_text, planted_series, write_export
from formats.written_matlab import export_variables, write_mat5, write_mat73
from formats.written_octexplorer import planted, surfaces_xml
from formats.written_optovue import optovue_text, write_optovue
from formats.written_scans import bscan_lines, vol_bytes
from formats.written_topcon import chunk, contour, topcon_bytes
from formats.written_zeiss import write_profiled
from octavo.volume import Laterality
from privacy.canaries import DATE, NUMBER, REAL, UID, canary, name_of, overwritten, padded, written
from privacy.planted_standards import MILLIMETRES

VOL_IDENTITY = struct.calcsize("<12siiidddiiddid4sQii")
"""Where the fields of a `.vol` header begin that say who it is."""


def vol(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """A Heidelberg export: patient's and visit's identifiers, birth date, and the spare bytes of every header."""
    content = vol_bytes((values.astype(np.float32) / 255) ** 4, spacing_mm=MILLIMETRES, eye_code=padded(eye.value, 4))
    identity = struct.pack(
        "<16s16si21s3xdi24sd",
        padded(canary("vol id"), 16),
        padded(canary("vol reference id"), 16),
        NUMBER,
        padded(canary("vol patient id"), 21),
        REAL,
        NUMBER,
        padded(canary("vol visit id"), 24),
        REAL,
    )
    spare = padded(canary("vol spare bytes"), 64) + name_of("vol spare").encode("utf-16-le")
    content = overwritten(content, VOL_IDENTITY, identity + bytes(24) + spare)
    first = 2048 + 30
    for number in range(len(values)):
        at = first + number * (300 + values[0].size * 4)
        content = overwritten(content, at + 200, padded(canary("vol B-scan header"), 24))
    return written(folder, f"{stem}.vol", content)


def e2e(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Heidelberg's archive: identifiers of patient, study and series as numbers, and chunks of text of many kinds."""
    ids = (NUMBER, NUMBER + 1, NUMBER + 2)
    lines = bscan_lines(len(values), first=(-10.0, 3.0), step=(0.0, -0.25), length=20.0)
    scan = planted_raster(codes=codes_of(values), lines=lines, letter="R" if eye is Laterality.OD else "L", ids=ids)
    patient = struct.pack(
        "<31s66sI25s25s",
        padded(canary("e2e given name"), 31),
        padded(canary("e2e family name"), 66),
        NUMBER,
        padded(canary("e2e patient id"), 25),
        padded(DATE, 25),
    )
    texts = [
        Block(kind, padded(canary(f"e2e chunk {kind}"), 40) + name_of("e2e wide").encode("utf-16-le") + bytes(60), ids)
        for kind in (9, 13, 17, 52, 53, 58, 59, 10010, 10025, 9000, 9005, 9006, 9008)
    ]
    words = "Infra-Red".ljust(128, "\0") + "IR".ljust(128, "\0") + canary("e2e modality").ljust(64, "\0")
    modality = Block(9007, struct.pack("<II", 3, 256) + words.encode("utf-16-le"), ids)
    blocks = [Block(9, patient, ids), *texts, modality, *(block for block in blocks_of(scan) if block.kind != 9)]
    return written(folder, f"{stem}.E2E", e2e_bytes(blocks))


def heyex(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Heidelberg's XML export: the patient's elements, the folders that pictures came from, names of boundaries."""
    depth = np.full((len(values), values.shape[2]), 4.5)
    layers = {canary("heyex boundary"): depth, "ILM": depth - 2}
    series = planted_series(
        len(values),
        values=values,
        lines=bscan_lines(len(values)),
        letter="R" if eye is Laterality.OD else "L",
        layers=layers,
        localiser=values[0],
        prefix=f"{stem}-",
    )
    place = write_export(folder / stem, series)
    text = export_text([series])
    patient = (
        f"<LastName>{canary('heyex family name')}</LastName><FirstNames>{canary('heyex given name')}</FirstNames>"
        f"<PatientID>{canary('heyex patient id')}</PatientID><Birthdate><Date><Year>1903</Year></Date>{DATE}</Birthdate>"
        f"<Notes>{canary('heyex notes')}</Notes>"
    )
    for old, new in (
        ("<LastName>Doe</LastName><FirstNames>Jane</FirstNames><Birthdate>1950</Birthdate>", patient),
        ("Doe Jane", canary("heyex folder")),
        ("<Study>", f"<Study><StudyUID>{UID}.3</StudyUID><Operator>{canary('heyex operator')}</Operator>"),
        ("<ID>4711</ID>", f"<ID>{NUMBER}</ID><Comment>{canary('heyex comment')}</Comment>"),
        ("<HEDX>", f"<!-- {canary('heyex XML comment')} --><HEDX version='{canary('heyex attribute')}'>"),
    ):
        assert old in text
        text = text.replace(old, new)
    (place / "zz.xml").write_text(text)
    return place


def topcon(folder: Path, stem: str, values: np.ndarray, eye: Laterality, block: bytes, suffix: str) -> Path:
    """Topcon's archives: patient chunks of both generations, labels, serial numbers, names of boundaries."""
    code = b"\0" if eye is Laterality.OD else b"\1"
    named = [padded(canary(f"topcon {what}"), 32) for what in ("patient id", "given name", "family name")]
    patient = b"".join(named) + bytes(8) + b"\2" + struct.pack("<3H", 1903, 4, 17)
    label = padded(canary("topcon capture label"), 100) + struct.pack("<6H", 1903, 4, 17, 3, 4, 5)
    depth = np.full((len(values), values.shape[2]), 4.0)
    more = [
        chunk("@PATIENT_INFO_03", patient + canary("topcon wide").encode("utf-16-le")),
        chunk("@PATIENTEXT_INFO", padded(canary("topcon extended patient"), 64) + DATE.encode()),
        chunk("@HW_INFO_01", padded(canary("topcon model"), 16) + padded(canary("topcon serial number"), 32)),
        chunk("@ANTERIOR_CALIB_INFO", canary("topcon calibration").encode()),
        chunk(f"@{canary('topcon chunk name').upper()}", canary("topcon unknown chunk").encode()),
        contour(b"MULTILAYERS_1", depth, values.shape[1]),
        contour(canary("topcon boundary").encode(), depth + 2, values.shape[1]),
    ]
    record = chunk("@CAPTURE_INFO_02", code + struct.pack("<BI", 2, NUMBER) + label)
    size = struct.pack("<3BB2I", 3, 26, 10, 2, 1780, 27)
    lengths = [length * mm for length, mm in zip(values.shape, MILLIMETRES, strict=True)]
    size += struct.pack("<3d", lengths[2], lengths[0], MILLIMETRES[1] * 1000) + bytes(25)
    content = topcon_bytes(block, size=chunk("@PARAM_SCAN_04", size), eye_record=record, more=more)
    return written(folder, f"{stem}{suffix}", content)


def optovue(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Samples, and the text beside them."""
    more = "".join(
        f"{field}={canary(f'optovue {field}')}\n" for field in ("Comment", "Operator", "Physician", "Exam ID", "Site")
    )
    text = optovue_text(values.shape, spacing_mm=MILLIMETRES, eye=eye.value, more=more)
    named = {"Doe": canary("optovue family name"), "Jane": canary("optovue given name"), "1950-01-02": DATE}
    for old, new in (named | {"4711": canary("optovue patient id")}).items():
        text = text.replace(old, new)
    (folder / stem).mkdir(parents=True, exist_ok=True)
    return write_optovue(folder / stem, values, text)


def bioptigen(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Texts among the fields, in one and in two bytes a letter."""
    content = bioptigen_bytes(values, spacing_mm=MILLIMETRES)
    content = content.replace(b"Doe^Jane 1950", padded(canary("bioptigen description"), 13))
    config = canary("bioptigen config").encode() + canary("bioptigen wide").encode("utf-16-le")
    content = content.replace(struct.pack("<I", 11) + b"secret Jane", struct.pack("<I", len(config)) + config)
    return written(folder, f"{stem}_{eye.value}.OCT", content)


def _variables(values: np.ndarray, eye: Laterality) -> dict[str, object]:
    return {
        **export_variables(values, spacing_mm=MILLIMETRES, eye=eye.value),
        "PatientName": canary("matlab name"),
        "PatientID": canary("matlab id"),
        "birth": float(NUMBER),
        "ExamDate": DATE,
    }


def matlab5(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Variables, a structure, a cell, and the text at the beginning."""
    inside = {"name": canary("matlab structure name"), "id": canary("matlab structure id"), "visits": [DATE, REAL]}
    cell = np.array([canary("matlab cell"), DATE], dtype=object)
    path = write_mat5(
        folder / f"{stem}.mat", {**_variables(values, eye), "patient": inside, "notes": cell}, packed=False
    )
    head = f"MATLAB 5.0 MAT-file, Created by: {canary('matlab header')}".encode()
    return written(path.parent, path.name, overwritten(path.read_bytes(), 0, head.ljust(116)))


def matlab73(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Variables, attributes, and the text at the beginning."""
    path = write_mat73(folder / f"{stem}.mat", _variables(values, eye))
    with h5py.File(path, "r+") as file:
        file.attrs["operator"] = canary("matlab 7.3 attribute")
        group = file.create_group("patient")
        group.create_dataset("name", data=np.frombuffer(canary("matlab 7.3 group").encode("utf-16-le"), np.uint16))
        group.create_dataset("text", data=canary("matlab 7.3 text"))
    head = f"MATLAB 7.3 MAT-file, Platform: {canary('matlab 7.3 header')}".encode()
    return written(path.parent, path.name, overwritten(path.read_bytes(), 0, head.ljust(116)))


def zeiss(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Samples with a profile, and surfaces of OCTExplorer beside them."""
    place = folder / stem
    place.mkdir(parents=True, exist_ok=True)
    path = write_profiled(place, values, spacing_mm=MILLIMETRES, laterality=eye.value)
    both = planted(values.shape)
    named = {"ILM (ILM)": both["ILM (ILM)"], canary("octexplorer surface"): both["ILM (ILM)"] + 2}
    text = surfaces_xml(named, values.shape, spacing_mm=MILLIMETRES, laterality=eye.value)
    for old, new in (
        ("<authors>Jane Doe</authors>", f"<authors>{canary('octexplorer authors')}</authors>"),
        ("Doe^Jane", name_of("octexplorer modifier")),
        (
            "<scan_characteristics>",
            f"<patient><id>{canary('octexplorer patient')}</id></patient><scan_characteristics>",
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    (place / "eye_Surfaces_Iowa.xml").write_text(text)
    return path
