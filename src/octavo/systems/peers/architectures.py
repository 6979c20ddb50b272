"""The architectures that a peer can have: where each is built, and what sizes it takes."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octavo.errors import OctavoError

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe

PATCH = (8, 16, 16)
"""B-scans, depth samples and A-scans of a patch of the transformers; TimeSformer's lie in one B-scan."""


@dataclass(frozen=True)
class Architecture:
    """Where an architecture lives, and what it takes; nothing heavy is imported until it is built."""

    home: str
    """A function (recipe) to the network."""
    cell: tuple[int, int, int]
    """How many samples along each axis become one cell of its last features, or one patch."""
    smallest: tuple[int, int, int]
    """The least it can read along each axis."""
    whole_cells: bool = False
    """Whether a size must be a whole number of cells."""
    scales: tuple[str, ...] = ("small", "published")
    """The sizes of network there are."""
    closed_form: bool = False
    """Whether the best weights follow at once from all exams, without steps."""
    most_classes: float = math.inf
    """How many classes it can tell apart."""

    def build(self, recipe: "PeerRecipe") -> Any:
        """The network, with weights drawn from torch's current seed."""
        module, _, function = self.home.partition(":")
        made: Callable[[Any], Any] = getattr(importlib.import_module(f"octavo.systems.peers.{module}"), function)
        return made(recipe)

    def require(self, name: str, size: tuple[int, int, int], batch_size: int) -> None:
        """Refuse what the network cannot read.

        Raises:
            OctavoError: With the nearest size that it can.
        """
        near = tuple(
            max(least, round(n / cell) * cell if self.whole_cells else n)
            for n, least, cell in zip(size, self.smallest, self.cell, strict=True)
        )
        if near != size:
            least = " x ".join(map(str, self.smallest))
            rule = f", in multiples of {' x '.join(map(str, self.cell))}" if self.whole_cells else ""
            raise OctavoError(f"volumes are {size}; {name} takes sizes of at least {least}{rule}; nearest: {near}")
        cells = math.prod(max(1, n // cell) for n, cell in zip(size, self.cell, strict=True))
        if not (self.whole_cells or self.closed_form) and cells * batch_size == 1:
            raise OctavoError(
                f"volumes are {size} in batches of 1, of which {name} may leave a single voxel; wanted two for its batch "
                "norm; take larger volumes, or batches of 2"
            )


ARCHITECTURES: dict[str, Architecture] = {
    "resnet3d": Architecture("monai_networks:resnet3d", cell=(32, 32, 32), smallest=(8, 8, 8)),
    "densenet3d": Architecture("monai_networks:densenet3d", cell=(32, 32, 32), smallest=(32, 32, 32)),
    "vit3d": Architecture("monai_networks:vit3d", cell=PATCH, smallest=PATCH, whole_cells=True),
    "timesformer": Architecture(
        "timesformer:timesformer", cell=(1, *PATCH[1:]), smallest=(2, *PATCH[1:]), whole_cells=True
    ),
    "bscan-cnn": Architecture("bscan_cnn:bscan_cnn", cell=(1, 16, 16), smallest=(2, 8, 8), scales=("small",)),
    "features-logistic": Architecture(
        "features_logistic:features_logistic",
        cell=(2, 8, 2),
        smallest=(2, 8, 2),
        scales=("small",),
        closed_form=True,
        most_classes=2,
    ),
    "trivial": Architecture("trivial:trivial", cell=(1, 1, 1), smallest=(2, 1, 1), scales=("small",), closed_form=True),
}
"""Every architecture by name."""
