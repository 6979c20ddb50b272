"""Finding the folders and spreadsheets of a layout, and saying exactly what is missing where one is not there."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from octavo.errors import OctavoError


def folded(name: str) -> str:
    """A name without what people spell differently: capitals, blanks, hyphens, underscores, slashes.

    Example:
        >>> folded("OS/OD"), folded("Image Data ID"), folded("patient_id")
        ('osod', 'imagedataid', 'patientid')
    """
    return "".join(mark for mark in name.lower() if mark not in " -_/.")


def nearest(name: str, there: Iterable[str]) -> str:
    """The nearest of some names, as the end of a refusal; empty where none is near.

    Example:
        >>> nearest("Training", ["training_set", "masks"])
        "; the nearest is 'training_set'"
    """
    by_folded = {folded(other): other for other in there}
    close = difflib.get_close_matches(folded(name), list(by_folded), n=1, cutoff=0.5)
    return f"; the nearest is {by_folded[close[0]]!r}" if close else ""


def listed(names: Sequence[str], nothing: str = "nothing") -> str:
    """A few names in quotes, for messages.

    Example:
        >>> listed(["a", "b"]), listed([])
        ("'a', 'b'", 'nothing')
    """
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "") if names else nothing


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones left out."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def files_in(folder: Path) -> list[str]:
    """Names of the files in a folder, hidden ones left out."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def require_folder(root: Path, *spellings: str) -> Path:
    """A folder below the root, under any of its spellings; capitals, blanks and hyphens make no difference.

    Raises:
        OctavoError: If there is none; the message names what was found and the nearest.
    """
    there = find_folder(root, *spellings)
    if there is None:
        names = folders_in(root)
        raise OctavoError(
            f"{root}: has no folder {' or '.join(map(repr, spellings))}; found {listed(names, 'no folders')}"
            f"{nearest(spellings[0], names)}; wanted it under that name; rename it, or pass the folder that holds it"
        )
    return there


def find_folder(root: Path, *spellings: str) -> Path | None:
    """The same, or None."""
    wanted = [folded(name) for name in spellings]
    by_folded = {folded(name): root / name for name in reversed(folders_in(root))}
    return next((by_folded[name] for name in wanted if name in by_folded), None)


def find_file(folder: Path, *spellings: str) -> Path | None:
    """A file of a folder under any of its spellings; capitals, blanks and hyphens make no difference."""
    if not folder.is_dir():
        return None
    by_folded = {folded(name): folder / name for name in reversed(files_in(folder))}
    return next((by_folded[folded(name)] for name in spellings if folded(name) in by_folded), None)


def require_file(folders: Sequence[Path], *spellings: str, given: Path | None = None, cure: str = "add it") -> Path:
    """A file in the first of some folders that has it, or the one that the user gave.

    Raises:
        OctavoError: If there is none; the message names what was found and the nearest.
    """
    if given is not None:
        if not given.is_file():
            raise OctavoError(f"{given}: there is no such file; wanted {spellings[0]}; check --table")
        return given
    found = next((file for folder in folders if (file := find_file(folder, *spellings)) is not None), None)
    if found is None:
        names = [name for folder in folders if folder.is_dir() for name in files_in(folder)]
        raise OctavoError(
            f"{folders[0]}: has no file {' or '.join(map(repr, spellings))}; found {listed(names, 'no files')}"
            f"{nearest(spellings[0], names)}; wanted it under that name; {cure}"
        )
    return found
