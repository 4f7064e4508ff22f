"""Tiny random image classifiers of every architecture that transformers has, each with its own image processor."""

from pathlib import Path
from typing import Any

import torch
from tiny_models import LARGEST, WINDOWED, quiet, shrunk_fields
from transformers import CONFIG_MAPPING, BitImageProcessorPil, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from hf_attn.errors import InputError
from hf_attn.tasks.inputs.images import set_image_size

STAGES = {"depths": [1] * 4, "hidden_sizes": [16] * 4, "embedding_size": 16}
HEADS = {"num_heads": [2, 4]}
SPECIAL: dict[str, dict[str, Any]] = {
    "bit": STAGES | {"num_groups": 1},
    "cvt": {"depth": [1, 2, 3], "embed_dim": [16, 16, 32], "num_heads": [1, 2, 2]},
    "donut-swin": WINDOWED,
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320},
    "focalnet": {"embed_dim": 16, "depths": [1] * 4, "hidden_sizes": [16, 32, 64, 128]},
    "hgnet_v2": STAGES
    | {"stem_channels": [3, 8, 16], "stage_in_channels": [16] * 4, "stage_mid_channels": [8] * 4}
    | {"stage_out_channels": [16] * 4, "stage_num_blocks": [1] * 4, "stage_numb_of_layers": [1] * 4},
    "hiera": {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1, 1, 2, 2]},
    "levit": {"image_size": 64, "patch_size": 16, "hidden_sizes": [16, 24, 32], "depths": [1] * 3}
    | {"num_attention_heads": [2] * 3, "key_dim": [8] * 3},
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.25, "finegrained_output": False},
    "mobilevitv2": {"image_size": 64, "width_multiplier": 0.25, "base_attn_unit_dims": [16, 24, 32]},
    "perceiver": {"num_latents": 8, "d_latents": 32, "num_self_attends_per_block": 1},
    "pp_lcnet": {"scale": 0.25, "class_expand": 64},
    "pvt": {"num_encoder_blocks": 4},
    "swin": WINDOWED,
    "swinv2": WINDOWED,
}


def classifiers() -> dict[str, type[PreTrainedModel]]:
    """Return the image classifier of every model type that has one."""
    found = {}
    for config_class in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        if config_class.model_type.startswith("hf_attn_"):
            continue
        classes = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[config_class]
        found[config_class.model_type] = classes[0] if isinstance(classes, (list, tuple)) else classes
    return found


def processor_class(config: PreTrainedConfig) -> Any:
    """Return the class of a model type's processor that needs only pillow; that of most CNNs where none is named."""
    try:
        return IMAGE_PROCESSOR_MAPPING[type(config)]["pil"]
    except KeyError:
        return BitImageProcessorPil


def save_tiny_classifier(model_type: str, folder: Path) -> int:
    """Save a model and its processor, and return the side of its images.

    Raises:
        ImportError: it needs a package that is missing.
    """
    cls = classifiers()[model_type]
    config_class = CONFIG_MAPPING[model_type]
    fields = shrunk_fields(config_class) | SPECIAL.get(model_type, {})
    config = config_class(**{name: value for name, value in fields.items() if name != "model_type"})
    with quiet():
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in cls(config).parameters())
        assert size < LARGEST, f"{model_type} has {size} parameters"
        torch.manual_seed(0)
        model = cls(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=(2 * len(parameter) / parameter.numel()) ** 0.5)
        model.save_pretrained(folder)
        side = getattr(getattr(config, "vision_config", config), "image_size", 32)
        side = side if isinstance(side, int) else side[0]
        processor = processor_class(config)()
        try:
            processor = set_image_size(processor, side)
        except InputError:
            pass
        processor.save_pretrained(folder)
    return side
