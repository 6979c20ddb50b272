"""The recipe of an AI-CNet3D run."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from octavo.cohorts.augmentation import Augmentation
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError
from octavo.training.recipe import require_choices

if TYPE_CHECKING:
    from octavo.systems.ai_cnet3d.network import AICNet3D

Attention = Literal[
    "none",
    "hemiretinal",
    "neuron-axon",
    "hemiretinal-neuron-axon",
    "shuffled",
    "epa",
    "squeeze-excitation",
    "cbam",
]


@dataclass(frozen=True)
class AICNet3DRecipe:
    """Everything that decides what an AI-CNet3D run learns; the seeds come beside it."""

    attention: Attention = "hemiretinal"
    """Which parts of the eye attend to each other; `shuffled` is the control, `none` the plain CNN; `epa`,
    `squeeze-excitation` and `cbam` are peers."""
    size: tuple[int, int, int] = (128, 192, 112)
    """B-scans, depth samples and A-scans that scans are resampled to."""
    placement: tuple[int, int] = (2, 4)
    """After which two of the five convolutions attention stands."""
    channels: int = 32
    """Width of every convolution."""
    heads: int = 4
    """Heads of the attention."""
    pooling: Literal["global", "published"] = "global"
    """`published` averages over the cube the published program covers."""
    shuffle_seed: int = 0
    """Seed of the shuffled control's halves."""
    intensity: Literal["percentile", "stored"] = "percentile"
    """Grey values: spread between the 0.5th and 99.5th percentile, or as stored."""
    bits: Literal[8, 16] = 8
    """Of a prepared voxel."""
    grey_range: float = 1.0
    """What the brightest value becomes; 255 is the published input."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    balance: Literal["none", "undersample", "weighted-sampling", "weighted-loss"] = "undersample"
    """How unequal classes of the training part are met."""
    balance_before_split: bool = False
    """Undersample the whole cohort before it is split, as published: validation and test lose their prevalence too."""
    split_fractions: tuple[float, float, float] = (0.65, 0.15, 0.20)
    """Shares of patients for training, validation and test, where the manifest does not divide them."""
    split_seed: int = 100
    """Seed of that division; all seeds of a run share one."""
    batch_size: int = 4
    """Exams in a batch of one process."""
    learning_rate: float = 1e-4
    """Of NAdam."""
    epochs: int = 250
    """At most so many for classification."""
    patience: int = 25
    """Stop after so many epochs without a better validation loss."""
    consistency: Literal["mse", "kl", "ssim", "pearson", "off"] = "mse"
    """What the second stage minimises between CARE and Grad-CAM; `off` leaves the second stage out."""
    consistency_weight: float = 0.75
    """λ: the loss is (1 - λ) classification + λ consistency. 0 is plain training; 1 forgets the labels."""
    consistency_epochs: int = 250
    """At most so many for the second stage."""
    consistency_patience: int = 25
    """Patience of the second stage."""
    consistency_stop: Literal["classification", "sum"] = "classification"
    """Which validation loss stops the second stage: classification alone, as published, or the sum."""
    grad_cam: Literal["sound", "published"] = "sound"
    """`published` uses batch statistics, the probability and +1e-5 in training."""
    published_protocol: bool = False
    """Do as the paper: balance before the split, flips along both axes, grey values 0 to 255, published pooling and
    Grad-CAM. Patients are never divided between parts all the same."""

    def __post_init__(self) -> None:
        require_choices(self)
        if not 0 <= self.consistency_weight <= 1:
            raise OctavoError(f"consistency weight is {self.consistency_weight}; wanted 0 to 1")
        if min(self.batch_size, self.epochs, self.patience, self.consistency_epochs, self.consistency_patience) < 1:
            raise OctavoError("batch size, epochs and patience must be at least 1")
        for name in ("learning_rate", "grey_range"):
            if not 0 < getattr(self, name) < math.inf:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted a positive number")
        for name in ("shuffle_seed", "split_seed"):
            if not 0 <= getattr(self, name) < 2**63:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted 0 to 2^63 - 1")

    def resolved(self) -> "AICNet3DRecipe":
        """The recipe with everything that `published_protocol` implies written out."""
        if not self.published_protocol:
            return self
        return replace(
            self,
            pooling="published",
            intensity="stored",
            grey_range=255.0,
            augmentation=replace(self.augmentation, flip_bscans=True, flip_ascans=True),
            balance="undersample",
            balance_before_split=True,
            grad_cam="published",
        )

    def build_network(self) -> "AICNet3D":
        """The network, with weights drawn from torch's current seed."""
        from octavo.systems.ai_cnet3d.network import AICNet3D

        return AICNet3D(
            attention=self.attention,
            size=self.size,
            placement=self.placement,
            channels=self.channels,
            heads=self.heads,
            pooling=self.pooling,
            shuffle_seed=self.shuffle_seed,
        )

    @property
    def has_care(self) -> bool:
        """Whether CARE is read out of an attention that brings something to its place; else it is a mean of channels."""
        return self.attention not in {"none", "squeeze-excitation", "cbam"}

    @property
    def preparation(self) -> Preparation:
        """How scans become this network's input."""
        return Preparation(
            size=self.size,
            intensity=self.intensity,
            bits=self.bits,
            hemiretinas=self.attention in {"hemiretinal", "hemiretinal-neuron-axon", "shuffled"},
            both_ends=self.attention in {"neuron-axon", "hemiretinal-neuron-axon"},
        )
