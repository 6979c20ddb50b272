"""What a network says about an exam does not depend on the company it is in."""

import numpy as np
import torch
from torch.utils.data import DataLoader

from octavo.training.inference import logit_margins
from training.small_training import PlantedExams, assert_same, small_ai_cnet3d


def test_margins_are_those_of_each_exam_alone_in_evaluation_mode():
    network = small_ai_cnet3d()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    exams = PlantedExams(5)
    margins = logit_margins(network.train(), DataLoader(exams, batch_size=2))
    assert not any(module.training for module in network.modules())
    assert_same(dict(network.state_dict()), before)
    with torch.no_grad():
        alone = [network(exams[index]["volume"][None]).logits[0] for index in range(5)]
    wanted = [float(logits[1] - logits[0]) for logits in alone]
    np.testing.assert_allclose(margins, wanted, rtol=1e-5, atol=1e-7)
    assert len(set(margins.tolist())) == 5
    np.testing.assert_allclose(logit_margins(network, DataLoader(exams, batch_size=5)), margins, rtol=1e-5, atol=1e-7)


def test_no_exams_have_no_margins():
    assert logit_margins(small_ai_cnet3d(), []).shape == (0,)
