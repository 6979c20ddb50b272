"""Bioptigen files written field by field."""

import struct

import numpy as np


def _field(name: bytes, content: bytes) -> bytes:
    return struct.pack("<I", len(name)) + name + struct.pack("<I", len(content)) + content


def bioptigen_bytes(
    values: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] = (0.12, 0.0039, 0.0113),
    scan_type: int = 1,
    scans: int | None = None,
    frames: int = 1,
    lines_in_frames: bool = True,
    stated: dict[str, int] | None = None,
    sample: str = "<u2",
) -> bytes:
    """A scan with planted millimetres; `stated` are lies about FRAMECOUNT, LINECOUNT or LINELENGTH."""
    bscans, depth, ascans = values.shape
    counts = {"FRAMECOUNT": bscans, "LINECOUNT": ascans, "LINELENGTH": depth, "SAMPLEFORMAT": 2, **(stated or {})}
    sizes = [length * mm for length, mm in zip(values.shape, spacing_mm, strict=True)]
    header = b"".join(_field(name.encode(), struct.pack("<I", count)) for name, count in counts.items())
    header += _field(b"DESCRIPTION", b"Doe^Jane 1950")
    header += _field(b"SCANTYPE", struct.pack("<I", scan_type))
    for name, mm in (("SCANDEPTH", sizes[1]), ("SCANLENGTH", sizes[2]), ("AZSCANLENGTH", sizes[2])):
        header += _field(name.encode(), struct.pack("<d", mm))
    header += _field(b"ELSCANLENGTH", struct.pack("<d", sizes[0]))
    header += _field(b"SCANS", struct.pack("<I", bscans // frames if scans is None else scans))
    header += _field(b"FRAMES", struct.pack("<I", frames)) + _field(b"CONFIG", b"secret Jane")
    content = b"\xa5\xa7\x7d\x0c\x0a\x01" + _field(b"FRAMEHEADER", header + bytes(4))
    for bscan in values:
        parts = _field(b"FRAMEDATETIME", bytes(16)) + _field(b"FRAMETIMESTAMP", bytes(8))
        if lines_in_frames:
            parts += _field(b"FRAMELINES", struct.pack("<I", ascans))
        parts += _field(b"FRAMESAMPLES", np.ascontiguousarray(bscan.T).astype(sample).tobytes())
        content += _field(b"FRAMEDATA", parts + bytes(4))
    return content
