"""Chance variation of training scans, a function of the seed, the epoch and the exam alone.

Nothing is drawn from a shared stream, so neither the number of worker processes nor an interruption changes what a network
sees. After orientation a flip along A-scans would swap macula and nerve and is offered only to repeat the published
protocol; a flip along B-scans swaps the hemiretinas and is off unless asked for.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt

from octavo.cohorts.preparation import white_of
from octavo.errors import OctavoError
from octavo.transforms import resample_values


@dataclass(frozen=True)
class Augmentation:
    """How much training scans vary; zero or False turns a kind off.

    Raises:
        OctavoError: If a number is out of its range.
    """

    brightness: float = 0.1
    """Largest shift of grey values, as a share of the full range."""
    contrast: float = 0.2
    """Largest relative change of the spread around the mean."""
    gamma: float = 0.2
    """Largest change of the exponent's logarithm."""
    zoom: float = 1.25
    """Largest magnification; a random part of that size is read. 1 turns it off."""
    flip_bscans: bool = False
    """Exchange superior and inferior in half of the scans."""
    flip_ascans: bool = False
    """Exchange temporal and nasal in half of the scans; only to repeat the published protocol."""

    def __post_init__(self) -> None:
        for name, limit in (("brightness", 1.0), ("contrast", 1.0), ("gamma", 5.0)):
            if not 0 <= getattr(self, name) <= limit:
                raise OctavoError(f"{name} of the augmentation is {getattr(self, name)}; wanted 0 (off) to {limit:g}")
        if not 1 <= self.zoom <= 10:
            raise OctavoError(f"zoom of the augmentation is {self.zoom}; wanted 1 (off) to 10")

    def apply(
        self, values: UInt[np.ndarray, "bscan depth ascan"], rng: np.random.Generator
    ) -> Float[np.ndarray, "bscan depth ascan"]:
        """Vary one prepared scan.

        Returns:
            float32 in [0, 1], of the same shape.
        """
        varied = self._zoomed(values, rng) * np.float32(1 / white_of(values))
        brightness, contrast, gamma = rng.uniform(-1, 1, 3).astype(np.float32)
        flips = rng.random(2) < 0.5
        if self.contrast or self.brightness:
            mean = varied.mean()
            varied = (varied - mean) * (1 + self.contrast * contrast) + (mean + self.brightness * brightness)
        varied = np.clip(varied, 0, 1, out=varied)
        if self.gamma:
            varied = np.power(varied, np.exp(self.gamma * gamma), out=varied)
        if self.flip_bscans and flips[0]:
            varied = varied[::-1]
        if self.flip_ascans and flips[1]:
            varied = varied[:, :, ::-1]
        return np.ascontiguousarray(varied)

    def _zoomed(self, values: UInt[np.ndarray, "b d a"], rng: np.random.Generator) -> Float[np.ndarray, "b d a"]:
        factor = rng.uniform(1.0, self.zoom) if self.zoom > 1 else 1.0
        if factor == 1.0:
            return values.astype(np.float32)
        starts = rng.random(3)
        window = []
        for size, start in zip(values.shape, starts, strict=True):
            kept = size / factor
            first = start * (size - kept)
            window.append((first, first + kept))
        shape = (values.shape[0], values.shape[1], values.shape[2])
        return resample_values(values, shape, (window[0], window[1], window[2]))


def exam_stream(seed: int, epoch: int, exam: int) -> np.random.Generator:
    """The random numbers of one exam in one epoch of one run.

    Example:
        >>> bool(exam_stream(1, 2, 3).random() == exam_stream(1, 2, 3).random())
        True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, exam))))
