"""The chunks of files that OCT devices write: kinds, places and lengths; names only from the list of known ones."""

import re
import struct
from collections import Counter
from typing import BinaryIO

import numpy as np

from octavo.formats.topcon.chunks import read_chunk_table
from octavo.privacy.skeleton_bytes import fingerprint, number_within

_TOPCON_WORDS = {
    *["ALIGN", "ANTERIOR", "CALIB", "CAPTURE", "CONTOUR", "CORNEA", "CURVE", "DISC", "EFFECTIVE"],
    *["EN", "EXT", "EYE", "FACE", "FAST", "FDA", "FDS", "FILE", "FOCUS"],
    *["FUNDUS", "GLA", "HW", "IMG", "INFO", "JPEG", "LITTMANN", "MAIN", "MASK"],
    *["MODULE", "MOT", "COMP", "OBS", "PARAM", "PATIENT", "PATIENTEXT", "PROJECTION", "Q2"],
    *["RANGE", "REF", "REGIST", "RESULT", "SCAN", "SEGMENTATION", "SYSTEM", "THICKNESS", "THUMBNAIL"],
    *["TOPQEXT", "TRC", "VALIDATION"],
}
_TOPCON_KINDS = {b"FDA", b"FDS", b"FAA"}
_E2E_MARK = re.compile(rb"MDb(Data\0{5}|Dir\0{6}|MDir\0{5})")
_E2E_CHUNK = struct.Struct("<12s5I4I2hI")
_E2E_KNOWN = {0x40000000: "image", 9: "patient", 11: "eye", 10004: "B-scan", 10019: "contour"}
_STEP = 2**20
_MOST_CHUNKS = 4096
_MOST_LISTED = 1000
_VOL = np.dtype(
    [
        *[("version", "S12"), ("A-scans", "<i4"), ("B-scans", "<i4"), ("depth", "<i4")],
        *[("mm between A-scans", "<f8"), ("mm between B-scans", "<f8"), ("mm along depth", "<f8")],
        *[("picture columns", "<i4"), ("picture rows", "<i4"), ("skipped", "V40"), ("scan pattern", "<i4")],
        ("bytes of a B-scan's header", "<i4"),
    ]
)
_VOL_HEADER_BYTES = 2048
_VOL_SIZES = ["picture columns", "picture rows", "bytes of a B-scan's header", "A-scans", "depth", "B-scans"]
_VOL_MARK = b"HSF-"
_LARGEST = 1e6
_PLAUSIBLE_MM = (1e-4, 10.0)


def topcon_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The chunks of a Topcon file in their order."""
    table = read_chunk_table(file, size)
    chunks = [
        {
            "name": _topcon_name(chunk.name),
            "at": chunk.start,
            "bytes": chunk.size,
            "promised": number_within(chunk.promised, 0, size),
            "sha256": fingerprint(file, chunk.start, chunk.size),
        }
        for chunk in table.chunks[:_MOST_LISTED]
    ]
    kind = table.kind.decode("ascii") if table.kind in _TOPCON_KINDS else "another"
    return {"generation": kind, "chunks": chunks, "chunks in all": len(table.chunks), "breaks": len(table.notes)}


def _topcon_name(name: str) -> str:
    """The name of a chunk if it is made of known words and a number of two digits; else only how long it is."""
    words = name.removeprefix("@").split("_")
    is_known = all(word in _TOPCON_WORDS or re.fullmatch(r"0\d", word) for word in words)
    return name if is_known and len(words) <= 5 else f"unknown, {len(name)} letters"


def e2e_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The chunks and directories of a Heidelberg .E2E file, found by their marks."""
    chunks: list[dict[str, object]] = []
    kinds: Counter[str] = Counter()
    directories = 0
    for at, mark in _marks(file):
        if not mark.startswith(b"MDbData"):
            directories += 1
            continue
        file.seek(at)
        content = file.read(_E2E_CHUNK.size)
        if len(content) < _E2E_CHUNK.size:
            break
        fields = _E2E_CHUNK.unpack(content)
        length, kind, is_there = fields[4], fields[12], at + 60 + fields[4] <= size
        # numbers of kinds are small, apart from that of images; others may be anything
        name = _E2E_KNOWN.get(kind) or (f"kind {kind}" if kind < 100_000 else "unknown")
        kinds[name] += 1
        if len(chunks) < _MOST_LISTED:
            hashed = fingerprint(file, at + 60, length) if kind == 0x40000000 and is_there else None
            # a length beyond the file may be text that is taken for a number
            chunks.append({"kind": name, "at": at, "bytes": length if is_there else None, "sha256": hashed})
    return {"directories": directories, "chunks in all": dict(kinds), "chunks": chunks}


def _marks(file: BinaryIO) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    offset, window = 0, b""
    file.seek(0)
    while (block := file.read(_STEP)) and len(found) < 100 * _MOST_CHUNKS:
        window += block
        found += [(offset + mark.start(), mark.group()) for mark in _E2E_MARK.finditer(window)]
        keep = min(len(window), 11)
        offset += len(window) - keep
        window = window[-keep:]
    return found


def vol_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The numbers of a Heidelberg .vol header that are sizes, and whether B-scans begin where they say."""
    file.seek(0)
    header = file.read(_VOL.itemsize)
    if len(header) < _VOL.itemsize:
        return {"stopped": "the header is cut short"}
    record = np.frombuffer(header, _VOL)[0]
    names = [name for name in _VOL.names or () if name not in {"version", "skipped"}]
    numbers = {
        name: number_within(record[name], *_PLAUSIBLE_MM) if name.startswith("mm ") else _size(int(record[name]))
        for name in names
    }
    if not header.startswith(_VOL_MARK) and None in numbers.values():
        # one that cannot be true, and no mark: all of them may be text that is read as numbers
        return {"stopped": "is no header of a .vol file", "marks of B-scans at": _vol_marks(file)}
    sizes = [number for name in _VOL_SIZES if (number := numbers[name]) is not None]
    promised = None
    if len(sizes) == len(_VOL_SIZES):
        columns, rows, header_bytes, ascans, depth, bscans = sizes
        promised = _VOL_HEADER_BYTES + columns * rows + bscans * (header_bytes + 4 * ascans * depth)
    return {"numbers": numbers, "bytes promised": promised, "marks of B-scans at": _vol_marks(file)}


def _size(value: int) -> int | float | None:
    """A number that may be a size; None for others, and for two letters or more that are read as a number."""
    letters = value.to_bytes(4, "little", signed=True).rstrip(b"\0")
    is_text = len(letters) > 1 and letters.isascii() and letters.decode().isprintable()
    return None if is_text else number_within(value, 0, _LARGEST)


def _vol_marks(file: BinaryIO) -> list[int]:
    found: list[int] = []
    offset, window = 0, b""
    file.seek(0)
    while (block := file.read(_STEP)) and len(found) < _MOST_LISTED:
        window += block
        found += [offset + mark.start() for mark in re.finditer(rb"HSF-BS-1", window)]
        keep = min(len(window), 7)
        offset += len(window) - keep
        window = window[-keep:]
    return found[:_MOST_LISTED]
