import pytest
import torch

from octavo.blocks.regions import ANATOMIES, divide
from octavo.errors import OctavoError


@pytest.mark.parametrize("name", ANATOMIES)
def test_regions_are_equal_in_size_and_together_everything(name):
    anatomy = ANATOMIES[name]
    x = torch.arange(2 * 4 * 3 * 6 * 5).view(2, 4, 3, 6, 5).float()
    regions = divide(x, anatomy)
    assert len(regions) == len(anatomy.norm_of) == 2 ** len(anatomy.halves)
    assert len({tuple(region.shape) for region in regions}) == 1
    together = torch.cat([region.flatten() for region in regions])
    assert torch.equal(together.sort().values, x.flatten())
    assert all(region.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for region in regions)


def test_regions_lie_where_the_anatomy_says():
    x = torch.zeros(1, 4, 1, 6, 1)
    x[:, 2:] += 2  # inferior
    x[:, :, :, 3:] += 1  # nerve
    four = [float(region.unique()) for region in divide(x, ANATOMIES["hemiretinal-neuron-axon"])]
    assert four == [0, 1, 2, 3]  # superior macula, superior nerve, inferior macula, inferior nerve
    superior, inferior = divide(x, ANATOMIES["hemiretinal"])
    assert (superior.max(), inferior.min()) == (1, 2)
    macula, nerve = divide(x, ANATOMIES["neuron-axon"])
    assert (set(macula.unique().tolist()), set(nerve.unique().tolist())) == ({0, 2}, {1, 3})


@pytest.mark.parametrize("name", ANATOMIES)
def test_who_asks_whom_is_known_and_mutual(name):
    anatomy = ANATOMIES[name]
    regions = range(len(anatomy.norm_of))
    assert all(
        asking in regions and answering in regions and asking != answering for asking, answering in anatomy.pairs
    )
    assert {(b, a) for a, b in anatomy.pairs} == set(anatomy.pairs)
    assert len(set(anatomy.pairs)) == len(anatomy.pairs)
    assert {asking for asking, _ in anatomy.pairs} == set(regions)


@pytest.mark.parametrize(
    ("name", "shape", "axis"),
    [
        ("hemiretinal", (5, 4, 4), "bscan"),
        ("shuffled", (3, 4, 4), "bscan"),
        ("neuron-axon", (4, 4, 5), "ascan"),
        ("hemiretinal-neuron-axon", (4, 4, 7), "ascan"),
        ("hemiretinal-neuron-axon", (5, 4, 4), "bscan"),
    ],
)
def test_odd_axes_cannot_be_halved(name, shape, axis):
    with pytest.raises(OctavoError, match=f"{name} attention halves {axis}, which has . samples; wanted even"):
        divide(torch.zeros(1, *shape, 2), ANATOMIES[name])


def test_axes_that_are_not_halved_may_be_odd():
    assert [r.shape for r in divide(torch.zeros(1, 4, 3, 5, 2), ANATOMIES["hemiretinal"])] == [(1, 2, 3, 5, 2)] * 2
