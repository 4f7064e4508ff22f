"""An encoder-decoder of two models: a pretrained encoder, and a pretrained or a new decoder that attends to it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .checkpoint import quietly
from .checkpoint_files import check_model_folder
from .configuration import load_config, one_line
from .scratch import read_architecture, tell_small_weights
from .tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

log = logging.getLogger(__name__)

OPTION = "--decoder"
ATTENDS = {"is_decoder": True, "add_cross_attention": True}
"""What a configuration says of a decoder that attends to an encoder."""


def is_file(decoder: str) -> bool:
    """Tell whether a decoder is a file of sizes, for a new one."""
    return Path(decoder).suffix.lower() in (".yaml", ".yml")


def check_pair(encoder: str, decoder: str) -> None:
    """Refuse what cannot be paired, before data is read.

    Raises:
        InputError: a decoder that is not there, or an encoder that has one.
    """
    if is_file(decoder):
        read_architecture(decoder, OPTION)
    else:
        check_model_folder(decoder)
    if load_config(encoder).is_encoder_decoder:
        raise InputError(f"{OPTION} makes an encoder-decoder of an encoder, and {encoder} is one: leave {OPTION} out")


@contextmanager
def paired_checkpoint(encoder: str, decoder: str, seed: int = 0) -> Iterator[Path]:
    """Pair an encoder with a decoder (Rothe et al. 2020, section 2), and give their folder while the block lasts.

    The encoder's tokenizer serves both. The decoder's cross attention is new, and so is the rest of one from a file.

    Args:
        encoder: Hub id or folder.
        decoder: the same, or a file as :func:`.scratch.read_architecture` reads it.
        seed: of the new weights.

    Raises:
        InputError: a decoder that cannot attend to an encoder, or whose tokens are others.
    """
    import torch
    from transformers import AutoModel, EncoderDecoderModel

    tokenizer = load_tokenizer(encoder)
    with tempfile.TemporaryDirectory(prefix="hf_attn_") as folder, quietly(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            first = AutoModel.from_pretrained(encoder, use_safetensors=True, trust_remote_code=False)
            second = _new(decoder, tokenizer) if is_file(decoder) else _pretrained(decoder, tokenizer)
            model = EncoderDecoderModel(encoder=first, decoder=second)
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{encoder} and {OPTION} {decoder} cannot be paired: {one_line(error)}") from error
        _name_tokens(model, tokenizer)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        yield Path(folder)


def _new(file: str, tokenizer: Any) -> PreTrainedModel:
    """A decoder of the sizes in a file, with the tokens of a tokenizer."""
    from transformers import AutoModelForCausalLM

    config, tokens = read_architecture(file, OPTION)
    if tokens not in (None, len(tokenizer)):
        raise InputError(
            f"{OPTION} {file}: vocab_size is {tokens}, and the encoder's tokenizer, which serves both, has "
            f"{len(tokenizer)} tokens: leave it out"
        )
    tell_small_weights(config, file)
    config.vocab_size = len(tokenizer)
    _attend(config, file)
    return AutoModelForCausalLM.from_config(config)  # type: ignore[no-any-return]


def _pretrained(name: str, tokenizer: Any) -> PreTrainedModel:
    """A pretrained decoder, or an encoder as one, of the same tokens; what is new in it is told."""
    from transformers import AutoModelForCausalLM

    own = load_tokenizer(name)
    if own.get_vocab() != tokenizer.get_vocab():
        raise InputError(
            f"{OPTION} {name} has other tokens than the encoder, whose tokenizer serves both: pair models of one "
            "tokenizer, or give a yaml file of a new decoder"
        )
    config = load_config(name)
    _attend(config, name)
    load: Any = AutoModelForCausalLM.from_pretrained
    model, info = load(name, config=config, use_safetensors=True, trust_remote_code=False, output_loading_info=True)
    crossing = {key for key in info["missing_keys"] if "cross" in key.lower()}
    others = sorted(set(info["missing_keys"]) - crossing)
    told = f" and {len(others)} more ({others[0]}, …)" if others else ""
    log.info("new in %s: %d parameters of the cross attention%s", name, len(crossing), told)
    return model  # type: ignore[no-any-return]


def _attend(config: PreTrainedConfig, name: str) -> None:
    """Ask for a decoder with cross attention."""
    for key, value in ATTENDS.items():
        if not hasattr(config, key):
            raise InputError(
                f"{OPTION} {name}: {config.model_type!r} cannot be asked to attend to an encoder; bert, roberta, "
                "gpt2 and their like can"
            )
        setattr(config, key, value)


def _name_tokens(model: Any, tokenizer: Any) -> None:
    """Say which tokens start, end and fill the texts that are written."""
    starts = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    ends = (tokenizer.sep_token_id, tokenizer.eos_token_id)
    special = {
        "decoder_start_token_id": next((one for one in starts if one is not None), None),
        "eos_token_id": next((one for one in ends if one is not None), None),
        "pad_token_id": tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
    }
    for name, value in special.items():
        setattr(model.config, name, value)
        setattr(model.generation_config, name, value)
