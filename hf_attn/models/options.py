"""Arguments of the model: which one, its attention, and what of it is trained."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from .checkpoint import LabelSet

OF_LABELS = ("num_labels", "id2label", "label2id", "problem_type")
"""What a configuration says of the outputs of a head."""


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
    config_options: dict[str, Any] | None = None
    """Changes of the model's configuration before it is made, such as '{"hidden_dropout_prob": 0.2}'."""
    freeze: str | None = None
    """What is not trained: embeddings, encoder, or a regular expression on parameter names."""
    linear_probe: bool = False
    """Train the last module of the model alone, on an encoder that is not changed."""
    lora: int | None = None
    """Rank of low-rank adapters (LoRA); they, the head and the variant are trained. The saved model has them merged."""
    lora_alpha: float | None = None
    """LoRA's scale is lora_alpha / rank; null is 2 x rank."""
    lora_dropout: float = 0.0
    """Dropout before the adapters, a probability."""
    lora_targets: list[str] | None = None
    """Names of the linear layers that get adapters; null is the query and value projections, or PEFT's own choice."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if self.lora is not None and self.lora < 1:
            found.append(f"lora is {self.lora}: a rank is 1 or more, such as 8")
        if self.lora_alpha is not None and not 0 < self.lora_alpha < math.inf:
            found.append(f"lora_alpha is {self.lora_alpha}: it must be above 0, or null")
        if not 0 <= self.lora_dropout < 1:
            found.append(f"lora_dropout is {self.lora_dropout}: it must be at least 0 and below 1, such as 0.1")
        given = {"lora_alpha": self.lora_alpha, "lora_dropout": self.lora_dropout, "lora_targets": self.lora_targets}
        if self.lora is None and (idle := [name for name, value in given.items() if value]):
            found.append(f"{' and '.join(idle)} need --lora, the rank of the adapters")
        if asked := [name for name in OF_LABELS if name in (self.config_options or {})]:
            found.append(f"config_options has {', '.join(asked)}: the labels of the data say that")
        return found

    def check_model(self, *, tokenizer: bool = False) -> None:
        """Refuse what is wrong with these options before data is read or a model loaded.

        Args:
            tokenizer: whether the model's folder must have one.

        Raises:
            InputError: options that exclude each other, an unknown variant or option of it, or an unusable folder.
        """
        from ..attention import make_variant
        from . import check_text_model
        from .checkpoint_files import check_model_folder

        if (self.attention_kwargs or self.attention_include) and not self.attention:
            raise InputError("attention_kwargs and attention_include need --attention: `hf-attn list` prints the names")
        if asked := [name for name in ("dtype", "torch_dtype") if name in (self.config_options or {})]:
            raise InputError(f"config_options has {asked[0]}: give --dtype")
        if sum((self.linear_probe, self.freeze is not None, self.lora is not None)) > 1:
            raise InputError("--linear_probe, --freeze and --lora exclude each other: give one of them")
        if self.attention:
            try:
                make_variant(self.attention, 2, 8, self.attention_kwargs)
            except (ValueError, TypeError) as error:
                raise InputError(f"--attention: {error}") from None
        try:
            re.compile(self.attention_include)
        except re.error as error:
            raise InputError(
                f"attention_include {self.attention_include!r} is no regular expression: {error}"
            ) from None
        (check_text_model if tokenizer else check_model_folder)(self.model)

    def load_model(
        self,
        task: str,
        labels: LabelSet,
        adapt: Callable[[PreTrainedModel], object] | None = None,
        config_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> nn.Module:
        """Load the model for ``task``, and leave trainable what these options say.

        Args:
            task: as in ``models.load``.
            labels: what is predicted.
            adapt: changes the loaded model before anything is frozen or gets adapters.
            config_options: beside those of the arguments.
            **kwargs: more arguments of ``models.load``, such as the ``dtype`` of the weights; what is trained beside an
                encoder that is frozen whole is float32 all the same.

        Raises:
            InputError: whatever ``models.load`` refuses, or a part to freeze that is not there.
        """
        from .. import models

        model = models.load(
            self.model,
            task=task,
            labels=labels,
            attention=self.attention,
            attention_kwargs=self.attention_kwargs,
            include=self.attention_include,
            config_options={**(self.config_options or {}), **(config_options or {})},
            **kwargs,
        )
        if adapt:
            adapt(model)
        if self.linear_probe or self.freeze:
            models.freeze(model, self.freeze or "encoder")
        if self.lora is not None:
            lora = models.Lora(self.lora, self.lora_alpha, self.lora_dropout, self.lora_targets)
            adapted = models.add_lora(model, lora)
            models.train_in_float32(adapted)
            return adapted
        if self.linear_probe or self.freeze == "encoder":
            models.train_in_float32(model)
        return model
