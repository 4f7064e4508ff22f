"""Tiny random models of the architectures that the code finds, and inputs for them.

The list is no table: it is every model type of the Auto mappings whose classes :func:`hf_attn.attention.supported`
accepts. A configuration is made small by the names of its fields; :data:`SPECIAL` has what names do not tell.
"""

import contextlib
import copy
import functools
import gc
import inspect
import re
from collections.abc import Iterator

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
    logging,
)

from hf_attn.attention import attention_layers, supported

TASKS = (
    AutoModelForSequenceClassification,
    AutoModelForImageClassification,
    AutoModelForTokenClassification,
    AutoModel,
)
VOCABULARY, POSITIONS, IMAGE, SAMPLES = 99, 64, 32, 1600
LARGEST = 1_000_000  # parameters

# The first pattern that a field's name matches gives its greatest value.
SIZES = {
    r"vocab_size": VOCABULARY,
    r"key_value_heads|kv_heads": 2,
    r"heads?$": 4,
    r"depth|layers?$|num_.*_blocks$": 2,
    r"head_dim|d_kv|head_size": 8,
    r"position|max_length|n_ctx": POSITIONS,
    r"image_size|input_size": IMAGE,
    r"patch_size|tubelet": 8,
    r"mel_bins": 16,
    r"num_frames": 2,
    r"conv_pos_embeddings$": 16,
    r"intermediate|ffn|d_ff|inner|hidden_dim|mlp_dim": 40,
    r"embedding_size|hidden|embed|d_model|^dim|_dim$|width|n_embd|channels$": 32,
    r"experts$|queries$": 4,
}

# What the names do not tell: fields of a configuration by model type.
RESNET = {"model_type": "resnet", "hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "embedding_size": 8}
WINDOWED = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "patch_size": 2, "window_size": 4}
SPECIAL: dict[str, dict] = {
    "audio-spectrogram-transformer": {"patch_size": 4, "frequency_stride": 4, "time_stride": 4, "max_length": 24},
    "conditional_detr": {"backbone_config": RESNET | {"out_features": ["stage4"]}},
    "deformable_detr": {"backbone_config": RESNET | {"out_features": ["stage4"]}, "num_feature_levels": 1},
    "detr": {"backbone_config": RESNET | {"out_features": ["stage4"]}},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 0},
    "siglip2": {"vision_config": {"hidden_size": 32, "num_attention_heads": 4, "num_patches": 16, "patch_size": 8}},
    "speech_to_text": {"input_feat_per_channel": 16},
    "swin": WINDOWED,
    "wav2vec2-bert": {"conv_depthwise_kernel_size": 3, "feature_projection_input_dim": 16},
    "wav2vec2-conformer": {"conv_depthwise_kernel_size": 3},
}


def classes_of(model_type: str) -> list[type[PreTrainedModel]]:
    """Return the model classes of a model type in the Auto mappings, task heads first."""
    found: list[type[PreTrainedModel]] = []
    for task in TASKS:
        classes = task._model_mapping.get(CONFIG_MAPPING[model_type], ())
        found.extend(classes if isinstance(classes, (list, tuple)) else (classes,))
    return found


def model_classes() -> dict[str, list[type[PreTrainedModel]]]:
    """Return the model classes of every model type of the Auto mappings that can be imported here."""
    found: dict[str, list[type[PreTrainedModel]]] = {}
    for model_type in sorted({name for task in TASKS for name in task._model_mapping._model_mapping}):
        with contextlib.suppress(ImportError, ValueError):
            found[model_type] = classes_of(model_type)
    return found


@functools.cache
def architectures() -> tuple[dict[str, type[PreTrainedModel]], dict[str, type[PreTrainedModel]]]:
    """Return what can be swapped and what cannot: model type to its first class."""
    first = {model_type: classes[0] for model_type, classes in model_classes().items() if classes}
    swapped = {model_type: cls for model_type, cls in first.items() if supported(cls)}
    return swapped, {model_type: cls for model_type, cls in first.items() if model_type not in swapped}


def smaller(name: str, value: object) -> object:
    """Return a field's value made small."""
    if isinstance(value, PreTrainedConfig):
        return shrunk_fields(type(value), value)
    if isinstance(value, (list, tuple)) and value and all(type(v) is int for v in value):
        return type(value)(smaller(name.removesuffix("s"), v) for v in value)
    if type(value) is not int:
        return value
    if name.endswith("token_id"):
        return value if value < VOCABULARY else int(not name.startswith("pad"))
    limit = next((limit for pattern, limit in SIZES.items() if re.search(pattern, name)), value)
    return min(value, limit)


def shrunk_fields(cls: type[PreTrainedConfig], default: PreTrainedConfig | None = None) -> dict:
    """Return the arguments that make a configuration tiny, those of its parts included."""
    default = default or cls()
    names = [name for name in inspect.signature(cls.__init__).parameters if name in vars(default)]
    small = {name: smaller(name, getattr(default, name)) for name in names}
    fields = {name: value for name, value in small.items() if value != getattr(default, name)}
    return fields | ({"model_type": default.model_type} if default.model_type else {})


def tiny_config(model_type: str) -> PreTrainedConfig:
    """Return a tiny configuration of an architecture, without dropout."""
    cls = CONFIG_MAPPING[model_type]
    fields = shrunk_fields(cls) | SPECIAL.get(model_type, {})
    config = cls(**{name: value for name, value in fields.items() if name != "model_type"})
    if getattr(config, "pad_token_id", 0) is None:
        config.pad_token_id = 0
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 1
    return config


def tiny_model(model_type: str, cls: type[PreTrainedModel] | None = None, seed: int = 0) -> PreTrainedModel:
    """Return a tiny model in evaluation mode, with weights so large that its attention is far from uniform.

    Raises:
        Exception: whatever the architecture raises where it cannot be made so small.
    """
    cls, config = cls or classes_of(model_type)[0], tiny_config(model_type)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in cls(copy.deepcopy(config)).parameters())
    if size > LARGEST:
        raise ValueError(f"{model_type}: {size} parameters")
    torch.default_generator.manual_seed(seed)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
    return model


def inputs_for(model: PreTrainedModel, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return two random examples for a model; the second text is padded."""
    config, random = model.config, torch.Generator().manual_seed(seed)
    config = next((c for c in (config, getattr(config, "vision_config", None)) if hasattr(c, "image_size")), config)
    accepted, wanted = inspect.signature(model.forward).parameters, model.main_input_name

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    inputs: dict[str, torch.Tensor] = {}
    if "input_ids" in accepted:
        ids = torch.randint(5, VOCABULARY - 9, (2, 12), generator=random)
        mask = torch.ones_like(ids)
        mask[1, 7:] = 0
        end = getattr(model.config.get_text_config(), "eos_token_id", None)
        if isinstance(end, int):
            ids[0, -1] = ids[1, 6] = end
        pad = getattr(model.config.get_text_config(), "pad_token_id", 0) or 0
        inputs |= {"input_ids": ids.masked_fill(mask == 0, pad), "attention_mask": mask}
        if "decoder_input_ids" in accepted and "Classification" not in type(model).__name__:
            inputs["decoder_input_ids"] = torch.randint(5, VOCABULARY - 9, (2, 5), generator=random)
    if "spatial_shapes" in accepted:
        inputs["pixel_values"] = normal(2, 16, 3 * 8 * 8)
        inputs["pixel_attention_mask"] = torch.ones(2, 16, dtype=torch.long)
        inputs["spatial_shapes"] = torch.tensor([[4, 4], [4, 4]])
    elif "pixel_values" in accepted:
        size = getattr(config, "image_size", IMAGE)
        frames = (config.num_frames,) if hasattr(config, "num_frames") else ()
        sides = size if isinstance(size, (list, tuple)) else (size, size)
        inputs["pixel_values"] = normal(2, *frames, getattr(config, "num_channels", 3), *sides)
    if wanted == "input_values":
        shape = (config.max_length, config.num_mel_bins) if hasattr(config, "num_mel_bins") else (SAMPLES,)
        inputs["input_values"] = normal(2, *shape)
    if wanted == "input_features":
        time_first = "attention_mask" in accepted and "decoder_input_ids" not in accepted
        shape = (2 * POSITIONS, 16)
        inputs["input_features"] = normal(2, *(shape if time_first else shape[::-1]))
        if "decoder_input_ids" in accepted:
            inputs["decoder_input_ids"] = torch.randint(5, VOCABULARY - 9, (2, 5), generator=random)
    return inputs


def has_patches(model: PreTrainedModel) -> bool:
    """Whether all attention layers of a model stand on the grid of patches of one image."""
    configs = [getattr(module, "config", model.config) for module in attention_layers(model).values()]
    return all(getattr(c, "patch_size", None) for c in configs) and not re.match(
        "PixtralV|VideoMAE|ViTMAE|Yolos|XCLIP|Swin|Sam3", type(model).__name__
    )


def outputs_of(model: PreTrainedModel, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """Return every float tensor that a model gives, in evaluation mode, without gradients."""

    def tensors(output: object) -> list[torch.Tensor]:
        if isinstance(output, torch.Tensor):
            return [output] if output.is_floating_point() and output.numel() else []
        parts = output.to_tuple() if hasattr(output, "to_tuple") else output
        return [t for part in parts for t in tensors(part)] if isinstance(parts, (list, tuple)) else []

    torch.default_generator.manual_seed(0)
    with torch.no_grad():
        return tensors(model(**inputs))


def difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Return the greatest difference of two lists of outputs, relative to the size of numbers beyond 1."""
    assert len(ours) == len(theirs) > 0
    pairs = zip(ours, theirs, strict=True)
    return max(((a - b).abs().max() / b.abs().max().clamp_min(1)).item() for a, b in pairs)


@contextlib.contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill freed memory with 7.7 and, inside the block, every new tensor that nobody fills with NaN."""
    freed = [torch.full((size,), 7.7) for size in (*range(1, 300), *range(300, 20_000, 61)) for _ in range(2)]
    del freed
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def perturb(model: torch.nn.Module, seed: int = 0) -> None:
    """Move the parameters of every slot far from their start."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".hf_attn." in name:
                parameter += 0.3 * torch.randn(parameter.shape, generator=random).to(parameter.device)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from remarking on sizes that no real model has."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@functools.cache
def running() -> dict[str, tuple[PreTrainedModel, dict[str, torch.Tensor], list[torch.Tensor]]]:
    """Return the tiny models that can be swapped and that run on the generic inputs, their inputs and outputs."""
    found = {}
    for model_type in architectures()[0]:
        with quiet(), contextlib.suppress(Exception):
            model = tiny_model(model_type)
            inputs = inputs_for(model)
            outputs = outputs_of(model, inputs)
            if all(output.isfinite().all() for output in outputs):
                found[model_type] = model, inputs, outputs
    gc.freeze()  # they live as long as the process
    return found
