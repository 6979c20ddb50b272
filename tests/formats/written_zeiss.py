"""Zeiss exports written byte by byte, turned over as the device stores them, with a planted shape, eye and size."""

import json
from pathlib import Path

import numpy as np

CUBE = "P99_{what} {ascans}x{bscans}_1-2-2020_3-4-5_{eye}_sn1234_{ending}.img"


def cube_name(what: str, bscans: int, ascans: int, *, eye: str = "OD", ending: str = "cube_z") -> str:
    """A name as the device gives it."""
    return CUBE.format(what=what, bscans=bscans, ascans=ascans, eye=eye, ending=ending)


def img_bytes(values: np.ndarray, *, is_mirrored: bool = True) -> bytes:
    """B-scans upside down, and from right to left where the device does so."""
    stored = values[:, ::-1, ::-1] if is_mirrored else values[:, ::-1]
    return np.ascontiguousarray(stored, np.uint8).tobytes()


def write_profiled(
    folder: Path,
    values: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] = (0.12, 0.0039, 0.0113),
    laterality: str | None = "OD",
    **more: object,
) -> Path:
    """A file whose name tells nothing, with a profile of its own."""
    path = folder / "eye.img"
    path.write_bytes(img_bytes(values))
    sizes = [length * mm for length, mm in zip(values.shape, spacing_mm, strict=True)]
    said: dict[str, object] = {"shape": list(values.shape), "size_mm": sizes, **more}
    if laterality is not None:
        said["laterality"] = laterality
    (folder / "eye.img.json").write_text(json.dumps(said))
    return path


def textured(bscans: int, depth: int, ascans: int, seed: int = 3) -> np.ndarray:
    """Dark above, bright below, speckled, and no two corners alike."""
    generator = np.random.default_rng(seed)
    rows = np.linspace(20, 160, depth, dtype=np.float32)[:, None]
    columns = np.linspace(0, 40, ascans, dtype=np.float32)[None]
    one = (rows + columns + generator.normal(0, 8, (depth, ascans))).clip(0, 255).astype(np.uint8)
    values = np.broadcast_to(one, (bscans, depth, ascans)).copy()
    values[:, 0, 0] = np.arange(bscans) % 250
    return values


def scrambled_dicom(*, private: bool) -> bytes:
    """The beginning of a DICOM file as Zeiss writes it for its own archive; nothing in it is a real frame."""
    head = bytes(128) + b"DICM" + b"1.2.840.10008.1.2.4.90\0" + b"Carl Zeiss Meditec" + b"PN\x08\0Doe^Jane"
    frame = bytes(range(90, 122))
    if private:
        return head + b"99CZM_CapeCod_OctGeneral" + b"\x07\x04\x05\x10SQ\0\0" + frame
    item = b"\xfe\xff\x00\xe0"
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + item + bytes(4) + item + len(frame).to_bytes(4, "little")
    return head + pixels + frame
