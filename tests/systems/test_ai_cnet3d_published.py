"""Files in the layout the published program writes, made from the textbook network, and what is refused."""

import logging
import re

import pytest
import torch
from torch.nn import functional as F

from octavo.blocks.regions import ANATOMIES
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d import AICNet3D, load_published_checkpoint
from systems.test_ai_cnet3d_network import draw_at_order_one
from textbook.ai_cnet3d import TextbookAICNet3D

SIZE = (32, 24, 16)
EPA_SIZE = (16, 16, 16)
PLACES = ("layers.0", "layers.1", "layers.3", "layers.4", "layers.6")
ATTENTIONS = ("layers.2.0", "layers.5.0")
CROSS = ("hemiretinal", "neuron-axon", "hemiretinal-neuron-axon")
DIRECTIONS = {
    "hemiretinal": ["superior to inferior", "inferior to superior"],
    "neuron-axon": ["macula to nerve", "nerve to macula"],
    "hemiretinal-neuron-axon": [
        "superior macula to inferior macula",
        "inferior macula to superior macula",
        "superior nerve to inferior nerve",
        "inferior nerve to superior nerve",
        "superior nerve to superior macula",
        "superior macula to superior nerve",
        "inferior nerve to inferior macula",
        "inferior macula to inferior nerve",
    ],
}
"""Of the published blocks, in the order of their numbers: the asking region first."""
REGIONS = {
    "hemiretinal": ["superior", "inferior"],
    "neuron-axon": ["macula", "nerve"],
    "hemiretinal-neuron-axon": ["superior macula", "superior nerve", "inferior macula", "inferior nerve"],
}


class Evil:
    def __reduce__(self):
        return print, ("this archive ran code",)


def textbook(attention):
    """Weights at order one, with statistics as a training on grey values up to 255 would have left them, roughly."""
    network = draw_at_order_one(TextbookAICNet3D(attention, channels=32, heads=4), seed=11).eval()
    seen = {}
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for block in network.convolutions:
            hook = block.norm.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0]))
            network(volumes())
            hook.remove()
            spread, mean = torch.std_mean(seen["x"], dim=(0, 2, 3, 4))
            block.norm.running_mean.copy_(mean + spread * torch.randn(32, generator=chance) / 2)
            block.norm.running_var.copy_(spread**2 * (0.5 + torch.rand(32, generator=chance)))
        logits = published_answers(network, volumes())[0]
        spread = (logits[:, 1] - logits[:, 0]).std()
        network.dense.weight.div_(spread)
        network.dense.bias.sub_(logits.mean(dim=0)).div_(spread)
    return network


def published_answers(network, volume):
    """Logits and CARE with the published pooling: one window per axis, a cube with the shortest axis as its side."""
    _, care, features = network(volume)
    last = F.relu(network.convolutions[-1].norm(features))
    sizes = last.shape[2:]
    pooled = F.avg_pool3d(last, kernel_size=min(sizes), stride=tuple(sizes))
    assert pooled.shape[2:] == (1, 1, 1)
    return network.dense(pooled.flatten(1)), care


def published_weights(network, attention):
    """The network's weights by the names of the published program."""
    own, named = network.state_dict(), {}

    def move(theirs, ours, *parts):
        for part in parts:
            named[f"{theirs}.{part}"] = own[f"{ours}.{part}"].clone()

    for number, place in enumerate(PLACES):
        move(f"{place}.0", f"convolutions.{number}.convolution", "weight", "bias")
        move(f"{place}.1", f"convolutions.{number}.norm", "weight", "bias", "running_mean", "running_var")
        named[f"{place}.1.num_batches_tracked"] = torch.tensor(700)
    for number, place in enumerate(ATTENTIONS if attention != "none" else ()):
        ours = f"attentions.{number}"
        move(place, ours, "gamma")
        move(f"{place}.conv8.1", f"{ours}.mix", "weight", "bias")
        if attention == "epa":
            _move_epa(named, own, place, ours)
            continue
        for region in (1, 2):
            move(f"{place}.norm{region}", f"{ours}.norms.{region - 1}", "weight", "bias")
        if attention == "hemiretinal-neuron-axon":
            for unused in (3, 4):
                named[f"{place}.norm{unused}.weight"] = torch.full((32,), 9.0)
                named[f"{place}.norm{unused}.bias"] = torch.full((32,), 9.0)
        for block in range(len(DIRECTIONS[attention])):
            theirs, mine = f"{place}.cross_block{block + 1}", f"{ours}.directed.{block}"
            named[f"{theirs}.temperature"] = own[f"{mine}.temperature"].clone()
            move(theirs, mine, "q.weight", "k.weight", "v.weight", "out_proj.weight", "out_proj.bias")
    move("dense", "dense", "weight", "bias")
    repeated = {name: value for name, value in named.items() if name.startswith(f"{ATTENTIONS[1]}.")}
    named.update({f"CARE_layer.{name.removeprefix(ATTENTIONS[1] + '.')}": value for name, value in repeated.items()})
    return named


def _move_epa(named, own, place, ours):
    for theirs, mine in (
        ("norm.weight", "norm.weight"),
        ("norm.bias", "norm.bias"),
        ("epa_block.temperature", "channel_temperature"),
        ("epa_block.temperature2", "spatial_temperature"),
        ("epa_block.qkvv.weight", "qkvv.weight"),
        ("epa_block.E.weight", "project.weight"),
        ("epa_block.E.bias", "project.bias"),
        ("epa_block.F.weight", "project.weight"),
        ("epa_block.F.bias", "project.bias"),
        ("epa_block.out_proj.weight", "spatial_out.weight"),
        ("epa_block.out_proj.bias", "spatial_out.bias"),
        ("epa_block.out_proj2.weight", "channel_out.weight"),
        ("epa_block.out_proj2.bias", "channel_out.bias"),
    ):
        named[f"{place}.{theirs}"] = own[f"{ours}.{mine}"]


def archive_of(weights):
    steps = {index: {"step": torch.tensor(3.0), "exp_avg": value} for index, value in enumerate(weights.values())}
    return {
        "epoch": 41,
        "model_state_dict": weights,
        "optimizer_state_dict": {"state": steps, "param_groups": [{"lr": 1e-4, "params": list(steps)}]},
        "loss": 0.43,
    }


def written(path, attention, network=None):
    torch.save(archive_of(published_weights(network or textbook(attention), attention)), path)
    return path


@pytest.fixture(scope="module")
def hemiretinal(tmp_path_factory):
    network = textbook("hemiretinal")
    return network, written(tmp_path_factory.mktemp("published") / "H.pth", "hemiretinal", network)


def volumes():
    return torch.rand(3, 1, *SIZE, generator=torch.Generator().manual_seed(2)) * 255


def assert_same_answers(loaded, network):
    with torch.no_grad():
        logits, care = published_answers(network, volumes())
        output = loaded(volumes())
    probabilities = torch.softmax(logits, 1)
    assert probabilities.amin() > 0.001, "probabilities of 0 and 1 would prove little"
    assert probabilities[:, 0].std() > 0.005
    torch.testing.assert_close(torch.softmax(output.logits, 1), probabilities, rtol=0, atol=1e-4)
    torch.testing.assert_close(output.care, care, rtol=0, atol=1e-4)
    assert care.std() > 0.01


def test_directions_are_those_of_the_published_blocks():
    for attention, words in DIRECTIONS.items():
        names = REGIONS[attention]
        assert [f"{names[asks]} to {names[answers]}" for asks, answers in ANATOMIES[attention].pairs] == words
    assert ANATOMIES["hemiretinal-neuron-axon"].norm_of == (0, 1, 0, 1)


def test_a_hemiretinal_file_gives_the_published_probabilities_and_care(hemiretinal, caplog):
    network, path = hemiretinal
    with caplog.at_level(logging.WARNING):
        loaded = load_published_checkpoint(path, "hemiretinal", size=SIZE)
    assert not caplog.records
    assert not loaded.training
    assert loaded.pooling == "published"
    assert_same_answers(loaded, network)


def test_pooling_is_what_makes_the_difference(hemiretinal):
    network, path = hemiretinal
    loaded = load_published_checkpoint(path, size=SIZE)
    loaded.pooling = "global"
    with torch.no_grad():
        logits, _ = published_answers(network, volumes())
        assert (torch.softmax(loaded(volumes()).logits, 1) - torch.softmax(logits, 1)).abs().max() > 1e-3


@pytest.mark.parametrize("attention", ["neuron-axon", "hemiretinal-neuron-axon"])
def test_other_cross_attentions_load_in_their_own_places_and_say_so_once(tmp_path, caplog, attention):
    network = textbook(attention)
    with caplog.at_level(logging.WARNING):
        loaded = load_published_checkpoint(written(tmp_path / "X.pth", attention, network), attention, size=SIZE)
    assert len(caplog.records) == 1
    assert "X.pth: attended tokens are put back in their own places" in caplog.text
    assert_same_answers(loaded, network)


def test_the_plain_network_loads(tmp_path, caplog):
    network = textbook("none")
    loaded = load_published_checkpoint(written(tmp_path / "plain.pth", "none", network), "none", size=SIZE)
    assert not caplog.records
    assert_same_answers(loaded, network)


def test_paired_attention_loads_and_says_what_differs(tmp_path, caplog):
    network = draw_at_order_one(AICNet3D("epa", size=EPA_SIZE, pooling="published"), seed=4).eval()
    with caplog.at_level(logging.WARNING):
        loaded = load_published_checkpoint(written(tmp_path / "epa.pth", "epa", network), "epa", size=EPA_SIZE)
    assert len(caplog.records) == 1
    assert "interleaves heads and tokens" in caplog.text
    for name, value in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(loaded.state_dict()[name], value), name
    x = torch.rand(2, 1, *EPA_SIZE)
    with torch.no_grad():
        assert torch.equal(loaded(x).logits, network(x).logits)


def test_hemiretinal_and_neuron_axon_files_bear_the_same_names_and_differ_by_what_is_said(hemiretinal):
    _, path = hemiretinal
    with torch.no_grad():
        said = [load_published_checkpoint(path, name, size=SIZE)(volumes()).care for name in CROSS[:2]]
    assert (said[0] - said[1]).abs().max() > 1e-2


def test_bare_weights_and_those_of_several_gpus_load_too(hemiretinal, tmp_path):
    network, _ = hemiretinal
    weights = published_weights(network, "hemiretinal")
    torch.save(weights, tmp_path / "bare.pth")
    torch.save(archive_of({f"module.{name}": value for name, value in weights.items()}), tmp_path / "module.pth")
    for name in ("bare.pth", "module.pth"):
        assert_same_answers(load_published_checkpoint(str(tmp_path / name), size=SIZE), network)


def test_shapes_with_axes_of_length_one_fit(hemiretinal, tmp_path):
    network, _ = hemiretinal
    weights = published_weights(network, "hemiretinal")
    for name in list(weights):
        if name.endswith("conv8.1.weight"):
            weights[name] = weights[name].flatten(1)
        elif name.endswith("temperature"):
            weights[name] = weights[name].flatten()
    torch.save(archive_of(weights), tmp_path / "flat.pth")
    assert_same_answers(load_published_checkpoint(tmp_path / "flat.pth", size=SIZE), network)


def refusal(path, attention="hemiretinal", size=SIZE):
    with pytest.raises(OctavoError) as refused:
        load_published_checkpoint(path, attention, size=size)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("trained_as", "said", "message"),
    [
        ("hemiretinal", "hemiretinal-neuron-axon", "weight 'attentions.0.directed.2.k.weight' is missing"),
        ("hemiretinal-neuron-axon", "hemiretinal", "has no place"),
        ("hemiretinal-neuron-axon", "neuron-axon", "has no place"),
        ("hemiretinal", "none", "has no place"),
        ("none", "hemiretinal", "is missing"),
        ("hemiretinal", "epa", "is missing"),
        ("epa", "hemiretinal", "is missing"),
    ],
)
def test_another_variant_is_refused(tmp_path, trained_as, said, message):
    network = AICNet3D("epa", size=EPA_SIZE) if trained_as == "epa" else textbook(trained_as)
    told = refusal(written(tmp_path / "X.pth", trained_as, network), said, EPA_SIZE)
    assert told.startswith("X.pth: weight ")
    assert message in told
    assert f"for attention '{said}'; wanted a file of that variant; name the variant it was trained as" in told


def test_an_unknown_variant_offers_the_nearest(hemiretinal):
    assert "did you mean 'hemiretinal'?" in refusal(hemiretinal[1], "hemiretinel")
    assert "not a published variant" in refusal(hemiretinal[1], "shuffled")


def changed(tmp_path, network, change):
    weights = published_weights(network, "hemiretinal")
    archive = archive_of(weights)
    change(weights, archive)
    torch.save(archive, tmp_path / "changed.pth")
    return tmp_path / "changed.pth"


def put(name, value):
    def change(weights, archive):
        weights[name] = value(weights[name]) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights, _: weights.pop("layers.2.0.cross_block1.q.weight"),
            r"directed\.0\.q\.weight' is missing \(1 m",
        ),
        (lambda weights, _: weights.pop("dense.bias"), "'dense.bias' is missing"),
        (put("layers.0.0.weight", lambda value: value[:16]), r"shape \(16, 1, 7, 7, 7\); wanted \(32, 1, 7, 7, 7\)"),
        (put("dense.weight", lambda value: value.T), r"'dense.weight' has shape \(32, 2\); wanted \(2, 32\)"),
        (put("layers.2.0.gamma", torch.ones(64)), r"shape \(64,\); wanted \(32,\)"),
        (put("layers.7.0.weight", torch.ones(2)), "'layers.7.0.weight' is none of a published"),
        (put("backbone.weight", torch.ones(2)), "'backbone.weight' is none of a published"),
        (put("layers.1.1.running_var", lambda value: value * float("nan")), "'layers.1.1.running_var' is not finite"),
        (put("dense.bias", 3.0), "'dense.bias' is a float; wanted a tensor"),
        (put(7, torch.ones(2)), "holds no named weights"),
        (lambda _, archive: archive.update(model_state_dict=[1, 2]), "holds no named weights"),
        (lambda _, archive: archive.update(model_state_dict={}), "holds no named weights"),
        (lambda _, archive: archive.pop("model_state_dict"), "'epoch' is a int"),
    ],
)
def test_files_that_do_not_fit_get_one_line(hemiretinal, tmp_path, change, message):
    told = refusal(changed(tmp_path, hemiretinal[0], change))
    assert re.search(message, told), told
    assert told.startswith("changed.pth: ")


def test_files_that_cannot_be_read_get_one_line(hemiretinal, tmp_path, capsys):
    assert "there is no such file" in refusal(tmp_path / "missing.pth")
    whole = hemiretinal[1].read_bytes()
    for kept in (0, 100, len(whole) // 2, len(whole) - 200):
        (tmp_path / "cut.pth").write_bytes(whole[:kept])
        assert "not a readable torch archive" in refusal(tmp_path / "cut.pth")
    torch.save({**archive_of(published_weights(hemiretinal[0], "hemiretinal")), "args": Evil()}, tmp_path / "evil.pth")
    assert "not a readable torch archive" in refusal(tmp_path / "evil.pth")
    assert "ran code" not in capsys.readouterr().out


def test_a_size_the_network_cannot_take_is_refused(hemiretinal):
    assert "nearest: (32, 24, 16)" in refusal(hemiretinal[1], size=(30, 24, 16))
