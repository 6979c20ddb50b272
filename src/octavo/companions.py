"""What comes with a scan: layer surfaces on its grid, and pictures of the retina from the front.

Companions are kept beside the `Volume` and not inside it: a volume may be cut, turned and resampled, while these describe
the scan as its file holds it. Their B-scans and A-scans are those of the volume as `read_volume` gives it, so where a
reader turns a volume over it turns these over too.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float, Num

from octavo.errors import OctavoError


class Picture(StrEnum):
    """What a picture from the front is."""

    INFRARED = "infrared"
    """Reflectance of a scanning laser or near-infrared light: the localiser of a scan."""
    COLOUR = "colour"
    """A colour photograph of the fundus."""
    SLAB = "slab"
    """Computed from the scan, or from part of its depth."""
    ANGIOGRAPHY = "angiography"
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class Surface:
    """A boundary between layers: at which depth it lies, under every A-scan.

    Args:
        name: The boundary as the file calls it, such as `ILM`; what a file leaves unnamed is `surface 3`.
        depth: Position along depth in samples of the scan, counted from 0 and fractional; NaN where it is not known.

    Raises:
        OctavoError: If the depth has not two axes, or holds infinite numbers.

    Example:
        >>> surface = Surface("ILM", np.array([[10.5, np.nan]]))
        >>> surface.known_share
        0.5
    """

    name: str
    depth: Float[np.ndarray, "bscan ascan"]

    def __post_init__(self) -> None:
        if self.depth.ndim != 2 or 0 in self.depth.shape or np.isinf(self.depth).any():
            raise OctavoError(
                f"surface {self.name!r} has shape {self.depth.shape}; wanted finite samples or NaN on two axes "
                "(bscan, ascan)"
            )
        object.__setattr__(self, "depth", _frozen(self.depth))

    @property
    def known_share(self) -> float:
        """The share of A-scans under which the surface is known."""
        return float(np.isfinite(self.depth).mean())


@dataclass(frozen=True, eq=False)
class EnFace:
    """A picture of the retina from the front, as the file stores it.

    Args:
        kind: What it shows.
        values: Rows and columns of grey, or of red, green and blue.
        spacing_mm: Millimetres between rows and between columns, where the file says.
        name: How to tell it from others of its kind in the same file; never a patient's name or a date.

    Raises:
        OctavoError: If the values are no picture.
    """

    kind: Picture
    values: Num[np.ndarray, "row column *channel"]
    spacing_mm: tuple[float, float] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        shape = self.values.shape
        is_picture = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
        if not is_picture or 0 in shape:
            raise OctavoError(f"picture has shape {shape}; wanted rows and columns, of grey or of three colours")
        object.__setattr__(self, "values", _frozen(self.values))


@dataclass(frozen=True)
class Companions:
    """Everything that comes with a scan.

    Args:
        surfaces: Layer boundaries on the scan's grid, in the file's order.
        pictures: Pictures from the front.
        notes: What whoever uses them should know, such as a surface whose size fits no scan and was left out.
    """

    surfaces: tuple[Surface, ...] = ()
    pictures: tuple[EnFace, ...] = ()
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """All of it in one line; empty where there is nothing.

        Example:
            >>> photograph = EnFace(Picture.COLOUR, np.zeros((4, 6, 3), np.uint8))
            >>> Companions((Surface("ILM", np.zeros((2, 3))),), (photograph,)).describe()
            'surfaces ILM; colour 4 x 6'
        """
        parts = []
        if self.surfaces:
            parts.append("surfaces " + ", ".join(surface.name for surface in self.surfaces))
        for picture in self.pictures:
            rows, columns = picture.values.shape[:2]
            parts.append(f"{picture.kind.value}{f' {picture.name}' if picture.name else ''} {rows} x {columns}")
        return "; ".join(parts)


def _frozen(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False
    return view
