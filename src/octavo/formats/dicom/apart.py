"""Decoding DICOM frames in a process of its own.

Some decoders end the whole process on a damaged frame (lossless JPEG) or never return from one (JPEG-LS). They run here,
where neither matters: the parent waits for so long and no longer, and refuses the file when nothing usable comes back.
"""

import io
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from octavo.formats.errors import VolumeReadError

_PATIENCE_SECONDS = 20.0
_WORKING_SECONDS = 3
"""Of processor time, beside what the voxels need: a busy machine keeps a decoder waiting, and a damaged frame keeps it
working for ever."""
_TORN = b"Corrupt JPEG data"
_SLOWEST_BYTES_PER_SECOND = 2e6


def decode_apart(paths: Sequence[Path], plugin: str, expected_bytes: int) -> list[Shaped[np.ndarray, "..."]]:
    """Decode the pixels of files with one of pydicom's decoders in another process.

    Args:
        paths: DICOM files whose sizes were checked against their headers.
        plugin: The decoder, by pydicom's name.
        expected_bytes: How many bytes of voxels all files hold together; sets how long is waited.

    Raises:
        VolumeReadError: If the decoder crashes, finds a fault or takes too long.
    """
    patience = _PATIENCE_SECONDS + expected_bytes / _SLOWEST_BYTES_PER_SECOND
    working = _WORKING_SECONDS + int(expected_bytes / _SLOWEST_BYTES_PER_SECOND)
    files = (str(path.resolve()) for path in paths)
    words = [sys.executable, "-P", "-m", "octavo.formats.dicom.apart", plugin, str(working), *files]
    try:
        done = subprocess.run(words, capture_output=True, timeout=patience, check=True)
    except subprocess.TimeoutExpired as error:
        raise _endless(f"{patience:.0f} s") from error
    except subprocess.CalledProcessError as error:
        if -error.returncode == getattr(signal, "SIGXCPU", None):
            raise _endless(f"{working} s of work") from error
        raise VolumeReadError(
            "compressed pixels cannot be decoded; wanted complete frames; the file is damaged: copy or export it again"
        ) from error
    if _TORN in done.stderr:
        # The decoder goes on with grey of its own making and only says so in passing.
        raise VolumeReadError(
            "compressed pixels are torn; wanted complete frames; the file is damaged: copy or export it again"
        )
    stream = io.BytesIO(done.stdout)
    return [np.load(stream, allow_pickle=False) for _ in paths]


def _endless(time: str) -> VolumeReadError:
    return VolumeReadError(
        f"compressed pixels were not decoded within {time}; wanted frames that end; the file is damaged: export it again"
    )


def _limit_work(seconds: int) -> None:
    """Let the system end this process when it has worked for so long, where the system can."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def _decode_to_stdout(plugin: str, paths: Sequence[str]) -> None:
    from pydicom import dcmread
    from pydicom.pixels import pixel_array

    for path in paths:
        np.save(sys.stdout.buffer, pixel_array(dcmread(path), decoding_plugin=plugin), allow_pickle=False)


if __name__ == "__main__":
    _limit_work(int(sys.argv[2]))
    _decode_to_stdout(sys.argv[1], sys.argv[3:])
