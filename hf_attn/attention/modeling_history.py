"""Recommendation from texts: a candidate attends to what a user met before, and gets a score.

``HistoryForRecommendation`` takes any text encoder of ``AutoModel`` and an attention over the history, whose variant is
chosen as in every other model here. This file and its neighbours are saved beside the weights, so that
``from_pretrained(..., trust_remote_code=True)`` works without the package.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel, initialization
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput

from .backbones import build_encoder, config_of
from .dispatch import attend
from .modeling_hf_attn import HfAttnMixin
from .start_values import fill_new_layers

POOLINGS = ("attention", "mean")
FACTOR = 6364136223846793005
"""Odd number by which keys of items are made: Knuth's for linear congruences."""
WINDOWS = (5, 20)
"""Last ratings whose mean is an input, beside the mean of all."""
FEATURES = 2 * (len(WINDOWS) + 1) + 1
RIDGE = 0.3
"""Penalty of a user's factors, a rating."""


class HfAttnHistoryConfig(PreTrainedConfig):
    """An encoder's configuration, whole, and what stands on it.

    Args:
        encoder_config: of the text encoder; what ``to_dict`` gives of one is read back.
        hidden_size: of the attention over the history.
        num_attention_heads: of it.
        history_pooling: ``attention``: the candidate attends to the history; ``mean``: plain mean, whatever the
            candidate is.
        history_length: items of a history that are read, the last ones.
        num_items: items that the model was trained with, which have an embedding and a bias of their own.
        num_factors: of each such item, by which ratings of others tell what a user may like; 0 is without.
        item_dropout: share of items whose own embedding is left out in training, so that texts alone must do.
        history_dropout: on the features below the last layer, in training.
        reads_ratings: whether histories had ratings in training; without, none are read.
        rating_mean: of the ratings in training; they are read as differences from it.
        rating_scale: their standard deviation, in which they are read.
        offset: the score of a candidate of which nothing is known: log-odds of being liked, or a rating.
        attn_variant: of the attention over the history, a name of ``list_variants``.
        attn_variant_kwargs: options of it.
        attn_variant_include: a regular expression on module names: which layers have it, those of the encoder too.
    """

    model_type = "hf_attn_history"

    def __init__(
        self,
        encoder_config: PreTrainedConfig | Mapping[str, Any] | None = None,
        hidden_size: int = 64,
        num_attention_heads: int = 4,
        history_pooling: str = "attention",
        history_length: int = 50,
        num_items: int = 0,
        num_factors: int = 0,
        item_dropout: float = 0.2,
        history_dropout: float = 0.1,
        reads_ratings: bool = True,
        rating_mean: float = 0.0,
        rating_scale: float = 1.0,
        offset: float = 0.0,
        attn_variant: str = "dot_product",
        attn_variant_kwargs: Mapping[str, Any] | None = None,
        attn_variant_include: str = r"^cross_attention$",
        **kwargs: Any,
    ) -> None:
        if isinstance(encoder_config, Mapping):
            encoder_config = config_of(dict(encoder_config))
        self.encoder_config = encoder_config
        self.hidden_size, self.num_attention_heads = hidden_size, num_attention_heads
        self.history_pooling, self.history_length, self.num_items = history_pooling, history_length, num_items
        self.num_factors, self.item_dropout, self.history_dropout = num_factors, item_dropout, history_dropout
        self.reads_ratings, self.rating_mean, self.rating_scale = reads_ratings, rating_mean, rating_scale
        self.offset = offset
        self.attn_variant, self.attn_variant_include = attn_variant, attn_variant_include
        self.attn_variant_kwargs = dict(attn_variant_kwargs) if attn_variant_kwargs else None
        super().__init__(**kwargs)


HfAttnHistoryConfig.attn_base = HfAttnHistoryConfig  # type: ignore[attr-defined]  # it has a variant, and no other base


@dataclass
class RecommendationOutput(ModelOutput):
    """What the model gives.

    Attributes:
        loss: mean over the batch, where labels are given.
        logits: (rows, labels) of the first candidate of each row.
        scores: (rows, candidates), the higher the better; log-odds of being liked, or ratings.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    scores: Tensor | None = None


class HistoryAttention(nn.Module):
    """Attention of candidates over a history, through transformers' attention interface.

    Args:
        config: of the model.
    """

    is_causal = False

    def __init__(self, config: HfAttnHistoryConfig) -> None:
        super().__init__()
        self.config = config
        self.num_attention_heads = config.num_attention_heads
        self.attention_head_size = config.hidden_size // config.num_attention_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)  # softmax sees no bias of keys
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, candidate: Tensor, history: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Return what the candidates find, (rows, candidates, hidden).

        Args:
            candidate: (rows, candidates, hidden).
            history: (rows, items, hidden), of which keys are made.
            value: (rows, items, hidden), of which values are made.
            mask: (rows, items) bool, True where there is an item; a row without any finds nothing, 0.
        """
        query, key = self.heads(self.q_proj(candidate)), self.heads(self.k_proj(history))
        value = self.heads(self.v_proj(value))
        if self.config.history_pooling == "mean":
            query = query * 0.0
        attention = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, attend)
        keep = mask[:, None, None].expand(-1, -1, candidate.shape[1], -1)
        return self.o_proj(attention(self, query, key, value, keep)[0].flatten(2))

    def heads(self, states: Tensor) -> Tensor:
        """Return (rows, heads, items, size) of (rows, items, hidden)."""
        return states.unflatten(-1, (self.num_attention_heads, self.attention_head_size)).transpose(1, 2)


class ItemMemory(nn.Module):
    """What was learned of the items that a model was trained with, which are known by the keys of their tokens.

    Args:
        num_items: how many there are.
        size: of an embedding.
        num_factors: of an item; they stay as they were made of all ratings of train.
    """

    keys: Tensor
    factors: Tensor

    def __init__(self, num_items: int, size: int, num_factors: int = 0) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(num_items, dtype=torch.int64))
        if num_factors:
            self.register_buffer("factors", torch.empty(num_items, num_factors))
        self.embedding = nn.Parameter(torch.empty(num_items, size))
        self.bias = nn.Parameter(torch.empty(num_items, 1))

    def reset_parameters(self) -> None:
        """Start with nothing learned, and with items that no text is."""
        initialization.normal_(self.embedding, std=0.02)
        initialization.zeros_(self.bias)
        initialization.copy_(self.keys, torch.arange(len(self.keys)))
        if hasattr(self, "factors"):
            initialization.zeros_(self.factors)

    def factors_of(self, keys: Tensor) -> Tensor:
        """Return the factors of items, (items, factors); 0 of what is not known."""
        rows, known = self.places(keys)
        return self.factors[rows] * known

    def places(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row of each key, (items,), and whether it is known, (items, 1)."""
        if not len(self.keys):
            return keys.new_zeros(len(keys)), keys.new_zeros(len(keys), 1, dtype=torch.bool)
        rows = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return rows, (self.keys[rows] == keys).unsqueeze(-1)

    def forward(self, keys: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """Return embeddings (items, size) and biases (items,); 0 of what is not known, and of embeddings dropped."""
        rows, known = self.places(keys)
        if not len(self.keys):
            return self.embedding.new_zeros(len(keys), self.embedding.shape[1]), self.bias.new_zeros(len(keys))
        bias = (F.embedding(rows, self.bias) * known).squeeze(-1)
        if self.training and dropout:
            known = known & (torch.rand(known.shape, device=known.device) >= dropout)
        return F.embedding(rows, self.embedding) * known, bias


def keys_of(input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """Return a number for each item that hangs on its tokens alone, (items,) int64, whatever the padding.

    Args:
        input_ids: (items, tokens).
        attention_mask: (items, tokens); 0 at padding.
    """
    there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    keys = torch.zeros(len(input_ids), dtype=torch.int64, device=input_ids.device)
    for tokens, real in zip(input_ids.unbind(1), there.bool().unbind(1), strict=True):
        keys = torch.where(real, keys * FACTOR + tokens + 1, keys)
    return keys


def check_config(config: HfAttnHistoryConfig) -> None:
    """Raise ValueError with all that does not fit in a configuration."""
    wrong = []
    if config.encoder_config is None:
        wrong.append("encoder_config is missing: give the configuration of a text encoder")
    if config.hidden_size % config.num_attention_heads:
        wrong.append(f"hidden_size {config.hidden_size} is not divisible by {config.num_attention_heads} heads")
    if config.history_pooling not in POOLINGS:
        wrong.append(f"history_pooling {config.history_pooling!r}: expected one of {', '.join(POOLINGS)}")
    if config.history_length < 1:
        wrong.append(f"history_length {config.history_length}: expected at least 1")
    if config.num_factors and not config.num_items:
        wrong.append(f"num_factors {config.num_factors} without items that have them: give num_items too")
    if config.num_labels not in (1, 2):
        wrong.append(f"{config.num_labels} labels: expected 2, liked or not, or 1, a rating")
    if wrong:
        raise ValueError(f"{type(config).__name__}: {'; '.join(wrong)}")


class HistoryRecommender(PreTrainedModel):
    """The architecture of :class:`HistoryForRecommendation`, of which that is the class with an attention variant."""

    config_class = HfAttnHistoryConfig
    base_model_prefix = "encoder"
    main_input_name = "candidate"
    input_modalities = ["text"]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: HfAttnHistoryConfig, encoder: PreTrainedModel | None = None) -> None:
        check_config(config)
        super().__init__(config)
        size = config.hidden_size
        self.num_labels: int = config.num_labels  # type: ignore[assignment]
        self.encoder = build_encoder(config.encoder_config) if encoder is None else encoder  # type: ignore[arg-type]
        self._no_split_modules = list(self.encoder._no_split_modules or ())
        self.supports_gradient_checkpointing = self.encoder.supports_gradient_checkpointing
        self.text_projection = nn.Linear(self.encoder.config.get_text_config().hidden_size, size)
        self.items = ItemMemory(config.num_items, size, config.num_factors)
        self.rating_projection = nn.Linear(3, size)
        self.recency = nn.Embedding(config.history_length, size)
        self.history_norm, self.candidate_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.cross_attention = HistoryAttention(config)
        self.found_norm = nn.LayerNorm(size)
        features = FEATURES + 1 + (config.num_factors > 0)
        self.hidden = nn.Linear(3 * size + features, size)
        self.dropout = nn.Dropout(config.history_dropout)
        self.score = nn.Linear(size + features, 1)
        self.post_init()

    @torch.no_grad()
    def initialize_weights(self) -> None:
        """Fill what is new, then the rest."""
        fill_new_layers(self)
        super().initialize_weights()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self.score:  # what is known of no candidate is the score of all
            start = torch.zeros_like(module.weight)  # type: ignore[arg-type]
            start[:, -1 - (self.config.num_factors > 0) :] = 1.0  # and its own bias, and what its factors say
            initialization.copy_(module.weight, start)  # type: ignore[arg-type]
            initialization.constant_(module.bias, self.config.offset)  # type: ignore[arg-type]
        elif isinstance(module, nn.Linear):
            initialization.xavier_uniform_(module.weight)
            if module.bias is not None:
                initialization.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            initialization.zeros_(module.weight)
        elif isinstance(module, nn.LayerNorm):
            initialization.ones_(module.weight)
            initialization.zeros_(module.bias)

    def train(self, mode: bool = True) -> "HistoryRecommender":
        """Switch the mode; an encoder of which nothing is trained stays in evaluation mode, without dropout."""
        super().train(mode)
        if mode and not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None, **inputs: Any) -> Tensor:
        """Return the mean of the encoder's last states over the tokens of each item, (items, channels)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        there = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        weight = there.to(states.dtype).unsqueeze(-1)
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)

    def forward(
        self,
        candidate: Tensor,
        history: Tensor,
        ratings: Tensor | None = None,
        history_mask: Tensor | None = None,
        older: Tensor | None = None,
        item_states: Tensor | None = None,
        item_keys: Tensor | None = None,
        item_factors: Tensor | None = None,
        group: Tensor | None = None,
        labels: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **inputs: Any,
    ) -> RecommendationOutput:
        """Score candidates.

        Args:
            candidate: (rows, candidates), or (rows,), numbers of items of the batch.
            history: (rows, items) likewise, the oldest first; the last ``history_length`` are read.
            ratings: (rows, items); NaN where there is none. None is none at all.
            history_mask: (rows, items) bool, False where there is no item; None is that all are there.
            older: (rows, 2) number and sum of the ratings before those items; None is that there are none, or no more
                than are cut off here.
            item_states: (items, channels) of :meth:`encode`; None encodes ``input_ids``.
            item_keys: (items,) of :func:`keys_of`, with ``item_states``.
            item_factors: (items, groups, factors) in place of the model's own, in training.
            group: (rows,) which of these each row reads.
            labels: (rows,) classes, 1 being liked, or ratings.
            input_ids: (items, tokens), of the texts of all items of the batch.
            attention_mask: (items, tokens); 0 at padding.
            **inputs: further arguments of the encoder.
        """
        if item_states is None:
            if input_ids is None:
                raise ValueError("the texts of the items are missing: give input_ids, or item_states and item_keys")
            item_states = self.encode(input_ids, attention_mask, **inputs)
            item_keys = keys_of(input_ids, attention_mask)
        if item_keys is None:
            raise ValueError("item_states need item_keys: by them items are known")
        candidate = candidate if candidate.dim() > 1 else candidate.unsqueeze(1)
        length = self.config.history_length
        mask = torch.ones_like(history, dtype=torch.bool) if history_mask is None else history_mask
        if ratings is None or not self.config.reads_ratings:
            ratings = torch.full(history.shape, torch.nan, device=history.device)
        known = mask & ~ratings.isnan()
        cut_off = [part[:, :-length].sum(1) for part in (known.float(), ratings.nan_to_num() * known)]
        before = torch.stack(cut_off, 1) + (0.0 if older is None or not self.config.reads_ratings else older)
        history, mask, ratings = (given[:, -length:] for given in (history, mask, ratings))
        factors: tuple[Tensor, ...] | None = None
        if self.config.num_factors and item_factors is not None:
            assert group is not None
            factors = tuple(item_factors[places, group[:, None]] for places in (history, candidate))
        elif self.config.num_factors:
            own = self.items.factors_of(item_keys)
            factors = (own[history], own[candidate])
        scores = self.scores(candidate, history, ratings, mask, before, item_states, item_keys, factors)
        first = scores[:, :1]
        logits = first if self.num_labels == 1 else torch.cat([-first / 2, first / 2], 1)
        loss = None
        if labels is not None and self.num_labels == 1:
            loss = F.mse_loss(logits.squeeze(-1), labels.to(logits.dtype))
        elif labels is not None:
            loss = F.cross_entropy(logits, labels)
        return RecommendationOutput(loss=loss, logits=logits, scores=scores)

    def scores(
        self,
        candidate: Tensor,
        history: Tensor,
        ratings: Tensor,
        mask: Tensor,
        older: Tensor,
        states: Tensor,
        keys: Tensor,
        factors: Iterable[Tensor] | None = None,
    ) -> Tensor:
        """Return the scores of candidates, (rows, candidates); arguments as of :meth:`forward`.

        ``factors`` are those of the items of the history, (rows, items, factors), and of the candidates.
        """
        embedding, bias = self.items(keys, self.config.item_dropout)
        items = self.text_projection(states.to(self.text_projection.weight.dtype)) + embedding
        told, features = self.rated(ratings, bias[history], mask, older)
        age = torch.arange(history.shape[1] - 1, -1, -1, device=history.device)
        texts = self.history_norm(items[history])
        met = texts + self.recency(age) + self.rating_projection(told)
        asked = self.candidate_norm(items[candidate])
        liked = met + told[..., -1:] * texts  # above or below what the user gives otherwise
        found = self.found_norm(self.cross_attention(asked, met, liked, mask))
        features = features.unsqueeze(1).expand(-1, candidate.shape[1], -1)
        features = torch.cat([features, bias[candidate].unsqueeze(-1)], -1)
        if factors is not None:
            features = torch.cat([features, liking(told[..., -1], *factors).unsqueeze(-1)], -1)
        seen = torch.cat([found, asked, found * asked, features], -1)
        hidden = self.dropout(F.gelu(self.hidden(seen)))
        return self.score(torch.cat([hidden, features], -1)).squeeze(-1)

    def rated(self, ratings: Tensor, bias: Tensor, mask: Tensor, older: Tensor) -> tuple[Tensor, Tensor]:
        """Return what ratings say of the items, (rows, items, 3), and of the user, (rows, features).

        Args:
            ratings: (rows, items); NaN where there is none.
            bias: (rows, items) of the items.
            mask: (rows, items) bool.
            older: (rows, 2) number and sum of older ratings.
        """
        there = (mask & ~ratings.isnan()).float()
        rating = (ratings.nan_to_num() - self.config.rating_mean) / self.config.rating_scale * there
        left = (rating - bias) * there
        count, total = older[:, :1], (older[:, 1:] - older[:, :1] * self.config.rating_mean) / self.config.rating_scale
        zero = torch.zeros_like(count)
        means = [_mean(values, there, window, zero, zero) for values in (rating, left) for window in WINDOWS]
        means += [_mean(values, there, None, count, total) for values in (rating, left)]
        own = (left - means[-1]) * there
        many = torch.log1p(mask.sum(1, keepdim=True).float()) / 3
        return torch.stack([rating, left, own], -1), torch.cat([*means, many], 1)


def liking(left: Tensor, history: Tensor, candidate: Tensor) -> Tensor:
    """Return how much somebody may like candidates, (rows, candidates), by ridge regression on factors of items.

    ``x = (Σ q_i q_iᵀ + λ n I)⁻¹ Σ q_i r_i`` are the factors of a user of n ratings, and ``x·q`` is the liking (Zhou et
    al. 2008, section 3.1): a user that no training has seen is folded in.

    Args:
        left: (rows, items) of each rating r, what the item and the user do not explain; 0 where there is none.
        history: (rows, items, factors) q of the items.
        candidate: (rows, candidates, factors) q of the candidates.
    """
    with torch.autocast(left.device.type, enabled=False):
        wide = torch.promote_types(left.dtype, torch.float32)
        left, history, candidate = left.to(wide), history.to(wide), candidate.to(wide)
        history = history * (left != 0).unsqueeze(-1)
        count = (left != 0).sum(1).clamp(min=1)
        ridge = RIDGE * count[:, None, None] * torch.eye(history.shape[-1], dtype=wide, device=left.device)
        found = torch.linalg.solve(history.mT @ history + ridge, history.mT @ left.unsqueeze(-1))
        return (candidate @ found).squeeze(-1)


def _mean(values: Tensor, there: Tensor, window: int | None, count: Tensor, total: Tensor) -> Tensor:
    """Return the mean of the last values that are there, and of older ones, (rows, 1), with one more that is 0."""
    if window is not None:
        newer = there.flip(1).cumsum(1).flip(1)
        there = there * (newer <= window)
    return ((values * there).sum(1, keepdim=True) + total) / (there.sum(1, keepdim=True) + count + 1)


class HistoryForRecommendation(HfAttnMixin, HistoryRecommender):
    """Score of a candidate for somebody who met these items before.

    An item is its text, encoded and projected, and what was learned of it where the model was trained with it: an
    embedding and a bias. It is known by its tokens, so that texts alone are enough to predict:
    ``s = w·[mlp(a, c, a⊙c, f, b_c, l), f, b_c, l] + offset``, c being the candidate, b_c its bias, a what it finds by
    attention in the history, f how the last ratings and all ratings lie above their mean and above the items' biases,
    l what the factors of the items say (:func:`liking`), where there are any.

    Args:
        config: of the encoder and all that stands on it.
        encoder: in hand, of ``config.encoder_config``; None makes a new one.

    Raises:
        ValueError: no encoder, or sizes and options that do not fit.
    """


HistoryForRecommendation.attn_base = HistoryForRecommendation  # type: ignore[attr-defined]
AutoConfig.register(HfAttnHistoryConfig.model_type, HfAttnHistoryConfig, exist_ok=True)
HfAttnHistoryConfig.register_for_auto_class()
AutoModel.register(HfAttnHistoryConfig, HistoryForRecommendation, exist_ok=True)
HistoryForRecommendation.register_for_auto_class("AutoModel")
