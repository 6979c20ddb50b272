import pytest
import torch
from torch import nn
from torch.nn import functional as F

from octavo.attribution import class_margin, grad_cam, is_zero, predicted_margin, published_grad_cam, same_grid
from textbook.ai_cnet3d import grad_cam_by_full_backward


class Head(nn.Module):
    """Batch norm, ReLU, mean over places, dense: what follows the last convolution."""

    def __init__(self, channels=3):
        super().__init__()
        self.norm, self.dense = nn.BatchNorm3d(channels).double(), nn.Linear(channels, 2).double()
        generator = torch.Generator().manual_seed(1)
        for tensor in (self.norm.weight, self.norm.bias, self.norm.running_mean, *self.dense.parameters()):
            with torch.no_grad():
                tensor.copy_(torch.randn(tensor.shape, generator=generator))

    def forward(self, features):
        return self.dense(F.relu(self.norm(features)).mean(dim=(2, 3, 4)))


def features(batch=4, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 4, 3, 5, generator=generator, dtype=torch.float64)


def test_a_map_known_beforehand():
    """Linear in the features: channel weights are the classifier's, spread over the places."""
    weights = torch.tensor([[0.0, 0.0], [2.0, -1.0]], dtype=torch.float64)

    def classify(f):
        return f.mean(dim=(2, 3, 4)) @ weights.T

    f = torch.zeros(1, 2, 1, 1, 4, dtype=torch.float64)
    f[0, 0, 0, 0] = torch.tensor([1.0, 3.0, 0.0, -1.0])
    f[0, 1, 0, 0] = torch.tensor([0.0, 2.0, 5.0, 0.0])
    heat = grad_cam(f, classify, class_margin(1))
    # 2·first - second = 2, 4, -5, -2: rectified and divided by the maximum
    torch.testing.assert_close(heat[0, 0, 0], torch.tensor([0.5, 1.0, 0.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(grad_cam(f, classify, class_margin(0))[0, 0, 0], torch.tensor([0, 0, 1, 0.4]).double())


def test_it_is_a_full_backward_pass_in_evaluation():
    head, f = Head().eval(), features()
    heat = grad_cam(f, head)
    assert head.dense.weight.grad is None
    leaf = f.clone().requires_grad_()
    predicted_margin(head(leaf)).sum().backward()
    raw = F.relu((leaf.grad.mean(dim=(2, 3, 4), keepdim=True) * f).sum(dim=1))
    wanted = raw / raw.amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(heat, wanted)


def test_maps_reach_one_and_no_exam_sees_another():
    head, f = Head().eval(), features(5)
    heat = grad_cam(f, head)
    assert (heat >= 0).all()
    torch.testing.assert_close(heat.amax(dim=(1, 2, 3)), torch.ones(5, dtype=torch.float64))
    for exam in range(5):
        torch.testing.assert_close(grad_cam(f[exam : exam + 1], head)[0], heat[exam], rtol=1e-12, atol=1e-12)


def test_certainty_does_not_make_it_fade():
    """The same map for a thousand times the logits, where the probability's own gradient is zero to all digits."""
    head, f = Head().eval(), features()
    sure = grad_cam(f, lambda x: 1000 * head(x))
    torch.testing.assert_close(sure, grad_cam(f, head))
    leaf = f.clone().requires_grad_()
    faded = published_grad_cam(leaf, 1000 * head(leaf)).amax(dim=(1, 2, 3))
    assert faded.min() < 0.1


def test_the_features_get_gradient_and_the_channel_weights_none():
    head = Head().eval()
    f = features().requires_grad_()
    heat = grad_cam(f, head)
    cotangent = torch.randn(heat.shape, dtype=torch.float64)
    (got,) = torch.autograd.grad(heat, f, cotangent)
    fixed = f.detach().requires_grad_()
    leaf = f.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(predicted_margin(head(leaf)).sum(), leaf)
    raw = F.relu((gradient.mean(dim=(2, 3, 4), keepdim=True) * fixed).sum(dim=1))
    (wanted,) = torch.autograd.grad(raw / raw.amax(dim=(1, 2, 3), keepdim=True), fixed, cotangent)
    torch.testing.assert_close(got, wanted)
    assert head.dense.weight.grad is None


@pytest.mark.parametrize("grad_mode", [True, False])
def test_it_works_where_gradients_are_off(grad_mode):
    head, f = Head().eval(), features()
    with torch.set_grad_enabled(grad_mode):
        heat = grad_cam(f, head)
    torch.testing.assert_close(heat, grad_cam(f, head))
    assert not heat.requires_grad


@pytest.mark.parametrize(
    "score",
    [
        lambda logits: torch.full((len(logits),), 3.0, dtype=logits.dtype),
        lambda logits: logits.sum(dim=1) * 0,
        lambda logits: logits.detach()[:, 0],
    ],
    ids=["a number", "times zero", "detached"],
)
def test_a_constant_score_has_no_heat(score):
    heat = grad_cam(features(), Head().eval(), score)
    assert torch.equal(heat, torch.zeros_like(heat))
    assert is_zero(heat).tolist() == [1, 1, 1, 1]


def test_the_published_form_is_that_of_a_full_backward_pass():
    head = Head()
    f = features().requires_grad_()
    heat = published_grad_cam(f, head(f))
    other = features().requires_grad_() * 1.0
    wanted = grad_cam_by_full_backward(head(other), other, head.parameters())
    torch.testing.assert_close(heat, wanted)
    assert heat.requires_grad


def test_the_published_form_fails_on_one_exam_with_batch_statistics_and_the_sound_one_does_not():
    """Each channel's gradient sums to zero over a batch of one: all weights are zero but for rounding."""
    head = Head().train()
    f = features(1).requires_grad_()
    (gradient,) = torch.autograd.grad(head(f).softmax(dim=1).amax(dim=1).sum(), f)
    assert gradient.mean(dim=(2, 3, 4)).abs().max() < 1e-15
    assert published_grad_cam(f, head(f)).max() < 1e-9
    assert grad_cam(f.detach(), head.eval()).max() == 1


def test_zero_maps_are_counted_one_by_one():
    heat = torch.zeros(3, 2, 2, 2)
    heat[1, 0, 1, 0] = 1e-30
    assert is_zero(heat).tolist() == [1, 0, 1]


def test_maps_of_another_grid_are_brought_to_it():
    care = torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    assert same_grid(care, torch.zeros(2, 4, 4, 4)) is care
    finer = same_grid(care, torch.zeros(2, 8, 8, 8))
    assert finer.shape == (2, 8, 8, 8)
    torch.testing.assert_close(finer.mean(), care.mean(), rtol=1e-5, atol=0)
    # a quarter of the way from one sample to the next
    torch.testing.assert_close(finer[:, 0, 0, 3], 0.75 * care[:, 0, 0, 1] + 0.25 * care[:, 0, 0, 2])
    torch.testing.assert_close(finer[:, 0, 0, 0], care[:, 0, 0, 0])
