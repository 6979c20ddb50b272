"""Write a scan in another format, with everything that is known about it."""

from pathlib import Path
from typing import Unpack

from octavo.formats import Said, read_volume, write_volume
from octavo.volume import Volume


def convert_scan(source: str | Path, target: Path, *, overwrite: bool = False, **said: Unpack[Said]) -> Volume:
    """Read a scan and write it where the target's ending says; both steps or none.

    What the user says about the scan is written into the new file, so that it need be said once only.

    Args:
        source: A file or folder that `read_volume` reads, `PATH#2` where it holds several scans.
        target: The new file; its ending chooses the format.
        overwrite: Whether a file that is there already may be replaced.
        said: What the user says about the scan; the keyword arguments of `read_volume`.

    Returns:
        The scan as it was written.

    Raises:
        OctavoError: If the scan cannot be read, or the target cannot be written or cannot hold it.
    """
    volume = read_volume(source, **said)
    write_volume(volume, target, overwrite=overwrite)
    return volume
