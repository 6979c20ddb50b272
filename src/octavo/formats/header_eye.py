"""Which eye the headers of a scan say, without reading a voxel."""

from pathlib import Path

from octavo.formats.errors import VolumeReadError, refusing
from octavo.formats.reader import ReadOptions
from octavo.formats.reading import find_reader, split_name
from octavo.volume import Laterality


def header_laterality(path: str | Path, *, key: str | None = None) -> Laterality:
    """The eye that stands in the headers; unknown where they say none, and where the scan cannot be opened.

    Of a file with several scans the one that `PATH#2` names is asked, and all of them where none is named: they are of
    one eye, or the eye is unknown.

    Args:
        path: A file or folder; `PATH#2` names the second scan of a file.
        key: The name of an array, for archives.
    """
    try:
        file, number = split_name(path, None)
        reader = find_reader(file, shown=str(path))
        with refusing(str(path), reader.about):
            options = ReadOptions(None, key if "key" in reader.takes else None, frozenset({"key"}))
            scans = reader.scans(file, options)
    except VolumeReadError:
        # whoever reads the scan gets the sentence
        return Laterality.UNKNOWN
    chosen = scans if number is None else scans[number - 1 : number]
    eyes = {scan.laterality for scan in chosen} - {Laterality.UNKNOWN}
    return eyes.pop() if len(eyes) == 1 else Laterality.UNKNOWN
