"""Put an attention head on a pretrained image encoder."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from ..attention import model_class_for, swap_attention
from ..attention.backbones import describe, encoder_class, encoder_options, without_classifier
from ..attention.conversion import variant_config
from ..attention.modeling_attention_head import AttentionHeadForImageClassification, HfAttnHeadConfig
from ..attention.pooling import HEADS
from ..attention.unsaved import name_unsaved
from ..errors import InputError
from ..interface.printable import one_line
from .checkpoint import from_checkpoint, load_whole
from .task_class import POOLED

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Head:
    """A head, and the attention of the encoder below it.

    Raises:
        InputError: the task takes no such head, or there is none of that name.
    """

    task: str
    name: str | None
    options: Mapping[str, Any] | None = None
    attention: str | None = None
    attention_kwargs: Mapping[str, Any] | None = None
    include: str = ""

    def __post_init__(self) -> None:
        wrong = []
        if self.task != POOLED:
            wrong.append(f"task {self.task!r} takes no pooling head, only {POOLED} does")
        if self.name is None:
            wrong.append(f"head_kwargs={dict(self.options or {})} need a head, one of {', '.join(HEADS)}")
        elif self.name not in HEADS:
            wrong.append(f"head {self.name!r}: expected one of {', '.join(HEADS)}")
        if wrong:
            raise InputError("; ".join(wrong))


def load_with_head(
    name: str, config: PreTrainedConfig, head: Head, labels: Mapping[str, Any], **kwargs: Any
) -> PreTrainedModel:
    """Load the encoder of a checkpoint, whatever head that has, and put a new head on it.

    Args:
        name: Hub id or folder.
        config: of the checkpoint.
        head: what to put on.
        labels: what the configuration says of the labels; empty is the checkpoint's own.
        **kwargs: for ``from_pretrained``.

    Raises:
        InputError: the checkpoint is no image encoder, the head or the attention variant cannot be put on it, or the
            library that it runs on is not installed.
    """
    own = {key: getattr(config, key) for key in ("id2label", "label2id", "problem_type")}
    try:
        encoder = load_encoder(name, config, head, **kwargs)
        encoder.config.num_labels = 2  # transformers' default: labels are the head's affair
        encoder.config._name_or_path, encoder.config.architectures = "", [type(encoder).__name__]
        head_config = HfAttnHeadConfig(
            backbone_config=encoder.config,
            head=head.name or "",
            head_kwargs=head.options,
            **(labels or own),
        )
        model = AttentionHeadForImageClassification(head_config, backbone=encoder).to(encoder.dtype)  # type: ignore[arg-type]
    except InputError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{name}: {one_line(error)}") from error
    new = (key for key, _ in model.named_parameters() if not key.startswith(f"{model.base_model_prefix}."))
    logger.info("new parameters: %s", ", ".join(sorted(new)))
    return name_unsaved(model, f"head {head.name!r} on {name}").eval()


def load_encoder(name: str, config: PreTrainedConfig, head: Head, **kwargs: Any) -> PreTrainedModel:
    """Load the encoder of a checkpoint, with the attention that was asked for.

    Raises:
        ValueError: there is none, or it cannot take the variant.
    """
    if isinstance(config, HfAttnHeadConfig):
        encoder: Any = load_whole(name, task=POOLED, **kwargs).backbone
        if head.attention is None:
            return encoder
        return swap_attention(encoder, head.attention, head.include, **dict(head.attention_kwargs or {}))
    config = getattr(config, "vision_config", config)
    cls = encoder_class(config)
    describe(config, 1)
    options = encoder_options(cls, config)
    if head.attention is not None:
        cls = model_class_for(cls)
        config = variant_config(config, head.attention, head.attention_kwargs, head.include)
    converted = head.attention is not None
    encoder = from_checkpoint(cls, name, config, converted=converted, headless=True, **options, **kwargs)
    return without_classifier(encoder)
