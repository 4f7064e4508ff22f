"""``pipeline(task, folder)`` takes a variant's folder as it takes its base's, and warns of nothing."""

import logging
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from PIL import Image
from tiny_tokenizers import byte_bpe, unigram, wordpiece
from transformers import (
    ViTImageProcessorPil,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
    pipeline,
)
from transformers.models.auto import modeling_auto

from hf_attn.attention import swap_attention
from hf_attn.attention.auto_classes import classes_of

TEXT, WAVE = "my card was swallowed", np.sin(np.arange(1600) / 9).astype(np.float32)
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
NLI = ("contradiction", "neutral", "entailment")


def pixels():
    return ViTImageProcessorPil(size={"height": 32, "width": 32})


CASES = {
    "text-generation": ("gpt2", "AutoModelForCausalLM", byte_bpe, TEXT, {"max_new_tokens": 4, "do_sample": False}),
    "text-generation bart": ("bart", "AutoModelForCausalLM", unigram, TEXT, {"max_new_tokens": 4, "do_sample": False}),
    "fill-mask": ("bert", "AutoModelForMaskedLM", wordpiece, "my [MASK] was", {"top_k": 3}),
    "token-classification": ("roberta", "AutoModelForTokenClassification", unigram, TEXT, {}),
    "text-classification": ("distilbert", "AutoModelForSequenceClassification", wordpiece, TEXT, {"top_k": 2}),
    "zero-shot-classification": (
        "bart",
        "AutoModelForSequenceClassification",
        unigram,
        TEXT,
        {"candidate_labels": ["a", "b"]},
    ),
    "feature-extraction": ("bert", "AutoModel", wordpiece, TEXT, {}),
    "image-classification": ("vit", "AutoModelForImageClassification", pixels, IMAGE, {}),
    "image-feature-extraction": ("dinov2", "AutoModel", pixels, IMAGE, {}),
    "audio-classification": (
        "wav2vec2",
        "AutoModelForAudioClassification",
        Wav2Vec2FeatureExtractor,
        WAVE,
        {"top_k": 2},
    ),
}


@pytest.fixture(autouse=True)
def told(caplog):
    """What transformers logs, which does not reach the root logger."""
    logging.getLogger("transformers").addHandler(caplog.handler)
    with tiny_models.quiet():
        yield caplog
    logging.getLogger("transformers").removeHandler(caplog.handler)


def base_of(model_type: str, auto: str, **config) -> torch.nn.Module:
    cls = classes_of(getattr(modeling_auto, auto)._model_mapping, tiny_models.CONFIG_MAPPING[model_type])[0]
    made = tiny_models.tiny_config(model_type)
    for name, value in config.items():
        setattr(made, name, value)
    torch.manual_seed(0)
    return cls(made).eval()


def save(model: torch.nn.Module, processor, folder: Path) -> str:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def flat(found) -> list:
    """The words and numbers that a pipeline gives, one after another."""
    if isinstance(found, dict):
        return [*found, *flat(list(found.values()))]
    return [part for one in found for part in flat(one)] if isinstance(found, list) else [found]


@pytest.mark.parametrize("case", CASES)
def test_a_pipeline_on_a_variant_that_changes_nothing_gives_what_it_gives_on_the_base(case, tmp_path, told):
    model_type, auto, make_processor, given, options = CASES[case]
    processor = make_processor()
    sizes = {"vocab_size": len(processor)} if hasattr(processor, "vocab_size") else {}
    names = {"id2label": dict(enumerate(NLI)), "label2id": {name: i for i, name in enumerate(NLI)}}
    base = base_of(model_type, auto, **sizes, **(names if case.startswith("zero-shot") else {}))
    found = []
    for name, model in (("base", base), ("ours", swap_attention(base, "dot_product"))):
        pipe = pipeline(case.split()[0], save(model, processor, tmp_path / name), device="cpu")
        assert type(pipe.model) is type(model)
        found.append(flat(pipe(given, **options)))
    assert found[1] == pytest.approx(found[0], abs=1e-5) and found[0]
    assert "not supported" not in told.text


def test_speech_is_recognised_by_the_folder_alone(tmp_path, told):
    from transformers import Wav2Vec2CTCTokenizer

    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "a": 5, "b": 6}')
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    base = base_of("wav2vec2", "AutoModelForCTC", vocab_size=7, pad_token_id=0)
    found = []
    for name, model in (("base", base), ("ours", swap_attention(base, "dot_product"))):
        tokenizer.save_pretrained(tmp_path / name)
        pipe = pipeline("automatic-speech-recognition", save(model, Wav2Vec2FeatureExtractor(), tmp_path / name))
        found.append((pipe.type, pipe(WAVE)["text"]))
    assert found[0] == found[1] and found[0][0] == "ctc"
    assert "not supported" not in told.text


def test_a_whisper_variant_is_taken_for_whisper(told):
    base = base_of("whisper", "AutoModelForSpeechSeq2Seq")
    parts = {"tokenizer": unigram(), "feature_extractor": WhisperFeatureExtractor(feature_size=16)}
    types = [
        pipeline("automatic-speech-recognition", model=model, **parts).type
        for model in (base, swap_attention(base, "cosine"))
    ]
    assert types == ["seq2seq_whisper"] * 2
    assert "not supported" not in told.text
