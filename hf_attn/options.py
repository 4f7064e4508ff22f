"""Arguments that recipes share beside those of training: the model, the texts, the loss, the Hub.

Each group does what it says: a recipe asks ``args.load_model(...)`` and ``args.losses(...)``, and stays short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from . import losses
from .errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .data import Labels

Batch = dict[str, Tensor]


@dataclass(kw_only=True)
class ModelOptions:
    """Model and attention"""

    model: str
    """Hub id or folder of a pretrained model, or the folder of an earlier run."""
    attention: str | None = None
    """Attention variant, a name of `hf-attn list`; null keeps the model's own attention."""
    attention_kwargs: dict[str, Any] | None = None
    """Options of the variant, such as '{"mix": 0.0}'; `hf-attn list` names them."""
    attention_include: str = ""
    """Regular expression on module names: the layers that get the variant, such as 'layer\\.[0-2]\\.'; '' is all."""
    freeze: str | None = None
    """What is not trained: embeddings, encoder, or a regular expression on parameter names."""
    linear_probe: bool = False
    """Train the head alone; the same as --freeze encoder."""
    lora: int | None = None
    """Rank of low-rank adapters (LoRA); they, the head and the variant are trained. The saved model has them merged."""
    lora_alpha: float | None = None
    """LoRA's scale is lora_alpha / rank; null is 2 x rank."""
    lora_dropout: float = 0.0
    """Dropout before the adapters, a probability."""
    lora_targets: list[str] | None = None
    """Names of the linear layers that get adapters; null is the query and value projections."""

    def check_model(self) -> None:
        """Refuse what is wrong with these options before data is read or a model loaded.

        Raises:
            InputError: options that exclude each other, an unknown variant or option of it, or an unusable folder.
        """
        from .attention import make_variant
        from .models.checkpoint_files import check_model_folder

        if (self.attention_kwargs or self.attention_include) and not self.attention:
            raise InputError("attention_kwargs and attention_include need --attention: `hf-attn list` prints the names")
        if sum((self.linear_probe, self.freeze is not None, self.lora is not None)) > 1:
            raise InputError("--linear_probe, --freeze and --lora exclude each other: give one of them")
        if self.attention:
            try:
                make_variant(self.attention, 2, 8, self.attention_kwargs)
            except (ValueError, TypeError) as error:
                raise InputError(f"--attention: {error}") from None
        check_model_folder(self.model)

    def load_model(self, task: str, labels: Labels) -> nn.Module:
        """Load the model for ``task``, and leave trainable what these options say.

        Raises:
            InputError: whatever ``models.load`` refuses, or a part to freeze that is not there.
        """
        from . import models

        model = models.load(
            self.model,
            task=task,
            labels=labels,
            attention=self.attention,
            attention_kwargs=self.attention_kwargs,
            include=self.attention_include,
        )
        if self.linear_probe or self.freeze:
            models.freeze(model, self.freeze or "encoder")
        if self.lora is None:
            return model
        return models.add_lora(model, models.Lora(self.lora, self.lora_alpha, self.lora_dropout, self.lora_targets))


@dataclass(kw_only=True)
class TextOptions:
    """Data"""

    dataset: str
    """Hub id, csv, tsv, json, jsonl or parquet file, or a folder of train, validation and test files."""
    subset: str | None = None
    """Configuration of a Hub dataset."""
    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, for pairs."""
    label: str | list[str] = "label"
    """Column of the label; several columns of 0 and 1, as '["a", "b"]', are a multi-label task."""
    label_names: str | None = None
    """Column with the names of numbered classes."""
    problem: Literal["single", "multi", "regression"] | None = None
    """One class, several labels or a number; null reads it off the label column."""
    validation_share: float = 0.1
    """Share of train that becomes the validation split where there is none."""
    test_share: float = 0.1
    """Share of train that becomes the test split where there is none."""
    max_length: int | None = 256
    """Tokens of a text, or of a pair, special ones included; the rest is cut. null is the model's own limit."""

    def load_texts(self, seed: int, limit: int | None) -> tuple[DatasetDict, Labels]:
        """Load and check the splits, and encode the labels.

        Raises:
            InputError: whatever cannot be used, all of it at once where that can be.
        """
        from . import data

        splits = data.load_splits(
            self.dataset,
            self.subset,
            seed=seed,
            validation=self.validation_share,
            test=self.test_share,
            label=self.label,
            kind=self.problem,
        )
        data.check_text(splits, self.text, self.text_pair, self.label)
        splits, labels = data.encode_labels(splits, self.label, kind=self.problem, label_names=self.label_names)
        return data.limit(splits, limit, seed), labels


@dataclass(kw_only=True)
class LossOptions:
    """Loss"""

    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes, 0 to below 1."""
    focal_gamma: float = 0.0
    """Focal loss: examples that are right with probability p count (1-p)^gamma; 0 is off, 2 is usual."""
    class_weights: str | None = None
    """balanced (by the counts in train) or numbers with commas, in the labels' order; null weighs all alike."""

    def losses(self, labels: Labels) -> tuple[Callable[[nn.Module, Batch], Tensor], Callable[[Batch], Tensor]]:
        """Return the loss summed over a batch, and the count of its items, as ``training.fit`` takes them.

        Raises:
            InputError: options that this kind of labels does not have, or weights that are not one a class.
        """
        if labels.kind == "regression":
            if self.label_smoothing or self.focal_gamma or self.class_weights:
                raise InputError(
                    "label_smoothing, focal_gamma and class_weights need classes; these labels are numbers"
                )
            return partial(_loss, criterion=losses.mse), partial(_count, weight=None)
        weight = self._weight(labels)
        function = losses.binary_cross_entropy if labels.kind == "multi" else losses.cross_entropy
        criterion = partial(function, weight=weight, label_smoothing=self.label_smoothing, focal_gamma=self.focal_gamma)
        return partial(_loss, criterion=criterion), partial(_count, weight=weight if labels.kind == "single" else None)

    def _weight(self, labels: Labels) -> Tensor | None:
        if self.class_weights is None:
            return None
        counts = torch.tensor(labels.counts, dtype=torch.float32)
        if self.class_weights == "balanced":
            rows = counts.sum()
            return rows / (len(counts) * counts) if labels.kind == "single" else (counts.max() / counts.clamp_min(1))
        try:
            weight = torch.tensor([float(number) for number in self.class_weights.split(",")])
        except ValueError:
            weight = torch.empty(0)
        if len(weight) != labels.num_labels or not bool((weight > 0).all()):
            raise InputError(
                f"class_weights {self.class_weights!r}: expected 'balanced', or {labels.num_labels} numbers above 0 "
                f"with commas, in the order {', '.join(labels.names[:5])}, …"
            )
        return weight


@dataclass(kw_only=True)
class HubOptions:
    """Hub"""

    push_to_hub: str | None = None
    """user/name: push the finished run there; needs a token (`hf auth login` or HF_TOKEN)."""
    private: bool = False
    """Make a new Hub repository private."""


def _loss(model: nn.Module, batch: Batch, criterion: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Loss of ``logits`` (batch, outputs), summed over the batch."""
    inputs = {name: tensor for name, tensor in batch.items() if name not in ("labels", "ids")}
    return criterion(model(**inputs).logits, batch["labels"])


def _count(batch: Batch, weight: Tensor | None) -> Tensor:
    return losses.item_count(batch["labels"], weight)
