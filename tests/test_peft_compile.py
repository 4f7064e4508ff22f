"""Variants under what people wrap models in: LoRA, torch.compile, checkpointing, autocast, deepcopy, pickle."""

import copy
import pickle

import pytest
import tiny_models
import torch
from transformers import AutoModelForSequenceClassification
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.vit.modeling_vit import ViTForImageClassification

from hf_attn.attention import VARIANTS, Variant, list_variants, swap_attention
from hf_attn.attention.normalizers import Blend

FORMS = [(name, {}) for name in list_variants()]
FORMS += [(name, {"mix": 0.3}) for name in list_variants() if issubclass(VARIANTS[name], Blend)]
form = pytest.mark.parametrize(("name", "kwargs"), FORMS, ids=[f"{n}{'-mix' * bool(k)}" for n, k in FORMS])
CLASSES = {"bert": BertForSequenceClassification, "vit": ViTForImageClassification}


def build(name: str, model_type: str = "", include: str = "", **kwargs) -> tuple[torch.nn.Module, dict]:
    """Return a variant whose slots are far from their start, without dropout, and inputs with labels."""
    model_type = model_type or ("vit" if VARIANTS[name].needs_patches else "bert")
    model = swap_attention(tiny_models.tiny_model(model_type, CLASSES[model_type]), name, include, **kwargs)
    tiny_models.perturb(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, {**tiny_models.inputs_for(model), "labels": torch.tensor([0, 1])}


def step(model: torch.nn.Module, inputs: dict) -> list[torch.Tensor]:
    """Return logits and gradients of a training step."""
    model.zero_grad()
    output = model(**inputs)
    output.loss.backward()
    return [output.logits.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def worst(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    assert len(ours) == len(theirs)
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))


def compiled_difference(model: torch.nn.Module, inputs: dict, **options) -> float:
    """Return by how much a step of the compiled model, which must be one graph, differs from the plain one."""
    model.train()
    expected = step(model, inputs)
    torch._dynamo.reset()
    return worst(step(torch.compile(model, fullgraph=True, **options), inputs), expected)


@form
def test_compile_makes_one_graph_with_the_same_step(name, kwargs):
    variant = next(module for module in build(name, **kwargs)[0].modules() if isinstance(module, Variant))
    if variant.needs_patches:  # by itself, below no patch embedding
        variant.seen, variant.grid = None, (2, 2)
    tensors = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0)).transpose(2, 3).contiguous()
    query, key, value = (x.transpose(1, 2).requires_grad_() for x in tensors)
    keep = torch.arange(6).expand(2, 1, 1, 6) < torch.tensor([6, 4])[:, None, None, None]
    torch._dynamo.reset()
    results = []
    for function in (variant, torch.compile(variant, fullgraph=True, backend="aot_eager")):
        context = function(query, key, value, None, keep, 0.3)[0]
        wanted = [query, key, value, *variant.parameters()]
        results.append([context, *torch.autograd.grad(context.square().sum(), wanted)])
    assert worst(*results) < 1e-5


@pytest.mark.parametrize("model_type", CLASSES)
def test_compile_makes_one_graph_of_a_whole_model(model_type):
    model, inputs = build("linear", model_type, mix=0.3)
    assert compiled_difference(model, inputs, backend="aot_eager") < 1e-5


def test_compile_makes_one_graph_of_layers_with_and_without_slots():
    model, inputs = build("cosine", include=r"layer\.1\.")
    assert compiled_difference(model, inputs, backend="eager") < 1e-5


@pytest.mark.slow
@form
def test_inductor_gives_the_same_step(name, kwargs):
    for model_type in ("vit",) if VARIANTS[name].needs_patches else CLASSES:
        model, inputs = build(name, model_type, **kwargs)
        inputs = {key: x.double() if x.is_floating_point() else x for key, x in inputs.items()}
        assert compiled_difference(model.double(), inputs) < 1e-10, model_type


@form
def test_activation_checkpointing_gives_the_same_gradients(name, kwargs):
    model, inputs = build(name, **kwargs)
    model.train()
    expected = step(model, inputs)
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    assert worst(step(model, inputs), expected) < 1e-6


@form
def test_bf16_autocast_is_finite_and_close(name, kwargs):
    model, inputs = build(name, **kwargs)
    expected = step(model, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = step(model, inputs)
    assert all(tensor.isfinite().all() for tensor in found)
    assert (found[0].float() - expected[0]).abs().max() < 0.1 * expected[0].abs().max().clamp_min(1)
    direction = [torch.cat([g.flatten().float() for g in gradients[1:]]) for gradients in (found, expected)]
    assert torch.cosine_similarity(*direction, dim=0) > 0.98
    half = copy.deepcopy(model).to(torch.bfloat16)
    assert half(**inputs).logits.isfinite().all()


@form
def test_copies_are_equal_and_their_own(name, kwargs):
    model, inputs = build(name, **kwargs)
    expected = step(model, inputs)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(copied) is type(model)
        assert worst(step(copied, inputs), expected) == 0.0
        assert not {id(p) for p in copied.parameters()} & {id(p) for p in model.parameters()}


def lora(model: torch.nn.Module, targets=("query", "value"), **kwargs) -> torch.nn.Module:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        task_type="SEQ_CLS", r=2, target_modules=list(targets), modules_to_save=["hf_attn", "classifier"], **kwargs
    )
    torch.manual_seed(0)
    return peft.get_peft_model(model, config)


def train(model: torch.nn.Module, inputs: dict, steps: int = 3) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        model(**inputs).loss.backward()
        optimizer.step()


# PEFT has no Auto class for image classification, so none for variants that need patches.
TRAINABLE = [n for n, cls in VARIANTS.items() if list(cls(2, 4).parameters()) and not cls.needs_patches]


@pytest.mark.parametrize("name", [*TRAINABLE, "sparsemax"])
def test_lora_trains_slots_and_head_and_reloads_the_variant(tmp_path, name):
    from peft import AutoPeftModelForSequenceClassification

    model, inputs = build(name)
    model.save_pretrained(tmp_path / "base")
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base")
    before = {key: value.clone() for key, value in base.state_dict().items()}
    adapted = lora(base)
    trainable = {key for key, parameter in adapted.named_parameters() if parameter.requires_grad}
    slots = [key for key in before if ".hf_attn." in key]
    assert sum(".hf_attn.modules_to_save." in key for key in trainable) == len(slots)
    assert all(any(part in key for part in ("lora_", ".hf_attn.", "classifier")) for key in trainable)
    train(adapted, inputs)
    adapted.eval().save_pretrained(tmp_path / "adapter")
    moved = {k.replace(".modules_to_save.default", ""): v for k, v in adapted.named_parameters() if k in trainable}
    for key in slots:
        assert not torch.equal(moved[f"base_model.model.{key}"], before[key]), key
    loaded = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter").eval()
    assert type(loaded.base_model.model) is type(model)
    assert loaded.base_model.model.config.attn_variant == name
    with torch.no_grad():
        logits = adapted(**inputs).logits
        assert torch.equal(loaded(**inputs).logits, logits)
        merged = loaded.merge_and_unload()
        merged.save_pretrained(tmp_path / "merged")
        again, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged", output_loading_info=True)
        assert not any(info.values())
        assert (again.eval()(**inputs).logits - logits).abs().max() < 1e-5


def test_an_adapter_of_an_unsaved_conversion_is_refused_and_says_why(tmp_path):
    from peft import AutoPeftModelForSequenceClassification

    stock = tiny_models.tiny_model("bert", BertForSequenceClassification)
    stock.save_pretrained(tmp_path / "stock")
    stock = BertForSequenceClassification.from_pretrained(tmp_path / "stock")
    lora(swap_attention(stock, "cosine")).save_pretrained(tmp_path / "adapter")
    with pytest.raises(Exception, match="unsaved cosine variant of .*: save_pretrained it first"):
        AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter")


def test_an_adapter_of_a_variant_saved_afterwards_is_the_variant_again(tmp_path):
    from peft import AutoPeftModelForSequenceClassification

    model, inputs = build("talking_heads")
    assert "unsaved" in model.name_or_path
    model.save_pretrained(tmp_path / "base")
    adapted = lora(AutoModelForSequenceClassification.from_pretrained(tmp_path / "base"))
    train(adapted, inputs)
    adapted.eval().save_pretrained(tmp_path / "adapter")
    loaded = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter").eval()
    assert torch.equal(loaded(**inputs).logits, adapted(**inputs).logits)


def test_lora_with_gradient_checkpointing_trains_slots():
    model, inputs = build("gated")
    model.gradient_checkpointing_enable()
    adapted = lora(model).train()
    adapted(**inputs).loss.backward()
    gradients = [p.grad for key, p in adapted.named_parameters() if ".hf_attn.modules_to_save." in key]
    assert gradients and all(g is not None and g.abs().max() > 0 for g in gradients)
