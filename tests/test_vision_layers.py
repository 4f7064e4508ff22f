"""Attention layers on feature maps: against loops in float64, their start, their gradients, and what they weighed."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from hf_attn.attention.vision import LAYERS, make_layer
from hf_attn.attention.vision_gates import adaptive_kernel_size

BATCH, CHANNELS, HEIGHT, WIDTH = 2, 6, 3, 4
OPTIONS = {
    "se": {"reduction": 2},
    "eca": {"kernel_size": 3},
    "cbam": {"reduction": 3, "kernel_size": 3},
    "non_local": {"reduction": 2},
    "dual": {"reduction": 3},
}
GATES = ("se", "eca", "cbam")
layer_name = pytest.mark.parametrize("name", LAYERS)
start = pytest.mark.parametrize("init", ["identity", "paper"])


def build(name: str, init: str = "identity", dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return a layer whose parameters are far from their start, so that every term of it matters."""
    layer = make_layer(name, CHANNELS, init=init, **OPTIONS[name])
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=random)
    return layer.to(dtype)


def maps(dtype: torch.dtype = torch.float64, channels: int = CHANNELS) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(BATCH, channels, HEIGHT, WIDTH, generator=random, dtype=torch.float64).to(dtype)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def softmax(row: list[float]) -> list[float]:
    top = max(row)
    total = sum(math.exp(s - top) for s in row)
    return [math.exp(s - top) / total for s in row]


def two_layers(x: list[float], p: dict) -> list[float]:
    hidden = [max(0.0, sum(w * v for w, v in zip(row, x, strict=True))) for row in p["squeeze"]]
    return [sum(w * v for w, v in zip(row, hidden, strict=True)) for row in p["excite"]]


def scaled(x: np.ndarray, gates: list[float]) -> np.ndarray:
    return np.stack([gate * channel for gate, channel in zip(gates, x, strict=True)])


def se_loop(x: np.ndarray, p: dict, top: float) -> np.ndarray:
    means = [channel.sum() / (HEIGHT * WIDTH) for channel in x]
    return scaled(x, [top * sigmoid(z) for z in two_layers(means, p)])


def eca_loop(x: np.ndarray, p: dict, top: float) -> np.ndarray:
    means, kernel = [channel.sum() / (HEIGHT * WIDTH) for channel in x], p["kernel"][0, 0]
    gates = []
    for c in range(CHANNELS):
        seen = [(t, c + t - len(kernel) // 2) for t in range(len(kernel))]
        gates.append(top * sigmoid(sum(kernel[t] * means[i] for t, i in seen if 0 <= i < CHANNELS)))
    return scaled(x, gates)


def cbam_loop(x: np.ndarray, p: dict, top: float) -> np.ndarray:
    means = [channel.sum() / (HEIGHT * WIDTH) for channel in x]
    sums = zip(two_layers(means, p), two_layers([channel.max() for channel in x], p), strict=True)
    x = scaled(x, [top * sigmoid(a + b) for a, b in sums])
    kernel, result = p["kernel"][0], np.zeros_like(x)
    half = kernel.shape[-1] // 2
    for i in range(HEIGHT):
        for j in range(WIDTH):
            z = 0.0
            for di in range(-half, half + 1):
                for dj in range(-half, half + 1):
                    if 0 <= i + di < HEIGHT and 0 <= j + dj < WIDTH:
                        column = x[:, i + di, j + dj]
                        z += kernel[0, di + half, dj + half] * sum(column) / CHANNELS
                        z += kernel[1, di + half, dj + half] * max(column)
            result[:, i, j] = top * sigmoid(z) * x[:, i, j]
    return result


def pointwise(column: np.ndarray, p: dict, name: str) -> list[float]:
    weight, bias = p[name + ".weight"][:, :, 0, 0], p[name + ".bias"]
    return [sum(w * v for w, v in zip(row, column, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def read_places(x: np.ndarray, p: dict, names: tuple[str, str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return what each place reads, (values, height, width), and its weights, (places, places)."""
    places = [(i, j) for i in range(HEIGHT) for j in range(WIDTH)]
    query, key, value = ({at: pointwise(x[:, *at], p, name) for at in places} for name in names)
    weights, read = [], np.zeros((len(value[0, 0]), HEIGHT, WIDTH))
    for at in places:
        weights.append(softmax([sum(a * b for a, b in zip(query[at], key[other], strict=True)) for other in places]))
        for weight, other in zip(weights[-1], places, strict=True):
            read[:, *at] += weight * np.array(value[other])
    return read, np.array(weights)


def non_local_loop(x: np.ndarray, p: dict, top: float) -> np.ndarray:
    read, _ = read_places(x, p, ("theta", "phi", "g"))
    result = x.copy()
    for i in range(HEIGHT):
        for j in range(WIDTH):
            result[:, i, j] += pointwise(read[:, i, j], p, "output")
    return result


def read_channels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each channel reads, as x, and its weights, (channels, channels)."""
    weights = np.array([softmax([float((a * b).sum()) for b in x]) for a in x])
    return np.stack([sum(w * channel for w, channel in zip(row, x, strict=True)) for row in weights]), weights


def dual_loop(x: np.ndarray, p: dict, top: float) -> np.ndarray:
    places, _ = read_places(x, p, ("query", "key", "value"))
    return x + p["alpha"][0] * places + p["beta"][0] * read_channels(x)[0]


LOOPS = {"se": se_loop, "eca": eca_loop, "cbam": cbam_loop, "non_local": non_local_loop, "dual": dual_loop}


def numbers(layer: nn.Module) -> dict[str, np.ndarray]:
    return {key: parameter.detach().numpy() for key, parameter in layer.named_parameters()}


@layer_name
@start
def test_layer_equals_loop_in_float64(name, init):
    layer, x = build(name, init), maps()
    expected = np.stack([LOOPS[name](x_i, numbers(layer), 2.0 if init == "identity" else 1.0) for x_i in x.numpy()])
    assert np.abs(layer(x).detach().numpy() - expected).max() < 1e-12
    assert np.abs(expected - x.numpy()).max() > 0.1


@layer_name
@start
def test_gradients_are_the_derivatives(name, init):
    layer = build(name, init)

    def output(x, *values):
        return torch.func.functional_call(layer, dict(zip(dict(layer.named_parameters()), values, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, (maps().requires_grad_(), *layer.parameters()))


@layer_name
@pytest.mark.parametrize("channels", [1, 3, 16, 200])
def test_the_identity_start_changes_no_bit_and_learns(name, channels):
    torch.manual_seed(0)
    layer, x = make_layer(name, channels), maps(torch.float32, channels)
    output = layer(x)
    assert torch.equal(output, x)
    output.square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in layer.parameters())


@pytest.mark.parametrize("name", GATES)
def test_the_paper_start_of_a_gate_is_random_around_one_half(name):
    torch.manual_seed(0)
    layer, x = make_layer(name, 64, init="paper"), maps(channels=64)
    gate = layer.double().gate(x)
    assert 0 < gate.min() and gate.max() < 1 and gate.std() > 0
    assert (layer(x) - x * gate).abs().max() < 1e-12
    assert (layer(x) - x).abs().max() > 0.1


@pytest.mark.parametrize("name", ["non_local", "dual"])
def test_the_paper_start_of_a_sum_is_the_identity(name):
    x = maps(torch.float32)
    assert torch.equal(make_layer(name, CHANNELS, init="paper")(x), x)


def test_what_was_weighed_equals_the_loops_and_rows_sum_to_one():
    x = maps()
    layer = build("non_local")
    weights = layer.weights(x).detach()
    expected = np.stack([read_places(x_i, numbers(layer), ("theta", "phi", "g"))[1] for x_i in x.numpy()])
    assert np.abs(weights.numpy() - expected).max() < 1e-12 and (weights.sum(-1) - 1).abs().max() < 1e-12
    layer = build("dual")
    weights = layer.position_weights(x).detach()
    expected = np.stack([read_places(x_i, numbers(layer), ("query", "key", "value"))[1] for x_i in x.numpy()])
    assert np.abs(weights.numpy() - expected).max() < 1e-12
    expected = np.stack([read_channels(x_i)[1] for x_i in x.numpy()])
    assert np.abs(layer.channel_weights(x).detach().numpy() - expected).max() < 1e-12
    layer = build("cbam")
    assert layer.channel_gate(x).shape == (BATCH, CHANNELS, 1, 1)
    assert layer.spatial_gate(x).shape == (BATCH, 1, HEIGHT, WIDTH)
    assert (layer(x) - x * layer.gate(x)).abs().max() < 1e-12


@layer_name
def test_shape_and_dtype_are_kept_also_in_bf16_channels_last_and_under_autocast(name):
    layer, x = build(name, dtype=torch.float32), maps(torch.float32)
    expected = layer(x)
    assert expected.shape == x.shape and expected.dtype == torch.float32
    assert (layer(x.to(memory_format=torch.channels_last)) - expected).abs().max() < 1e-5
    with torch.autocast("cpu", torch.bfloat16):
        assert (layer(x) - expected).abs().max() < 0.2
    low = layer.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert low.dtype == torch.bfloat16 and low.shape == x.shape
    assert (low.float() - expected).abs().max() < 0.3
    assert layer(maps(torch.bfloat16)[:1, :, :1, :1]).shape == (1, CHANNELS, 1, 1)


@layer_name
def test_reset_fills_every_parameter_whatever_the_memory_held(name):
    layer = make_layer(name, CHANNELS, **OPTIONS[name])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(math.nan)
    layer.reset_parameters()
    assert all(parameter.isfinite().all() and parameter.dim() > 0 for parameter in layer.parameters())
    assert torch.equal(layer(maps(torch.float32)), maps(torch.float32))


def test_the_kernel_of_eca_is_the_papers_for_each_number_of_channels():
    sizes = {channels: adaptive_kernel_size(channels) for channels in (16, 64, 128, 256, 512, 1024, 2048)}
    assert sizes == {16: 3, 64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert make_layer("eca", 256).kernel.shape == (1, 1, 5)


def test_mistakes_are_refused_all_at_once_with_what_there_is():
    with pytest.raises(ValueError, match="unknown attention layer 'sse': expected one of se, eca, cbam"):
        make_layer("sse", 8)
    with pytest.raises(ValueError, match="'se' has no option rate: it takes reduction=16, init='identity'"):
        make_layer("se", 8, rate=2)
    with pytest.raises(ValueError, match="channels=0: .*reduction=0: .*kernel_size=4: .*init='papr': "):
        make_layer("cbam", 0, reduction=0, kernel_size=4, init="papr")
