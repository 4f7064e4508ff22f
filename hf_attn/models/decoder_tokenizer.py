"""The tokenizer of a decoder that writes in other tokens than its encoder reads: kept beside the encoder's.

The model's configuration names its vocabulary by a digest, so that no other one is taken for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..interface.printable import one_line

FOLDER = "decoder_tokenizer"
"""Where it is saved, in the folder of the model."""
KEY = "decoder_tokenizer"
"""Attribute of the encoder's tokenizer that is it, and of the model's configuration that is its digest."""


def digest(tokenizer: Any) -> str:
    """Return the sha256 of a vocabulary, tokens with their ids, as hex digits."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def put_beside(tokenizer: Any, decoders: Any) -> Any:
    """Return an encoder's tokenizer that has its decoder's beside it, in place."""
    setattr(tokenizer, KEY, decoders)
    return tokenizer


def writer(tokenizer: Any, config: Any = None) -> Any:
    """Return the tokenizer that a model writes with: the one beside its encoder's, or the same one.

    Args:
        tokenizer: of the encoder, or of both; None stays None.
        config: of the model, that may say which one it has to be.

    Raises:
        InputError: the model writes in tokens of its own, and these are not beside the tokenizer.
    """
    own, beside = getattr(config, KEY, None), getattr(tokenizer, KEY, None)
    if tokenizer is None or own is None:
        return tokenizer if beside is None else beside
    if beside is None or digest(beside) != own:
        what = "has none beside it" if beside is None else "has that of another model beside it"
        raise InputError(
            f"the model's decoder has a tokenizer of its own, and the given one {what}: leave processor out, or give "
            "hf_attn.models.load_tokenizer(RUN), which loads both"
        )
    return beside


def load_beside(name: str | Path, tokenizer: Any) -> Any:
    """Load the tokenizer of a checkpoint's decoder, where it has one of its own, beside the encoder's.

    Args:
        name: folder or Hub id.
        tokenizer: of the encoder.

    Raises:
        InputError: it is missing, or has other tokens than the decoder was trained with.
    """
    from transformers import AutoTokenizer, PreTrainedConfig

    try:
        own = PreTrainedConfig.get_config_dict(str(name))[0].get(KEY)
    except OSError:  # a tokenizer alone, or with an adapter
        own = None
    if own is None:
        return tokenizer
    try:
        found = AutoTokenizer.from_pretrained(str(name), subfolder=FOLDER, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise InputError(
            f"model {str(name)!r}: the tokenizer of its decoder cannot be loaded from its folder {FOLDER}: bring that "
            f"from where the model was saved. {one_line(error)}"
        ) from error
    if digest(found) != own:
        raise InputError(
            f"model {str(name)!r}: the tokenizer in its folder {FOLDER} has other tokens than its decoder was trained "
            "with: bring the one that was saved with the model"
        )
    return put_beside(tokenizer, found)


def save(processor: Any, folder: Path) -> None:
    """Save a tokenizer, with the decoder's beside it, or an image processor."""
    processor.save_pretrained(folder)
    if (beside := getattr(processor, KEY, None)) is not None:
        beside.save_pretrained(folder / FOLDER)
