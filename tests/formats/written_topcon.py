"""Topcon files, written byte by byte with planted millimetres, eye, pattern, pixels, surfaces and pictures."""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from formats.written_scans import eye
from octavo.formats import read_volume
from octavo.volume import Volume

PATIENT = b"ID-4711".ljust(32, b"\0") + b"Jane".ljust(32, b"\0") + b"Doe".ljust(32, b"\0") + b"\0" * 8 + b"\x02"
END = b"\0"


def chunk(name: str, payload: bytes, promised: int | None = None) -> bytes:
    """A chunk; `promised` is a lie about its size."""
    return (
        bytes([len(name)]) + name.encode() + struct.pack("<I", len(payload) if promised is None else promised) + payload
    )


def j2k(picture: np.ndarray, **options: object) -> bytes:
    """A picture as a bare, lossless JPEG 2000 codestream."""
    stream = BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG2000", no_jp2=True, irreversible=False, **options)
    return stream.getvalue()


def compressed(values: np.ndarray, mode: int = 2, stated: Mapping[str, int] | None = None) -> bytes:
    """`@IMG_JPEG`: one picture a B-scan; `stated` are lies about the numbers of B-scans, rows or columns."""
    bscans, depth, ascans = values.shape
    said = {"bscans": bscans, "depth": depth, "ascans": ascans, **(stated or {})}
    header = struct.pack("<B6I", mode, 829, 3071, said["ascans"], said["depth"], said["bscans"], 0xA02)
    frames = [j2k(frame) for frame in values]
    return chunk("@IMG_JPEG", header + b"".join(struct.pack("<I", len(frame)) + frame for frame in frames))


def plain(
    values: np.ndarray, mode: int = 2, name: str = "@IMG_SCAN_03", stated: Mapping[str, int] | None = None
) -> bytes:
    """`@IMG_SCAN_03`, `_02` or motion-corrected B-scans: samples of 16 bits."""
    bscans, depth, ascans = values.shape
    samples = values.astype("<u2").tobytes()
    said = {"bscans": bscans, "depth": depth, "ascans": ascans, "bits": 16, "size": len(samples), **(stated or {})}
    between = {"@IMG_SCAN_03": 1, "@IMG_SCAN_02": 9, "@IMG_MOT_COMP_03": 1, "@IMG_MOT_COMP_03 long": 17}[name]
    header = struct.pack("<B4I", mode, said["ascans"], said["depth"], said["bits"], said["bscans"])
    return chunk(name.split()[0], header + bytes(between) + struct.pack("<I", said["size"]) + samples)


def size_chunk(
    field_mm: tuple[float, float], depth_um: float, fixation: int = 2, generation: str = "@PARAM_SCAN_04"
) -> bytes:
    """The scan parameters: height and width of the field, as either generation stores them."""
    sizes = struct.pack("<3d", field_mm[1], field_mm[0], depth_um)
    if generation == "@PARAM_SCAN_04":
        return chunk(generation, struct.pack("<3BB2I", 3, 26, 10, fixation, 1780, 27) + sizes + bytes(25))
    return chunk(generation, struct.pack("<BI3BB3I", 2, 5, 1, 2, 3, fixation, 1780, 4, 27) + sizes + bytes(33))


def eye_chunk(code: int, name: str = "@CAPTURE_INFO_02") -> bytes:
    """The capture record: the eye, and a label and a date that must not come out."""
    label = b"Doe session".ljust(100, b"\0") if name == "@CAPTURE_INFO_02" else b""
    between = struct.pack("<BI", 2, 4711) if name == "@CAPTURE_INFO_02" else b""
    return chunk(name, bytes([code]) + between + label + struct.pack("<6H", 1950, 1, 2, 3, 4, 5))


def contour(name: bytes, depth: np.ndarray, rows: int, *, kind: int = 0, stated: int | None = None) -> bytes:
    """A boundary given by its depth on the volume's grid: stored from the bottom, inferior B-scan first, 0 for none."""
    above_bottom = np.nan_to_num(rows - 1 - depth[::-1], nan=0.0)
    numbers = np.rint(above_bottom).astype("<u2").tobytes() if kind == 0 else above_bottom.astype("<f8").tobytes()
    size = len(numbers) if stated is None else stated
    header = struct.pack("<20sH3I", name, kind, depth.shape[1], depth.shape[0], size)
    return chunk("@CONTOUR_INFO", header + numbers + b"8.0.1.20198".ljust(32, b"\0"))


def photograph(colours: np.ndarray, *, coded: bool = True) -> bytes:
    """A colour photograph, stored with blue first: JPEG 2000 in `.fda`, plain in `.fds`."""
    stored = np.ascontiguousarray(colours[..., ::-1])
    content = j2k(stored) if coded else stored.tobytes()
    header = struct.pack("<4I", stored.shape[1], stored.shape[0], 24, 1) + (b"\x02\x0a\0\0" if coded else b"\0")
    return chunk("@IMG_FUNDUS" if coded else "@IMG_OBS", header + struct.pack("<I", len(content)) + content)


def infrared(grey: np.ndarray, *, coded: bool = True, old: bool = False) -> bytes:
    """An infra-red picture in three equal channels, twice."""
    stored = np.repeat(grey[..., None], 3, axis=2)
    content = j2k(stored) if coded else stored.tobytes() * 2
    header = struct.pack("<3I", stored.shape[1], stored.shape[0], 24) + (b"" if old else struct.pack("<IB", 2, 1))
    more = struct.pack("<I", len(content)) + content
    return chunk("@IMG_TRC" if old else "@IMG_TRC_02", header + more + (more if coded else b""))


def projection(grey: np.ndarray) -> bytes:
    """A picture from the front of one row a B-scan in the volume's order, stored inferior first."""
    content = j2k(np.ascontiguousarray(grey[::-1]))
    header = struct.pack("<5I", grey.shape[1], grey.shape[0], 8, 0x1000002, len(content))
    return chunk("@IMG_PROJECTION", header + content)


def topcon_bytes(
    block: bytes,
    *,
    size: bytes = b"",
    eye_record: bytes = b"",
    model: bytes = b"3DOCT-1000MK2",
    hardware: str = "@HW_INFO_03",
    more: Sequence[bytes] = (),
    kind: bytes = b"FDA",
    end: bytes = END,
) -> bytes:
    """A file with the block of B-scans given, and a patient whose name must not come out."""
    chunks = [
        chunk(hardware, model.ljust(16, b"\0") + b"SN-4711".ljust(84, b"\0")),
        chunk("@PATIENT_INFO_02", PATIENT + struct.pack("<3H", 1950, 1, 2) + bytes(504)),
        eye_record or eye_chunk(0),
        size or size_chunk((0.48, 0.1808), 3.9),
        block,
        *more,
        chunk("@FDA_FILE_INFO", struct.pack("<II", 2, 1000) + b"8.0.1.20198".ljust(32, b"\0")),
    ]
    return b"FOCT" + kind + struct.pack("<II", 1, 1001) + b"".join(chunks) + end


BLOCK = compressed(eye())
"""Four B-scans of 12 x 16 in which every sample tells where it lies."""


def written(folder: Path, content: bytes, name: str = "exam.fda") -> Path:
    """Such a file in a folder."""
    path = folder / name
    path.write_bytes(content)
    return path


def read(folder: Path, content: bytes, name: str = "exam.fda") -> Volume:
    """What is read from such a file."""
    return read_volume(written(folder, content, name))
