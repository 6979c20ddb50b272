import pytest
import torch
from torch.nn import functional as F

from octavo.blocks.paired_attention import PairedAttention
from octavo.errors import OctavoError

CHANNELS, HEADS, SIZE, PROJECTED = 8, 2, (4, 3, 2), 5


def block():
    attention = PairedAttention(CHANNELS, SIZE, heads=HEADS, projected=PROJECTED).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in attention.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return attention.eval()


def features(batch=2, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, CHANNELS, *SIZE, generator=generator, dtype=torch.float64)


def attended_plainly(attention, x):
    """One exam, head by head, token by token."""
    d = CHANNELS // HEADS
    n = SIZE[0] * SIZE[1] * SIZE[2]
    tokens = F.layer_norm(x.reshape(CHANNELS, n).T, (CHANNELS,), attention.norm.weight, attention.norm.bias)
    mapped = tokens @ attention.qkvv.weight.T
    kinds = [mapped[:, kind * CHANNELS : (kind + 1) * CHANNELS] for kind in range(4)]
    channel, spatial = torch.empty(n, CHANNELS).double(), torch.empty(n, CHANNELS).double()
    for head in range(HEADS):
        mine = slice(head * d, (head + 1) * d)
        q, k, v_channel, v_spatial = (kind[:, mine] for kind in kinds)
        summaries_k = attention.project.weight @ k + attention.project.bias[:, None]
        summaries_v = attention.project.weight @ v_spatial + attention.project.bias[:, None]
        q, k = q / q.norm(dim=0), k / k.norm(dim=0)
        by_channel = torch.softmax(attention.channel_temperature[head, 0, 0] * (q.T @ k), dim=1)
        channel[:, mine] = v_channel @ by_channel.T
        for token in range(n):
            weights = torch.softmax(attention.spatial_temperature[head, 0, 0] * (summaries_k @ q[token]), dim=0)
            spatial[token, mine] = weights @ summaries_v
    halves = (
        spatial @ attention.spatial_out.weight.T + attention.spatial_out.bias,
        channel @ attention.channel_out.weight.T + attention.channel_out.bias,
    )
    s = x.reshape(CHANNELS, n) + (attention.gamma * torch.cat(halves, dim=1)).T
    mixed = attention.mix.weight.view(CHANNELS, CHANNELS) @ s + attention.mix.bias[:, None]
    return (s + mixed).reshape(x.shape)


def test_it_is_the_plain_version_token_by_token():
    attention, x = block(), features()
    wanted = torch.stack([attended_plainly(attention, exam) for exam in x])
    torch.testing.assert_close(attention(x), wanted, rtol=1e-11, atol=1e-11)


def test_gradients_are_those_of_small_differences():
    attention, x = block(), features(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: attention(x), (x,), eps=1e-6, atol=1e-5)


def test_no_exam_sees_another_of_its_batch():
    attention, x = block(), features(3)
    torch.testing.assert_close(attention(x)[1], attention(x[1:2])[0], rtol=1e-12, atol=1e-12)


def test_another_size_is_refused():
    with pytest.raises(OctavoError, match=r"built for features of \(4, 3, 2\), got \(4, 3, 3\)"):
        block()(torch.zeros(1, CHANNELS, 4, 3, 3, dtype=torch.float64))


def test_attention_stays_in_full_precision_under_autocast():
    attention, x = block().float(), features().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = attention(x.bfloat16())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, attention(x.bfloat16().float()))
