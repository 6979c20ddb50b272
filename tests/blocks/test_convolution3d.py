import pytest
import torch
from torch import nn
from torch.nn import functional as F

from octavo.blocks.convolution3d import ConvolutionBlock, frozen_affine


def block(kernel=3, stride=1, inputs=2, outputs=4):
    made = ConvolutionBlock(inputs, outputs, kernel, stride).double()
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            with torch.no_grad():
                tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return made


def volumes(inputs=2, seed=2):
    return torch.randn(3, inputs, 8, 7, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plainly(made, x):
    return F.relu(made.norm(made.convolution(x)))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (7, 2), (1, 1)])
@pytest.mark.parametrize("training", [False, True])
def test_folded_or_not_it_is_convolution_norm_relu(kernel, stride, training):
    made = block(kernel, stride).train(training)
    x = volumes()
    torch.testing.assert_close(made(x), plainly(made, x), rtol=1e-12, atol=1e-12)


def test_gradients_flow_through_the_folded_form_as_through_the_plain_one():
    made = block().eval()
    x = volumes().requires_grad_()
    cotangent = torch.randn(3, 4, 8, 7, 6, dtype=torch.float64)
    inputs = [x, *made.parameters()]
    got = torch.autograd.grad(made(x), inputs, cotangent)
    wanted = torch.autograd.grad(plainly(made, x), inputs, cotangent)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_a_convolution_without_bias_and_a_norm_without_weights_fold_too():
    made = block().eval()
    made.convolution.bias = None
    made.norm = nn.BatchNorm3d(4, affine=False).double().eval()
    made.norm.running_mean.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0]))
    made.norm.running_var.copy_(torch.tensor([0.5, 2.0, 1.0, 4.0]))
    torch.testing.assert_close(made(volumes()), plainly(made, volumes()), rtol=1e-12, atol=1e-12)


def test_the_two_steps_apart_are_the_whole_and_keep_the_convolutions_output():
    for training in (False, True):
        made = block().train(training)
        features = made.convolve(volumes())
        before = features.clone()
        y = made.activate(features)
        assert torch.equal(features, before)
        torch.testing.assert_close(y, made(volumes()), rtol=1e-12, atol=1e-12)


def test_running_statistics_move_in_training_alone():
    made = block().eval()
    before = made.norm.running_mean.clone()
    made(volumes())
    assert torch.equal(made.norm.running_mean, before)
    made.train()(volumes())
    assert not torch.equal(made.norm.running_mean, before)


def test_a_norm_without_running_statistics_cannot_be_folded():
    with pytest.raises(ValueError, match="keeps no running statistics"):
        frozen_affine(nn.BatchNorm3d(2, track_running_stats=False))


def test_the_input_is_left_as_it_was():
    for training in (False, True):
        x = volumes()
        before = x.clone()
        block().train(training)(x)
        assert torch.equal(x, before)
