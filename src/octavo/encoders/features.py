"""Features once: the slices of a volume go through the frozen backbone a single time, into a store on disk.

The backbone never changes, so neither does what it makes of a slice. The name of what is stored is made of everything it
depends on: the backbone's weights, how slices are made, and the prepared voxels. A file holds one volume's features, and
takes its place in one step.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num

from octavo.cohorts.prepared import PreparedExam
from octavo.encoders.dinov2 import Backbone
from octavo.encoders.slices import SliceChoice, to_pictures
from octavo.errors import OctavoError
from octavo.files import atomic_writer

_log = logging.getLogger("octavo.encoders")
_FORMAT = 1
_PICTURES_AT_ONCE = 32


@dataclass(frozen=True)
class SliceFeatures:
    """What the backbone makes of one volume."""

    values: Float[np.ndarray, "slice width"]
    constant: int
    """How many of its slices were empty."""


@dataclass(frozen=True)
class FeatureStore:
    """Features of exams under one backbone and one choice of slices.

    Args:
        folder: Where they are kept; None computes them each time.
        backbone: What reads the slices.
        choice: Which slices.
    """

    folder: Path | None
    backbone: Backbone
    choice: SliceChoice

    def key(self, exam: PreparedExam) -> str:
        """The name under which an exam's features are kept."""
        told = [_FORMAT, self.backbone.fingerprint, asdict(self.choice), exam.content, exam.voxels.key]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    def compute_missing(
        self, exams: Sequence[PreparedExam], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> int:
        """Send those exams through the backbone that are not in the store yet.

        Returns:
            How many those were.
        """
        if self.folder is None:
            return 0
        missing = [exam for exam in exams if not self._file(exam).exists()]
        for done, exam in enumerate(missing, start=1):
            self._write(exam, encode(exam.voxels.read(), self.backbone, self.choice))
            progress(done, len(missing))
        return len(missing)

    def read(self, exam: PreparedExam) -> SliceFeatures:
        """The features of an exam, from the store or, where they are not there, from the backbone."""
        if self.folder is None:
            return encode(exam.voxels.read(), self.backbone, self.choice)
        file = self._file(exam)
        if not file.exists():
            self.compute_missing([exam])
        from safetensors.numpy import load_file

        try:
            content = load_file(file)
            return SliceFeatures(content["features"], int(content["constant"][0]))
        except Exception as error:  # noqa: BLE001  (the library raises its own kinds for broken files)
            raise OctavoError(
                f"{file}: features of exam {exam.exam.exam_id!r} are not readable ({type(error).__name__}); wanted what "
                "octavo wrote; delete the file, and they are made again"
            ) from None

    def _file(self, exam: PreparedExam) -> Path:
        if self.folder is None:
            raise AssertionError("a store without a folder has no files")
        return self.folder / f"{self.key(exam)}.safetensors"

    def _write(self, exam: PreparedExam, features: SliceFeatures) -> None:
        from safetensors.numpy import save

        file = self._file(exam)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(file) as stream:
            stream.write(save({"features": features.values, "constant": np.array([features.constant])}))


def encode(values: Num[np.ndarray, "bscan depth ascan"], backbone: Backbone, choice: SliceChoice) -> SliceFeatures:
    """Send the slices of one volume through the backbone, some at once."""
    device = next(backbone.network.parameters()).device
    slices = choice.slices(values)
    parts, constant = [], 0
    for first in range(0, len(slices), _PICTURES_AT_ONCE):
        made = to_pictures(np.ascontiguousarray(slices[first : first + _PICTURES_AT_ONCE]))
        constant += int(made.is_constant.sum())
        parts.append(backbone.features(made.pictures.to(device)).float().cpu())
    return SliceFeatures(torch.cat(parts).numpy(), constant)
