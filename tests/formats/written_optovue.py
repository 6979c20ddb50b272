"""Optovue exports: samples from the choroid upwards, and the text that says what they are."""

from pathlib import Path

import numpy as np


def optovue_text(
    shape: tuple[int, int, int],
    *,
    spacing_mm: tuple[float, float, float] = (0.12, 0.0039, 0.0113),
    eye: str = "OD",
    more: str = "",
    name: str = "3D Retina",
) -> str:
    """The lines that matter, and some that name a patient."""
    bscans, depth, ascans = shape
    return (
        f"[Patient]\nLast Name=Doe\nFirst Name=Jane\nDate of Birth=1950-01-02\nPatient ID=4711\n[General]\n"
        f"Eye Scanned={eye}\nOCT Window Height={depth}\nScan Depth={depth * spacing_mm[1]:.9f} mm\n"
        f"Frames Per Data Group={bscans}\n[CL - {name} Step 1]\nXY Scan Length={ascans}\nXY Scan Usage={bscans}\n"
        f"[CL - {name} Step 1 Detail]\nXY Scan Size1= {ascans * spacing_mm[2]:.9f} mm\n"
        f"XY Scan Interval1= {spacing_mm[0]:.6f} mm\n{more}"
    )


def optovue_bytes(values: np.ndarray) -> bytes:
    """B-scan by B-scan, A-scan by A-scan, each from below."""
    return np.ascontiguousarray(values[:, ::-1].transpose(0, 2, 1)).astype("<f4").tobytes()


def write_optovue(folder: Path, values: np.ndarray, text: str | None = None) -> Path:
    """Both files of an export."""
    path = folder / "exam.OCT"
    path.write_bytes(optovue_bytes(values))
    path.with_suffix(".txt").write_text(optovue_text(values.shape) if text is None else text)
    return path
