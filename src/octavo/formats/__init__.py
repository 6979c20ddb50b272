"""Files: one vendor or standard per file, all found in `READERS`; `read_volume` is the way in, `write_volume` out.

A new format is one file that makes a `Reader`, and one line in `octavo.formats.reading.READERS`. Where a vendor or a
standard takes several files, they share a room.
"""

from octavo.formats.companions_folder import write_companions
from octavo.formats.errors import VolumeReadError
from octavo.formats.finding import files_of, files_read_for, find_scans
from octavo.formats.reading import (
    READERS,
    Said,
    companion_options,
    list_scans,
    name_scan,
    read_companions,
    read_volume,
    split_name,
)
from octavo.formats.writing import WRITERS, holds_companions, write_volume

__all__ = [
    "READERS",
    "WRITERS",
    "Said",
    "VolumeReadError",
    "companion_options",
    "files_of",
    "files_read_for",
    "find_scans",
    "holds_companions",
    "list_scans",
    "name_scan",
    "read_companions",
    "read_volume",
    "split_name",
    "write_companions",
    "write_volume",
]
