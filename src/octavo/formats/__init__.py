"""Files: one vendor or standard per file, all found in `READERS`; `read_volume` is the way in, `write_volume` out.

A new format is one file that makes a `Reader`, and one line in `octavo.formats.reading.READERS`.
"""

from octavo.formats.errors import VolumeReadError
from octavo.formats.reading import READERS, Said, find_scans, list_scans, read_volume
from octavo.formats.writing import WRITERS, write_volume

__all__ = [
    "READERS",
    "WRITERS",
    "Said",
    "VolumeReadError",
    "find_scans",
    "list_scans",
    "read_volume",
    "write_volume",
]
