"""Random numbers that can be found again by name.

Every random trait has a stream of its own, so that drawing one thing more or less of one kind changes nothing else: the
speckle of an eye does not depend on how many vessels it has, and patient 7 not on how many patients were asked for.
"""

import math
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LIMIT_SD = 2.5
"""Traits stay within this many standard deviations."""


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The stream of that name under a seed.

    Example:
        >>> draws = [int(stream(1, "speckle").integers(1000)) for _ in range(2)]
        >>> draws[0] == draws[1], draws[0] == int(stream(1, "vessels").integers(1000))
        (True, False)
    """
    key = tuple(zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


@dataclass(frozen=True, slots=True)
class Kin:
    """Normal draws that two eyes of one patient have largely in common.

    Args:
        patient: The stream both eyes share.
        eye: The stream of this eye alone.
        alike: Correlation between the two eyes of one patient.
    """

    patient: np.random.Generator
    eye: np.random.Generator
    alike: float = 0.85

    def normal(self, *size: int) -> Float[np.ndarray, "..."]:
        """Standard normal draws, limited to `LIMIT_SD`."""
        mine = self.eye.standard_normal(size)
        ours = self.patient.standard_normal(size)
        drawn = math.sqrt(self.alike) * ours + math.sqrt(1 - self.alike) * mine
        return np.clip(drawn, -LIMIT_SD, LIMIT_SD)

    def around(self, mean: float, sd: float) -> float:
        """One trait around its mean."""
        return mean + sd * float(self.normal(1)[0])
