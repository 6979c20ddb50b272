"""Torch archives, read as what they should be: tensors and plain values."""

from pathlib import Path
from typing import Any

import torch

from octavo.errors import OctavoError


def load_archive(path: Path) -> dict[str, Any]:
    """Read a torch archive to the processor's memory, tensors and plain values only.

    Raises:
        OctavoError: If the file is missing, broken, or holds anything that would have to be run.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise OctavoError(f"{path}: there is no such file") from None
    except Exception as error:  # noqa: BLE001  (a broken archive raises whatever its bytes lead to)
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise OctavoError(
            f"{path}: not a readable torch archive of tensors ({reason}); wanted a file by torch.save"
        ) from None
    if not isinstance(content, dict):
        raise OctavoError(f"{path}: holds a {type(content).__name__}; wanted a dictionary of tensors")
    return content
