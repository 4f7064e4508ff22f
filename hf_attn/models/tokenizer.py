"""Load the tokenizer of a checkpoint, and say what is wrong with a folder that has none."""

import re
from importlib.util import find_spec
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..errors import InputError
from ..interface.printable import one_line
from .adapter_files import base_of, is_adapter
from .checkpoint import quietly
from .checkpoint_files import check_model_folder
from .configuration import load_config
from .decoder_tokenizer import load_beside

TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def check_text_model(source: str | Path) -> None:
    """Refuse a model folder as :func:`.checkpoint_files.check_model_folder` does, and one without a tokenizer.

    Raises:
        InputError: what is wrong with it.
    """
    check_model_folder(source, also=tokenizer_faults)


def tokenizer_faults(folder: Path) -> list[str]:
    """Return why a folder's tokenizer, or that of an adapter's base, is not there; what AutoTokenizer loads is.

    Some have no vocabulary (CANINE, ByT5), so that a file of an unknown name, or none, is no fault by itself.
    """
    if any((folder / name).exists() for name in TOKENIZERS):
        return []
    if is_adapter(folder) and not (folder / "tokenizer_config.json").exists():
        base = base_of(folder)
        return tokenizer_faults(Path(base)) if Path(base).is_dir() else []
    try:
        load_tokenizer(folder, checked=True)
    except InputError as error:
        reason = str(error).partition(": its tokenizer cannot be loaded. ")[2]
        found = ", ".join(TOKENIZERS) + (f"; {reason}" if reason else "")
        return [
            f"the tokenizer is missing (none of {found}): save the one that the model was trained with there, by "
            "tokenizer.save_pretrained(folder)"
        ]
    return []


def load_tokenizer(name: str | Path, *, checked: bool = False) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint; an adapter that was saved without one has that of its base.

    A decoder's own one is loaded beside it: see :mod:`.decoder_tokenizer`.

    Args:
        name: folder or Hub id.
        checked: whether the folder's files were looked at already.

    Raises:
        InputError: it has none that can be loaded, where transformers would make one without a vocabulary; or the
            decoder's is missing, or another.
    """
    if not checked:
        check_text_model(name)
    if is_adapter(name) and not (Path(name) / "tokenizer_config.json").exists():
        return load_tokenizer(base_of(name))
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(str(name), trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises nothing narrower
        if (Path(name) / "config.json").is_file():
            load_config(str(name))  # says so where that is at fault
        reason = one_line(error)
        if find_spec("sentencepiece") is None and re.search("sentencepiece|tiktoken", reason, re.IGNORECASE):
            reason = "It is a SentencePiece model: pip install sentencepiece, or bring its tokenizer.json"
        raise InputError(f"model {str(name)!r}: its tokenizer cannot be loaded. {reason}") from error
    longest = tokenizer.model_max_length
    if not isinstance(longest, int | float):
        raise InputError(f"model {str(name)!r}: model_max_length of its tokenizer is {longest!r}: expected a number")
    if not has_vocabulary(tokenizer):
        raise InputError(f"model {str(name)!r} has a tokenizer without a vocabulary: it needs its tokenizer.json")
    with quietly():
        return load_beside(name, tokenizer)


def has_vocabulary(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer knows more than special and added tokens, and the blank that some begin with."""
    if not getattr(tokenizer, "is_fast", False):
        return len(tokenizer) > len(tokenizer.all_special_ids)
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    return not set(tokenizer.get_vocab()) <= added | {*tokenizer.all_special_tokens, "\u2581"}
