"""Arguments of texts that a model writes: where they are read, how they are written, how they are scored."""

from __future__ import annotations

from dataclasses import dataclass

from ..generation import GenerationOptions


@dataclass(kw_only=True)
class Options(GenerationOptions):
    """Target texts"""

    target: str = "target"
    """Column of the text to write; the ending of its files where each language has a file of its own."""
    source_lang: str | None = None
    """Code of the source's language, for tokenizers of several languages (mBART, M2M100, NLLB)."""
    target_lang: str | None = None
    """Code of the target's language, with which the model starts its texts; for other models a word of the card."""
    max_target_length: int = 128
    """Tokens of a target, special ones included; the rest is cut."""
    label_smoothing: float = 0.0
    """Share of each target token's probability that is spread over the vocabulary, 0 to below 1; 0.1 is usual."""
    eval_generated: int = 200
    """Texts that are written and scored at each evaluation, greedily, out of the validation split; its loss is of all
    rows. 0 writes none: then the loss chooses the best model."""
    bleu_tokenize: str | None = None
    """How sacreBLEU divides texts into words: 13a, intl, zh, char, ja-mecab, ko-mecab; null is zh for Chinese (by
    target_lang), char for other targets without blanks between words, else 13a."""
    bleu_lowercase: bool = False
    """Lower-case texts before BLEU, as for a tokenizer that knows no capitals; its signature then says case:lc."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if not 0 <= self.label_smoothing < 1:
            found.append(f"label_smoothing is {self.label_smoothing}: it must be at least 0 and below 1, such as 0.1")
        if self.max_target_length < 2:
            found.append(
                f"max_target_length is {self.max_target_length}: it must be at least 2, for a token and the end"
            )
        if self.eval_generated < 0:
            found.append(f"eval_generated is {self.eval_generated}: it must be at least 0")
        return found
