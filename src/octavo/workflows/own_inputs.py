"""Keeping what is written from taking the place of what was read."""

import os
from collections.abc import Iterable
from pathlib import Path

from octavo.errors import OctavoError
from octavo.formats import split_name


def refuse_own_input(out: Path, inputs: Iterable[str | Path], option: str = "--out") -> None:
    """Refuse to write over a file that is read, by whatever name or link either goes; leave to overwrite is none for that.

    Args:
        out: The file to write.
        inputs: Files and folders that are read; `PATH#2` is a scan of a file.
        option: What names the file to write, for the message.

    Raises:
        OctavoError: If `out` is one of them.
    """
    if not out.exists():
        return
    mine = out.stat()
    for path in inputs:
        file, _ = split_name(path, None)
        if file.exists() and os.path.samestat(mine, file.stat()):
            raise OctavoError(
                f"{out}: would be written over {file}, which is read; wanted another file; choose another {option}"
            )
