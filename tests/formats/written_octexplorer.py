"""OCTExplorer's surfaces, written with planted depths, eye and undefined A-scans."""

from pathlib import Path

import numpy as np


def surfaces_xml(
    surfaces: dict[str, np.ndarray],
    shape: tuple[int, int, int],
    *,
    spacing_mm: tuple[float, float, float] = (0.24, 0.0039, 0.0117),
    laterality: str = "OD",
    center: str = "macula",
    undefined: tuple[tuple[int, int], ...] = (),
    version: int = 4,
    unit: str = "mm",
    stated: dict[str, str] | None = None,
    beginning: str = '<?xml version="1.0" encoding="UTF-8"?>\r\n',
) -> str:
    """A file for a scan of this shape; `stated` are lies, by element name, about sizes and the number of surfaces."""
    depth, across = ("y", "z") if version == 4 else ("z", "y")
    bscans, rows, ascans = shape
    said = {"x": str(ascans), depth: str(rows), across: str(bscans), "surface_num": str(len(surfaces))} | (stated or {})
    sizes = "".join(f"<{axis}>{said[axis]}</{axis}>" for axis in "xyz")
    millimetres = dict(zip((across, depth, "x"), spacing_mm, strict=True))
    voxels = "".join(f"<{axis}>{millimetres[axis]:.6f}</{axis}>" for axis in "xyz")
    words = [
        f"{beginning}<surfaces><version>{version}.0.0</version><executable><name>OCTLayerSeg</name>",
        "<authors>Jane Doe</authors></executable><modification><modifier>Doe^Jane</modifier></modification>",
        "<scan_characteristics><manufacturer>Maker</manufacturer>",
        f"<size><unit>voxel</unit>{sizes}</size><voxel_size><unit>{unit}</unit>{voxels}</voxel_size>",
        f"<laterality>{laterality}</laterality><center_type>{center}</center_type></scan_characteristics>",
        f"<unit>{said.get('unit', 'voxel')}</unit><surface_size><x>{said.get('surface_x', ascans)}</x>",
        f"<{across}>{bscans}</{across}></surface_size><surface_num>{said['surface_num']}</surface_num>",
    ]
    for number, (name, table) in enumerate(surfaces.items()):
        words.append(f"<surface><label>{number}</label><name>{name}</name><instance>NA</instance>")
        for row in table:
            depths = "".join(f"<{depth}>{'NA' if np.isnan(value) else f'{value:g}'}</{depth}>" for value in row)
            words.append(f"<bscan>{depths}</bscan>")
        words.append("</surface>")
    places = "".join(f"<ascan><x>{x}</x><{across}>{k}</{across}></ascan>" for k, x in undefined)
    words.append(f"<undefined_region>{places}</undefined_region></surfaces>")
    return "\r\n".join(words)


def planted(shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Two surfaces that tell B-scan and A-scan from each other, and depth from both."""
    bscan, ascan = np.ogrid[: shape[0], : shape[2]]
    inner = (2.0 + bscan + (ascan % 3)).astype(np.float64)
    return {"ILM (ILM)": inner, "Outer boundary of RPE (OB_RPE)": inner + 3}


def write_surfaces(path: Path, shape: tuple[int, int, int], **said: object) -> Path:
    """Write the planted surfaces."""
    path.write_text(surfaces_xml(planted(shape), shape, **said))
    return path
