"""Arrays as they are stored, brought to the axes `bscan depth ascan`."""

import numpy as np
from jaxtyping import Num, Shaped

from octavo.errors import OctavoError
from octavo.formats.errors import VolumeReadError
from octavo.volume import AXES


def parse_axes(text: str) -> tuple[str, str, str]:
    """Read the order of stored axes as a user writes it.

    Raises:
        OctavoError: If it is not the three axes, each once.

    Example:
        >>> parse_axes("depth, bscan,ascan")
        ('depth', 'bscan', 'ascan')
    """
    names = tuple(word.strip().lower() for word in text.split(","))
    if len(names) != len(AXES) or sorted(names) != sorted(AXES):
        raise OctavoError(
            f"axes are given as {text!r}; wanted {', '.join(AXES)} in the order they are stored, each once; "
            "for example --axes depth,bscan,ascan"
        )
    return (names[0], names[1], names[2])


def axes_of(dimensions: int, axes: tuple[str, str, str]) -> tuple[str, ...]:
    """The names of the stored axes of an array with so many; an array of two is one B-scan.

    Raises:
        VolumeReadError: If an array has neither two nor three axes.

    Example:
        >>> axes_of(2, ("ascan", "bscan", "depth"))
        ('ascan', 'depth')
    """
    if dimensions == len(AXES):
        return axes
    if dimensions == len(AXES) - 1:
        return tuple(name for name in axes if name != "bscan")
    raise VolumeReadError(
        f"array has {dimensions} axes; wanted three ({', '.join(axes)}), or two for one B-scan; "
        "save one scan by itself, without further axes"
    )


def to_volume_axes(values: Shaped[np.ndarray, "..."], axes: tuple[str, ...]) -> Shaped[np.ndarray, "bscan depth ascan"]:
    """Turn a stored array so that its axes are `bscan depth ascan`; one B-scan becomes a volume of one.

    Example:
        >>> to_volume_axes(np.zeros((5, 2, 3)), ("depth", "bscan", "ascan")).shape
        (2, 5, 3)
    """
    present = [axes.index(name) for name in AXES if name in axes]
    turned = values.transpose(present)
    if "bscan" not in axes:
        turned = turned[None]
    return np.ascontiguousarray(turned)


def to_real_numbers(values: Shaped[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """The same numbers in this machine's byte order; yes and no become 1 and 0.

    Raises:
        VolumeReadError: If they are not real numbers of a usual size.
    """
    check_real_type(values.dtype)
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def check_real_type(dtype: np.dtype) -> None:
    """Refuse samples that are no real numbers, before any of them is read.

    Raises:
        VolumeReadError: For objects, text, records, complex and over-long numbers.
    """
    if dtype.hasobject:
        raise VolumeReadError(
            "array holds Python objects, which could run code; wanted plain numbers; "
            "save it again with array.astype(numpy.float32)"
        )
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise VolumeReadError(
            f"array holds {dtype.name!r} samples; wanted whole or floating-point numbers of at most 64 bits; "
            "save it again with array.astype(numpy.float32)"
        )
