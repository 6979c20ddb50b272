"""AI-CNet3D as a textbook would write it: default layout, every token, Grad-CAM by a full backward pass.

Modules bear the same names as in `octavo.systems.ai_cnet3d`, so weights go from one to the other with `load_state_dict`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from octavo.blocks.regions import ANATOMIES


class Direction(nn.Module):
    def __init__(self, channels, heads, dropout=0.15):
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Linear(channels, channels, bias=False)
        self.k = nn.Linear(channels, channels, bias=False)
        self.v = nn.Linear(channels, channels, bias=False)
        self.out_proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, a, b):
        batch, tokens, channels = a.shape

        def by_head(x):
            return x.view(batch, tokens, self.heads, channels // self.heads).permute(0, 2, 3, 1)

        q = F.normalize(by_head(self.q(a)), dim=-1)
        k = F.normalize(by_head(self.k(b)), dim=-1)
        v = by_head(self.v(b))
        attention = self.dropout(torch.softmax(self.temperature * torch.matmul(q, k.transpose(-2, -1)), dim=-1))
        out = torch.matmul(attention, v).permute(0, 3, 1, 2).reshape(batch, tokens, channels)
        return self.out_proj(out)


class TextbookAttention(nn.Module):
    def __init__(self, channels, anatomy, heads=4, order=None):
        super().__init__()
        self.anatomy = ANATOMIES[anatomy]
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.directed = nn.ModuleList(Direction(channels, heads) for _ in self.anatomy.pairs)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.channel_dropout = nn.Dropout3d(0.1)
        self.mix = nn.Conv3d(channels, channels, 1)
        self.register_buffer("order", order)

    def places(self, shape):
        """For each region, the flat positions of its tokens, spelt out from the definition of each variant."""
        b, d, a = shape
        position = torch.arange(b * d * a).view(b, d, a)
        if self.anatomy.name == "shuffled":
            return [position[self.order[: b // 2]].flatten(), position[self.order[b // 2 :]].flatten()]
        superior, inferior = position[: b // 2], position[b // 2 :]
        if self.anatomy.name == "hemiretinal":
            return [superior.flatten(), inferior.flatten()]
        if self.anatomy.name == "neuron-axon":
            return [position[:, :, : a // 2].flatten(), position[:, :, a // 2 :].flatten()]
        return [
            superior[:, :, : a // 2].flatten(),
            superior[:, :, a // 2 :].flatten(),
            inferior[:, :, : a // 2].flatten(),
            inferior[:, :, a // 2 :].flatten(),
        ]

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        places = self.places(x.shape[2:])
        normed = [self.norms[n](tokens[:, place]) for n, place in zip(self.anatomy.norm_of, places, strict=True)]
        attended = torch.zeros_like(tokens)
        for direction, (asking, answering) in zip(self.directed, self.anatomy.pairs, strict=True):
            attended[:, places[asking]] = attended[:, places[asking]] + direction(normed[asking], normed[answering])
        s = tokens + self.gamma * attended
        s = s.transpose(1, 2).reshape(x.shape)
        return s + self.mix(self.channel_dropout(s))


class HalvesAttention(TextbookAttention):
    """The hemiretinal block without the index gymnastics: what a textbook writes when speed counts."""

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        half = tokens.shape[1] // 2
        a, b = tokens[:, :half], tokens[:, half:]
        a_normed, b_normed = self.norms[0](a), self.norms[1](b)
        attended = torch.cat((self.directed[0](a_normed, b_normed), self.directed[1](b_normed, a_normed)), dim=1)
        s = (tokens + self.gamma * attended).transpose(1, 2).view(x.shape)
        return s + self.mix(self.channel_dropout(s))


class ConvolutionBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.convolution = nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, x):
        return F.relu(self.norm(self.convolution(x)))


class TextbookAICNet3D(nn.Module):
    def __init__(self, attention, placement=(2, 4), channels=32, heads=4, orders=(None, None), attention_type=None):
        super().__init__()
        self.placement = placement
        kernels = (7, 5, 3, 3, 3)
        self.convolutions = nn.ModuleList(
            ConvolutionBlock(1 if i == 0 else channels, channels, kernel, 2 if i == 0 else 1)
            for i, kernel in enumerate(kernels)
        )
        make = attention_type or TextbookAttention
        self.attentions = nn.ModuleList(
            nn.Identity() if attention == "none" else make(channels, attention, heads, order) for order in orders
        )
        self.dense = nn.Linear(channels, 2)

    def forward(self, x):
        care = None
        for number, block in enumerate(self.convolutions, start=1):
            if number == len(self.convolutions):
                features = block.convolution(x)
                x = F.relu(block.norm(features))
            else:
                x = block(x)
            if number in self.placement:
                stage = self.placement.index(number)
                x = F.max_pool3d(self.attentions[stage](x), 2)
                if stage == 1:
                    mean = F.relu(x.mean(dim=1))
                    care = mean / (mean.amax(dim=(1, 2, 3), keepdim=True) + 1e-5)
        return self.dense(x.mean(dim=(2, 3, 4))), care, features


def grad_cam_by_full_backward(logits, features, parameters):
    """Grad-CAM of the predicted class as hook-based programs do it: one backward pass through the whole network."""
    probability = torch.softmax(logits, dim=1).max(dim=1).values
    features.retain_grad()
    probability.sum().backward(retain_graph=True)
    weights = features.grad.mean(dim=(2, 3, 4), keepdim=True)
    for parameter in parameters:
        parameter.grad = None
    heat = F.relu((weights.detach() * features).sum(dim=1))
    return heat / (heat.amax(dim=(1, 2, 3), keepdim=True) + 1e-5)
