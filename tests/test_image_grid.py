"""The grid of patches is that of the image in hand, whatever its shape: never guessed from a number of tokens."""

import copy
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tiny_models
import torch
from transformers import AutoModelForImageClassification

from hf_attn.attention import attention_map, swap_attention
from hf_attn.tasks.inputs.images.examples import maps_of

SHARED = Path(os.environ.get("HF_ATTN_SHARED") or Path(__file__).parents[2] / "shared")
VIT = SHARED / "checkpoints/vit-tiny-patch16-224-in1k"
PREFIX = {
    "vit": 1,
    "deit": 2,
    "dinov2": 1,
    "dinov2_with_registers": 5,
    "clip_vision_model": 1,
    "siglip_vision_model": 0,
}
OBLONG = [(32, 72), (72, 32), (48, 48)]  # 4·9, 9·4 and 6·6: 36 patches of 8 pixels each


def build(model_type: str, variant: str = "window", **options) -> torch.nn.Module:
    """Return a tiny model whose patches see what is one row or column away, and no more."""
    options = {"window": 1, "init": "paper"} | options
    with tiny_models.quiet():
        return swap_attention(tiny_models.tiny_model(model_type), variant, **options)


def images(size: tuple[int, int], seed: int = 0) -> dict:
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))
    return {"pixel_values": pixels, "interpolate_pos_encoding": True}


def neighbours(rows: int, columns: int, prefix: int) -> torch.Tensor:
    """Which token sees which, by a loop."""
    places = [None] * prefix + [(row, column) for row in range(rows) for column in range(columns)]
    seen = torch.zeros(len(places), len(places), dtype=torch.bool)
    for i, here in enumerate(places):
        for j, there in enumerate(places):
            seen[i, j] = not (here and there) or max(abs(here[0] - there[0]), abs(here[1] - there[1])) <= 1
    return seen


@pytest.mark.parametrize("model_type", PREFIX)
def test_neighbours_are_those_of_each_image(model_type):
    model = build(model_type)
    for height, width in OBLONG:
        inputs = images((height, width))
        found = (attention_map(model, inputs, layers=0)[0] > 0).flatten(0, 1).all(0)
        assert torch.equal(found, neighbours(height // 8, width // 8, PREFIX[model_type])), (height, width)


@pytest.mark.parametrize("model_type", ["vit", "dinov2"])
def test_pixels_that_no_patch_covers_count_for_nothing(model_type):
    found = (attention_map(build(model_type), images((39, 53)), layers=0)[0] > 0).flatten(0, 1).all(0)
    assert torch.equal(found, neighbours(4, 6, 1))


def test_a_spectrogram_has_rows_of_frequencies_and_columns_of_times():
    model = build("audio-spectrogram-transformer")
    sound = tiny_models.inputs_for(model)
    assert sound["input_values"].shape[1:] == (24, 16)  # times, frequencies
    found = (attention_map(model, sound, layers=0)[0] > 0).flatten(0, 1).all(0)
    assert torch.equal(found, neighbours(4, 6, 2))


def test_a_model_that_is_told_its_grids_uses_them_and_refuses_a_batch_of_several():
    model = build("siglip2_vision_model")
    inputs = tiny_models.inputs_for(model)
    for rows, columns in ((2, 8), (8, 2), (4, 4)):
        inputs["spatial_shapes"] = torch.tensor([[rows, columns]] * 2)
        found = (attention_map(model, inputs, layers=0)[0] > 0).flatten(0, 1).all(0)
        assert torch.equal(found, neighbours(rows, columns, 0))
    inputs["spatial_shapes"] = torch.tensor([[2, 8], [4, 4]])
    with pytest.raises(ValueError, match=r"one batch have grids of 2·8, 4·4 patches: give images of one shape"):
        model(**inputs)


@pytest.mark.parametrize("name", ["window", "focal"])
def test_a_grid_that_is_not_the_images_is_refused(name):
    model = build("vit", name, grid=[9, 4])
    model(**images((72, 32)))
    for height, width in ((32, 72), (48, 48)):
        with pytest.raises(
            ValueError, match=rf"grid=\[9, 4\], but the image has {height // 8} rows and {width // 8} col"
        ):
            model(**images((height, width)))


def test_images_of_several_shapes_in_several_threads_keep_their_own_grids():
    model = build("vit")
    expected = {size: model(**images(size)).logits for size in OBLONG}

    def logits(number: int) -> bool:
        size = OBLONG[number % 3]
        return torch.equal(model(**images(size)).logits, expected[size])

    with torch.no_grad(), ThreadPoolExecutor(4) as threads:
        assert all(threads.map(logits, range(60)))


def test_checkpointing_computes_again_on_the_grid_that_it_had_or_says_that_it_cannot():
    plain, again = build("vit", init="identity", mix=0.5).train(), build("vit", init="identity", mix=0.5).train()
    again.load_state_dict(plain.state_dict())
    again.gradient_checkpointing_enable()
    for size in ((32, 72), (24, 40)):
        gradients = []
        for model in (plain, again):
            model.zero_grad()
            model(**images(size)).logits.square().sum().backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        assert (gradients[0] - gradients[1]).abs().max() <= 1e-6 * gradients[0].abs().max()
    loss = again(**images((32, 72))).logits.sum() + again(**images((72, 32))).logits.sum()
    with pytest.raises(ValueError, match="2 grids of patches have 37 tokens, and gradient checkpointing does not tell"):
        loss.backward()


def test_a_copy_or_a_pickled_model_sees_its_own_images():
    model = build("vit")
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        model(**images((32, 72)))
        with torch.no_grad():
            assert torch.equal(other(**images((72, 32))).logits, model(**images((72, 32))).logits)
        embedding, layer = other.vit.embeddings.patch_embeddings.projection, model.vit.embeddings.patch_embeddings
        assert set(map(id, embedding._forward_hooks.values())).isdisjoint(
            map(id, layer.projection._forward_hooks.values())
        )


def test_a_swap_leaves_no_hook_on_the_original_and_one_after_the_next():
    stock = tiny_models.tiny_model("vit")
    once = swap_attention(stock, "window")
    twice, plain = swap_attention(once, "focal"), swap_attention(once, "cosine")
    hooks = [len(m.vit.embeddings.patch_embeddings.projection._forward_hooks) for m in (stock, once, twice, plain)]
    assert hooks == [0, 1, 1, 0]


@pytest.mark.parametrize("name", ["window", "focal"])
def test_compiled_and_exported_models_see_each_images_grid(name):
    model = build("vit", name)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        for size in OBLONG:
            assert (compiled(**images(size)).logits - model(**images(size)).logits).abs().max() < 1e-5, size
        exported = torch.export.export(model, (), images((32, 72)), strict=False).module()
        assert (exported(**images((32, 72), 1)).logits - model(**images((32, 72), 1)).logits).abs().max() < 1e-5


def test_layers_without_their_patch_embedding_are_refused():
    model = build("vit")
    with pytest.raises(ValueError, match="grid of patches is unknown: the layers ran without"):
        model.vit.layers[0](torch.randn(1, 17, 32))


@pytest.mark.parametrize(
    ("model_type", "why"),
    [("swin", "windows"), ("vit_mae", "shuffled"), ("pixtral", "follow each other"), ("yolos", "come after")],
)
def test_what_has_no_grid_is_refused_at_the_swap_even_where_one_is_given(model_type, why):
    with tiny_models.quiet():
        model = tiny_models.tiny_model(model_type)
        for grid in (None, [4, 4]):
            with pytest.raises(ValueError, match=f"no grid of patches, .*{why}"):
                swap_attention(model, "window", grid=grid)


@pytest.mark.parametrize("variant", [None, "window"])
def test_a_figure_lays_attention_out_as_the_image_is(variant):
    model = tiny_models.tiny_model("vit")
    model.config.image_size = (32, 72)
    with tiny_models.quiet():
        model = type(model)(model.config).eval()
        model = swap_attention(model, variant) if variant else model
    pixels = images((32, 72))["pixel_values"]
    last = attention_map(model, {"pixel_values": pixels}, layers=-1)[0].mean(1)
    for title, grid in maps_of(model, pixels).items():
        assert grid.shape == (2, 4, 9), title
    drawn = maps_of(model, pixels)["last layer, mean of heads"]
    for row in range(4):
        for column in range(9):
            assert drawn[1, row, column] == pytest.approx(last[1, 0, 1 + 9 * row + column].item())


@pytest.mark.skipif(not VIT.exists(), reason=f"the ViT checkpoint is not in {VIT}")
@pytest.mark.parametrize("name", ["window", "focal"])
def test_the_real_vit_takes_an_oblong_image_on_the_grid_that_it_has(name):
    stock = AutoModelForImageClassification.from_pretrained(VIT).eval()
    model = swap_attention(stock, name, init="paper")
    told = swap_attention(stock, name, init="paper", grid=[7, 21])
    inputs = images((112, 336))
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, told(**inputs).logits)
        assert (model(**inputs).logits - stock(**inputs).logits).abs().max() > 0.1
