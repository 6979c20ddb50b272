"""What a batch costs AI-CNet3D, and that its Grad-CAM leaves no trace in the step."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from octavo.attribution import same_grid
from octavo.cohorts.dataset import class_weights
from octavo.metrics.similarity import CONSISTENCY_LOSSES
from octavo.systems.ai_cnet3d.network import ATTENTIONS, AICNet3D
from octavo.systems.ai_cnet3d.task import AICNet3DTask, Consistency
from octavo.training.archives import load_archive
from octavo.training.checkpoints import LAST
from systems.test_ai_cnet3d_network import draw_at_order_one
from textbook.ai_cnet3d import TextbookAICNet3D
from training.small_training import (
    PlantedExams,
    ai_cnet3d_task,
    assert_same,
    rows,
    small_ai_cnet3d,
    train,
    train_batches,
    validation_batches,
    weights_of,
)

SIZE = (16, 16, 16)


def batch_of(count=4, dtype=torch.float32, first=0, labels=None):
    exams = [PlantedExams(count, SIZE, dtype, first=first)[index] for index in range(count)]
    return {
        "volume": torch.stack([exam["volume"] for exam in exams]),
        "label": torch.tensor([exam["label"] for exam in exams] if labels is None else labels),
        "exam_id": [exam["exam_id"] for exam in exams],
    }


def task_at_order_one(attention="hemiretinal", placement=(2, 4), weights=None, **consistency):
    """Double precision, everything drawn at order one."""
    # the fifth draw gives squeeze-and-excitation a Grad-CAM without any heat, which shows nothing
    seed = 6 if attention == "squeeze-excitation" else 5
    network = draw_at_order_one(AICNet3D(attention, size=SIZE, placement=placement, channels=8, heads=2).double(), seed)
    term = Consistency(**{"loss": "mse", "weight": 0.5, **consistency}) if consistency else None
    return AICNet3DTask(network, 1e-3, 0, weights, term)


def textbook_of(network):
    """The same weights in the textbook network; the peers have none and stand for themselves."""
    if network.attention in {"epa", "squeeze-excitation", "cbam"}:
        return network
    orders = tuple(getattr(block, "order", None) for block in network.attentions)
    plain = TextbookAICNet3D(network.attention, network.placement, channels=8, heads=2, orders=orders).double()
    plain.load_state_dict(network.state_dict())
    return plain.eval()


def full_grad_cam(network, volume):
    """The margin's gradient through the whole network's graph, in evaluation mode."""
    logits, _, features = textbook_of(network)(volume)
    margin = (logits[:, 1] - logits[:, 0]).abs()
    gradient = torch.autograd.grad(margin.sum(), features)[0]
    heat = F.relu((gradient.mean(dim=(2, 3, 4), keepdim=True) * features).sum(dim=1)).detach()
    return heat / heat.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-300)


def test_first_stage_costs_cross_entropy_exam_by_exam():
    task = task_at_order_one().eval()
    batch = batch_of(dtype=torch.float64)
    losses = task.losses(batch)
    logits = task.network(batch["volume"]).logits
    by_hand = [torch.logsumexp(row, 0) - row[label] for row, label in zip(logits, batch["label"], strict=True)]
    torch.testing.assert_close(losses["loss"], torch.stack(by_hand))
    assert list(losses) == ["loss", "classification"]
    # the paper's words for it: binary cross-entropy on two softmax outputs with one-hot targets
    one_hot = F.one_hot(batch["label"], 2).double()
    published = F.binary_cross_entropy(torch.softmax(logits, 1), one_hot, reduction="none").mean(dim=1)
    torch.testing.assert_close(losses["loss"], published)


def test_a_weighted_loss_makes_both_classes_count_the_same():
    labels = [0, 0, 0, 1]
    weights = class_weights(labels)
    batch = batch_of(dtype=torch.float64, labels=labels)
    plain, weighted = task_at_order_one().eval(), task_at_order_one(weights=weights).eval()
    costs = plain.losses(batch)["loss"]
    torch.testing.assert_close(weighted.losses(batch)["loss"], costs * weights.double()[batch["label"]])
    mean_of_classes = (costs[:3].mean() + costs[3]) / 2
    torch.testing.assert_close(weighted.losses(batch)["loss"].mean(), mean_of_classes)
    assert "class_weights" not in weighted.state_dict()


@pytest.mark.parametrize("loss", CONSISTENCY_LOSSES)
@pytest.mark.parametrize("placement", [(2, 4), (1, 2), (2, 5)])
def test_second_stage_costs_a_share_of_each(loss, placement):
    task = task_at_order_one(placement=placement, loss=loss, weight=0.3).eval()
    batch = batch_of(dtype=torch.float64)
    losses = task.losses(batch)
    heat = full_grad_cam(task.network, batch["volume"])
    output = task.network(batch["volume"])
    care = same_grid(output.care, heat)
    torch.testing.assert_close(losses["consistency"], CONSISTENCY_LOSSES[loss](care, heat), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        losses["classification"], F.cross_entropy(output.logits, batch["label"], reduction="none")
    )
    torch.testing.assert_close(losses["loss"], 0.7 * losses["classification"] + 0.3 * losses["consistency"])
    assert losses["zero_maps"].tolist() == (heat.amax(dim=(1, 2, 3)) == 0).double().tolist()
    assert heat.amax() == 1


@pytest.mark.parametrize("placement", [(2, 4), (1, 3), (2, 5), (4, 5)])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_grad_cam_of_the_head_is_grad_cam_of_the_whole_network(attention, placement):
    task = task_at_order_one(attention, placement, loss="mse").eval()
    volume = batch_of(dtype=torch.float64)["volume"]
    wanted = full_grad_cam(task.network, volume)
    got = task._grad_cam(task.network(volume))
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)
    assert (got.amax(dim=(1, 2, 3)) > 0).any()


def test_in_training_too_grad_cam_reads_the_running_statistics():
    task = task_at_order_one(loss="mse", weight=0.5)
    task.train()
    output = task.network(batch_of(dtype=torch.float64)["volume"])
    heat = task._grad_cam(output)
    task.eval()
    alone = [task._grad_cam(output._replace(features=one[None])) for one in output.features.detach()]
    torch.testing.assert_close(heat, torch.cat(alone))


def test_channel_weights_are_constants_and_features_learn():
    task = task_at_order_one(loss="mse", weight=1.0)
    task.losses(batch_of(dtype=torch.float64))["loss"].mean().backward()
    gradients = {name: parameter.grad for name, parameter in task.network.named_parameters()}
    # the head's own weights reach the map through the channel weights alone
    for name in ("dense.weight", "dense.bias", "convolutions.4.norm.weight", "convolutions.4.norm.bias"):
        assert gradients[name].abs().max() == 0, name
    for name in ("convolutions.4.convolution.weight", "convolutions.0.convolution.weight", "attentions.1.mix.weight"):
        assert gradients[name].abs().max() > 0, name


def test_the_gradient_of_a_map_is_that_with_fixed_weights():
    task = task_at_order_one(loss="mse", weight=1.0).eval()
    output = task.network(batch_of(dtype=torch.float64)["volume"])
    features = output.features.detach().requires_grad_()
    with torch.no_grad():
        margin_sign = torch.sign(output.logits[:, 1] - output.logits[:, 0])
    probe = torch.rand(output.care.shape[0], *features.shape[2:], dtype=torch.float64)
    got = torch.autograd.grad((task._grad_cam(output._replace(features=features)) * probe).sum(), features)[0]
    leaf = features.detach().requires_grad_()
    logits = task.network.classify(leaf)
    weights = torch.autograd.grad(((logits[:, 1] - logits[:, 0]) * margin_sign).sum(), leaf)[0].mean((2, 3, 4))
    raw = F.relu(torch.einsum("bc,bcxyz->bxyz", weights.detach(), features))
    wanted = torch.autograd.grad((raw / raw.amax((1, 2, 3), keepdim=True).clamp_min(1e-300) * probe).sum(), features)[0]
    torch.testing.assert_close(got, wanted)
    assert wanted.abs().max() > 0


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("placement", [(2, 4), (2, 5)])
def test_grad_cam_leaves_statistics_modes_gradients_and_the_stream_alone(placement, published):
    plain = task_at_order_one(placement=placement)
    second = task_at_order_one(placement=placement, loss="mse", weight=0.5, published=published)
    batch = batch_of(dtype=torch.float64)
    after = []
    for task in (plain, second):
        task.train()
        task.network.attentions[0].channel_dropout.eval()
        before = [module.training for module in task.modules()]
        torch.manual_seed(3)
        classification = task.losses(batch)["classification"]
        after.append((weights_of(task), torch.rand(3), classification.detach()))
        assert [module.training for module in task.modules()] == before
        assert all(parameter.grad is None for parameter in task.parameters())
    assert_same(*after)


def test_without_a_share_the_second_stage_is_plain_training(tmp_path):
    control = ai_cnet3d_task(loss="mse", weight=0.0)
    plain = ai_cnet3d_task()
    train(tmp_path / "plain", plain, epochs=3)
    train(tmp_path / "control", control, epochs=3)
    assert_same(weights_of(control), weights_of(plain))
    states = [load_archive(tmp_path / name / "checkpoints" / LAST) for name in ("plain", "control")]
    assert_same(states[0]["optimizer_states"], states[1]["optimizer_states"])
    for before, after in zip(rows(tmp_path / "plain"), rows(tmp_path / "control"), strict=True):
        assert before.items() <= after.items()
        assert float(after["train_consistency"]) > 0


def test_with_the_whole_share_the_label_is_ignored(tmp_path):
    class Swapped(PlantedExams):
        def __getitem__(self, at):
            exam = super().__getitem__(at)
            return {**exam, "label": 1 - exam["label"]}

    ends = []
    for number, kind in enumerate((PlantedExams, Swapped)):
        task = ai_cnet3d_task(loss="mse", weight=1.0, learning_rate=0.01)
        before = weights_of(task)
        train(
            tmp_path / str(number),
            task,
            epochs=2,
            train=train_batches(kind(size=SIZE)),
            validation=validation_batches(kind(6, SIZE, first=100)),
        )
        ends.append(weights_of(task))
        assert not torch.equal(
            before["convolutions.4.convolution.weight"], ends[-1]["convolutions.4.convolution.weight"]
        )
        assert torch.equal(before["dense.weight"], ends[-1]["dense.weight"])
    assert_same(*ends)


def test_published_maps_of_one_exam_vanish_with_batch_statistics_and_sound_ones_do_not():
    batch = batch_of(1, torch.float64)
    for published, highest in ((True, 0.0), (False, 1.0)):
        task = task_at_order_one(loss="mse", published=published)
        task.train()
        heat = task._grad_cam(task.network(batch["volume"]))
        assert float(heat.detach().max()) == pytest.approx(highest, abs=1e-6)


def test_published_channel_weights_sum_to_zero_over_a_batch():
    task = task_at_order_one(loss="mse", published=True)
    task.train()
    output = task.network(batch_of(dtype=torch.float64)["volume"])
    probability = torch.softmax(output.logits, 1).amax(1)
    weights = torch.autograd.grad(probability.sum(), output.features, retain_graph=True)[0].mean((2, 3, 4))
    assert weights.abs().max() > 1e-9
    assert weights.sum(dim=0).abs().max() < 1e-12 * weights.abs().max() * weights.numel()


def test_in_validation_the_published_form_gives_way_to_the_sound_one():
    batch = batch_of(dtype=torch.float64)
    values = []
    for published in (True, False):
        task = task_at_order_one(loss="mse", published=published).eval()
        with torch.no_grad():
            values.append(task.losses(batch)["consistency"])
    assert torch.equal(*values)


@pytest.mark.parametrize(("published", "loss"), itertools.product([False, True], CONSISTENCY_LOSSES))
def test_every_consistency_loss_gives_finite_gradients_also_on_constant_scans(published, loss):
    task = ai_cnet3d_task(loss=loss, weight=0.75, published=published)
    task.network = small_ai_cnet3d(size=SIZE)
    batch = {**batch_of(2), "volume": torch.zeros(2, 1, *SIZE)}
    task.losses(batch)["loss"].mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in task.parameters() if parameter.grad is not None)


def test_zero_maps_are_counted():
    task = task_at_order_one(loss="mse").eval()
    with torch.no_grad():
        task.network.dense.weight.zero_()
    losses = task.losses(batch_of(dtype=torch.float64))
    assert losses["zero_maps"].tolist() == [1.0] * 4
    assert torch.isfinite(losses["loss"]).all()
