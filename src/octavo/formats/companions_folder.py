"""Surfaces and pictures of a scan as files that any program opens: one CSV per surface, one PNG per picture."""

import io
import re
from pathlib import Path

import numpy as np
from jaxtyping import Num

from octavo.companions import Companions, Surface
from octavo.errors import OctavoError
from octavo.files import write_bytes, write_text


def write_companions(companions: Companions, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write what comes with a scan into a folder.

    `surface-NAME.csv` holds a row per B-scan and a column per A-scan: the depth of the surface in samples, counted from 0,
    and nothing where it is not known. `infrared.png`, `colour.png`, ... are the pictures.

    Returns:
        The files, in the order of the companions.

    Raises:
        OctavoError: If one of the files is there already and may not be replaced.
    """
    contents: dict[Path, str | bytes] = {}
    taken: set[str] = set()
    for surface in companions.surfaces:
        contents[folder / _file_name(f"surface-{surface.name}", ".csv", taken)] = _table(surface)
    for picture in companions.pictures:
        stem = f"{picture.kind.value}-{picture.name}" if picture.name else picture.kind.value
        contents[folder / _file_name(stem, ".png", taken)] = _png(picture.values)
    there = [path for path in contents if path.exists()]
    if there and not overwrite:
        raise OctavoError(f"{there[0]}: is there already; wanted a new folder; pass --overwrite to replace it")
    for path, content in contents.items():
        if isinstance(content, str):
            write_text(path, content)
        else:
            write_bytes(path, content)
    return list(contents)


def _file_name(stem: str, suffix: str, taken: set[str]) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-") or "unnamed"
    name, number = plain, 2
    while name.lower() in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name.lower())
    return name + suffix


def _table(surface: Surface) -> str:
    rows = (",".join("" if np.isnan(depth) else f"{depth:.6g}" for depth in row) for row in surface.depth)
    return "\n".join(rows) + "\n"


def _png(values: Num[np.ndarray, "row column *channel"]) -> bytes:
    from PIL import Image

    if values.dtype not in (np.uint8, np.uint16) or (values.ndim == 3 and values.dtype != np.uint8):
        low, high = float(values.min()), float(values.max())
        values = np.rint((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(stream, format="PNG")
    return stream.getvalue()
