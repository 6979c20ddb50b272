"""Writing files so that a reader never meets half of one, and a crash leaves what was there."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from octavo.errors import OctavoError


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when everything is on the disk.

    The bytes go to a file beside it, are flushed to the disk, and then renamed. On any error the old file stays and the
    half-written one is removed, with the folders that were made for it.
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    new_folders = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        # a folder that could not be made, or that another file has been put into since, stays as it is
        with suppress(OSError):
            beside.unlink(missing_ok=True)
            for folder in new_folders:
                folder.rmdir()
        raise
    _flush_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_writer(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a text file (UTF-8) atomically.

    Raises:
        OctavoError: If the text holds what UTF-8 cannot, as names of files do that were made in another encoding.
    """
    try:
        encoded = content.encode()
    except UnicodeEncodeError as error:
        passage = ascii(content[max(error.start - 40, 0) : error.end + 40])
        raise OctavoError(
            f"{ascii(str(path))[1:-1]}: would hold {passage}, which is not UTF-8 text; wanted names that are; rename the "
            "file or folder"
        ) from None
    write_bytes(path, encoded)


def write_json(path: Path, content: object) -> None:
    """Write JSON for people to read: indented, keys in the order given, not-a-number refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON file that holds an object.

    Raises:
        OctavoError: If the file is missing, is not JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OctavoError(f"{path}: there is no such file; wanted a JSON object; check the path") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise OctavoError(f"{path}: cannot be read as JSON ({type(error).__name__}); wanted a JSON object") from None
    if not isinstance(content, dict):
        raise OctavoError(f"{path}: holds a {type(content).__name__}; wanted a JSON object")
    return content


def sweep_half_written(folder: Path) -> None:
    """Remove what a killed writer left behind in a folder; call it only under the folder's lock."""
    for beside in sorted(folder.rglob("*.tmp-*")):
        if beside.is_dir() and not beside.is_symlink():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def plain_name(name: str) -> str:
    """A name that every file system takes.

    Example:
        >>> plain_name("exam 7/OD")
        'exam_7_OD'
    """
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:80]
