"""Arguments of questions and their contexts."""

from __future__ import annotations

from dataclasses import dataclass

from ....data.options import DataOptions


@dataclass(kw_only=True)
class Options(DataOptions):
    """Questions and contexts"""

    question: str = "question"
    """Column of the question."""
    context: str = "context"
    """Column of the passage that answers it. In SQuAD's own files both are found where these have them."""
    max_length: int | None = 384
    """Tokens of the tokenizer in a window: the question, what of the context fits behind it, and special ones. A longer
    context is read in several windows; the question stands whole in each. null is the model's own limit."""
    stride: int | None = None
    """Tokens of the context that a window shares with the one before it, at most half of those that it has room for. An
    answer of more tokens may lie whole in none. (BERT's first doc_stride is the step, not what is shared.) null is a
    third of max_length."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if self.max_length is not None and self.max_length < 1:
            found.append(f"max_length is {self.max_length}: it must be above 0, or null")
        if self.stride is not None and self.stride < 0:
            found.append(f"stride is {self.stride}: it must be at least 0, or null")
        elif self.stride and self.max_length and self.stride >= self.max_length > 0:
            found.append(f"stride is {self.stride}: it must be below max_length, which is {self.max_length}")
        return found
