"""The trivial peer: it reads nothing, and gives every exam the share of the disease that it learnt from.

Whatever does not beat it has learnt nothing from voxels. Its AUROC is one half, its accuracy that of always saying what is
commoner, its Brier score that of knowing the prevalence.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from octavo.errors import OctavoError
from octavo.systems.peers.network import Output

if TYPE_CHECKING:
    from octavo.systems.peers.recipe import PeerRecipe


class Trivial(nn.Module):
    """The log odds of every class but the first, against the first: of two classes one number.

    Args:
        classes: Number of logits.

    Example:
        >>> network = Trivial()
        >>> network.fit(torch.zeros(4, 0), torch.tensor([0, 0, 0, 1]), torch.ones(4, dtype=torch.float64))
        >>> torch.softmax(network(torch.zeros(1, 1, 2, 2, 2)).logits, dim=1)
        tensor([[0.7500, 0.2500]], grad_fn=<SoftmaxBackward0>)
    """

    explained_by = ()

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes - 1))

    def forward(self, x: Float[Tensor, "batch 1 b d a"]) -> Output:
        """The same answer to every volume."""
        return Output(self.answer(self.describe(x)))

    def describe(self, x: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch 0"]:
        """Nothing of each exam."""
        return torch.zeros(len(x), 0, device=x.device)

    def answer(self, numbers: Float[Tensor, "batch 0"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        margins = self.bias.expand(len(numbers), -1)
        return torch.cat((torch.zeros_like(margins[:, :1]), margins), dim=1)

    def fit(
        self, numbers: Float[Tensor, "exam 0"], labels: Int[Tensor, " exam"], weights: Float[Tensor, " exam"]
    ) -> None:
        """Take the share of each class among the exams.

        Raises:
            OctavoError: If one class is missing.
        """
        require_all(labels, len(self.bias) + 1)
        of_class = torch.stack([weights[labels == label].sum() for label in range(len(self.bias) + 1)])
        with torch.no_grad():
            self.bias.copy_(torch.log(of_class[1:] / of_class[0]))


def trivial(recipe: "PeerRecipe") -> Trivial:
    """The network that a recipe asks for."""
    return Trivial(recipe.classes)


def logits_of(margin: Float[Tensor, " batch"]) -> Float[Tensor, "batch 2"]:
    """Two logits whose difference is the margin."""
    return torch.stack((torch.zeros_like(margin), margin), dim=1)


def require_all(labels: Int[Tensor, " exam"], classes: int = 2) -> None:
    """Refuse exams that lack a class, whose best fit is without end.

    Raises:
        OctavoError: Naming the missing class.
    """
    counts = torch.bincount(labels, minlength=classes)
    if int(counts.min()) == 0:
        wanted = "both" if classes == 2 else "all"
        raise OctavoError(
            f"class {int(counts.argmin())} is empty in the training part; wanted {wanted}; choose another split seed"
        )
