"""Which parts of a feature volume attend to which others.

An `Anatomy` divides a feature volume into regions of equal size and lists who asks whom. The cross-attention block knows
nothing of eyes: it gets an anatomy as an argument.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from octavo.errors import OctavoError


@dataclass(frozen=True)
class Anatomy:
    """Regions of a feature volume and the directed pairs that attend.

    Args:
        name: What the model variant is called.
        halves: Axes that are halved, of 'bscan' and 'ascan'; the regions are their products in raster order.
        norm_of: For each region, which of the layer norms it uses.
        pairs: Directed attentions (asking region, answering region), in the order of the published weights.
    """

    name: str
    halves: tuple[str, ...]
    norm_of: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


ANATOMIES: dict[str, Anatomy] = {
    # superior, inferior
    "hemiretinal": Anatomy("hemiretinal", ("bscan",), (0, 1), ((0, 1), (1, 0))),
    # macula, nerve
    "neuron-axon": Anatomy("neuron-axon", ("ascan",), (0, 1), ((0, 1), (1, 0))),
    # superior macula, superior nerve, inferior macula, inferior nerve; the norms are the macula's and the nerve's
    "hemiretinal-neuron-axon": Anatomy(
        "hemiretinal-neuron-axon",
        ("bscan", "ascan"),
        (0, 1, 0, 1),
        ((0, 2), (2, 0), (1, 3), (3, 1), (1, 0), (0, 1), (3, 2), (2, 3)),
    ),
    # two halves of the B-scans drawn at random: the same computation without the anatomy
    "shuffled": Anatomy("shuffled", ("bscan",), (0, 1), ((0, 1), (1, 0))),
}
"""The anatomies of AI-CNet3D, and the control."""


def divide(x: Float[Tensor, "batch b d a channel"], anatomy: Anatomy) -> list[Float[Tensor, "batch rb d ra channel"]]:
    """Divide a feature volume (channels last) into the anatomy's regions; views, nothing is copied.

    Raises:
        OctavoError: If an axis that is halved has an odd number of samples.
    """
    regions = [x]
    for axis, name in ((1, "bscan"), (3, "ascan")):
        if name in anatomy.halves:
            if x.shape[axis] % 2:
                raise OctavoError(
                    f"{anatomy.name} attention halves {name}, which has {x.shape[axis]} samples; wanted even"
                )
            regions = [half for region in regions for half in region.chunk(2, dim=axis)]
    return regions
