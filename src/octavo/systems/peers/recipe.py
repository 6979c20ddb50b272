"""The recipe of a peer's run."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from octavo.cohorts.augmentation import Augmentation
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError
from octavo.systems.peers.architectures import ARCHITECTURES
from octavo.training.recipe import require_choices, require_class_names


@dataclass(frozen=True)
class PeerRecipe:
    """Everything that decides what a peer's run learns; the seeds come beside it."""

    architecture: Literal[
        "resnet3d", "densenet3d", "vit3d", "timesformer", "bscan-cnn", "features-logistic", "trivial"
    ] = "resnet3d"
    """Which network; `trivial` reads nothing and answers how common the disease is."""
    scale: Literal["small", "published"] = "small"
    """A network for a few hundred scans, or the one of the paper."""
    size: tuple[int, int, int] = (128, 192, 112)
    """B-scans, depth samples and A-scans that scans are resampled to."""
    l2: float = 0.01
    """Of features-logistic alone: half of it times the squared weights is added to the mean loss."""
    intensity: Literal["percentile", "stored"] = "percentile"
    """Grey values: spread between the 0.5th and 99.5th percentile, or as stored."""
    bits: Literal[8, 16] = 8
    """Of a prepared voxel."""
    grey_range: float = 1.0
    """What the brightest value becomes."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    balance: Literal["none", "undersample", "weighted-sampling", "weighted-loss"] = "undersample"
    """How unequal classes of the training part are met."""
    balance_before_split: bool = False
    """Undersample the whole cohort before it is split: validation and test lose their prevalence too."""
    split_fractions: tuple[float, float, float] = (0.65, 0.15, 0.20)
    """Shares of patients for training, validation and test, where the manifest does not divide them."""
    split_seed: int = 100
    """Seed of that division; all seeds of a run share one."""
    batch_size: int = 4
    """Exams in a batch of one process."""
    learning_rate: float = 1e-4
    """Of NAdam; features-logistic and trivial are fitted at once and need neither this nor the next two."""
    epochs: int = 250
    """At most so many."""
    patience: int = 25
    """Stop after so many epochs without a better validation loss."""
    class_names: tuple[str, ...] | None = None
    """Of three or more classes, in the order of their labels; filled in from the cohort. None where there are two."""

    def __post_init__(self) -> None:
        require_choices(self)
        require_class_names(self.class_names)
        if min(self.batch_size, self.epochs, self.patience) < 1:
            raise OctavoError("batch size, epochs and patience must be at least 1")
        for name in ("learning_rate", "grey_range", "l2"):
            if not 0 < getattr(self, name) < math.inf:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted a positive number")
        if not 0 <= self.split_seed < 2**63:
            raise OctavoError(f"split seed is {self.split_seed}; wanted 0 to 2^63 - 1")
        kind = ARCHITECTURES[self.architecture]
        if self.scale not in kind.scales:
            raise OctavoError(f"scale is {self.scale!r}; {self.architecture} has one size only; wanted 'small'")
        if self.classes > kind.most_classes:
            raise OctavoError(
                f"{self.architecture} tells two classes apart, and there are {self.classes} "
                f"({', '.join(self.class_names or ())}); wanted two; choose them with --positive and --negative instead of "
                "--classes, or train another architecture"
            )
        if kind.closed_form and self.balance == "weighted-sampling":
            raise OctavoError(
                f"balance is 'weighted-sampling'; {self.architecture} is fitted to each exam once; wanted none, undersample "
                "or weighted-loss"
            )

    def resolved(self) -> "PeerRecipe":
        """The recipe with what it implies written out: what meets each scan only once is fitted to scans as they are."""
        if not ARCHITECTURES[self.architecture].closed_form:
            return self
        as_they_are = Augmentation(brightness=0, contrast=0, gamma=0, zoom=1)
        return replace(self, augmentation=as_they_are)

    def within(self, epochs: int) -> "PeerRecipe":
        """The recipe that spends at most so many epochs."""
        return replace(self, epochs=epochs)

    @property
    def learns_by_steps(self) -> bool:
        """Whether it has a learning rate and epochs; what is fitted at once has neither."""
        return not ARCHITECTURES[self.architecture].closed_form

    def build_network(self) -> Any:
        """The network, with weights drawn from torch's current seed.

        Raises:
            OctavoError: If it cannot read such volumes, or a package that it needs is not installed.
        """
        kind = ARCHITECTURES[self.architecture]
        kind.require(self.architecture, self.size, self.batch_size)
        return kind.build(self)

    @property
    def classes(self) -> int:
        """How many classes the network tells apart."""
        return len(self.class_names or ()) or 2

    @property
    def preparation(self) -> Preparation:
        """How scans become this network's input: any raster will do, for none of the peers compares halves of an eye."""
        return Preparation(size=self.size, intensity=self.intensity, bits=self.bits, hemiretinas=False)
