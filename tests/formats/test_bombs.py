"""Hostile files: small ones that promise much are refused at once, and nothing in a file is run or written outside."""

import contextlib
import io
import multiprocessing
import pickle
import resource
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from formats.bombs import BESIDE, BOMBS, FACTS, SPREADSHEETS, SURFACES
from formats.written_matlab import HEADER_5, array, packed, write_mat73
from formats.written_scans import eye
from formats.written_stored_images import metaimage_header, nrrd_header
from octavo.cohorts.adapters.npz_facts import read_archive_facts
from octavo.cohorts.adapters.spreadsheets import read_spreadsheet
from octavo.errors import OctavoError
from octavo.formats import READERS, VolumeReadError, list_scans, read_companions, read_volume, write_volume
from octavo.formats.octexplorer import read_octexplorer
from octavo.volume import Spacing, Volume

SECONDS = 1.0
"""How long a refusal may take, of the processor: a busy machine is not a slow reader."""

MEGABYTES = 64
"""How far the memory of the process may rise."""

_WAITED_SECONDS = 30.0
# what is slow to import is so once for all bombs; the clock runs when a file is read
_IMPORTED = [
    *["octavo.formats", "octavo.cohorts.adapters.spreadsheets", "openpyxl", "pydicom.pixels", "PIL.TiffImagePlugin"],
    *["h5py", "scipy.io", "pytest"],
]


@dataclass(frozen=True)
class Refusal:
    """What reading a hostile file did.

    Args:
        sentence: The refusal; empty where something was read.
        fault: Any other exception.
        seconds: Time of the processor.
        megabytes: How far the peak of memory rose.
    """

    sentence: str
    fault: str
    seconds: float
    megabytes: float


def refused(read: Callable[[Path], object], path: Path) -> Refusal:
    """Read a file in a process of its own, in which nothing checks types at every call."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(read, path, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(_WAITED_SECONDS):
            return Refusal("", f"not done after {_WAITED_SECONDS:.0f} s", _WAITED_SECONDS, 0)
        return ours.recv()
    except EOFError:
        return Refusal("", "the process died", 0, 0)
    finally:
        process.kill()
        process.join()


def _tell(read: Callable[[Path], object], path: Path, told: Connection) -> None:
    sentence = fault = ""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        read(path)
    except OctavoError as refusal:
        sentence = str(refusal)
    except BaseException as problem:  # noqa: BLE001 - this is what is looked for
        fault = f"{type(problem).__name__}: {problem}"
    took = time.process_time() - began
    risen = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    told.send(Refusal(sentence, fault, took, risen))
    told.close()


CASES = [
    pytest.param(read, build, id=f"{name}-{label}")
    for read, bombs in [
        (read_volume, BOMBS),
        (read_companions, BESIDE),
        (read_octexplorer, SURFACES),
        (read_spreadsheet, SPREADSHEETS),
        (read_archive_facts, FACTS),
    ]
    for name, label, build in bombs
]


@pytest.mark.parametrize(("read", "build"), CASES)
def test_a_bomb_is_refused_at_once(read, build, tmp_path):
    path = build(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < MEGABYTES * 2**19

    refusal = refused(read, path)

    assert refusal.fault == ""
    assert "; wanted " in refusal.sentence
    assert "Doe" not in refusal.sentence
    assert refusal.seconds <= SECONDS, refusal
    assert refusal.megabytes <= MEGABYTES, refusal


def test_there_are_more_than_thirty_bombs_and_one_of_every_reader():
    assert len(CASES) > 30
    assert {name for name, _, _ in BOMBS} == set(READERS)


class Canary:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self._path,))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_canary_would_sing(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "sung")))

    assert (tmp_path / "sung").exists()


def evil_npy(folder: Path, canary: Path) -> list[Path]:
    evil = np.empty((4, 12, 16), object)
    evil[:] = Canary(canary)
    np.save(folder / "a.npy", evil, allow_pickle=True)
    np.savez(folder / "a.npz", data=evil, volume=np.zeros(3))
    own = write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), folder / "own.npz")
    with np.load(own) as archive:
        np.savez(own, **archive, companions=evil)
    (folder / "pickle.npy").write_bytes(pickle.dumps(Canary(canary)))
    return [folder / name for name in ("a.npy", "a.npz", "own.npz", "pickle.npy")]


def evil_mat(folder: Path, canary: Path) -> list[Path]:
    """Objects, function handles and opaque variables, whose parts name a program."""
    words = f"system('touch {canary}')".encode()
    parts = b"".join(
        array(name, (1, len(words)), words, family=family, kind=1)
        for name, family in ((b"object", 3), (b"handle", 16), (b"opaque", 17))
    )
    (folder / "a.mat").write_bytes(HEADER_5 + parts + packed(parts))
    write_mat73(folder / "b.mat", {"handle": words.decode(), "code": words.decode()})
    return [folder / "a.mat", folder / "b.mat"]


def evil_archives(folder: Path, canary: Path) -> list[Path]:
    """Members and names that lead out of the folder."""
    content = io.BytesIO()
    np.save(content, eye())
    for name, member in (("a.npz", f"../{canary.name}.npy"), ("b.npz", f"{canary}.npy"), ("c.npz", "..\\..\\x.npy")):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, content.getvalue())
    (folder / "a.mhd").write_bytes(metaimage_header(eye(), None, f"../{canary.name}"))
    (folder / "a.nhdr").write_bytes(nrrd_header(eye(), None, data=str(canary)))
    return [folder / name for name in ("a.npz", "b.npz", "c.npz", "a.mhd", "a.nhdr")]


@pytest.mark.parametrize("plant", [evil_npy, evil_mat, evil_archives])
def test_nothing_in_a_file_is_run_or_written_outside(plant, tmp_path, monkeypatch):
    folder, canary = tmp_path / "in" / "side", tmp_path / "in" / "canary"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    paths = plant(folder, canary)
    before = snapshot(tmp_path)

    for path in paths:
        for read in (read_volume, list_scans, read_companions, read_archive_facts, hidden_part_of):
            with contextlib.suppress(OctavoError):
                read(path)

    assert not canary.exists()
    assert snapshot(tmp_path) == before


def hidden_part_of(path: Path) -> None:
    """Read a scan by the names of its arrays, which may lead anywhere."""
    for key in ("data", "../canary", "object", "handle", "companions"):
        with contextlib.suppress(OctavoError):
            read_volume(path, key=key)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_python_objects_are_refused_by_name(tmp_path, name):
    evil_npy(tmp_path, tmp_path / "canary")

    with pytest.raises(VolumeReadError, match="wanted"):
        read_volume(tmp_path / name)


def test_members_that_lead_outside_are_read_where_they_lie(tmp_path):
    (tmp_path / "in").mkdir()
    for path in evil_archives(tmp_path / "in", tmp_path / "canary")[:1]:
        np.testing.assert_array_equal(read_volume(path).values, eye())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in"]
