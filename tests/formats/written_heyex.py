"""Heidelberg XML exports that name their pictures, with planted millimetres, eyes, positions and boundaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from formats.written_scans import bscan_lines, eye

HOME = "file:///\\\\domain\\Doe Jane\\"
UNKNOWN = 3e38


@dataclass(frozen=True)
class PlantedSeries:
    """One series of an export.

    Args:
        values: The pictures of the B-scans.
        lines: Start and end of each in mm.
        letter: The eye as the file writes it; None leaves it out.
        layers: Boundaries by their names.
        localiser: A picture of the fundus, written as `NIR.tif`.
        prefix: How the names of the pictures begin.
        circle: Whether the file gives a centre instead of an end.
        stated: How many images the file says it has.
    """

    values: np.ndarray
    lines: np.ndarray
    letter: str | None = "R"
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    localiser: np.ndarray | None = None
    prefix: str = "B"
    circle: bool = False
    stated: int | None = None
    spacing_mm: tuple[float, float] = (0.0039, 0.0113)


def planted_series(bscans: int = 4, **changes: object) -> PlantedSeries:
    """A right eye, B-scans 120 um apart, the inferior first."""
    return PlantedSeries(**{"values": eye(bscans), "lines": bscan_lines(bscans), **changes})


def series_text(series: PlantedSeries) -> str:
    """The `Series` element."""
    eye_words = f"<Laterality>{series.letter}</Laterality>" if series.letter else ""
    images = []
    if series.localiser is not None:
        rows, columns = series.localiser.shape
        images.append(
            f"<Image><ID>0</ID>{eye_words}<ImageType><Type>LOCALIZER</Type><LightSource>IR</LightSource></ImageType>"
            f"<OphthalmicAcquisitionContext><Width>{columns}</Width><Height>{rows}</Height><ScaleX>0.0112</ScaleX>"
            f"<ScaleY>0.0118</ScaleY></OphthalmicAcquisitionContext>{_data(f'{series.prefix}NIR.tif')}</Image>"
        )
    images += [_bscan_text(series, place, eye_words) for place in range(len(series.values))]
    stated = "" if series.stated is None else f"<NumImages>{series.stated}</NumImages>"
    return (
        f"<Series><ID>4711</ID><Type>Volume</Type>{eye_words}<GeneralEquipment><Manufacturer>Maker</Manufacturer>"
        f"<ManufacturerModelName>Model 1</ManufacturerModelName></GeneralEquipment>{stated}{''.join(images)}</Series>"
    )


def _bscan_text(series: PlantedSeries, place: int, eye_words: str) -> str:
    depth, ascans = series.values.shape[1:]
    x0, y0, x1, y1 = series.lines[place]
    end = "Center" if series.circle else "End"
    layers = "".join(
        f"<SegLine><Name>{name}</Name><Enabled>true</Enabled><Array n='{ascans}' type='real'>"
        f"{' '.join('3e+038' if depth >= UNKNOWN else f'{depth:.1f}' for depth in depths[place])}</Array></SegLine>"
        for name, depths in series.layers.items()
    )
    return (
        f"<Image><ID>{place + 1}</ID>{eye_words}<ImageType><Type>OCT</Type></ImageType><OphthalmicAcquisitionContext>"
        f"<Width>{ascans}</Width><Height>{depth}</Height><ScaleX>{series.spacing_mm[1]}</ScaleX>"
        f"<ScaleY>{series.spacing_mm[0]}</ScaleY><Start><Coord><X>{x0:.3f}</X><Y>{y0:.3f}</Y></Coord></Start>"
        f"<{end}><Coord><X>{x1:.3f}</X><Y>{y1:.3f}</Y></Coord></{end}></OphthalmicAcquisitionContext>"
        f"{_data(f'{series.prefix}{place + 1}.tif')}<Segmentation>{layers}</Segmentation></Image>"
    )


def _data(name: str) -> str:
    return f"<ImageData><Extension>TIF</Extension><ExamURL>{HOME}{name}</ExamURL></ImageData>"


def export_text(series: Sequence[PlantedSeries], beginning: str = "") -> str:
    """The whole file, with a patient whose name must not come out."""
    return (
        f"{beginning}<HEDX><BODY><Patient><LastName>Doe</LastName><FirstNames>Jane</FirstNames><Birthdate>1950</Birthdate>"
        f"<Study>{''.join(map(series_text, series))}</Study></Patient></BODY></HEDX>"
    )


def write_export(folder: Path, *series: PlantedSeries, name: str = "zz.xml", beginning: str = "") -> Path:
    """The folder with the file and all its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in series:
        for place, bscan in enumerate(one.values, 1):
            Image.fromarray(bscan).save(folder / f"{one.prefix}{place}.tif")
        if one.localiser is not None:
            Image.fromarray(one.localiser).save(folder / f"{one.prefix}NIR.tif")
    (folder / name).write_text(export_text(series, beginning))
    return folder
