"""Files: one vendor or standard per file, all found in `READERS`; `read_volume` is the way in, `write_volume` out.

A new format is one file that makes a `Reader`, and one line in `octavo.formats.reading.READERS`.
"""

from octavo.formats.errors import VolumeReadError
from octavo.formats.finding import files_of, find_scans
from octavo.formats.reading import READERS, Said, list_scans, name_scan, read_companions, read_volume
from octavo.formats.writing import WRITERS, write_volume

__all__ = [
    "READERS",
    "WRITERS",
    "Said",
    "VolumeReadError",
    "files_of",
    "find_scans",
    "list_scans",
    "name_scan",
    "read_companions",
    "read_volume",
    "write_volume",
]
