"""Files of plain arrays and pictures: shapes and types, members and directories; names only if they are known keys."""

import ast
import io
import re
import struct
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from octavo.privacy.skeleton_bytes import number_within

_KNOWN_KEYS = {
    *["values", "geometry", "data", "arr_0", "image", "images", "img", "mask", "label", "volume", "oct", "oct_bscans"],
    *["rnflt", "slo_fundus", "glaucoma", "progression", "md", "tds", "layerMaps", "left", "right", "pos", "label_idx"],
}
_PLAIN_TYPE = re.compile(r"[<>|=]?[biufcSUVOM]\d{1,6}")
_LONGEST_HEADER = 4096
_MOST_MEMBERS = 200
_MOST_PAGES = 200
_MOST_ENTRIES = 100
_MOST_UNPACKED = 2**16
_MAGIC_OF_MEMBER = {b"\x93NUMPY": "npy", b"PK\x03\x04": "zip", b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg"}
_PICTURE_TAGS = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339}
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "L", 16: "Q"}
_MOST_TYPES = 18
_MATLAB_TYPES = range(1, 19)
_NIFTI_1 = {
    "axes": ("i2", 40, 8),
    "type": ("i2", 70, 1),
    "bits": ("i2", 72, 1),
    "voxel sizes": ("f4", 76, 8),
    "first voxel": ("f4", 108, 1),
    "units": ("u1", 123, 1),
    "qform": ("i2", 252, 1),
    "sform": ("i2", 254, 1),
}
_NIFTI_2 = {
    "axes": ("i8", 16, 8),
    "type": ("i2", 12, 1),
    "bits": ("i2", 14, 1),
    "voxel sizes": ("f8", 104, 8),
    "first voxel": ("i8", 168, 1),
    "units": ("i4", 500, 1),
    "qform": ("i4", 344, 1),
    "sform": ("i4", 348, 1),
}
_LARGEST = 1e6


def npy_parts(file: BinaryIO | io.BytesIO, size: int) -> dict[str, object]:
    """The shape and the type of a NumPy array, and how many bytes they promise."""
    file.seek(6)
    major, _minor = file.read(2)
    width = 2 if major == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    header = {"version": major, "header bytes": length}
    if length > _LONGEST_HEADER:
        return {**header, "stopped": "the header is longer than that of any plain array"}
    said = ast.literal_eval(file.read(length).decode("latin-1"))
    begin = 8 + width + length
    shape = [int(axis) for axis in said["shape"] if isinstance(axis, int)]
    plain = said["descr"] if isinstance(said["descr"], str) and _PLAIN_TYPE.fullmatch(said["descr"]) else "not plain"
    return {
        **header,
        "shape": shape,
        "type": plain,
        "column by column": said["fortran_order"] is True,
        "bytes of samples": size - begin,
    }


def zip_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The members of an archive: sizes and what they are; no checksums, for they tell what is short."""
    file.seek(0)
    members: list[dict[str, object]] = []
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        for number, info in enumerate(infos[:_MOST_MEMBERS], 1):
            name, _, ending = info.filename.rpartition(".")
            member: dict[str, object] = {
                "name": info.filename if ending == "npy" and name in _KNOWN_KEYS else f"member {number}",
                "stored bytes": info.compress_size,
                "bytes": info.file_size,
                "method": info.compress_type,
                "at": info.header_offset,
                "encrypted": bool(info.flag_bits & 1),
            }
            if info.compress_type in {0, 8} and not info.flag_bits & 1:
                member |= _beginning_of_member(archive, info)
            members.append(member)
    return {"members": members, "members in all": len(infos)}


def _beginning_of_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> dict[str, object]:
    with archive.open(info) as stream:
        beginning = stream.read(_LONGEST_HEADER + 16)
    kind = next((name for mark, name in _MAGIC_OF_MEMBER.items() if beginning.startswith(mark)), "unknown")
    parts = npy_parts(io.BytesIO(beginning), info.file_size) if kind == "npy" else {}
    return {"kind": kind, **parts}


def gzip_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """What a packed file begins with, unpacked no further than a header reaches."""
    file.seek(0)
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = unpack.decompress(file.read(_MOST_UNPACKED), _MOST_UNPACKED)
    is_nifti = content[344:347] in {b"n+1", b"ni1"} or content[4:7] == b"n+2"
    inner = nifti_parts(io.BytesIO(content), len(content)) if is_nifti else {}
    return {"kind": "nifti" if is_nifti else "unknown", **inner}


def nifti_parts(file: BinaryIO | io.BytesIO, size: int) -> dict[str, object]:
    """The numbers of a NIfTI header that are sizes and units; its free texts are not looked at."""
    file.seek(0)
    content = file.read(540)
    for order in "<>":
        fields = {348: _NIFTI_1, 540: _NIFTI_2}.get(struct.unpack_from(f"{order}i", content)[0])
        if fields is not None:
            numbers = {name: _nifti_numbers(content, order, *where) for name, where in fields.items()}
            return {"big-endian": order == ">", "numbers": numbers}
    return {"stopped": "the header has another size than NIfTI's"}


def _nifti_numbers(content: bytes, order: str, kind: str, at: int, count: int) -> list[float | int | None]:
    return [number_within(value, -_LARGEST, _LARGEST) for value in np.frombuffer(content, f"{order}{kind}", count, at)]


def matlab_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The elements of a MATLAB 5 file: types and sizes; the text at its beginning names a machine and is passed over."""
    file.seek(126)
    order = "<" if file.read(2) == b"IM" else ">"
    position, elements = 128, list[dict[str, object]]()
    stopped = None
    while position + 8 <= size and len(elements) < _MOST_MEMBERS:
        file.seek(position)
        kind, length = struct.unpack(f"{order}LL", file.read(8))
        if kind not in _MATLAB_TYPES or position + 8 + length > size:
            # what is no element may be text that is taken for numbers
            stopped = "an element is of no known type, or reaches beyond the end of the file"
            break
        elements.append({"type": kind, "bytes": length, "at": position})
        position += 8 + length + (-length % 8 if kind != 15 else 0)
    return {
        "big-endian": order == ">",
        "elements": elements,
        "bytes left": max(size - position, 0),
        "stopped": stopped,
    }


def tiff_parts(file: BinaryIO, size: int) -> dict[str, object]:
    """The directories of a TIFF: tags, types and counts; values of those that give the size of the picture."""
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = ">" if head.startswith(b"MM") else "<"
    is_big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    offset = struct.unpack_from(f"{order}Q", head, 8)[0] if is_big else struct.unpack_from(f"{order}L", head, 4)[0]
    pages: list[dict[str, object]] = []
    seen: set[int] = set()
    stopped = None
    while 0 < offset < size and offset not in seen and len(pages) < _MOST_PAGES:
        seen.add(offset)
        try:
            page, offset = _directory(file, offset, order, is_big)
        except struct.error:
            stopped = "a directory reaches beyond the end of the file"
            break
        pages.append(page)
        if page["stopped"]:
            break
    beyond = "the next directory lies beyond the end of the file" if offset >= size else None
    circle = "directories go in a circle" if pages and offset in seen and not stopped else None
    return {"big-endian": order == ">", "big": is_big, "pages": pages, "stopped": stopped or beyond or circle}


def _directory(file: BinaryIO, offset: int, order: str, is_big: bool) -> tuple[dict[str, object], int]:
    counter, entry, pointer = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHL4s", "L")
    file.seek(offset)
    (count,) = struct.unpack(order + counter, file.read(struct.calcsize(order + counter)))
    width = struct.calcsize(order + entry)
    entries: list[dict[str, object]] = []
    stopped = None
    for _ in range(min(count, _MOST_ENTRIES)):
        tag, kind, values, inline = struct.unpack(order + entry, file.read(width))
        if not 1 <= kind <= _MOST_TYPES:
            # what follows may be text that is taken for numbers
            stopped = "an entry is of no known type"
            break
        said: dict[str, object] = {"tag": tag, "type": kind, "count": values}
        number = _TIFF_NUMBERS.get(kind)
        if tag in _PICTURE_TAGS and values == 1 and number and struct.calcsize(order + number) <= len(inline):
            said["value"] = struct.unpack_from(order + number, inline)[0]
        entries.append(said)
    file.seek(offset + struct.calcsize(order + counter) + count * width)
    (after,) = struct.unpack(order + pointer, file.read(struct.calcsize(order + pointer)))
    # so many entries of which one is none may be text that is taken for their number
    return {"at": offset, "entries": entries, "entries in all": None if stopped else count, "stopped": stopped}, after
