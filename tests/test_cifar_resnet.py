"""The converted CIFAR ResNets compute what their source does, and an attention layer changes nothing at the start."""

import io
import json
import os
from pathlib import Path

import interpreter
import numpy as np
import pytest
import tiny_models
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from hf_attn import InputError, models
from hf_attn.attention.modeling_cifar_resnet import (
    CifarResNetBlock,
    CifarResNetForImageClassification,
    CifarResNetModel,
    HfAttnCifarResNetConfig,
)
from hf_attn.models.vision.cifar_resnet_conversion import CLASSES, MEAN, STD, convert, main
from hf_attn.training import optim

SHARED = Path(os.environ.get("HF_ATTN_SHARED") or Path(__file__).parents[2] / "shared")
SOURCE = SHARED / "checkpoints" / "resnet-cifar10-akamaster"
IMAGES = SHARED / "data" / "cifar10" / "test.parquet"
LAYERS = ("se", "eca", "cbam", "non_local", "dual")
# Test accuracy in percent that the README beside the files gives for this copy of CIFAR-10.
PUBLISHED = {"resnet20": 81.03, "resnet32": 82.56, "resnet44": 82.67, "resnet56": 83.20}

real = pytest.mark.skipif(not (SOURCE.exists() and IMAGES.exists()), reason=f"{SOURCE} or {IMAGES} is missing")


def reference_logits(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Compute the network from the source's own tensors, written from the paper."""

    def normalized(x, name):
        mean, var, weight, bias = (
            weights[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    x = F.relu(normalized(F.conv2d(images, weights["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3):
        block = 0
        while f"layer{stage}.{block}.conv1.weight" in weights:
            name = f"layer{stage}.{block}"
            first, second = weights[f"{name}.conv1.weight"], weights[f"{name}.conv2.weight"]
            stride = 2 if first.shape[0] != first.shape[1] else 1
            y = F.relu(normalized(F.conv2d(x, first, stride=stride, padding=1), f"{name}.bn1"))
            y = normalized(F.conv2d(y, second, padding=1), f"{name}.bn2")
            if stride == 2:
                zeros = torch.zeros_like(x[:, ::2, ::2, ::2])
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
            x = F.relu(y + x)
            block += 1
    return x.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def cifar(limit: int | None = None) -> tuple[list, torch.Tensor]:
    """Return PIL images of the test set and their labels."""
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(IMAGES).slice(0, limit)
    image, label = (
        next(c for c in table.column_names if c in names) for names in (("image", "img"), ("label", "labels"))
    )
    pictures = [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in table.column(image).to_pylist()]
    return pictures, torch.tensor(table.column(label).to_pylist())


def pixels_of(pictures: list) -> torch.Tensor:
    """Return normalised images, independently of any processor."""
    array = np.stack([np.asarray(picture, dtype=np.float64) for picture in pictures]) / 255
    return torch.tensor((array - MEAN) / STD).permute(0, 3, 1, 2).float()


@pytest.fixture(scope="module")
def converted(tmp_path_factory) -> Path:
    if not SOURCE.exists():
        pytest.skip(f"{SOURCE} is missing")
    folder = tmp_path_factory.mktemp("cifar") / "resnet20"
    assert main([str(SOURCE / "resnet20.safetensors"), str(folder)]) == 0
    return folder


@real
def test_converted_logits_are_those_of_the_source_on_real_images(converted):
    pictures, labels = cifar(500)
    images = pixels_of(pictures)
    model = AutoModelForImageClassification.from_pretrained(converted).eval()
    assert type(model) is CifarResNetForImageClassification
    with torch.no_grad():
        logits = model(images).logits
        expected = reference_logits(load_file(SOURCE / "resnet20.safetensors"), images)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    accuracy = (logits.argmax(-1) == labels).double().mean().item()
    assert accuracy == (expected.argmax(-1) == labels).double().mean().item()
    assert 0.75 < accuracy < 0.87


@real
def test_the_saved_processor_is_the_normalisation_of_the_source(converted):
    pictures, _ = cifar(8)
    processor = AutoImageProcessor.from_pretrained(converted, backend="pil")
    pixels = processor(pictures, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels, pixels_of(pictures), atol=1e-5, rtol=0)


@real
@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_accuracy_is_that_of_the_readme(name, tmp_path):
    pictures, labels = cifar()
    model = convert(SOURCE / f"{name}.safetensors", tmp_path / name)
    hits = 0
    with torch.inference_mode():
        for start in range(0, len(pictures), 500):
            logits = model(pixels_of(pictures[start : start + 500])).logits
            hits += (logits.argmax(-1) == labels[start : start + 500]).sum().item()
    accuracy = 100 * hits / len(pictures)
    print(f"{name}: {accuracy:.2f}")
    assert len(pictures) == 10_000 and abs(accuracy - PUBLISHED[name]) <= 0.1


@real
def test_class_names_and_depth_are_in_the_configuration(converted):
    config = AutoConfig.from_pretrained(converted)
    assert tuple(config.id2label.values()) == CLASSES and config.label2id["frog"] == 6
    assert (config.num_blocks, config.hidden_sizes, config.image_size) == (3, [16, 32, 64], 32)


@real
@pytest.mark.parametrize("layer", LAYERS)
def test_pretrained_logits_are_unchanged_by_a_new_attention_layer(converted, layer):
    pictures, _ = cifar(16)
    images = pixels_of(pictures)
    plain = CifarResNetForImageClassification.from_pretrained(converted).eval()
    with tiny_models.poisoned_memory():
        model, info = CifarResNetForImageClassification.from_pretrained(
            converted, channel_attention=layer, output_loading_info=True
        )
    assert info["missing_keys"] and all(".hf_attn." in key for key in info["missing_keys"])
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images).logits, plain(images).logits, atol=1e-5, rtol=0)


@real
def test_models_load_puts_attention_into_a_plain_checkpoint_to_be_trained_as_such(converted):
    options = {"channel_attention": "se"}
    model = models.load(converted, task="image-classification", labels=3, config_options=options)
    groups = optim.parameter_groups(model, lr=1e-3, weight_decay=0.1, attention_lr=1e-2)
    rates = {name: (group["lr"], group["weight_decay"]) for group in groups for name in group["names"]}
    assert rates["resnet.stages.2.0.hf_attn.excite"] == (1e-2, 0.0)
    assert rates["resnet.stages.2.0.convolution1.weight"] == (1e-3, 0.1)


@real
def test_models_load_gives_new_classes_and_keeps_the_encoder(converted):
    model = models.load(converted, task="image-classification", labels=["cat", "dog"])
    old = load_file(converted / "model.safetensors")
    assert model.config.id2label == {0: "cat", 1: "dog"} and model.classifier.weight.shape == (2, 64)
    state = model.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in old.items() if key.startswith("resnet."))


@pytest.mark.parametrize("layer", LAYERS)
def test_an_attention_layer_learns_and_comes_back_from_disk(layer, tmp_path):
    torch.manual_seed(0)
    config = HfAttnCifarResNetConfig(num_blocks=1, hidden_sizes=[4, 8], channel_attention=layer, num_labels=3)
    model = CifarResNetForImageClassification(config)
    images, labels = torch.randn(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: p.clone() for name, p in model.named_parameters() if ".hf_attn." in name}
    for _ in range(3):
        model(images, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert any(not torch.equal(before[name], dict(model.named_parameters())[name]) for name in before)
    model.eval().save_pretrained(tmp_path)
    again = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    assert again.config.channel_attention == layer
    assert torch.equal(again(images).logits, model(images).logits)
    encoder = AutoModel.from_pretrained(tmp_path).eval()
    assert type(encoder) is CifarResNetModel
    assert torch.equal(encoder(images).pooler_output, model.resnet(images).pooler_output)


def test_attention_stands_on_the_residual_branch_before_the_sum():
    config = HfAttnCifarResNetConfig(channel_attention="se")
    block = CifarResNetBlock(config, 16, 32, stride=2).eval()
    images = torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        block.hf_attn.excite.normal_()
        branch = block.normalization2(block.convolution2(F.relu(block.normalization1(block.convolution1(images)))))
        shortcut = torch.zeros(2, 32, 4, 4)
        for channel in range(16):
            shortcut[:, 8 + channel] = images[:, channel, ::2, ::2]
        torch.testing.assert_close(block(images), F.relu(block.hf_attn(branch) + shortcut))


@pytest.mark.parametrize("blocks", [3, 5, 7, 9])
def test_depth_is_six_n_plus_two(blocks):
    with torch.device("meta"):
        model = CifarResNetForImageClassification(HfAttnCifarResNetConfig(num_blocks=blocks))
    weighted = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(weighted) == 6 * blocks + 2


def test_files_that_are_no_such_network_are_refused_and_nothing_is_written(tmp_path, capsys):
    target = tmp_path / "out"
    (tmp_path / "text.safetensors").write_text("nothing")
    save_file({"bert.weight": torch.zeros(3)}, tmp_path / "bert.safetensors")
    with torch.device("cpu"):
        network = {"conv1.weight": torch.zeros(8, 3, 3, 3), "layer1.0.conv1.weight": torch.zeros(16, 16, 3, 3)}
    save_file(network, tmp_path / "other.safetensors")
    for file, words in (
        ("missing.safetensors", "does not exist"),
        ("text.safetensors", "no readable safetensors"),
        ("bert.safetensors", "holds no CIFAR-10 ResNet"),
        ("other.safetensors", "more"),
    ):
        assert main([str(tmp_path / file), str(target)]) == 2
        assert words in capsys.readouterr().err and not target.exists()
    assert main([]) == 2 and "expected two" in capsys.readouterr().err


@real
def test_an_existing_folder_is_never_overwritten(converted):
    before = (converted / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="exists: nothing is overwritten"):
        convert(SOURCE / "resnet32.safetensors", converted)
    assert (converted / "model.safetensors").read_bytes() == before


@real
def test_the_command_writes_a_folder_that_says_what_it_is(tmp_path):
    command = ["-m", "hf_attn.models.vision.cifar_resnet_conversion", SOURCE / "resnet32.safetensors", tmp_path / "new"]
    process = interpreter.run(command, cwd=Path(__file__).parents[1])
    assert process.returncode == 0 and "ResNet-32, 464,154 parameters" in process.stdout
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["model_type"] == "hf_attn_cifar_resnet"
    assert config["auto_map"]["AutoModelForImageClassification"].startswith("modeling_cifar_resnet.")
