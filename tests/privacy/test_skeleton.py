"""The skeleton of a file: it tells the parts, and nothing that was planted in them."""

import gzip
import json
import struct
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless

from formats.mutants import mutant, mutants_asked
from formats.written_scans import eye, heyex_xml, opt_dataset, vol_bytes, write_dicom
from octavo.formats import VolumeReadError, write_volume
from octavo.privacy.skeleton import skeleton
from octavo.privacy.skeleton_bytes import byte_spread, fingerprint
from octavo.privacy.skeleton_words import own_words
from octavo.volume import Spacing, Volume
from privacy.written_identities import forms

NAMES = [f"Zyxw{number}Qvut" for number in range(8)]
"""Eight names, each planted in another form."""


def planted() -> bytes:
    """All names, in every form, as a field that could hold them."""
    return b"".join(form for name in NAMES for form in forms(name))


def found_in(text: str) -> list[str]:
    """What of the names a text gives away: in any form, or as whole numbers made of four of their letters."""
    content = text.encode()
    found = [name for name in NAMES for form in forms(name) if form in content]
    for name in NAMES:
        fours = [name.encode()[begin : begin + 4] for begin in range(len(name) - 3)]
        numbers = [str(int.from_bytes(four, order)) for four in fours for order in ("little", "big")]
        found += [name for number in numbers if number in text]
    return found


def dicom_file(path, syntax=None):
    dataset = opt_dataset(eye(4, 40, 48))
    dataset.PatientName, dataset.PatientID = NAMES[0], NAMES[1]
    dataset.PatientComments = planted().decode("latin-1").replace("\\", "")[:900]
    block = dataset.private_block(0x0051, NAMES[2], create=True)
    block.add_new(0x10, "OB", planted() + b"\0" * (len(planted()) % 2))
    return write_dicom(path, dataset, syntax) if syntax else write_dicom(path, dataset)


def topcon_file(path):
    def chunk(name, content):
        return bytes([len(name)]) + name + struct.pack("<I", len(content)) + content

    noise = np.random.default_rng(0).integers(0, 256, 6000, dtype=np.uint8).tobytes()
    content = b"FOCTFDA" + struct.pack("<II", 1, 1001)
    content += chunk(b"@PATIENT_INFO_02", planted()) + chunk(b"@PATIENT_INFO_03", (planted() * 10)[:8000])
    content += chunk(b"@IMG_JPEG", noise) + chunk(b"@" + NAMES[0].upper().encode(), planted()) + b"\0"
    path.write_bytes(content)
    return path


def e2e_file(path):
    def chunk(kind, content):
        numbers = [0, 0, 0, len(content), 0, *struct.unpack("<3I", NAMES[0].encode().ljust(12)), 0]
        return b"MDbData\0\0\0\0\0" + struct.pack("<9I2hII", *numbers, 0, 0, kind, 0) + content

    content = b"CMDb".ljust(36, b"\0") + b"MDbMDir\0\0\0\0\0".ljust(52, b"\0")
    content += chunk(9, planted()) + chunk(11, b"\0" * 14 + b"L") + chunk(0x40000000, bytes(range(256)) * 20)
    path.write_bytes(content + chunk(7777, NAMES[0].encode()))
    return path


def vol_file(path):
    path.write_bytes(vol_bytes(eye() / 255).replace(b"Doe^Jane\0", NAMES[3].encode()) + planted())
    return path


def npz_file(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("values", NAMES[4]):
            with archive.open(f"{name}.npy", "w") as stream:
                np.save(stream, eye())
        archive.writestr(f"{NAMES[5]}.txt", planted())
    return path


def structured_file(path):
    np.save(path, np.zeros(3, [(NAMES[0], "f4"), ("b", "u1")]))
    return path


def nifti_file(path):
    write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), path)
    is_packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes())
    content[148 : 148 + 12] = NAMES[6].encode().ljust(12, b"\0")
    content[228:240] = NAMES[7].encode().ljust(12, b"\0")
    path.write_bytes(gzip.compress(bytes(content)) if is_packed else bytes(content))
    return path


def tiff_file(path):
    write_volume(Volume(eye(3), Spacing()), path)
    path.write_bytes(path.read_bytes() + planted())
    return path


def matlab_file(path):
    element = struct.pack("<LL", 14, 48) + bytes(48)
    path.write_bytes((b"MATLAB 5.0 MAT-file, " + NAMES[0].encode()).ljust(124, b" ") + b"\0\1IM" + element)
    return path


def xml_file(path):
    path.write_text(heyex_xml((4, 12, 16), beginning='<?xml version="1.0"?>').replace("Doe", NAMES[0]))
    return path


def unknown_file(path):
    path.write_bytes(planted() * 400)
    return path


FILES = {
    "eye.dcm": (dicom_file, "dicom"),
    "eye.fda": (topcon_file, "topcon"),
    "eye.e2e": (e2e_file, "heidelberg-e2e"),
    "eye.vol": (vol_file, "heidelberg-vol"),
    "eye.npz": (npz_file, "zip"),
    "eye.npy": (structured_file, "numpy"),
    "eye.nii": (nifti_file, "nifti"),
    "eye.nii.gz": (nifti_file, "gzip"),
    "eye.tif": (tiff_file, "tiff"),
    "eye.mat": (matlab_file, "matlab-5"),
    "eye.xml": (xml_file, "xml"),
    "eye.bin": (unknown_file, "unknown"),
}


@pytest.fixture(params=FILES)
def written(request, tmp_path):
    write, kind = FILES[request.param]
    return write(tmp_path / request.param), kind


def test_the_kind_is_known_and_nothing_planted_comes_out(written):
    path, kind = written

    found = skeleton(path)

    assert (found["kind"], found["bytes"]) == (kind, path.stat().st_size)
    assert found_in(json.dumps(found, allow_nan=False)) == []


def test_a_damaged_file_has_a_skeleton_too_and_gives_nothing_away(written):
    path, _ = written
    whole, generator = path.read_bytes(), np.random.default_rng(5)
    for number in range(mutants_asked(40)):
        path.write_bytes(mutant(whole, generator))
        text = json.dumps(skeleton(path), allow_nan=False)
        assert found_in(text) == [], number


def test_the_names_are_looked_for_in_earnest():
    assert found_in(NAMES[0]) == [NAMES[0]]
    assert found_in(NAMES[1].encode().hex())
    assert found_in(str(int.from_bytes(NAMES[2].encode()[2:6], "little")))


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_dicom_elements_are_listed_with_lengths_and_sizes(tmp_path, syntax):
    parts = skeleton(dicom_file(tmp_path / "eye.dcm", syntax))["parts"]

    assert parts["sizes"] == {
        "SamplesPerPixel": 1,
        "NumberOfFrames": 4,
        "Rows": 40,
        "Columns": 48,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
    }
    by_tag = {element["tag"]: element for element in parts["elements"]}
    assert by_tag["0010,0010"] | {"at": 0} == {"tag": "0010,0010", "vr": "PN", "length": 10, "at": 0, "depth": 0}
    assert (by_tag["7FE0,0010"]["length"], by_tag["0028,0030"]["depth"]) == (4 * 40 * 48, 2)
    assert Counter(element["tag"] for element in parts["elements"])["private"] == 2
    assert (parts["stopped"], parts["bytes left"], parts["open sequences"]) == (None, 0, 0)


def test_dicom_says_where_it_stops(tmp_path):
    path = dicom_file(tmp_path / "eye.dcm")
    path.write_bytes(path.read_bytes()[:-1000])

    parts = skeleton(path)["parts"]

    assert parts["stopped"] == "an element reaches beyond the end of the file"
    last = parts["elements"][-1]
    assert (last["tag"], last["length"], last["bytes there"]) == ("7FE0,0010", None, 4 * 40 * 48 - 1000)


def test_fragments_of_compressed_pixels_are_counted(tmp_path):
    parts = skeleton(dicom_file(tmp_path / "eye.dcm", JPEG2000Lossless))["parts"]

    assert parts["transfer syntax"] == "JPEG 2000 lossless"
    assert parts["elements"][-1]["fragments"]["count"] == 5


def test_topcon_chunks_are_named_if_their_names_are_known(tmp_path):
    chunks = skeleton(topcon_file(tmp_path / "eye.fda"))["parts"]["chunks"]

    assert [chunk["name"] for chunk in chunks] == [
        *["@PATIENT_INFO_02", "@PATIENT_INFO_03", "@IMG_JPEG", f"unknown, {len(NAMES[0]) + 1} letters"],
    ]
    # long enough for a hash, and not varied enough
    assert chunks[1]["bytes"] == 8000
    assert [chunk["sha256"] is None for chunk in chunks] == [True, True, False, True]


def test_chunks_of_an_e2e_file_are_counted_by_kind(tmp_path):
    parts = skeleton(e2e_file(tmp_path / "eye.e2e"))["parts"]

    assert parts["chunks in all"] == {"patient": 1, "eye": 1, "image": 1, "kind 7777": 1}
    assert [chunk["bytes"] for chunk in parts["chunks"]] == [len(planted()), 15, 5120, len(NAMES[0])]


def test_sizes_of_other_kinds_are_told(tmp_path):
    vol = skeleton(vol_file(tmp_path / "eye.vol"))["parts"]
    assert vol["numbers"]["B-scans"] == len(vol["marks of B-scans at"]) == 4
    assert vol["bytes promised"] == (tmp_path / "eye.vol").stat().st_size - len(planted())
    members = skeleton(npz_file(tmp_path / "eye.npz"))["parts"]["members"]
    assert [member["name"] for member in members] == ["values.npy", "member 2", "member 3"]
    assert (members[0]["shape"], members[0]["type"]) == ([4, 12, 16], "|u1")
    assert skeleton(structured_file(tmp_path / "eye.npy"))["parts"]["type"] == "not plain"
    for name in ("eye.nii", "eye.nii.gz"):
        numbers = skeleton(nifti_file(tmp_path / name))["parts"]["numbers"]
        assert numbers["axes"][:4] == [3, 4, 12, 16]
        assert numbers["voxel sizes"][1:4] == [0.1, 0.004, 0.01]
    pages = skeleton(tiff_file(tmp_path / "eye.tif"))["parts"]["pages"]
    assert len(pages) == 3
    assert {entry["tag"]: entry.get("value") for entry in pages[2]["entries"]}[256] == 16
    assert skeleton(matlab_file(tmp_path / "eye.mat"))["parts"]["elements"] == [{"type": 14, "bytes": 48, "at": 128}]


def test_blocks_cover_the_file_and_are_bounded(tmp_path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(2**30)

    blocks = skeleton(path)["blocks"]

    assert (len(blocks), blocks[0]["at"], blocks[-1]["at"]) == (128, 0, 2**30 - 2**16)
    assert {block["bits"] for block in blocks} == {0.0}
    (tmp_path / "empty.bin").write_bytes(b"")
    assert skeleton(tmp_path / "empty.bin")["blocks"] == []


def test_only_what_nobody_can_guess_has_a_hash(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    path = tmp_path / "parts.bin"
    path.write_bytes(noise + b"Doe".ljust(5000, b"\0") + b"a name and a name " * 400)
    with path.open("rb") as file:
        assert fingerprint(file, 0, 5000) is not None
        assert fingerprint(file, 0, 4095) is None
        assert fingerprint(file, 5000, 5000) is None
        assert fingerprint(file, 10000, 7000) is None
        assert fingerprint(file, 0, 50000) is None
    assert byte_spread(b"") == {"bits": 0.0, "zeros": 0.0}


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        (
            "/a/Doe.npz: holds 2 scans (#1 Doe: 4 x 12; #2 Jane: 4 x 12); wanted one",
            "FILE: holds 2 scans (...); wanted one",
        ),
        ("/a/Doe.npz: key 'Doe' is missing", "FILE: key '...' is missing"),
        ("/a/Doe.npz: Doe.npz and 1950-01-02 and 4711471147", "FILE: FILE and ? and ?"),
        ("/a/Doe.npz: cannot be parsed (KeyError); wanted a volume", "FILE: cannot be parsed (?); wanted a volume"),
    ],
)
def test_only_our_own_words_stay(sentence, words):
    assert own_words(sentence, "/a/Doe.npz") == words


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(VolumeReadError, match="is not a file; wanted one file"):
            skeleton(path)


REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="the sample scans are not here")
def test_real_files_are_taken_apart_to_their_ends():
    topcon = skeleton(REAL / "topcon" / "fda_minimized.fda")["parts"]
    assert (topcon["generation"], topcon["chunks in all"], topcon["breaks"]) == ("FDA", 21, 0)
    assert all(chunk["name"].startswith("@") for chunk in topcon["chunks"])
    dicom = skeleton(REAL / "dicom_opt" / "spectralis_19frames_from_bonn.dcm")["parts"]
    assert (dicom["sizes"]["NumberOfFrames"], dicom["sizes"]["Rows"], dicom["sizes"]["Columns"]) == (19, 496, 512)
    assert (dicom["stopped"], dicom["bytes left"]) == (None, 0)
    raster = skeleton(REAL / "heidelberg_vol" / "derived_raster_19x256x512.vol")["parts"]
    stride = raster["numbers"]["bytes of a B-scan's header"] + 4 * 256 * 512
    assert set(np.diff(raster["marks of B-scans at"])) == {stride}
    assert len(raster["marks of B-scans at"]) == 19
    # what is wrong with this file can be seen: the header promises far more than there is
    path = REAL / "heidelberg_vol" / "tiny_raster_10x40x50.vol"
    tiny = skeleton(path)["parts"]
    assert tiny["numbers"]["bytes of a B-scan's header"] == 61440
    assert tiny["bytes promised"] > 5 * path.stat().st_size
    e2e = skeleton(REAL / "heidelberg_e2e" / "e2e_minimized.E2E")["parts"]
    assert e2e["chunks in all"] == {"eye": 2, "image": 2}
    assert len(skeleton(REAL / "oct_macular_hole" / "mh.tif")["parts"]["pages"]) == 49


def numbers_in(value):
    """Every number of a skeleton, wherever it stands."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers_in(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in numbers_in(inner)]
    return [value] if isinstance(value, int | float) else []


def looks_like(text, numbers):
    """The numbers that say how the beginning of a text is read, in any of the ways that headers hold numbers."""
    said = set()
    for begin in range(len(text)):
        for kind in ("<H", ">H", "<L", ">L", "<d", ">d", "<f", ">f"):
            part = text[begin : begin + struct.calcsize(kind)]
            if len(part) == struct.calcsize(kind):
                said.add(float(f"{struct.unpack(kind, part)[0]:.6g}"))
    return [number for number in numbers if float(f"{number:.6g}") in said]


@pytest.mark.parametrize("at", [128, 136, 184])
def test_text_in_the_place_of_a_matlab_element_is_no_length(tmp_path, at):
    content = bytearray(matlab_file(tmp_path / "eye.mat").read_bytes())
    content[at : at + 16] = b"Jane Doe 1950-01"
    (tmp_path / "eye.mat").write_bytes(content)

    parts = skeleton(tmp_path / "eye.mat")["parts"]

    assert looks_like(b"Jane Doe 1950-01", numbers_in(parts)) == []
    assert bool(parts["stopped"]) is (at != 136)
    for element in parts["elements"]:
        assert element["at"] + 8 + element["bytes"] <= len(content)


def test_a_matlab_length_beyond_the_file_is_not_said(tmp_path):
    (tmp_path / "eye.mat").write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<L", 14) + b"Jane" * 9
    )

    parts = skeleton(tmp_path / "eye.mat")["parts"]

    assert parts["elements"] == []
    assert parts["bytes left"] == 40


@pytest.mark.parametrize("text", [b"Doe Jane 1950-01-02 glaucoma suspect?", b" Jane Jane Jane Jane Jane Jane Jane Ja "])
def test_text_in_a_vol_file_without_its_mark_is_no_number(tmp_path, text):
    for shift in range(8):
        (tmp_path / "eye.vol").write_bytes((text[shift:] * 20).ljust(3000, b"?"))
        parts = skeleton(tmp_path / "eye.vol")["parts"]
        assert parts == {"stopped": "is no header of a .vol file", "marks of B-scans at": []}


@pytest.mark.parametrize("at", [12, 16, 20, 24, 32, 40, 48, 52])
def test_one_text_among_the_numbers_of_a_vol_file_without_its_mark_hides_them_all(tmp_path, at):
    path = tmp_path / "eye.vol"
    path.write_bytes(whole := vol_bytes(eye() / 255, version=b"other 1.0"))
    assert None not in skeleton(path)["parts"]["numbers"].values()
    text = b"Ja\0\0" * (1 + (24 <= at < 48))
    path.write_bytes(whole[:at] + text + whole[at + len(text) :])
    assert "numbers" not in skeleton(path)["parts"]


def test_text_behind_the_mark_of_a_vol_file_is_no_number(tmp_path):
    path = vol_file(tmp_path / "eye.vol")
    whole = path.read_bytes()
    for text in (b"Doe Jane 1950-01-02 glaucoma", b"Ja\0\0Do\0\0e \0\0Ja\0\0ne\0\0"):
        for at in range(12, 48, 4):
            path.write_bytes(whole[:at] + text + whole[at + len(text) :])
            assert looks_like(text, numbers_in(skeleton(path)["parts"]["numbers"])) == [], (text, at)


def test_text_in_the_place_of_a_tiff_directory_is_no_count(tmp_path):
    text = b"Jane Doe, 1950-01-02, glaucoma suspect"
    (tmp_path / "eye.tif").write_bytes(b"II*\0\x08\0\0\0" + text * 10_000)

    (page,) = skeleton(tmp_path / "eye.tif")["parts"]["pages"]

    assert (page["entries"], page["entries in all"]) == ([], None)
    assert page["stopped"] == "an entry is of no known type"
