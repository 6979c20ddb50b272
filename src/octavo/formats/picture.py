"""A single picture, PNG, JPEG or BMP: one B-scan. A TIFF of one page is one too, and `tiff` reads it.

Rows are depth, columns A-scans. A picture has no millimetres: the resolution it may state is that of a screen. Nothing
says whether it is a line, a circle or one of a raster, so the pattern is unknown; nor whether it is a B-scan at all, as a
note says: an angiogram is grey too. Comments, text and EXIF are not read, but for the number that says how the picture is
to be turned.

A picture is read where it is named. Where a folder is searched it is no scan, because most pictures that lie about are
photographs, previews and masks; numbered ones are read by `image_folder`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from octavo.formats.errors import VolumeReadError
from octavo.formats.greyscale import LEFT_NOTE, bytes_per_pixel, read_page, wants_left_half
from octavo.formats.limits import check_size
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.volume import Volume

_FORMATS = ("BMP", "JPEG", "PNG")
_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_TAKEN_FOR_BSCAN = "a picture does not say what it shows; taken for a single B-scan"
_BMP_HEADER_BYTES = {12, 40, 52, 56, 64, 108, 124}


def _recognises(path: Path, beginning: bytes) -> bool:
    # two letters are no mark, so the zeros and the size of the header behind them are asked too
    is_bmp = (
        beginning[:2] == b"BM"
        and beginning[6:10] == bytes(4)
        and int.from_bytes(beginning[14:18], "little") in _BMP_HEADER_BYTES
    )
    return is_bmp or beginning.startswith(_MAGICS)


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    from PIL import Image

    is_left = wants_left_half(options)
    with Image.open(path, formats=_FORMATS) as image:
        pages = int(getattr(image, "n_frames", 1))
        if pages != 1:
            raise VolumeReadError(f"holds {pages} pictures; wanted one B-scan; save each as a picture of its own")
        shape = (1, image.height, image.width)
        check_size(shape, bytes_per_pixel(image), path.stat().st_size)
    which = "the left half of a picture" if is_left else "a picture"
    return [Scan(f"{which} of {shape[1]} x {shape[2]}", Kind.OCT, partial(_load, path, is_left))]


def _load(path: Path, is_left: bool) -> Volume:
    from PIL import Image

    with Image.open(path, formats=_FORMATS) as image:
        values, notes = read_page(image, is_left=is_left)
    return Volume(values[None], notes=(_TAKEN_FOR_BSCAN, *notes, *([LEFT_NOTE] if is_left else [])))


READER = Reader(
    name="picture",
    about="a picture of one B-scan (.png, .jpg, .bmp)",
    suffixes=(".png", ".jpg", ".jpeg", ".bmp"),
    recognises=_recognises,
    scans=_scans,
    takes=frozenset({"key"}),
)
