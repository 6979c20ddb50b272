"""Multi-page TIFF: a page is a B-scan, its rows are depth, its columns A-scans.

TIFF has no word for the distance between pages, and the resolution tags of exports are those of a screen, so a foreign
file has no millimetres. octavo's own files keep the geometry as JSON in the first page's ImageDescription.
"""

import dataclasses
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from octavo.errors import OctavoError
from octavo.formats.errors import VolumeReadError
from octavo.formats.geometry_text import MAX_BYTES, geometry_from_text, geometry_to_text, is_geometry, stated_laterality
from octavo.formats.greyscale import bytes_per_pixel, read_page
from octavo.formats.limits import check_size
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.tiff_directory import MAGICS, count_pages
from octavo.volume import Laterality, Origin, ScanPattern, Volume

if TYPE_CHECKING:
    from PIL.Image import Image

_IMAGE_DESCRIPTION = 270
_WRITTEN_TYPES = {"uint8": "L", "uint16": "I;16", "int32": "I", "float32": "F"}


def _recognises(path: Path, beginning: bytes) -> bool:
    return beginning[:4] in MAGICS


def _opened(path: Path) -> "Image":
    from PIL import Image

    return Image.open(path, formats=("TIFF",))


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    stored_bytes = path.stat().st_size
    pages = count_pages(path)
    with _opened(path) as image:
        if int(getattr(image, "n_frames", 1)) != pages:
            raise VolumeReadError(f"only some of its {pages} pages can be opened; wanted all; export it again")
        image.seek(0)
        shape = (pages, image.height, image.width)
        check_size(shape, bytes_per_pixel(image), stored_bytes)
        text = _own_geometry(image)
    laterality = Laterality.UNKNOWN if text is None else stated_laterality(text)
    return [Scan(f"{pages} pages of {shape[1]} x {shape[2]}", Kind.IMAGE, partial(_load, path, shape), laterality)]


def _own_geometry(image: "Image") -> str | None:
    """Octavo's text in the page that is open, where there is one."""
    description = str(getattr(image, "tag_v2", {}).get(_IMAGE_DESCRIPTION, ""))
    return description if len(description) <= MAX_BYTES and is_geometry(description) else None


def _load(path: Path, shape: tuple[int, int, int]) -> Volume:
    with _opened(path) as image:
        text = _own_geometry(image)
        pages = []
        notes: dict[str, None] = {}
        for page in range(shape[0]):
            image.seek(page)
            if (image.height, image.width) != shape[1:]:
                raise VolumeReadError(
                    f"page 1 is {shape[1]} x {shape[2]} and page {page + 1} is {image.height} x {image.width}; "
                    "wanted pages of one size; save the B-scans of one scan by themselves"
                )
            values, page_notes = read_page(image)
            pages.append(values)
            notes |= dict.fromkeys(page_notes)
    if len({page.dtype for page in pages}) > 1:
        raise VolumeReadError("pages hold samples of different types; wanted one type; save them all as 8- or 16-bit")
    block = np.stack(pages)
    if text is not None:
        own = geometry_from_text(text, block)
        return dataclasses.replace(own, notes=(*own.notes, *notes))
    volume = Volume(block, notes=tuple(notes))
    if len(block) == 1:
        return volume
    return dataclasses.replace(volume, pattern=ScanPattern.RASTER, pattern_origin=Origin.ASSUMED)


def write_tiff(volume: Volume, file: BinaryIO) -> None:
    """Write a volume as one uncompressed TIFF of grey pages.

    Raises:
        OctavoError: If the samples are of a type that grey TIFF pages do not have.
    """
    from PIL import Image

    if volume.values.dtype.name not in _WRITTEN_TYPES:
        raise OctavoError(
            f"volume holds {volume.values.dtype.name} samples; TIFF wants one of {', '.join(_WRITTEN_TYPES)}; "
            "write .npz instead"
        )
    pages = [Image.fromarray(np.ascontiguousarray(bscan)) for bscan in volume.bscans]
    description = geometry_to_text(volume)
    # Pillow reads back what it wrote to link the pages, which a file opened for writing does not allow.
    stream = io.BytesIO()
    pages[0].save(stream, format="TIFF", save_all=True, append_images=pages[1:], description=description)
    file.write(stream.getbuffer())


READER = Reader(
    name="tiff",
    about="a TIFF file whose pages are B-scans",
    suffixes=(".tif", ".tiff"),
    recognises=_recognises,
    scans=_scans,
)
