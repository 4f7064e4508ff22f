"""On a GPU: the numbers of a CPU, half precision included; runs that resume; memory that is too small."""

import copy
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tiny_models
import torch
from accelerate import dispatch_model
from safetensors.torch import load_file
from test_half_precision import FORMS, SITUATIONS, TOLERANCE, build, inputs_of
from tiny_bert import save_tiny_bert
from tiny_vit import save_pictures, save_tiny_vit
from training_job import job_arguments, loss_fn, run, weights
from transformers import BertForSequenceClassification, GPT2LMHeadModel

import hf_attn
from hf_attn.attention import VARIANTS, attention_map, list_variants, swap_attention
from hf_attn.recipes import image_classification, text_classification

GPU = torch.device("cuda" if torch.cuda.is_available() else "cpu")
pytestmark = pytest.mark.skipif(GPU.type == "cpu", reason="no GPU here")
TEXT_VARIANTS = [name for name in list_variants() if not VARIANTS[name].needs_patches]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("name", "extra"), FORMS, ids=[f"{n}{'-mix' * bool(e)}" for n, e in FORMS])
def test_a_variant_is_finite_and_near_float64(name, extra, dtype):
    for situation, (size, _, _) in SITUATIONS.items():
        variant, reference = build(name, extra, dtype)
        tensors, keep = inputs_of(situation, dtype)
        expected = reference(*(tensor.double() for tensor in tensors), keep=keep, need_weights=True)[0]
        variant, tensors = variant.to(GPU), [tensor.to(GPU) for tensor in tensors]
        keep = None if keep is None else keep.to(GPU)
        for plain in (True, False):
            given = [tensor.clone().requires_grad_() for tensor in tensors]
            context = variant(*given, keep=keep, need_weights=plain)[0]
            gradients = torch.autograd.grad(context.float().square().sum(), given, allow_unused=True)
            assert context.dtype == dtype and context.isfinite().all(), situation
            assert all(gradient is None or gradient.isfinite().all() for gradient in gradients), situation
            if size <= 1:
                assert (context.cpu().double() - expected).abs().max() < TOLERANCE[dtype], situation


@pytest.mark.parametrize("name", list_variants())
def test_logits_maps_and_gradients_are_those_of_the_cpu(name):
    model = tiny_models.tiny_model("vit" if VARIANTS[name].needs_patches else "bert")
    inputs = tiny_models.inputs_for(model)
    swapped = swap_attention(model, name)
    tiny_models.perturb(swapped)
    there, sent = copy.deepcopy(swapped).to(GPU), {key: value.to(GPU) for key, value in inputs.items()}
    outputs = [one(**batch)[0] for one, batch in ((swapped, inputs), (there, sent))]
    for output in outputs:
        output.square().sum().backward()
    assert (outputs[1].cpu() - outputs[0]).abs().max() < 1e-3 * (1 + outputs[0].abs().max())
    for (parameter_name, one), two in zip(swapped.named_parameters(), there.parameters(), strict=True):
        if one.grad is not None:
            scale = 1 + one.grad.abs().max()
            assert (two.grad.cpu() - one.grad).abs().max() < 2e-3 * scale, parameter_name
    maps = attention_map(there, sent)
    assert maps.device.type == GPU.type and (maps.cpu() - attention_map(swapped, inputs)).abs().max() < 1e-3


@pytest.mark.parametrize("name", TEXT_VARIANTS)
def test_text_is_generated_alike_with_every_cache_in_half_precision(name):
    model = swap_attention(tiny_models.tiny_model("gpt2", GPT2LMHeadModel), name)
    model = model.to(GPU, torch.float16)
    batch = torch.arange(3, 15, device=GPU).view(2, 6)
    mask = torch.ones_like(batch)
    mask[1, :2] = 0
    asked = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "output_logits": True}
    asked |= {"return_dict_in_generate": True, "attention_mask": mask, "disable_compile": True}
    first = [
        torch.stack(model.generate(batch, **asked, **cache).logits)[0].float()
        for cache in ({"use_cache": False}, {}, {"cache_implementation": "static"})
    ]
    assert all(logits.isfinite().all() for logits in first)
    assert max((logits - first[0]).abs().max() for logits in first[1:]) < 2e-2


def test_a_model_on_cpu_and_gpu_at_once_is_swapped_where_its_layers_are():
    model = tiny_models.tiny_model("bert", BertForSequenceClassification)
    inputs = tiny_models.inputs_for(model)
    plain = swap_attention(model, "talking_heads")
    tiny_models.perturb(plain)
    places = {"bert.embeddings": "cpu", "bert.encoder.layer.0": "cpu", "bert.encoder.layer.1": 0}
    spread = dispatch_model(model, places | {"bert.pooler": 0, "classifier": 0}, main_device=0)
    swapped = swap_attention(spread, "talking_heads")
    tiny_models.perturb(swapped)
    with torch.no_grad():
        assert (swapped(**inputs).logits.cpu() - plain(**inputs).logits).abs().max() < 1e-4


def test_data_parallel_gives_what_its_model_gives():
    model = swap_attention(tiny_models.tiny_model("bert", BertForSequenceClassification), "sparsemax").to(GPU)
    inputs = {name: value.to(GPU) for name, value in tiny_models.inputs_for(model).items()}
    with torch.no_grad():
        assert (torch.nn.DataParallel(model, [0])(**inputs).logits - model(**inputs).logits).abs().max() < 1e-6


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_a_run_resumes_exactly(precision, tmp_path):
    make = job_arguments(tmp_path)
    options = {"precision": precision, "epochs": 3.0, "save_every": 6, "keep": 9, "ema": 0.9, "accumulation_steps": 2}
    config = make(**options)
    model, _ = run(config)
    whole = weights(model)
    for folder in sorted((tmp_path / "run0/checkpoints").iterdir())[1:]:
        shutil.rmtree(folder)
    again = make(**options, resume=True)
    again.output_dir = config.output_dir
    resumed, history = run(again)
    assert history.precision == precision
    assert all(value.equal(weights(resumed)[name]) for name, value in whole.items())
    assert all(value.dtype == torch.float32 for value in whole.values())


def test_out_of_memory_splits_batches_into_the_same_step(tmp_path):
    make, held = job_arguments(tmp_path), []

    def hungry(model, batch):
        rows = len(batch["labels"])
        held[:] = [torch.empty(rows * 2**28, dtype=torch.uint8, device=GPU)]  # 256 MiB a row
        return loss_fn(model, batch)

    whole, _ = run(make(dropout=0.0))
    torch.cuda.set_per_process_memory_fraction(2**30 / torch.cuda.get_device_properties(0).total_memory)
    try:
        parts, history = run(make(dropout=0.0, auto_batch_size=True), loss_fn=hungry)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        held.clear()
        torch.cuda.empty_cache()
    assert history.pieces >= 4
    assert all((value - weights(parts)[name]).abs().max() < 1e-5 for name, value in weights(whole).items())


@pytest.mark.parametrize("more", [[], ["--precision", "fp16"], ["--precision", "no", "--compile"]], ids=" ".join)
def test_the_text_recipe_trains_and_predicts_what_it_scored(more, tmp_path):
    random = np.random.default_rng(0)
    words = {"paid": ["i want to pay", "pay with it", "please now"], "lost": ["card was swallowed", "the machine"]}
    labels = random.choice(list(words), 160)
    texts = [" ".join(random.choice(words[label], random.integers(1, 4))) for label in labels]
    rows = pd.DataFrame({"text": texts, "label": labels})
    for name, part in {"train": rows[:100], "validation": rows[100:130], "test": rows[130:]}.items():
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    model = save_tiny_bert(tmp_path / "model")
    argv = ["--model", str(model), "--dataset", str(tmp_path), "--output_dir", str(tmp_path / "run")]
    argv += ["--attention", "entmax15", "--epochs", "8", "--lr", "3e-3", "--batch_size", "16", *more]
    scores = text_classification.main(argv)
    assert scores["accuracy"] >= 0.8
    about = json.loads((tmp_path / "run/run.json").read_text())
    assert about["hardware"]["gpus"] and about["training"]["peak_memory_bytes"]["gpu"] > 0
    assert about["hardware"]["precision"] == (more[1] if more else "bf16")
    predicted = pd.read_parquet(tmp_path / "run/predictions.parquet").sort_values("id")["prediction"]
    model, tokenizer = hf_attn.tasks.predict.load(tmp_path / "run")
    assert model.device.type == GPU.type
    found = hf_attn.predict(model, rows["text"][130:], processor=tokenizer)
    assert [one["label"] for one in found] == list(predicted)


def test_the_image_recipe_resumes_with_everything_on(tmp_path):
    pictures, model = save_pictures(tmp_path / "pictures"), save_tiny_vit(tmp_path / "model")
    argv = ["--model", str(model), "--dataset", str(pictures), "--output_dir", str(tmp_path / "run"), "--epochs", "4"]
    argv += ["--attention", "talking_heads", "--batch_size", "8", "--lr", "3e-3", "--mixup", "0.8", "--cutmix", "1"]
    argv += ["--rand_augment", "rand-m5-n1", "--ema", "0.9", "--precision", "fp16", "--save_every", "2", "--keep", "99"]
    image_classification.main(argv)
    whole = load_file(tmp_path / "run/model.safetensors")
    for folder in sorted((tmp_path / "run/checkpoints").iterdir())[2:]:
        shutil.rmtree(folder)
    image_classification.main([*argv, "--resume"])
    resumed = load_file(tmp_path / "run/model.safetensors")
    assert max((value - resumed[name]).abs().max() for name, value in whole.items()) < 1e-5
