"""`octavo cohort pack`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import tyro

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError
from octavo.workflows.cohort_pack import pack_cohort


@dataclass(frozen=True)
class CohortPack:
    """Read, orient and resample every exam once, into a store that training reads; a second run does nothing."""

    manifest: tyro.conf.Positional[str]
    """The manifest."""
    store: tyro.conf.Positional[str]
    """The folder of the store, made if it is not there. Copied to an object store it is trained on from there."""
    size: tuple[int, int, int] = (128, 192, 112)
    """B-scans, depth samples and A-scans, as the recipe will want them."""
    intensity: Literal["percentile", "stored"] = "percentile"
    """Grey values: spread between the 0.5th and 99.5th percentile, or as stored."""
    bits: Literal[8, 16] = 8
    """Of a voxel."""
    jobs: int | None = None
    """How many processes read at once; by default one for each core."""
    ray: str | None = None
    """Read on the machines of a Ray cluster, such as 10.0.0.1:6379, which share the folders; local is this machine."""
    positive: str | None = None
    """The label that counts as positive, where labels are names."""
    negative: str | None = None
    """The label that counts as negative beside --positive; exams of any other label are left out."""
    classes: tuple[str, ...] = ()
    """The labels of three or more classes, in order; the last is the gravest."""
    each_row_its_own_patient: bool = False
    """Declare that no two rows show the same patient."""
    pass_over_labels: bool = False
    """Pack scans for pretraining alone: exams need no label, and what stands in that column is not read."""
    axes: str | None = None
    """Order of the axes in array files, such as depth,bscan,ascan."""
    key: str | None = None
    """Name of the array in .npz files."""

    def run(self) -> int:
        """Pack, and list what failed."""
        said = [name for name in ("positive", "negative", "classes") if getattr(self, name)]
        if self.pass_over_labels and said:
            raise OctavoError(
                f"--pass-over-labels and --{said[0]} were both given; wanted labels that are read or that are not; drop one"
            )
        choice = CohortChoice(
            self.manifest,
            positive=self.positive,
            negative=self.negative,
            classes=self.classes,
            each_row_its_own_patient=self.each_row_its_own_patient,
            axes=self.axes,
            key=self.key,
        )
        preparation = Preparation(
            size=self.size, intensity=self.intensity, bits=self.bits, hemiretinas=False, both_ends=False
        )
        with _bar() as progress:
            packed = pack_cohort(
                choice,
                self.store,
                preparation,
                pass_over_labels=self.pass_over_labels,
                jobs=self.jobs,
                ray=self.ray,
                progress=progress,
            )
        print(packed.describe())
        return int(bool(packed.failed))


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar where somebody watches, silence where the output goes to a file."""
    from tqdm import tqdm

    # a bar that is watched by a thread would keep processes from being copied
    tqdm.monitor_interval = 0
    with tqdm(unit="scan", disable=not sys.stderr.isatty(), leave=False) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield tell
