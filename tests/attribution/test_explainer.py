import numpy as np
import pytest
import torch

from octavo.attribution import EXPLAINERS, Explainer, find_explainer
from octavo.attribution.explainer import Explainable, evaluation
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3D


def network():
    torch.manual_seed(0)
    return AICNet3D("hemiretinal", size=(8, 8, 8), channels=8)


def test_an_unknown_explainer_is_refused_with_the_nearest():
    assert find_explainer("care") is EXPLAINERS["care"]
    with pytest.raises(OctavoError, match=r"'grad_cam' is not an explainer; .* did you mean 'grad-cam'"):
        find_explainer("grad_cam")


def test_names_are_those_of_the_dictionary():
    assert all(explainer.name == name for name, explainer in EXPLAINERS.items())


def test_the_network_is_what_explainers_ask_for():
    assert isinstance(network(), Explainable)


def test_modes_come_back_also_after_an_error():
    net = network().train()
    net.convolutions[1].norm.eval()
    net.dense.eval()
    modes = [module.training for module in net.modules()]

    def breaks():
        with evaluation(net):
            assert not any(module.training for module in net.modules())
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        breaks()
    assert [module.training for module in net.modules()] == modes


def test_heat_is_the_coarse_map_on_the_volumes_grid():
    net = network().eval()
    coarse = torch.zeros(1, 2, 2, 2)
    coarse[0, 1, 0, 1] = 1.0
    planted = Explainer("planted", "Planted", reads_score=False, maps=lambda *_: coarse)
    got = planted(net, torch.zeros(1, 1, 8, 8, 8))
    assert got.heat.shape == (8, 8, 8)
    assert got.heat.max() == pytest.approx(1, abs=0.02)
    assert np.unravel_index(got.heat.argmax(), got.heat.shape) >= (4, 0, 4)
    assert got.heat[4:, :4, 4:].mean() > 4 * got.heat[:4].mean()
    np.testing.assert_array_equal(got.coarse, coarse[0].numpy())
    assert (got.explainer, got.reads_score, got.is_zero) == ("planted", False, False)


def test_a_map_without_heat_says_so():
    empty = Explainer("empty", "Empty", reads_score=False, maps=lambda *_: torch.zeros(1, 2, 2, 2))
    got = empty(network(), torch.zeros(1, 1, 8, 8, 8))
    assert got.is_zero
    assert got.heat.max() == 0


def test_care_is_what_the_network_reads_out():
    net = network().eval()
    volume = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        care = net(volume).care[0].numpy()
    np.testing.assert_array_equal(EXPLAINERS["care"](net, volume).coarse, care)


@pytest.mark.parametrize("size", [(16, 60, 16), (16, 100, 24), (16, 95, 16), (16, 64, 16), (24, 92, 32)])
def test_heat_lies_where_the_network_saw_it_whatever_the_size(size):
    """A bright slab is found at its depth also where pooling drops the last samples."""
    network = AICNet3D("none", size=size, channels=8)
    with torch.no_grad():
        for block in network.convolutions:  # a network that only passes on what is bright
            block.convolution.weight.zero_()
            block.convolution.weight[(slice(None), slice(None), *(k // 2 for k in block.convolution.kernel_size))] = 1.0
    depth = size[1]
    for middle in (depth // 16 * 8, depth // 32 * 8 + depth // 16 * 8):  # whole cells of the network's grid
        volume = torch.zeros(1, 1, *size)
        volume[:, :, :, middle - 8 : middle + 8] = 1.0
        heat = find_explainer("care")(network, volume).heat.sum(axis=(0, 2))
        heat = heat - heat.min()
        centre = (heat @ (np.arange(depth) + 0.5)) / heat.sum()
        assert abs(centre - middle) < 1.5
