"""Indices of a tensor are no positions: padding, caches, packed rows and cross-attention change nothing of a text."""

import pytest
import tiny_models
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    DynamicCache,
    EncoderDecoderCache,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    SegformerConfig,
    SegformerForImageClassification,
    StaticCache,
    T5Config,
    T5ForConditionalGeneration,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from hf_attn.attention import VARIANTS, attention_map, list_variants, swap_attention, watch_attention

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40, "vocab_size": 99}
DECODER = SMALL | {"num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0}
SEQ2SEQ = {"d_model": 32, "vocab_size": 99, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1}
LAYERS = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
BART = SEQ2SEQ | LAYERS | {"encoder_ffn_dim": 40, "decoder_ffn_dim": 40}
WHISPER = BART | {"num_mel_bins": 8, "max_source_positions": 10, "max_target_positions": 40}
MODELS = {
    "llama": (LlamaForCausalLM, lambda: LlamaConfig(**DECODER)),
    "mistral": (MistralForCausalLM, lambda: MistralConfig(**DECODER, sliding_window=5)),
    "bart": (BartForConditionalGeneration, lambda: BartConfig(**BART, max_position_embeddings=64)),
    "t5": (T5ForConditionalGeneration, lambda: T5Config(**SEQ2SEQ, d_kv=8, d_ff=40, num_layers=2, num_heads=4)),
    "whisper": (
        WhisperForConditionalGeneration,
        lambda: WhisperConfig(**WHISPER, begin_suppress_tokens=None, suppress_tokens=None),
    ),
    "bert": (BertModel, lambda: BertConfig(**SMALL)),
}
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.12, torch.float16: 0.02}
OPTIONS = {"local": {"window": 2}}
FLAT = [name for name in list_variants() if not VARIANTS[name].needs_patches]
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: str(dtype)[6:])
variants = pytest.mark.parametrize("name", FLAT)


def build(kind: str, variant: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """Return a tiny model with a variant whose parameters are far from their start."""
    cls, config = MODELS[kind]
    torch.manual_seed(0)
    model = cls(config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=1.5 * parameter.shape[-1] ** -0.5)
    swapped = swap_attention(model, variant, **OPTIONS.get(variant, {}))
    tiny_models.perturb(swapped)
    return swapped.to(dtype)


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(5, 99, shape, generator=torch.Generator().manual_seed(seed))


def padded(texts: list[torch.Tensor], side: str) -> dict[str, torch.Tensor]:
    """Return texts of unequal length as one batch, with the positions that generation gives its tokens."""
    length = max(text.shape[1] for text in texts)
    pads = [(length - text.shape[1], 0) if side == "left" else (0, length - text.shape[1]) for text in texts]
    ids = torch.cat([torch.nn.functional.pad(text, pad) for text, pad in zip(texts, pads, strict=True)])
    mask = (ids > 0).long()
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp_min(0)}


def in_steps(model: torch.nn.Module, batch: dict, cache: object, first: int) -> torch.Tensor:
    """Return the logits of all tokens: the first ones at once, the others one by one, through a cache."""
    found = []
    for begin, end in [(0, first), *((i, i + 1) for i in range(first, batch["input_ids"].shape[1]))]:
        step = {key: value[:, begin:end] for key, value in batch.items()}
        step["attention_mask"] = batch["attention_mask"][:, :end]
        found.append(model(**step, past_key_values=cache, use_cache=True).logits)
    return torch.cat(found, 1)


@dtypes
@variants
@pytest.mark.parametrize("kind", ["llama", "mistral"])
@torch.no_grad()
def test_a_text_has_the_same_logits_alone_in_a_batch_and_in_every_cache(kind, name, dtype):
    model = build(kind, name, dtype)
    text = tokens(1, 9)
    alone = model(text).logits
    for side, real in (("left", slice(4, None)), ("right", slice(0, 9))):
        batch = padded([text, tokens(1, 13, seed=1)], side)
        found = {"no cache": model(**batch).logits}
        for first in (7, 1) if side == "right" else (7,):
            found["dynamic", first] = in_steps(model, batch, DynamicCache(config=model.config), first)
            found["static", first] = in_steps(model, batch, StaticCache(model.config, max_cache_len=24), first)
        for title, logits in found.items():
            difference = (logits[:1, real] - alone).abs().max()
            assert difference < TOLERANCE[dtype] * alone.abs().max(), (side, title)


@dtypes
@variants
@pytest.mark.parametrize("kind", ["bart", "t5", "whisper"])
@torch.no_grad()
def test_a_target_has_the_same_logits_in_every_cache_and_beside_a_longer_source(kind, name, dtype):
    if kind == "t5" and not VARIANTS[name].accepts_bias:
        pytest.skip(f"{name} refuses the bias of T5")
    model, target = build(kind, name, dtype), tokens(2, 9)
    if kind == "whisper":
        sound = torch.randn(2, 8, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
        given, source = {}, {"input_features": sound}
    else:
        texts = [tokens(1, 6, seed=2), tokens(1, 11, seed=3)]
        batch = padded(texts, "right")
        given = {"attention_mask": batch["attention_mask"]}
        source = {"input_ids": batch["input_ids"]} | given
    expected = model(**source, decoder_input_ids=target).logits
    close = TOLERANCE[dtype] * expected.abs().max()
    if given:
        short = model(input_ids=texts[0], decoder_input_ids=target[:1]).logits
        assert (short - expected[:1]).abs().max() < close
    states = model.get_encoder()(**source)
    sizes = {"max_cache_len": 16}, {"max_cache_len": states[0].shape[1]}
    for cache in (None, EncoderDecoderCache(*(StaticCache(model.config, **size) for size in sizes))):
        found = []
        for begin, end in ((0, 4), *((i, i + 1) for i in range(4, 9))):
            step = {"decoder_input_ids": target[:, begin:end], "past_key_values": cache, "use_cache": True}
            output = model(encoder_outputs=states, **given, **step)
            cache = output.past_key_values
            found.append(output.logits)
        assert (torch.cat(found, 1) - expected).abs().max() < close, type(cache).__name__


@variants
@torch.no_grad()
def test_an_encoder_reads_a_text_alike_with_padding_on_either_side(name):
    model, text = build("bert", name), tokens(1, 9)
    alone = model(text).last_hidden_state
    for side, real in (("left", slice(4, None)), ("right", slice(0, 9))):
        states = model(**padded([text, tokens(1, 13, seed=1)], side)).last_hidden_state
        assert (states[:1, real] - alone).abs().max() < 2e-5 * alone.abs().max(), side


@variants
@torch.no_grad()
def test_texts_packed_in_one_row_have_the_logits_that_they_have_alone(name):
    model, texts = build("llama", name), [tokens(1, 9), tokens(1, 5, seed=1)]
    places = torch.cat([torch.arange(text.shape[1])[None] for text in texts], 1)
    packed = model(torch.cat(texts, 1), position_ids=places, use_cache=False).logits.split([9, 5], 1)
    for text, logits in zip(texts, packed, strict=True):
        alone = model(text).logits
        assert (logits - alone).abs().max() < 2e-5 * alone.abs().max()


def in_reach(length: int, start: int, causal: bool, has_global: bool = True) -> torch.Tensor:
    """Which token of a text sees which, by a loop: two on each side and the first, which sees all."""
    seen = torch.zeros(length, length, dtype=torch.bool)
    for i in range(start, length):
        for j in range(start, i + 1 if causal else length):
            seen[i, j] = abs(i - j) <= 2 or (has_global and start in (i, j))
    return seen


@torch.no_grad()
def test_what_local_attends_to_stands_near_in_the_text_or_is_its_first_token():
    batch = padded([tokens(1, 9), tokens(1, 13, seed=1)], "left")
    for kind, causal in (("bert", False), ("llama", True)):
        maps = attention_map(build(kind, "local"), batch)
        for row, start in ((0, 4), (1, 0)):
            seen = in_reach(13, start, causal)
            assert torch.equal((maps[:, row] > 0)[..., start:, :].all(0).all(0), seen[start:]), kind
    window = torch.ones(13, 13).tril().triu(-4).bool()  # Mistral's own
    for row, start in ((0, 4), (1, 0)):
        seen = in_reach(13, start, True, has_global=False) & window
        assert torch.equal((attention_map(build("mistral", "local"), batch)[0, row, 0] > 0)[start:], seen[start:])


@torch.no_grad()
def test_between_two_sequences_local_is_softmax_attention_and_the_pretrained_model_is_kept():
    for kind in ("bart", "t5", "whisper"):
        cls, config = MODELS[kind]
        stock = cls(config()).eval()
        crossing = swap_attention(stock, "local", include="encoder_attn|EncDecAttention", window=0, global_tokens=0)
        source = {"input_features": torch.randn(2, 8, 20)} if kind == "whisper" else {"input_ids": tokens(2, 11)}
        inputs = source | {"decoder_input_ids": tokens(2, 7)}
        assert (crossing(**inputs).logits - stock(**inputs).logits).abs().max() < 1e-5, kind


@torch.no_grad()
def test_a_prefix_that_sees_itself_whole_does_not_move_the_tokens_behind_it():
    model, text = build("llama", "local"), tokens(1, 9)
    mask = torch.ones(9, 9, dtype=torch.bool).tril()
    mask[:4, :4] = True
    static = StaticCache(model.config, max_cache_len=24)
    expected = model(text, attention_mask=mask[None, None]).logits
    room = torch.nn.functional.pad(mask, (0, 24 - 9))[None, None]
    found = model(text, attention_mask=room, past_key_values=static, use_cache=True).logits
    assert (found - expected).abs().max() < 1e-5


@torch.no_grad()
def test_generation_gives_the_same_tokens_with_and_without_a_cache_of_each_kind():
    for kind in ("llama", "mistral", "bart"):
        model = build(kind, "local")
        batch = padded([tokens(1, 9), tokens(1, 13, seed=1)], "right" if kind == "bart" else "left")
        inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
        options = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False, "disable_compile": True}
        expected = model.generate(**inputs, **options, use_cache=False)
        for cache in ("dynamic", "static"):
            found = model.generate(**inputs, **options, cache_implementation=cache)
            assert torch.equal(found, expected), (kind, cache)


@torch.no_grad()
def test_queries_and_keys_of_no_common_sequence_are_refused_in_words():
    config = SegformerConfig(hidden_sizes=[8] * 4, num_attention_heads=[1] * 4, depths=[1] * 4, decoder_hidden_size=8)
    model = swap_attention(SegformerForImageClassification(config).eval(), "local")
    with pytest.raises(ValueError, match="'local' looks at positions, and 256 queries and 4 keys are no tokens of one"):
        model(torch.randn(1, 3, 64, 64))


@torch.no_grad()
def test_a_watch_of_generation_sees_each_step_at_its_place():
    model = build("llama", "local")
    inputs = {"input_ids": tokens(1, 6), "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    with watch_attention(model, layers=[0]) as watch:
        model.generate(**inputs, max_new_tokens=4, do_sample=False, cache_implementation="static", disable_compile=True)
    for step, weights in enumerate(watch.steps[0][1:]):
        place = 6 + step
        seen = [j for j in range(weights.shape[-1]) if weights[0, 0, 0, j] > 0]
        assert seen == [0, place - 2, place - 1, place]
