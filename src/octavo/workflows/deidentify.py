"""Take the identity out of DICOM files: PS3.15's basic profile, with identifiers that a key keeps together."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import OctavoError
from octavo.files import write_bytes
from octavo.formats.dicom.dataset import is_dicom
from octavo.formats.errors import VolumeReadError, refusing
from octavo.privacy.deidentification import Deidentified, deidentify_file
from octavo.privacy.profile import Dates, Private, Profile
from octavo.privacy.pseudonyms import Pseudonyms, claim_key, new_key, read_key

_DICOM_ENDINGS = (".dcm", ".dicom")


@dataclass(frozen=True)
class Deidentification:
    """What became of the files."""

    written: tuple[Path, ...]
    """The new files, in the order of their sources."""
    refused: tuple[str, ...]
    """Why others were not written, and why folders were not searched, one line each."""
    passed_over: int
    """How many files of searched folders are no DICOM files."""
    patients: int
    key_made: bool


def deidentify_files(
    sources: Sequence[Path],
    out: Path,
    key_file: Path,
    *,
    dates: Dates = Dates.REMOVED,
    keep_device: bool = False,
    keep_private: Sequence[str] = (),
    accept_burned_in: bool = False,
    overwrite: bool = False,
) -> Deidentification:
    """Write a copy without identity of every DICOM file; one that is refused does not stop the others.

    New files are called after their new identifiers: `OUT/PATIENT/SERIES/INSTANCE.dcm`. The same key gives the same
    names, in another run too, so that what belongs together stays together.

    Args:
        sources: Files and folders; folders are searched. They are only read.
        out: The folder for the new files.
        key_file: The secret; made if there is no such file.
        dates: Whether dates are removed, or kept and moved by as many days as all of the patient's.
        keep_device: Whether the identity of the device stays.
        keep_private: Private attributes that are known to be safe, as `GGGG:CREATOR:EE`.
        accept_burned_in: Accept pixels that may show a name.
        overwrite: Whether files that are there already may be replaced.

    Raises:
        OctavoError: If there is nothing to do, or the key or the folders cannot be used so.
    """
    profile = Profile(dates, keep_device, frozenset(map(Private.parse, keep_private)))
    _check_places(sources, out, key_file)
    key = read_key(key_file)
    pseudonyms = Pseudonyms(key or new_key())
    written: dict[Path, Path] = {}
    refused: list[str] = []
    key_made, passed_over, patients = False, 0, set[str]()
    for file in _files(sources, refused):
        try:
            with refusing(str(file), "a DICOM file"):
                if not _is_meant(file, sources):
                    passed_over += 1
                    continue
                found = deidentify_file(file, pseudonyms, profile, accept_burned_in=accept_burned_in)
            if key is None:
                # before the first file, for without its key a file can never be joined by others
                key = claim_key(key_file, pseudonyms.key)
                key_made = key == pseudonyms.key
            with refusing(str(file), "a DICOM file"):
                if key != pseudonyms.key:
                    pseudonyms = Pseudonyms(key)
                    found = deidentify_file(file, pseudonyms, profile, accept_burned_in=accept_burned_in)
                target = _free_target(found, out, written, overwrite)
        except VolumeReadError as refusal:
            refused.append(str(refusal))
            continue
        write_bytes(target, found.content)
        written[target] = file
        patients.add(found.patient)
    if not written and not refused:
        raise OctavoError("no DICOM file was found; wanted files, or folders that hold some; check the paths")
    return Deidentification(tuple(written), tuple(refused), passed_over, len(patients), key_made)


def _check_places(sources: Sequence[Path], out: Path, key_file: Path) -> None:
    if not sources:
        raise OctavoError("no file was named; wanted DICOM files or folders of them")
    for source in sources:
        if not source.exists():
            raise OctavoError(f"{source}: there is no such file or folder; wanted DICOM files; check the path")
        if source.is_dir() and (_is_in(out, source) or _is_in(source, out)):
            raise OctavoError(
                f"{out}: new files would mix with those of {source}; wanted a folder beside it; name another --out"
            )
    if out.exists() and not out.is_dir():
        raise OctavoError(f"{out}: is a file; wanted a folder for the new files; name another --out")
    if _is_in(key_file, out):
        raise OctavoError(
            f"{key_file}: lies among the new files, and who has both can go back to the old ones; wanted it elsewhere; "
            "name another --key-file"
        )


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _files(sources: Sequence[Path], refused: list[str]) -> Iterator[Path]:
    """Every file, each once, in a fixed order; whatever folder is not entered is said among the refused."""
    seen: set[Path] = set()
    for source in sources:
        found = [source] if not source.is_dir() else _files_under(source, sources, refused)
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _files_under(folder: Path, sources: Sequence[Path], refused: list[str]) -> Iterator[Path]:
    def say(problem: OSError) -> None:
        why = f"cannot be listed ({problem.strerror}); wanted a folder that may be read; check its permissions"
        refused.append(f"{problem.filename}: {why}")

    for place, folders, names in os.walk(folder, onerror=say):
        folders.sort()
        links = [Path(place) / name for name in folders if Path(place, name).is_symlink()]
        refused.extend(
            f"{link}: is a link to a folder, and links are not followed; wanted the folder; name it"
            for link in links
            if not any(_is_in(link, source) for source in sources)
        )
        yield from (Path(place) / name for name in sorted(names))


def _is_meant(file: Path, sources: Sequence[Path]) -> bool:
    """Whether a file is to be written or refused: it is DICOM, called so, or named by the user."""
    is_called_so = file in sources or file.name.lower().endswith(_DICOM_ENDINGS)
    if is_called_so and not file.is_file():
        # a pipe would be waited for, and a link that leads nowhere is an instance that is lost
        raise VolumeReadError("is no file, or a link that leads nowhere; wanted a DICOM file; check it")
    return is_called_so or (file.is_file() and is_dicom(file))


def _free_target(found: Deidentified, out: Path, written: dict[Path, Path], overwrite: bool) -> Path:
    """Where a new file goes, or why it cannot go there."""
    target = out / found.patient / found.series / f"{found.instance}.dcm"
    if target in written:
        raise VolumeReadError(
            f"holds the same instance as {written[target]}; wanted each once; leave one of them out if they are copies"
        )
    if target.exists() and not overwrite:
        raise VolumeReadError(f"is there already, as {target}; wanted a new file; pass --overwrite to replace it")
    return target
