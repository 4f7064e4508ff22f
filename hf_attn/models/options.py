"""Arguments of the model: which one, its attention, and what of it is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

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
