import pytest
import torch

from octavo.attribution import class_margin, predicted_margin

LOGITS = torch.tensor([[1.0, 4.0, 2.5], [3.0, -1.0, 2.0], [0.0, 0.0, 0.0]])


def test_the_predicted_margin_is_how_far_the_winner_leads():
    assert predicted_margin(LOGITS).tolist() == [1.5, 1.0, 0.0]
    assert predicted_margin(LOGITS[:, :2]).tolist() == [3.0, 4.0, 0.0]


@pytest.mark.parametrize(("index", "wanted"), [(0, [-3.0, 1.0, 0.0]), (1, [1.5, -4.0, 0.0]), (2, [-1.5, -1.0, 0.0])])
def test_a_class_margin_is_that_class_against_the_best_of_the_others(index, wanted):
    assert class_margin(index)(LOGITS).tolist() == wanted


def test_for_two_classes_the_margins_are_one_number_with_two_signs():
    logits = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(class_margin(0)(logits), -class_margin(1)(logits))
    assert torch.equal(class_margin(1)(logits).abs(), predicted_margin(logits))


def test_a_margin_and_its_probability_point_the_same_way():
    logits = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    p = torch.softmax(logits, dim=1).amax(dim=1)
    (of_probability,) = torch.autograd.grad(p.sum(), logits)
    (of_margin,) = torch.autograd.grad(predicted_margin(logits).sum(), logits)
    torch.testing.assert_close(of_probability, (p * (1 - p)).detach()[:, None] * of_margin)
