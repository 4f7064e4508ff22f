"""A tokenizer made of texts: pieces by byte-pair encoding, over bytes, so that no text is unknown to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

START, PAD, END, UNKNOWN, MASK = SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""In the order of their ids, which is BART's."""
BYTES = 256


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train byte-pair encoding (Sennrich et al. 2016) over bytes; each text gets ``</s>`` behind it.

    What is decoded is what was encoded, but for blanks at its ends; there is no unknown token.

    Args:
        texts: of the training split; the same in any order give the same tokenizer.
        vocab_size: tokens at most, special ones and the 256 bytes included; few texts make fewer.

    Raises:
        InputError: no room for the bytes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocab_size < BYTES + len(SPECIAL):
        raise InputError(f"vocab_size is {vocab_size}: the bytes and special tokens alone are {BYTES + len(SPECIAL)}")
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL), initial_alphabet=sorted(alphabet), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, made.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=START,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        mask_token=MASK,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
