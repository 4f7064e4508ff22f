"""A watch is its own thread's and its own block's, its layers have fixed numbers, and nothing stays behind."""

import asyncio
import threading

import numpy as np
import pytest
import tiny_models
import torch
from transformers import AttentionInterface, BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

from hf_attn.attention import attention_map, swap_attention, watch_attention

LAYERS = 3


@pytest.fixture(params=["sdpa", "eager", "entmax15"])
def model(request):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": 32}
    config = BertConfig(vocab_size=50, max_position_embeddings=40, **sizes)
    kind = request.param if request.param in ("sdpa", "eager") else "sdpa"
    stock = BertModel._from_config(config, attn_implementation=kind).eval()
    return stock if request.param == kind else swap_attention(stock, request.param)


def inputs_of(seed: int, tokens: int = 9) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, 50, (2, tokens), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.tensor([[1] * tokens, [1] * (tokens - 3) + [0] * 3])}


def state(model: torch.nn.Module) -> list:
    """Return what a watch must leave as it is: attributes, hooks and modes of every module, the configuration."""
    modules = [(sorted(vars(m)), m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    return [modules, model.config._attn_implementation, dict(vars(AttentionInterface))]


def test_threads_with_one_model_get_each_its_own_maps(model):
    before = state(model)
    expected = [attention_map(model, inputs_of(seed, 8 + seed)) for seed in range(4)]
    wrong, start = [], threading.Barrier(4)

    def work(seed):
        start.wait()
        for _ in range(25):
            found = attention_map(model, inputs_of(seed, 8 + seed))
            if found.shape != expected[seed].shape or (found - expected[seed]).abs().max() > 1e-6:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert state(model) == before


def test_watches_may_be_nested_and_each_sees_what_it_asked_for(model):
    expected = attention_map(model, inputs_of(0))
    with torch.no_grad(), watch_attention(model, layers=0) as outer:
        with watch_attention(model, layers=[2], rows=[0]) as inner:
            model(**inputs_of(0))
            inside = attention_map(model, inputs_of(1))
        model(**inputs_of(0))
    assert (list(outer.maps), list(inner.maps)) == ([0], [2])
    assert (outer.maps[0] - expected[0]).abs().max() < 1e-6 and len(outer.steps[0]) == 3
    assert (inner.steps[2][0] - expected[2][:, :, :1]).abs().max() < 1e-6
    assert (inside - attention_map(model, inputs_of(1))).abs().max() < 1e-6


def test_tasks_of_one_thread_get_each_their_own_maps(model):
    async def work(seed):
        with watch_attention(model, layers=[0]) as watch:
            await asyncio.sleep(0)
            model(**inputs_of(seed))
            await asyncio.sleep(0)
        return watch.maps[0]

    async def both():
        return await asyncio.gather(work(0), work(1))

    for seed, found in enumerate(asyncio.run(both())):
        assert (found - attention_map(model, inputs_of(seed))[0]).abs().max() < 1e-6


def test_an_error_inside_leaves_nothing_behind(model):
    before = state(model)
    model.encoder.layer[1].train()
    changed = state(model)
    with pytest.raises(RuntimeError, match="mine"), watch_attention(model):
        model(**inputs_of(0))
        raise RuntimeError("mine")
    with pytest.raises((TypeError, ValueError)):
        attention_map(model, {"no_such_input": 1})
    assert state(model) == changed != before


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("outside", [True, False], ids=["backward after the block", "backward inside"])
def test_gradient_checkpointing_changes_no_map_and_no_gradient(model, reentrant, outside):
    gradients, expected = [], attention_map(model, inputs_of(0))
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            model.enable_input_require_grads()
        model.zero_grad()
        with watch_attention(model) as watch:
            loss = model(**inputs_of(0)).last_hidden_state.square().sum()
            if not outside:
                loss.backward()
        if outside:
            loss.backward()
        assert list(watch.maps) == [0, 1, 2] and all(len(steps) == 1 for steps in watch.steps.values())
        assert max((watch.maps[i] - expected[i]).abs().max() for i in range(LAYERS)) < 1e-6
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert all((a - b).abs().max() < 1e-5 for a, b in zip(*gradients, strict=True))


def test_the_maps_of_a_checkpointed_model_carry_their_gradient(model):
    gradients = []
    for checkpointed in (False, True):
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.zero_grad()
        with watch_attention(model, layers=-1) as watch:
            model(**inputs_of(0))
        watch.maps[2][:, :, 0].square().sum().backward()
        gradients.append(model.encoder.layer[2].attention.self.query.weight.grad.clone())
    assert gradients[0].abs().max() > 0 and (gradients[0] - gradients[1]).abs().max() < 1e-6


@pytest.mark.parametrize("variant", [None, "entmax15"])
def test_generation_gives_the_maps_of_each_step(variant):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=32)
    model = GPT2LMHeadModel(config).eval()
    model = swap_attention(model, variant) if variant else model
    ids = torch.randint(0, 49, (1, 5), generator=torch.Generator().manual_seed(0))
    with watch_attention(model, layers=[-1]) as watch:
        out = model.generate(ids, max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0)
    assert list(watch.steps) == [1] and [m.shape[-2:] for m in watch.steps[1]] == [(5, 5), (1, 6), (1, 7), (1, 8)]
    whole = attention_map(model, out[:, :-1], layers=[1])[0]
    for step, found in enumerate(watch.steps[1]):
        rows = slice(0, 5) if not step else slice(4 + step, 5 + step)
        assert (found - whole[:, :, rows, : found.shape[-1]]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (-1, [2]),
        (slice(1, None), [1, 2]),
        (range(2), [0, 1]),
        (torch.tensor([2, 0]), [2, 0]),
        (torch.tensor(1), [1]),
        (np.array([-1]), [2]),
        ((np.int64(1),), [1]),
    ],
    ids=repr,
)
def test_layers_are_given_as_indices_are_given_elsewhere(model, given, expected):
    everything = attention_map(model, inputs_of(0))
    assert torch.equal(attention_map(model, inputs_of(0), layers=given), everything[expected])


def test_heads_and_rows_are_given_likewise(model):
    everything = attention_map(model, inputs_of(0))
    assert torch.equal(attention_map(model, inputs_of(0), heads=-1, rows=slice(2, 4)), everything[:, :, 3:, 2:4])


@pytest.mark.parametrize("wrong", ["0", [True], True, 1.5, [1.5], [None], [3], -4, torch.tensor([0.5])], ids=repr)
def test_what_is_no_layer_is_refused_in_one_line(model, wrong):
    before = state(model)
    with pytest.raises(ValueError, match="layers=.*(there are 3|expected a number from -3 to 2)") as caught:
        attention_map(model, inputs_of(0), layers=wrong)
    assert "\n" not in str(caught.value) and state(model) == before


def test_a_tensor_is_the_models_first_argument(model):
    ids = inputs_of(0)["input_ids"]
    assert torch.equal(attention_map(model, ids), attention_map(model, {"input_ids": ids}))


def test_a_model_that_cannot_be_watched_is_refused_in_words_of_watching():
    with pytest.raises(ValueError, match="Gemma2.* cannot be watched: .*soft-capped scores"):
        attention_map(tiny_models.tiny_model("gemma2"), {"input_ids": torch.ones(1, 4, dtype=torch.long)})
