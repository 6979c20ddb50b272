"""Write a scan in another format, with everything that is known about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from octavo.formats import (
    Said,
    companion_options,
    holds_companions,
    read_companions,
    read_volume,
    write_companions,
    write_volume,
)
from octavo.volume import Volume


@dataclass(frozen=True)
class Converted:
    """What was written.

    Args:
        volume: The scan.
        left_out: What came with it and is not in the new file, in words; empty where nothing was.
        files: The files of surfaces and pictures that were written beside.
    """

    volume: Volume
    left_out: str
    files: tuple[Path, ...]


def convert_scan(
    source: str | Path, target: Path, *, overwrite: bool = False, companions: Path | None = None, **said: Unpack[Said]
) -> Converted:
    """Read a scan and write it where the target's ending says; both steps or none. Companions follow when it is written.

    What the user says about the scan is written into the new file, so that it need be said once only.

    Args:
        source: A file or folder that `read_volume` reads, `PATH#2` where it holds several scans.
        target: The new file; its ending chooses the format.
        overwrite: Whether a file that is there already may be replaced.
        companions: A folder for the surfaces and pictures that come with the scan. An `.npz` holds them itself.
        said: What the user says about the scan; the keyword arguments of `read_volume`.

    Returns:
        The scan as it was written, and what became of its companions.

    Raises:
        OctavoError: If the scan cannot be read, or the target cannot be written or cannot hold it.
    """
    volume = read_volume(source, **said)
    beside = read_companions(source, **companion_options(said))
    write_volume(volume, target, beside, overwrite=overwrite)
    files = () if companions is None else tuple(write_companions(beside, companions, overwrite=overwrite))
    kept = companions is not None or holds_companions(target)
    return Converted(volume, "" if kept else beside.describe(), files)
