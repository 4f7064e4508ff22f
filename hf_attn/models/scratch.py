"""A new model: architecture and sizes from a file, random weights, and a tokenizer trained on the run's texts."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest
from ..interface.printable import one_line
from .configuration import set_options
from .decoder_tokenizer import save

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

log = logging.getLogger(__name__)

VOCABULARY = 8000
"""Tokens of a new tokenizer where the file does not say."""


def read_architecture(
    file: str | Path, option: str = "--from_scratch", changes: Mapping[str, Any] | None = None
) -> tuple[PreTrainedConfig, int | None]:
    """Return the configuration that a file asks for, and how many tokens there shall be, if it says that.

    Args:
        file: yaml.
        option: of the command line that named it.
        changes: of the configuration, over what the file says.

    Raises:
        InputError: no such file, no such architecture, or what its configuration has not.
    """
    from transformers import CONFIG_MAPPING

    from ..interface.foreign_files import read_yaml

    try:
        fields = read_yaml(Path(file).expanduser())
    except (InputError, OSError) as error:
        raise InputError(f"{option} {file} cannot be read: {one_line(error)}") from None
    if not isinstance(fields, dict) or "model_type" not in fields:
        raise InputError(f"{option} {file}: expected lines such as 'model_type: mbart' and 'd_model: 128'")
    kind = str(fields.pop("model_type"))
    fields |= changes or {}
    if kind not in CONFIG_MAPPING:
        raise InputError(f"{option} {file}: transformers has no model_type {kind!r}{nearest(kind, CONFIG_MAPPING)}")
    tokens = fields.pop("vocab_size", None)
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise InputError(f"{option} {file}: vocab_size is {tokens!r}, expected a number of tokens such as 4000")
    try:
        config = CONFIG_MAPPING[kind]()
        set_options(copy.deepcopy(config), fields)
        return CONFIG_MAPPING[kind](**fields), tokens
    except InputError as error:
        raise InputError(f"{option} {file}: {str(error).removeprefix('config_options: ')}") from None
    except Exception as error:  # of transformers' checks of the values
        raise InputError(f"{option} {file}: {one_line(error)}") from error


def tell_small_weights(config: PreTrainedConfig, file: str | Path) -> None:
    """Say so where weights are drawn much smaller than 1/√width: a narrow model then starts slowly."""
    name = next((name for name in ("init_std", "initializer_range") if hasattr(config, name)), None)
    width = getattr(config, "hidden_size", None)
    if name is None or not isinstance(width, int):
        return
    drawn, fitting = float(getattr(config, name)), width**-0.5
    if drawn < fitting / 2:
        log.info(
            "%s: weights are drawn with %s %g, made for wide models; one of width %d learns faster from %s: %.3f",
            file,
            name,
            drawn,
            width,
            name,
            fitting,
        )


def with_tokens_of(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give a configuration the size and the special tokens of a tokenizer, in place.

    A decoder starts with padding where the architecture's own does, T5's too; else with the end token, as BART's does.
    """
    own_start, own_pad = getattr(config, "decoder_start_token_id", None), config.pad_token_id
    by_padding = own_start == own_pad if own_start is not None else "t5" in config.model_type
    special: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id if by_padding else tokenizer.eos_token_id,
    }
    if getattr(config, "decoder_vocab_size", None) is not None:
        special["decoder_vocab_size"] = len(tokenizer)
    for name in ("forced_eos_token_id", "sep_token_id"):
        if getattr(config, name, None) is not None:
            special[name] = tokenizer.eos_token_id
    for name, value in special.items():
        setattr(config, name, value)


@contextmanager
def new_checkpoint(
    file: str | Path, auto: str, texts: Iterable[str], seed: int = 0, changes: Mapping[str, Any] | None = None
) -> Iterator[Path]:
    """Make a model and its tokenizer, and give the folder in which they are while the block lasts.

    Args:
        file: as :func:`read_architecture` reads it.
        auto: Auto class of transformers that has the architecture's model.
        texts: that the tokenizer is trained on.
        seed: of the weights.
        changes: as of :func:`read_architecture`.

    Raises:
        InputError: what the file says cannot be made.
    """
    import torch
    import transformers

    from .checkpoint import quietly
    from .new_tokenizer import train_tokenizer

    config, tokens = read_architecture(file, changes=changes)
    tell_small_weights(config, file)
    auto_class = getattr(transformers, auto)
    if type(config) not in auto_class._model_mapping:
        raise InputError(f"--from_scratch {file}: {config.model_type} has no {auto.removeprefix('AutoModelFor')} model")
    tokenizer = train_tokenizer(texts, tokens or VOCABULARY)
    with_tokens_of(config, tokenizer)
    with tempfile.TemporaryDirectory(prefix="hf_attn_") as folder, quietly():
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = auto_class.from_config(config)
        except (ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"--from_scratch {file}: no model can be made of it: {one_line(error)}") from error
        save_made(model, tokenizer, Path(folder))
        yield Path(folder)


def save_made(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Save a model that was just made in a folder of this process; transformers would write on the first one alone."""
    vars(model)["should_save_on_this_rank"] = lambda is_main_process: True
    model.save_pretrained(folder)
    save(tokenizer, folder)
