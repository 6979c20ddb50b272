import pytest
import torch
from torch.nn import functional as F

from encoders.backbones import SMALL, original_layout, transformers_network
from octavo.errors import OctavoError
from octavo.systems.dino_atten3d import load_published_checkpoint


def checkpoint(seed=0):
    """As the published program writes it, weights drawn at order one."""
    torch.manual_seed(seed)
    width = SMALL.width
    head = {
        "attn.attn.0.weight": torch.randn(64, width),
        "attn.attn.0.bias": torch.randn(64),
        "attn.attn.2.weight": torch.randn(1, 64),
        "attn.attn.2.bias": torch.randn(1),
        "embedding_head.0.weight": torch.randn(256, width) / 8,
        "embedding_head.0.bias": torch.randn(256),
        "embedding_head.2.weight": torch.randn(128, 256) / 16,
        "embedding_head.2.bias": torch.randn(128),
        "classifier.weight": torch.randn(2, 128),
        "classifier.bias": torch.randn(2),
    }
    return {**{f"backbone.{n}": t for n, t in original_layout(transformers_network()).items()}, **head}


def test_it_answers_as_the_formulas_of_the_published_program_do(tmp_path):
    state = checkpoint()
    torch.save(state, tmp_path / "best.pth")
    network, backbone = load_published_checkpoint(tmp_path / "best.pth")
    features = backbone.features(torch.randn(5, 3, 224, 224))
    with torch.no_grad():
        output = network(features[None])

    hidden = torch.tanh(features @ state["attn.attn.0.weight"].T + state["attn.attn.0.bias"])
    energies = hidden @ state["attn.attn.2.weight"].T + state["attn.attn.2.bias"]
    weights = torch.softmax(energies, dim=0)
    volume = (weights * features).sum(dim=0)
    first = F.relu(state["embedding_head.0.weight"] @ volume + state["embedding_head.0.bias"])
    second = F.relu(state["embedding_head.2.weight"] @ first + state["embedding_head.2.bias"])
    logits = state["classifier.weight"] @ second + state["classifier.bias"]
    torch.testing.assert_close(output.logits[0], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.slice_weights[0], weights[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {n: t for n, t in s.items() if not n.startswith("backbone")}, "wanted the backbone, attention"),
        (lambda s: {n: t for n, t in s.items() if not n.startswith("attn")}, "lacks the attention"),
        (lambda s: {**s, "classifier.bias": torch.zeros(3)}, "classifier.bias is (3,), wanted (2,)"),
        (lambda s: {n: t for n, t in s.items() if n != "backbone.norm.bias"}, "1 are missing (norm.bias)"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused_by_name(tmp_path, change, said):
    torch.save(change(checkpoint()), tmp_path / "other.pth")
    with pytest.raises(OctavoError) as told:
        load_published_checkpoint(tmp_path / "other.pth")
    assert said in str(told.value)
    assert "\n" not in str(told.value)
