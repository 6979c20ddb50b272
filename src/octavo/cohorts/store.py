"""Prepared exams on disk or in an object store: a Zarr store (version 3), one array of one chunk per exam.

    STORE/zarr.json               the group: that this is such a store
    STORE/exams/KEY/              one exam: an array `bscan depth ascan` with its facts as attributes
    STORE/packed.jsonl            which scans were packed under which key, one line each
    STORE/cohort.json             the exams of a packed cohort, where `octavo cohort pack` wrote it

Any Zarr reader opens it. Voxels are stored plainly, because speckle hardly compresses and plain bytes can be mapped; a
checksum stands behind each chunk and is looked at once in each process. An exam takes its place in one step, so that a
reader never meets half of one, and many processes may read and write at once.
"""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from octavo.errors import OctavoError
from octavo.files import write_json
from octavo.volume import AXES

FORMAT = 1
_MARK = "octavo_store"
_EXAMS = "exams"
_JOURNAL = "packed.jsonl"
_COHORT = "cohort.json"
_CHUNK = "c.0.0.0"
"""The one chunk of an exam, by Zarr's own naming."""
_CHECKSUM_BYTES = 4
_STEP_BYTES = 2**20


@dataclass(frozen=True)
class StoredVoxels:
    """Where the voxels of one exam lie, and what they are; small, and the same in every process.

    Args:
        address: The store.
        key: The exam's name in it.
        shape: B-scans, depth samples, A-scans.
        dtype: `uint8` or `uint16`.
    """

    address: str
    key: str
    shape: tuple[int, int, int]
    dtype: str

    def read(self) -> UInt[np.ndarray, "bscan depth ascan"]:
        """The voxels: mapped where the store is a folder, fetched where it is an address.

        Raises:
            OctavoError: If they are not there, or are not what was written.
        """
        if is_address(self.address):
            return self._fetched()
        chunk = _chunk(self.address, self.key)
        try:
            voxels = np.memmap(chunk, dtype=np.dtype(self.dtype).newbyteorder("<"), mode="r", shape=self.shape)
            is_sound = _is_sound(chunk)
        except (OSError, ValueError) as error:
            raise OctavoError(
                f"{self.address}: voxels of {self.key} are missing or cut short ({type(error).__name__}); wanted them "
                "whole; pack the cohort again"
            ) from None
        if not is_sound:
            raise OctavoError(
                f"{self.address}: voxels of {self.key} do not agree with their checksum; wanted them as they were packed; "
                "pack the cohort again"
            )
        return voxels

    def _fetched(self) -> UInt[np.ndarray, "bscan depth ascan"]:
        import zarr

        try:
            array = zarr.open_array(f"{self.address}/{_EXAMS}/{self.key}", mode="r")
            if array.nchunks_initialized < 1:
                raise FileNotFoundError
            values = np.asarray(array[...])
        except Exception as error:  # noqa: BLE001 - every kind of store has its own exceptions
            raise OctavoError(
                f"{self.address}: voxels of {self.key} cannot be fetched ({type(error).__name__}); wanted a packed cohort "
                "there; check the address, the access to it, and the network"
            ) from None
        return values


def is_address(place: str | Path) -> bool:
    """Whether a place is an address such as `s3://bucket/cohort`, and no folder.

    Example:
        >>> is_address("s3://bucket/cohort"), is_address("packed")
        (True, False)
    """
    return "://" in str(place)


def is_store(place: str | Path) -> bool:
    """Whether a place is an address, or a folder that holds a store."""
    return is_address(place) or (Path(place) / "zarr.json").is_file()


@dataclass(frozen=True)
class Store:
    """A store of prepared exams.

    Args:
        address: A folder, which is made when something is written, or an address that `fsspec` knows, which is only read.
    """

    address: str

    def put(self, key: str, voxels: UInt[np.ndarray, "bscan depth ascan"], facts: Mapping[str, Any]) -> StoredVoxels:
        """Store one exam, unless another process did meanwhile.

        Raises:
            OctavoError: If the store is an address.
        """
        from google_crc32c import value as checksum_of

        folder = self._begun() / _EXAMS / key
        beside = folder.with_name(f"{key}.tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            # Zarr says how an array of this kind is described; that it writes each takes longer than writing it
            description = json.loads(_description_of(voxels.shape, voxels.dtype.name))
            content = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False).tobytes()
            beside.mkdir(parents=True)
            with open(beside / _CHUNK, "wb") as file:
                file.write(content)
                file.write(checksum_of(content).to_bytes(_CHECKSUM_BYTES, "little"))
            description["attributes"] = dict(facts)
            (beside / "zarr.json").write_text(json.dumps(description, indent=2, allow_nan=False), encoding="utf-8")
            self._put_in_place(beside, key)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            if not self.holds(key):
                raise OctavoError(
                    f"{self.address}: exam cannot be stored ({error.strerror or type(error).__name__}); wanted a folder "
                    "with room that can be written to; what was stored before is whole"
                ) from None
        return self._voxels_of(key)

    def _put_in_place(self, beside: Path, key: str) -> None:
        """Give an exam its name; a damaged one that bears it gives way, a whole one that came meanwhile stays."""
        folder = beside.with_name(key)
        try:
            os.replace(beside, folder)
        except OSError:
            if not folder.is_dir() or self.holds(key):
                raise
            damaged = beside.with_name(f"{beside.name}-damaged")
            os.replace(folder, damaged)
            try:
                os.replace(beside, folder)
            finally:
                shutil.rmtree(damaged, ignore_errors=True)

    def holds(self, key: str) -> bool:
        """Whether an exam is there, whole and as it was written."""
        try:
            voxels = self._voxels_of(key)
            chunk = _chunk(self.address, key)
            wanted = int(np.prod(voxels.shape)) * np.dtype(voxels.dtype).itemsize + _CHECKSUM_BYTES
            return os.path.getsize(chunk) == wanted and _is_sound(chunk)
        except (OctavoError, OSError):
            return False

    def facts(self, key: str) -> tuple[StoredVoxels, dict[str, Any]]:
        """An exam's voxels and what was stored with them.

        Raises:
            OctavoError: If it is not there or its description is damaged.
        """
        return self._voxels_of(key), self._description(key)["attributes"]

    def journal(self) -> dict[str, str]:
        """Which scan was packed under which key; a line that a kill cut short is passed over."""
        found: dict[str, str] = {}
        try:
            lines = Path(self.address, _JOURNAL).read_bytes().splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                entry = json.loads(line)
                found[str(entry["scan"])] = str(entry["key"])
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def note(self, scan: str, key: str) -> None:
        """Remember that a scan, named by its stamp, was packed under a key."""
        # one short write to the end of a file: several processes do not cut each other's lines
        line = f"\n{json.dumps({'scan': scan, 'key': key})}\n".encode()
        descriptor = os.open(self._begun() / _JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def write_cohort(self, content: Mapping[str, Any]) -> None:
        """Put the description of a packed cohort into the store."""
        write_json(self._begun() / _COHORT, content)

    def read_cohort(self) -> dict[str, Any]:
        """The description of a packed cohort.

        Raises:
            OctavoError: If there is none, or it is damaged.
        """
        wanted = "wanted a store that octavo cohort pack finished"
        try:
            content = json.loads(self._bytes_of(_COHORT))
        except FileNotFoundError:
            raise OctavoError(
                f"{self.address}: holds no packed cohort; {wanted}; pack one, or check the path"
            ) from None
        except ValueError:
            raise OctavoError(f"{self.address}: {_COHORT} is damaged; {wanted}; pack it again") from None
        if not isinstance(content, dict) or content.get(_MARK) != FORMAT:
            raise OctavoError(f"{self.address}: {_COHORT} is of another version; {wanted}; pack it again")
        return content

    def _bytes_of(self, name: str) -> bytes:
        if not is_address(self.address):
            return Path(self.address, name).read_bytes()
        import fsspec

        try:
            with fsspec.open(f"{self.address}/{name}", "rb") as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - every kind of store has its own exceptions
            raise OctavoError(
                f"{self.address}: cannot be opened ({type(error).__name__}); wanted an address that fsspec knows, such as "
                "s3://bucket/cohort; install what it needs (s3fs, gcsfs, adlfs), and check the access"
            ) from None

    def _begun(self) -> Path:
        if is_address(self.address):
            raise OctavoError(
                f"{self.address}: is an address; wanted a folder to write to; copy the folder there later"
            )
        folder = Path(self.address)
        for group, told in ((folder / _EXAMS, {}), (folder, {_MARK: FORMAT})):
            # several processes may begin a store at once: each writes the same, whole
            if not (group / "zarr.json").exists():
                write_json(group / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": told})
        return folder

    def _voxels_of(self, key: str) -> StoredVoxels:
        told = self._description(key)
        try:
            bscan, depth, ascan = (int(length) for length in told["shape"])
            dtype = str(told["data_type"])
            plain = [codec["name"] for codec in told["codecs"]] == ["bytes", "crc32c"] and dtype in {"uint8", "uint16"}
        except (KeyError, TypeError, ValueError):
            plain = False
        if not plain:
            raise OctavoError(f"{self.address}: exam {key} is described otherwise than octavo does; pack it again")
        return StoredVoxels(self.address, key, (bscan, depth, ascan), dtype)

    def _description(self, key: str) -> dict[str, Any]:
        try:
            told = json.loads(self._bytes_of(f"{_EXAMS}/{key}/zarr.json"))
        except (OSError, ValueError) as error:
            raise OctavoError(
                f"{self.address}: exam {key} cannot be opened ({type(error).__name__}); wanted a whole store; pack it again"
            ) from None
        if not isinstance(told, dict) or not isinstance(told.get("attributes"), dict):
            raise OctavoError(f"{self.address}: exam {key} has no description; wanted a whole store; pack it again")
        return told


def _chunk(folder: str, key: str) -> Path:
    """The one chunk of an exam, by Zarr's own naming."""
    return Path(folder, _EXAMS, key, _CHUNK)


@cache
def _description_of(shape: tuple[int, int, int], dtype: str) -> str:
    """Zarr's own description of an array of one chunk, plain but for the checksum behind it."""
    import zarr
    from zarr.codecs import Crc32cCodec

    kept: dict[str, Any] = {}
    zarr.create_array(
        kept,
        shape=shape,
        chunks=shape,
        dtype=dtype,
        filters=None,
        compressors=[Crc32cCodec()],
        fill_value=0,
        dimension_names=AXES,
        # one file beside the description, and no folder for each axis
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    return str(kept["zarr.json"].to_bytes().decode())


def _is_sound(chunk: Path) -> bool:
    """Whether a chunk agrees with its checksum: looked at once in each process, for as long as the file stays the same."""
    status = os.stat(chunk)
    return _agrees(chunk, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache
def _agrees(chunk: Path, *_file: int) -> bool:
    """The answer for one file; its number, size and times belong to the question, so that another one is looked at anew."""
    from google_crc32c import extend

    # read in steps and not through the map, whose pages would count as memory of this process
    with chunk.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - _CHECKSUM_BYTES
        checksum = 0
        while left > 0 and (step := file.read(min(left, _STEP_BYTES))):
            checksum, left = extend(checksum, step), left - len(step)
        return left == 0 and file.read() == checksum.to_bytes(_CHECKSUM_BYTES, "little")


def described(content: Mapping[str, Any]) -> dict[str, Any]:
    """A cohort's description with the mark that `Store.read_cohort` looks for."""
    return {_MARK: FORMAT, **content}
