"""A run is a folder: what it was asked for, what became of it, and one writer at a time."""

import fcntl
import importlib.util
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from octavo.errors import OctavoError
from octavo.files import atomic_writer, read_json, sweep_half_written, write_json

RECIPE = "recipe.json"
COHORT = "cohort.json"
MODEL = "model.safetensors"
_PACKAGES = ("octavo", "torch", "lightning", "numpy", "scipy", "pydicom", "pillow", "safetensors")
_EXTRAS = ("monai",)


class RunTakenError(OctavoError):
    """Another process writes the run; it may end soon."""


def is_main_process() -> bool:
    """Whether this process writes the run's files; of several that train together only the first does."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
    return all(rank == "0" for rank in ranks)


@contextmanager
def locked(folder: Path, mark: str = RECIPE) -> Iterator[None]:
    """Hold a run folder for writing.

    The lock belongs to the process and goes with it, however it ends. Nothing is written to a folder that is no run.

    Args:
        folder: The run's folder, or one that is to become it.
        mark: The file that tells such a folder from others.

    Raises:
        OctavoError: If another process holds it, or it cannot be written, or it holds something that is no run.
    """
    if folder.is_dir() and not (folder / mark).exists():
        _refuse_strangers(folder, mark)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115  (closed below, which gives the lock back)
    except OSError as error:
        raise OctavoError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunTakenError(
                f"{folder}: another process is writing this run; wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise OctavoError(
                f"{folder}: cannot be locked ({error.strerror}); choose a folder on a disk that has locks"
            ) from None
        yield


def claim(folder: Path, name: str, wanted: dict[str, Any], beside: tuple[str, ...] = ()) -> None:
    """Take a folder for what is wanted: a new run, or the same one to be gone on with; call it only under the lock.

    What a killed writer left half-written is swept away.

    Args:
        folder: The run's folder.
        name: The JSON file that says what the run is.
        wanted: What it must say.
        beside: Fields that tell something of the run and not what it is: they may differ.

    Raises:
        OctavoError: If the folder was begun for something else, or holds something that is no run.
    """
    stored = folder / name
    if stored.exists():
        before = read_json(stored)
        plain = json.loads(json.dumps(wanted))
        different = sorted(
            field for field in {*before, *plain}.difference(beside) if before.get(field) != plain.get(field)
        )
        if different:
            field = different[0]
            raise OctavoError(
                f"{folder}: this run was begun with {field} {before.get(field)!r}, now {plain.get(field)!r}; "
                "repeat the first command to go on with it, or choose another folder"
            )
    else:
        _refuse_strangers(folder, name)
        write_json(stored, wanted)
    sweep_half_written(folder)


def _refuse_strangers(folder: Path, mark: str) -> None:
    """Refuse a folder with anything in it but the first files of a run, whole or half-written."""
    own = (".lock", mark, RECIPE, COHORT)
    strangers = sorted(entry.name for entry in folder.iterdir() if entry.name.partition(".tmp-")[0] not in own)
    if strangers:
        raise OctavoError(f"{folder}: holds {strangers[0]!r} and is not a run; choose an empty or new folder")


def save_model(path: Path, state: dict[str, Tensor]) -> None:
    """Write weights as safetensors, atomically."""
    with atomic_writer(path) as file:
        file.write(save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}))


def load_model(path: Path) -> dict[str, Tensor]:
    """Read weights.

    Raises:
        OctavoError: If the file is missing or is not safetensors.
    """
    if not path.exists():
        raise OctavoError(
            f"{path}: there are no weights; wanted a finished run, or a model folder with {MODEL} and {RECIPE}"
        )
    try:
        return load_file(path)
    except Exception as error:  # noqa: BLE001  (the library raises its own kinds for broken files)
        raise OctavoError(
            f"{path}: not readable as safetensors ({type(error).__name__}); copy the model again"
        ) from None


def provenance(seed: int, hashes: dict[str, str]) -> dict[str, Any]:
    """Where a result came from: data, seed, command, versions, machine."""
    import torch

    return {
        **hashes,
        "seed": seed,
        "command": shlex.join(["octavo", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "system": platform.system(),
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "note": "research software, not a medical device",
    }


def _versions() -> dict[str, str]:
    """Of what a result rests on; of an extra only where it is installed."""
    there = [name for name in _EXTRAS if importlib.util.find_spec(name) is not None]
    return {name: metadata.version(name) for name in (*_PACKAGES, *there)}
