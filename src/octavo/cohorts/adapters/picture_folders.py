"""Folders of numbered B-scans, as several data sets have them: which pictures are the scan, and what size they have."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PICTURES = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff"})
"""Endings of pictures, lower case."""


@dataclass(frozen=True)
class NumberedPictures:
    """The pictures of a folder whose names hold a number, and the rest of its files."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]


def numbered_pictures(folder: Path, pattern: str) -> NumberedPictures:
    """Sort the files of a folder into numbered pictures, in the order of their numbers, and others.

    Args:
        folder: The folder.
        pattern: What the name without its ending must be, with one group around the number.
    """
    expression = re.compile(pattern, re.IGNORECASE)
    numbered, others = [], []
    for path in sorted(folder.iterdir()):
        match = expression.fullmatch(path.stem) if path.suffix.lower() in PICTURES and path.is_file() else None
        if match is not None and not path.name.startswith("."):
            numbered.append((int(match[1]), path))
        else:
            others.append(path)
    return NumberedPictures(tuple(path for _, path in sorted(numbered)), tuple(others))


def picture_size(path: Path) -> tuple[int, int] | None:
    """Rows and columns of a picture, from its header; None where it cannot be opened."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("BMP", "JPEG", "PNG", "TIFF")) as image:
            return (image.height, image.width)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def photograph_beside(folder: Path, name: str) -> Path | None:
    """The picture called `name` beside a folder, whatever its ending."""
    found: Sequence[Path] = [
        folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
    ]
    return next((path for path in found if path.is_file()), None)
