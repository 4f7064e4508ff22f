"""A recommender: a pretrained text encoder, and the attention over a history that stands on it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch

from ..errors import InputError
from ..interface.printable import one_line
from .checkpoint import checkpoint_config, from_checkpoint, head_options, load_whole
from .configuration import set_options
from .trainable import Lora, add_lora, freeze, train_in_float32

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

    from .checkpoint import LabelSet
    from .options import ModelOptions

logger = logging.getLogger(__name__)

TASK = "text-ranking"
VARIANT = ("attn_variant", "attn_variant_kwargs", "attn_variant_include")


@dataclass(kw_only=True)
class RecommenderOptions:
    """Attention over the history"""

    pooling: Literal["attention", "mean"] = "attention"
    """What is taken from a history: what the candidate attends to, or its plain mean, which attention has to beat."""
    hidden_size: int = 64
    """Channels of items, histories and the attention over them."""
    num_heads: int = 4
    """Heads of that attention."""
    num_factors: int = 32
    """Factors of each item, by alternating least squares on train's ratings: from them and a history's ratings a ridge
    regression tells what a user may like, which is an input of the score. 0 is without; so are histories without
    ratings."""
    item_dropout: float = 0.2
    """Share of items whose own embedding is left out in training, so that texts must do: new items have no other."""
    history_dropout: float = 0.1
    """Dropout below the last layer, a probability."""
    train_encoder: bool = False
    """Train the text encoder too; else it runs once over each item's text, and its states are kept in memory."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        for name in ("item_dropout", "history_dropout"):
            if not 0 <= getattr(self, name) < 1:
                found.append(f"{name} is {getattr(self, name)}: it must be at least 0 and below 1, such as 0.2")
        if self.hidden_size < 1 or self.num_heads < 1 or self.hidden_size % self.num_heads:
            found.append(
                f"hidden_size is {self.hidden_size} with {self.num_heads} heads: it must be a multiple of them"
            )
        if self.num_factors < 0:
            found.append(f"num_factors is {self.num_factors}: it must be at least 0, which is without")
        return found


def check(args: Any) -> None:
    """Refuse options of a recommender that exclude each other, before data is read.

    Args:
        args: of the run, :class:`RecommenderOptions` and :class:`.options.ModelOptions`.

    Raises:
        InputError: all of them.
    """
    wrong = []
    if args.pooling == "mean" and args.attention:
        wrong.append(
            f"--pooling mean weighs all items alike, and --attention {args.attention} does not: give one of them"
        )
    if args.linear_probe:
        wrong.append("--linear_probe: the encoder is frozen anyway, and all that stands on it is trained")
    if args.lora is not None and not args.train_encoder:
        wrong.append("--lora adapts the encoder, which is frozen: give --train_encoder too")
    if args.train_encoder and args.freeze == "encoder":
        wrong.append("--freeze encoder and --train_encoder exclude each other")
    if wrong:
        raise InputError("; ".join(wrong))


class Known(Protocol):
    """Items of train.

    Attributes:
        keys: (items,) int64, none of them twice, in order.
        bias: (items,) where biases start.
        factors: (items, factors); without columns where there are none.
    """

    keys: Tensor
    bias: Tensor
    factors: Tensor


@dataclass(frozen=True)
class Start:
    """What a recommender is made of.

    Attributes:
        encoder: of texts.
        earlier: the recommender that it is from, of which more is taken; None where there is none.
    """

    encoder: PreTrainedModel
    earlier: Any = None


def load_start(args: Any) -> Start:
    """Load the text encoder that the arguments name, or the recommender of an earlier run.

    Raises:
        InputError: what ``models.load`` refuses; a model that is no text encoder.
    """
    from ..attention.modeling_history import HfAttnHistoryConfig

    config = checkpoint_config(args.model)
    if isinstance(config, HfAttnHistoryConfig):
        earlier: Any = load_whole(args.model, task=TASK)
        return Start(earlier.encoder, earlier)
    return Start(_encoder(args, config))


def load_recommender(
    args: Any,
    target: LabelSet,
    start: Start,
    known: Known,
    *,
    ratings: tuple[float, float] | None,
    offset: float,
) -> nn.Module:
    """Put the attention over a history on an encoder, and leave trainable what the arguments say.

    Args:
        args: of the run.
        target: what is predicted.
        start: of :func:`load_start`; its encoder and its tokenizer agree.
        known: of the items that get an embedding, a bias and factors.
        ratings: mean and standard deviation of the ratings of histories in train; None where they have none.
        offset: score of a candidate of which nothing is known.

    Raises:
        InputError: sizes, a variant or layers of it that cannot be.
    """
    from ..attention import attention_layers
    from ..attention.dispatch import SLOT
    from ..attention.modeling_history import HfAttnHistoryConfig, HistoryForRecommendation

    encoder, earlier = start.encoder, start.earlier
    encoder.config._name_or_path, encoder.config.architectures = "", [type(encoder).__name__]
    own: dict[str, Any] = {}
    if args.attention:
        own = {"attn_variant": args.attention, "attn_variant_kwargs": args.attention_kwargs}
        own |= {"attn_variant_include": args.attention_include} if args.attention_include else {}
    elif earlier is not None:
        own = {name: getattr(earlier.config, name) for name in VARIANT}
    try:
        made = HfAttnHistoryConfig(
            encoder_config=encoder.config,
            hidden_size=args.hidden_size,
            num_attention_heads=args.num_heads,
            history_pooling=args.pooling,
            history_length=args.history_length,
            num_items=len(known.keys),
            num_factors=known.factors.shape[1],
            item_dropout=args.item_dropout,
            history_dropout=args.history_dropout,
            reads_ratings=ratings is not None,
            rating_mean=ratings[0] if ratings else 0.0,
            rating_scale=ratings[1] if ratings else 1.0,
            offset=offset,
            **own,
            **head_options(target),
        )
        model = HistoryForRecommendation(made, encoder=encoder)
    except (ValueError, TypeError) as error:
        raise InputError(f"{args.model}: {one_line(error)}") from error
    inside = [name for name, layer in attention_layers(model.encoder).items() if hasattr(layer, SLOT)]
    if args.attention_include and inside and not args.train_encoder:
        raise InputError(
            f"attention_include {args.attention_include!r} puts the variant into the encoder ({inside[0]}), which is "
            "frozen: give --train_encoder too"
        )
    with torch.no_grad():
        model.items.keys.copy_(known.keys)
        model.items.bias.copy_(known.bias.unsqueeze(1))
        if known.factors.shape[1]:
            model.items.factors.copy_(known.factors)
    if earlier is not None:
        _take_over(model, earlier)
    return _trained(model, args)


def _encoder(args: Any, config: PreTrainedConfig) -> PreTrainedModel:
    """The encoder of a checkpoint, without a pooling layer, and with changes of its configuration."""
    from ..attention.backbones import encoder_class, encoder_options

    set_options(config, args.config_options or {})
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(f"{args.model}: {config.model_type} is an encoder and a decoder: expected an encoder of texts")
    try:
        cls = encoder_class(config)
        options = encoder_options(cls, config)
        dtype = getattr(torch, args.dtype)
        return from_checkpoint(cls, args.model, config, converted=False, headless=True, dtype=dtype, **options)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{args.model}: {one_line(error)}") from error


@torch.no_grad()
def _take_over(model: Any, earlier: Any) -> None:
    """Copy what an earlier recommender has of the same shape, and the rows of the items that it knows."""
    mine, theirs = model.state_dict(), earlier.state_dict()
    same = [name for name, values in theirs.items() if name in mine and values.shape == mine[name].shape]
    for name in same:
        if not name.startswith("items."):
            mine[name].copy_(theirs[name])
    rows, known = earlier.items.places(model.items.keys)
    known = known.squeeze(-1)
    if earlier.items.embedding.shape[1] == model.items.embedding.shape[1] and len(rows):
        model.items.embedding[known] = earlier.items.embedding[rows[known]]
        model.items.bias[known] = earlier.items.bias[rows[known]]
    new = sorted(name for name in mine if name not in same and not name.startswith("items."))
    logger.info(
        "an earlier recommender: it knows %d of %d items; new: %s",
        int(known.sum()),
        len(known),
        ", ".join(new) or "nothing",
    )


def _trained(model: Any, args: ModelOptions) -> nn.Module:
    """Leave trainable what the arguments say."""
    if not args.train_encoder:  # type: ignore[attr-defined]
        model.encoder.requires_grad_(False)
    if args.freeze not in (None, "encoder"):
        freeze(model, args.freeze)
    if args.lora is not None:
        model = add_lora(model, Lora(args.lora, args.lora_alpha, args.lora_dropout, args.lora_targets))
    train_in_float32(model)
    return model
