"""What a text of a causal model begins and ends with."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from ..errors import InputError


def start_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token that a text of a causal model begins with: the tokenizer's start token, or else its end token.

    Raises:
        InputError: it has neither.
    """
    for token in (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id):
        if token is not None:
            return int(token)
    raise InputError(f"{tokenizer.name_or_path}: no token that a text can begin with: set tokenizer.bos_token")


def end_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token that ends a text of a causal model."""
    ends = (tokenizer.eos_token_id, tokenizer.sep_token_id)
    return next((int(token) for token in ends if token is not None), start_token(tokenizer))
