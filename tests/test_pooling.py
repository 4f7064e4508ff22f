"""Every pooling head is its equation, with right gradients, and starts as it says."""

import math

import pytest
import torch

from hf_attn.attention.features import Features
from hf_attn.attention.pooling import HEADS, make_head


def features(channels=(5, 8), size=(3, 4), prefix=1, dtype=torch.float64) -> Features:
    random = torch.Generator().manual_seed(0)
    *earlier, last = channels
    stages = [torch.randn(2, c, 2 * size[0], 2 * size[1], generator=random, dtype=dtype) for c in earlier]
    stages.append(torch.randn(2, last, *size, generator=random, dtype=dtype))
    return Features(stages[-1], torch.randn(2, prefix, last, generator=random, dtype=dtype), tuple(stages))


def head_of(name: str, channels=(8,), **options):
    """Return a head far from its start values."""
    torch.manual_seed(0)
    head = make_head(name, channels, options).double()
    head.reset_parameters()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    return head


def softmax(scores: list[float]) -> list[float]:
    exponents = [math.exp(score - max(scores)) for score in scores]
    return [value / sum(exponents) for value in exponents]


@pytest.mark.parametrize("gated", [False, True])
def test_attention_pooling_is_its_equation(gated):
    head, given = head_of("attention", attention_dim=4, gated=gated), features((8,))
    pooled, weights = head(given)
    for image in range(2):
        positions = [given.map[image, :, r, c] for r in range(3) for c in range(4)]
        scores = []
        for z in positions:
            hidden = torch.tanh(head.hidden.weight @ z + head.hidden.bias)
            if gated:
                hidden = hidden * torch.sigmoid(head.gate.weight @ z + head.gate.bias)
            scores.append((head.score.weight[0] @ hidden).item())
        a = softmax(scores)
        torch.testing.assert_close(weights[image, 0], torch.tensor(a, dtype=torch.float64))
        torch.testing.assert_close(pooled[image], sum(w * z for w, z in zip(a, positions, strict=True)))


def test_multi_query_pooling_is_its_equation():
    head, given = head_of("multi_query", num_queries=3, num_heads=2), features((8,))
    pooled, weights = head(given)
    key, value, output = head.to_key, head.to_value, head.to_output
    for image in range(2):
        positions = [given.map[image, :, r, c] for r in range(3) for c in range(4)]
        for query in range(3):
            context, means = [], torch.zeros(12, dtype=torch.float64)
            for part in (slice(0, 4), slice(4, 8)):
                q = head.queries[query][part]
                a = softmax([(q @ (key.weight @ z + key.bias)[part]).item() / 2 for z in positions])
                context.append(
                    sum(w * (value.weight @ z + value.bias)[part] for w, z in zip(a, positions, strict=True))
                )
                means += torch.tensor(a) / 2
            expected = output.weight @ torch.cat(context) + output.bias
            torch.testing.assert_close(pooled[image, 8 * query : 8 * query + 8], expected)
            torch.testing.assert_close(weights[image, query], means)


@pytest.mark.parametrize("prefix", [0, 2])
def test_jetley_pooling_is_its_equation(prefix):
    head, given = head_of("jetley", channels=(5, 8)), features(prefix=prefix)
    pooled, weights = head(given)
    assert weights.shape == (2, 2, 6 * 8)
    for image in range(2):
        positions = [given.map[image, :, r, c] for r in range(3) for c in range(4)]
        g = given.prefix[image, 0] if prefix else sum(positions) / 12
        for stage, map_ in enumerate(given.stages):
            local = []
            for r in range(map_.shape[2]):
                for c in range(map_.shape[3]):
                    z = map_[image, :, r, c]
                    z = (z - z.mean()) / (z.var(correction=0) + 1e-5).sqrt()
                    local.append(head.local[stage].weight @ z + head.local[stage].bias)
            a = softmax([(head.compatibility[stage].weight[0] @ (z + g)).item() for z in local])
            expected = sum(w * z for w, z in zip(a, local, strict=True))
            torch.testing.assert_close(pooled[image, 8 * stage : 8 * stage + 8], expected)
            if stage == 0:
                torch.testing.assert_close(weights[image, 0], torch.tensor(a, dtype=torch.float64))


@pytest.mark.parametrize("name", HEADS)
def test_gradients_of_every_head_are_right(name):
    channels = (5, 8) if name == "jetley" else (8,)
    head, given = head_of(name, channels, **({"reduction": 2} if name in ("se", "cbam") else {})), features(channels)

    def pooled(last, prefix, *earlier):
        return head(Features(last, prefix, (*earlier, last)))[0]

    inputs = [given.map, given.prefix, *given.stages[:-1]]
    assert torch.autograd.gradcheck(pooled, [x.clone().requires_grad_() for x in inputs])


@pytest.mark.parametrize("name", ["attention", "se", "cbam"])
def test_heads_start_as_global_average_pooling(name):
    torch.manual_seed(0)
    head, given = make_head(name, (8,)).double(), features((8,))
    head.reset_parameters()
    torch.testing.assert_close(head(given)[0], given.map.mean((2, 3)))
