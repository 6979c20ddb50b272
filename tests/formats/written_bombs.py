"""Small files that promise much: bombs and lying headers of every format, built where they are needed."""

import bz2
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from formats.written_e2e import IMAGE, Block, blocks_of, e2e_bytes, planted_raster
from formats.written_heyex import planted_series, write_export
from formats.written_matlab import HEADER_5, array, matrix, packed, write_mat73
from formats.written_octexplorer import planted, surfaces_xml
from formats.written_scans import eye, opt_dataset, vol_bytes, write_dicom
from formats.written_stored_images import metaimage_header, nrrd_header
from formats.written_topcon import compressed, photograph, topcon_bytes
from formats.written_zeiss import img_bytes
from octavo.formats import write_volume
from octavo.volume import Spacing, Volume

MILLIMETRES = (0.12, 0.0039, 0.0113)
LONG = 128 * 2**20
"""What a bomb unpacks to, at least."""


def _zeros(total: int) -> Iterable[bytes]:
    for _ in range(total // 2**20):
        yield bytes(2**20)


def gzip_of(beginning: bytes, total: int = LONG) -> bytes:
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as file:
        file.write(beginning)
        for piece in _zeros(total):
            file.write(piece)
    return stream.getvalue()


def _zlib(beginning: bytes, total: int = LONG, bits: int = zlib.MAX_WBITS) -> bytes:
    squeeze = zlib.compressobj(1, zlib.DEFLATED, bits)
    pieces = [squeeze.compress(beginning), *(squeeze.compress(piece) for piece in _zeros(total))]
    return b"".join([*pieces, squeeze.flush()])


def bzip2_of(total: int = 80 * 2**20) -> bytes:
    squeeze = bz2.BZ2Compressor(9)
    return b"".join([*(squeeze.compress(piece) for piece in _zeros(total)), squeeze.flush()])


def npy_header(shape: str, length: int = 0, descr: str = "|u1") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(length).encode()
    return b"\x93NUMPY\x02\0" + struct.pack("<I", len(text) + 1) + text + b"\n"


def _npz(path: Path, members: dict[str, Iterable[bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, pieces in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)
    return path


def placed(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def npz_of_zeros(folder: Path) -> Path:
    return _npz(folder / "a.npz", {"data": [npy_header("(200, 1024, 1024)"), *_zeros(LONG)]})


def npz_that_goes_on(folder: Path) -> Path:
    return _npz(folder / "a.npz", {"data": [npy_header("(4, 12, 16)"), *_zeros(LONG)]})


def npz_of_long_headers(folder: Path, count: int = 4000) -> Path:
    header = npy_header("(0," + "1," * 4900 + ")")
    return _npz(folder / "a.npz", {f"a{number}": [header] for number in range(count)})


def npz_header_without_end(folder: Path) -> Path:
    return _npz(folder / "a.npz", {"data": [b"\x93NUMPY\x02\0\xff\xff\xff\x7f", *_zeros(LONG)]})


def npz_of_many_members(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        for number in range(60_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.npy"), b"")
    return folder / "a.npz"


def npz_companions(folder: Path, **change: tuple[str, Iterable[bytes]]) -> Path:
    whole = write_volume(Volume(eye(), Spacing(*MILLIMETRES)), folder / "whole.npz")
    with zipfile.ZipFile(whole) as archive:
        members = {name.removesuffix(".npy"): [archive.read(name)] for name in archive.namelist()}
    for name, (header, pieces) in change.items():
        members[name.replace("_", "-")] = [npy_header(header, descr="|u1"), *pieces]
    whole.unlink()
    return _npz(folder / "a.npz", members)


def npz_list_of_companions(folder: Path) -> Path:
    return npz_companions(folder, companions=(f"({60 * 2**20},)", [b"[1," + b"1," * (30 * 2**20 - 2) + b"1"]))


def npz_wide_surfaces(folder: Path) -> Path:
    told = json.dumps({"surfaces": ["a"] * 8, "pictures": [], "notes": []}).encode()
    wide = {f"surface_{number}": ("(60, 1048576)", _zeros(60 * 2**20)) for number in range(1, 9)}
    return npz_companions(folder, companions=(f"({len(told)},)", [told]), **wide)


def npz_many_pictures(folder: Path) -> Path:
    told = {"surfaces": [], "notes": [], "pictures": [{"kind": "slab", "name": "", "spacing_mm": None}] * 8}
    words = json.dumps(told).encode()
    wide = {f"picture_{number}": ("(60, 1048576)", _zeros(60 * 2**20)) for number in range(1, 9)}
    return npz_companions(folder, companions=(f"({len(words)},)", [words]), **wide)


def nifti(folder: Path, *changes: tuple[int, str, object], packed: bool = True, long: int = LONG) -> Path:
    whole = write_volume(Volume(eye(), Spacing(*MILLIMETRES)), folder / "whole.nii").read_bytes()
    (folder / "whole.nii").unlink()
    header = bytearray(whole[:352])
    for at, code, number in changes:
        struct.pack_into(code, header, at, number)
    return (
        placed(folder, "a.nii.gz", gzip_of(bytes(header), long)) if packed else placed(folder, "a.nii", bytes(header))
    )


def pair_that_lies(folder: Path) -> Path:
    """A header of its own that promises half a milliard voxels, and a file of a few."""
    header = bytearray(nifti(folder, (42, "<h", 1024), (44, "<h", 1024), (46, "<h", 500), packed=False).read_bytes())
    (folder / "a.nii").unlink()
    header[344:348] = b"ni1\0"
    struct.pack_into("<f", header, 108, 0.0)
    placed(folder, "a.img", eye().tobytes())
    return placed(folder, "a.hdr", bytes(header[:348]))


def _directory(strips: int, place: int, following: int, side: int = 16) -> bytes:
    """A page of TIFF whose lists of strips lie at a place."""
    entries = [
        *[(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)],
        *[(273, 4, strips, place), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, strips, place)],
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def tiff_bytes(pages: int, strips: int) -> bytes:
    """Pages that all point at one list of strips."""
    size, first = len(_directory(1, 0, 0)), 8 + 4 * strips
    directories = [_directory(strips, 8, first + size * (page + 1)) for page in range(pages - 1)]
    return struct.pack("<2sHI", b"II", 42, first) + bytes(4 * strips) + b"".join([*directories, _directory(1, 8, 0)])


def tiff_of_zeros(folder: Path) -> Path:
    Image.fromarray(np.zeros((9000, 9000), np.uint8)).save(folder / "a.tif", compression="tiff_adobe_deflate")
    return folder / "a.tif"


def dicom(folder: Path, **changes: object) -> Path:
    dataset = opt_dataset(eye(), spacing_mm=MILLIMETRES)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return write_dicom(folder / "a.dcm", dataset)


def dicom_deflated(folder: Path) -> Path:
    path = write_dicom(folder / "a.dcm", opt_dataset(eye(1)), DeflatedExplicitVRLittleEndian)
    whole = path.read_bytes()
    meta = 144 + struct.unpack_from("<I", whole, 140)[0]
    return placed(folder, "a.dcm", whole[:meta] + _zlib(b"", bits=-zlib.MAX_WBITS))


def dicom_jpeg2000(folder: Path) -> Path:
    """Frames of 2^17 x 2^17 that the header gives as 40 x 48."""
    path = write_dicom(folder / "a.dcm", opt_dataset(eye(1, 40, 48)), JPEG2000Lossless)
    content = bytearray(path.read_bytes())
    struct.pack_into(">II", content, content.index(b"\xff\x4f\xff\x51") + 8, 2**17, 2**17)
    return placed(folder, "a.dcm", bytes(content))


def dicom_jpeg2000_agreed(folder: Path) -> Path:
    dataset = opt_dataset(eye(1, 40, 48))
    path = write_dicom(folder / "a.dcm", dataset, JPEG2000Lossless)
    content = bytearray(path.read_bytes())
    struct.pack_into(">II", content, content.index(b"\xff\x4f\xff\x51") + 8, 16_000, 16_000)
    for tag, value in ((b"\x28\x00\x10\x00US\x02\x00", 16_000), (b"\x28\x00\x11\x00US\x02\x00", 16_000)):
        struct.pack_into("<H", content, content.index(tag) + 8, value)
    return placed(folder, "a.dcm", bytes(content))


def dicom_nested(folder: Path) -> Path:
    whole = write_dicom(folder / "whole", opt_dataset(eye(1))).read_bytes()
    (folder / "whole").unlink()
    opening = b"\x08\x00\x18\x22SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    at = whole.index(b"\x20\x00\x0d\x00UI")
    return placed(folder, "a.dcm", whole[:at] + opening * 20_000 + closing * 20_000 + whole[at:])


def dicom_of_empty_items(folder: Path, *, open_end: bool) -> Path:
    """A sequence of 400,000 empty items, of a stated length or with an end mark."""
    dataset = opt_dataset(eye(), positions=False, spacing_mm=None)
    del dataset.PerFrameFunctionalGroupsSequence
    whole = write_dicom(folder / "whole", dataset, ExplicitVRLittleEndian).read_bytes()
    (folder / "whole").unlink()
    at = whole.index(b"\xe0\x7f\x10\x00O")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 400_000
    length = 0xFFFFFFFF if open_end else len(items)
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if open_end else b""
    groups = b"\x00\x52\x30\x92SQ\0\0" + struct.pack("<I", length) + items + end
    return placed(folder, "a.dcm", whole[:at] + groups + whole[at:])


def pictures(folder: Path, make: Callable[[Path], object], suffix: str = ".png") -> Path:
    (folder / "scan").mkdir()
    for number in (1, 2, 3):
        make(folder / "scan" / f"{number}{suffix}")
    return folder / "scan"


def picture(folder: Path, make: Callable[[Path], object]) -> Path:
    make(folder / "a.png")
    return folder / "a.png"


def png_of_zeros(path: Path) -> None:
    _png(path, 9000, 9000, _zlib(b"", 78 * 2**20))


def png_that_lies(path: Path) -> None:
    _png(path, 60_000, 60_000, zlib.compress(bytes(100)))


def png_of_words(path: Path) -> None:
    _png(path, 16, 16, zlib.compress(bytes(17 * 16)), [(b"zTXt", b"a\0\0" + _zlib(b"", 2**20 * 100))] * 3)


def _png(path: Path, width: int, height: int, samples: bytes, before: Iterable[tuple[bytes, bytes]] = ()) -> None:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in [(b"IHDR", head), *before, (b"IDAT", samples), (b"IEND", b"")]:
        content += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(content)


def e2e_of_marks(folder: Path) -> Path:
    return placed(folder, "a.E2E", b"CMDb".ljust(12, b"\0") + bytes(60) + b"MDbData\0\0\0\0\0" * 200_000)


def e2e_of_directories(folder: Path) -> Path:
    """Directories that point at one another in a circle and list chunks that are not there."""
    blocks = [Block(IMAGE, bytes(20), slice=2 * number, index=1) for number in range(20_000)]
    whole = e2e_bytes(blocks, loops=True, per_directory=500)
    return placed(folder, "a.E2E", whole.replace(b"MDbData", b"XXbData"))


def e2e_wide(folder: Path) -> Path:
    blocks = [
        Block(block.kind, block.payload[:8] + struct.pack("<3I", 2**30, 2**15, 2**15) + block.payload[20:], index=1)
        if block.kind == IMAGE
        else block
        for block in blocks_of(planted_raster())
    ]
    return placed(folder, "a.E2E", e2e_bytes(blocks))


def vol(folder: Path, **stated: int) -> Path:
    reflectivity = (eye().astype(np.float32) / 255) ** 4
    return placed(folder, "a.vol", vol_bytes(reflectivity, spacing_mm=MILLIMETRES, stated=stated))


def vol_wide_picture(folder: Path) -> Path:
    content = bytearray(vol(folder).read_bytes())
    struct.pack_into("<ii", content, 48, 2**31 - 1, 2**31 - 1)
    return placed(folder, "a.vol", bytes(content))


def mat5_of_structures(folder: Path, count: int = 396) -> Path:
    """As many packed structures, each of which unpacks to 50 times its size."""
    flags, lengths = struct.pack("<IIII", 6, 8, 2, 0), struct.pack("<IIii", 5, 8, 1, 1)
    names = struct.pack("<HHI", 5, 4, 8) + struct.pack("<II", 1, 16) + b"a".ljust(8, b"\0") + b"b".ljust(8, b"\0")
    noise = np.random.default_rng(0).bytes(31_000)
    zeros = bytes(2**20 * 3 // 2)
    content: list[bytes] = []
    fields = array(b"", (len(zeros), 1), zeros, kind=2) + array(b"", (len(noise), 1), noise, kind=2)
    for number in range(count):
        name = struct.pack("<HH", 1, 4) + f"s{number:03d}".encode()
        content += [packed(matrix(flags + lengths + name + names + fields))]
    return placed(folder, "a.mat", HEADER_5 + b"".join(content))


def mat5_plain(folder: Path) -> Path:
    return placed(folder, "a.mat", HEADER_5 + packed(array(b"v", (2**13, 2**13, 2), bytes(2**27))))


def mat73(folder: Path, *, shape: tuple[int, int, int] = (256, 512, 1024)) -> Path:
    return write_mat73(folder / "a.mat", {"v": np.zeros(shape, np.uint8)}, chunks=(256, 256, 256))


def mat73_of_names(folder: Path) -> Path:
    """A group whose 26,000 names all lie in one heap of a mebibyte, each of them to its end."""
    base = 512
    heap_at, names_at = 2**12, 2**13
    snod_at = names_at + 2**20
    count = 26_000
    tree_at = 2**11
    content = bytearray(snod_at + 8 + 40 * count)
    content[:8] = b"\x89HDF\r\n\x1a\n"
    content[8:16] = bytes([0, 0, 0, 0, 0, 8, 8, 0])
    struct.pack_into("<HHI", content, 16, 4, 16, 0)
    struct.pack_into("<4Q", content, 24, 0, 2**64 - 1, len(content), 2**64 - 1)
    struct.pack_into("<QQII", content, 56, 0, 96, 0, 0)
    # the root's header: one message, a table of symbols
    struct.pack_into("<BBHII", content, 96, 1, 0, 1, 1, 24)
    struct.pack_into("<HHB3xQQ", content, 112, 17, 16, 0, tree_at, heap_at)
    content[tree_at : tree_at + 8] = b"TREE" + struct.pack("<BBH", 0, 0, 60)
    for child in range(60):
        struct.pack_into("<Q", content, tree_at + 24 + 8 + 16 * child, snod_at)
    content[heap_at : heap_at + 4] = b"HEAP"
    struct.pack_into("<QQQ", content, heap_at + 8, 2**20, 0, names_at)
    content[names_at : names_at + 2**20] = b"#" * 2**20
    content[snod_at : snod_at + 8] = b"SNOD" + struct.pack("<BBH", 1, 0, count)
    begin = (HEADER_5[:124] + b"\x00\x02IM").ljust(base, b"\0")
    return placed(folder, "a.mat", begin + bytes(content))


def mha(folder: Path, lengths: str, **changes: str) -> Path:
    said = {"CompressedData": "True", "DimSize": lengths, **changes}
    header = metaimage_header(eye(), MILLIMETRES, "LOCAL", changes=said)
    return placed(folder, "a.mha", header + _zlib(b""))


def nrrd(folder: Path, lengths: str, encoding: str, content: bytes, **changes: str) -> Path:
    header = nrrd_header(eye(), MILLIMETRES, encoding=encoding, changes={"sizes": lengths, **changes})
    return placed(folder, "a.nrrd", header + b"\n" + content)


def xml(folder: Path, beginning: str = "", inside: str = "") -> Path:
    path = write_export(folder / "x", planted_series(), beginning=beginning) / "zz.xml"
    path.write_text(path.read_text().replace("<Birthdate>", f"{inside}<Birthdate>"))
    return path


def octexplorer(folder: Path, beginning: str = "", **stated: str) -> Path:
    text = surfaces_xml(planted((4, 12, 16)), (4, 12, 16), stated=stated or None, beginning=beginning)
    return placed(folder, "eye_Surfaces_Iowa.xml", text.encode())


def zeiss(folder: Path, profile: str) -> Path:
    (folder / "eye.img.json").write_text(profile)
    return placed(folder, "eye.img", img_bytes(eye()))


def xlsx(folder: Path, *, cells: Iterable[bytes] = (), styles: Iterable[bytes] = (), beginning: str = "") -> Path:
    """A spreadsheet whose sheet or styles unpack to much."""
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["path", "label"])
    book.save(folder / "whole.xlsx")
    with zipfile.ZipFile(folder / "whole.xlsx") as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    (folder / "whole.xlsx").unlink()
    with zipfile.ZipFile(folder / "a.xlsx", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            pieces = {"xl/worksheets/sheet1.xml": cells, "xl/styles.xml": styles}.get(name, ())
            end = b"</sheetData>" if "sheet1" in name else b"</styleSheet>"
            if beginning and "sheet1" in name:
                content = beginning.encode() + content.replace(b"path", b"&k;")
            at = content.rindex(end) if pieces else len(content)
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content[:at])
                for piece in pieces:
                    member.write(piece)
                member.write(content[at:])
    return folder / "a.xlsx"


def topcon(folder: Path, block: bytes) -> Path:
    return placed(folder, "a.fda", topcon_bytes(block, more=[photograph(np.zeros((3, 4, 3), np.uint8))]))


def tiled() -> bytes:
    tiled = bytearray(compressed(eye(1, 2000, 500)))
    at = tiled.index(b"\xff\x4f\xff\x51") + 24
    tiled[at : at + 8] = struct.pack(">2I", 1, 1)
    return bytes(tiled)
