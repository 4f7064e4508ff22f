"""Models with a head, and CIFAR ResNets, come back bit for bit in a clean process, with the package and without it."""

from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import save_file
from test_reload import run
from transformers import BertForSequenceClassification

from hf_attn.attention import swap_attention
from hf_attn.attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from hf_attn.attention.modeling_cifar_resnet import CifarResNetForImageClassification, HfAttnCifarResNetConfig

CIFAR = HfAttnCifarResNetConfig(num_blocks=1, hidden_sizes=[4, 8], channel_attention="cbam", num_labels=3)
HEADS = {
    "vit_variant": ("vit", "multi_query", "additive"),
    "swin_jetley": ("swin", "jetley", None),
    "dinov2_cls": ("dinov2", "cls", None),
    "resnet_attention": ("resnet", "attention", None),
    "convnext_se": ("convnext", "se", None),
    "cifar_head": (CIFAR, "attention", None),
}


def models():
    """Yield names and models, everything that they added moved far from its start."""
    bert = tiny_models.tiny_model("bert", BertForSequenceClassification)
    yield "bert", swap_attention(bert, "cosine")
    yield "cifar", CifarResNetForImageClassification(CIFAR)
    for name, (model_type, head, variant) in HEADS.items():
        config = model_type if model_type is CIFAR else tiny_models.tiny_config(model_type)
        model = AttentionHeadForImageClassification(HfAttnHeadConfig(config, head=head, num_labels=3))
        if variant:
            backbone = swap_attention(model.backbone, variant)
            head_config = HfAttnHeadConfig(backbone.config, head=head, num_labels=3)
            model = AttentionHeadForImageClassification(head_config, backbone=backbone)
        yield name, model


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, dict]:
    root, expected = tmp_path_factory.mktemp("saved"), {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, model in models():
        model.eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if ".hf_attn." in key or key.startswith(("pooling", "classifier")):
                    parameter += 0.3 * torch.randn_like(parameter)
            inputs = tiny_models.inputs_for(model) if name == "bert" else {"pixel_values": torch.randn(2, 3, 32, 32)}
            output = model(**inputs)[0]
        model.save_pretrained(root / name)
        auto = "SequenceClassification" if name == "bert" else "ImageClassification"
        (root / name / "auto.txt").write_text(f"AutoModelFor{auto}")
        save_file(inputs, root / name / "inputs.safetensors")
        save_file({"output": output.contiguous()}, root / name / "outputs.safetensors")
        expected[name] = [type(model).__name__, True, []]
    torch.set_num_threads(threads)
    return root, expected


def test_with_the_package_the_auto_classes_give_equal_logits(saved, tmp_path):
    root, expected = saved
    assert run("package", root, tmp_path / "cache")[0] == expected


def test_without_the_package_remote_code_gives_equal_logits_and_saves_itself_on(saved, tmp_path):
    root, expected = saved
    (tmp_path / "again").mkdir()
    assert run("trust", root, tmp_path / "cache", tmp_path / "again")[0] == expected
    assert run("trust", tmp_path / "again", tmp_path / "other")[0] == expected


def test_without_package_and_trust_loading_fails_in_words(saved, tmp_path):
    root, expected = saved
    found, _ = run("stock", root, tmp_path / "cache")
    assert set(found) == set(expected)
    for name, message in found.items():
        assert isinstance(message, str) and "trust_remote_code" in message, (name, message)
