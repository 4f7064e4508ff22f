"""An encoder-decoder of two models: a pretrained encoder, and a pretrained or a new decoder that attends to it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interface.printable import one_line
from .checkpoint import quietly
from .checkpoint_files import check_model_folder
from .configuration import load_config
from .decoder_tokenizer import KEY, digest, put_beside
from .new_tokenizer import train_tokenizer
from .scratch import read_architecture, save_made, tell_small_weights
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
def paired_checkpoint(encoder: str, decoder: str, seed: int = 0, targets: Iterable[str] = ()) -> Iterator[Path]:
    """Pair an encoder with a decoder (Rothe et al. 2020, section 2), and give their folder while the block lasts.

    The decoder's cross attention is new, and so is the rest of one from a file. The encoder's tokenizer serves
    both, but a file with ``vocab_size`` has one trained, and a pretrained decoder of other tokens brings its own;
    it is saved beside (:mod:`.decoder_tokenizer`).

    Args:
        encoder: Hub id or folder.
        decoder: the same, or a file as :func:`.scratch.read_architecture` reads it.
        seed: of the new weights.
        targets: texts to write, that a new tokenizer is trained on.

    Raises:
        InputError: a decoder that cannot attend to an encoder, or one whose tokenizer cannot serve.
    """
    import torch
    from transformers import AutoModel, EncoderDecoderModel

    tokenizer = load_tokenizer(encoder)
    with tempfile.TemporaryDirectory(prefix="hf_attn_") as folder, quietly(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            first = AutoModel.from_pretrained(encoder, use_safetensors=True, trust_remote_code=False)
            new = is_file(decoder)
            second, writes = _new(decoder, tokenizer, targets) if new else _pretrained(decoder, tokenizer)
            model = EncoderDecoderModel(encoder=first, decoder=second)
            first.config._name_or_path = second.config._name_or_path = ""  # folders of this machine
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{encoder} and {OPTION} {decoder} cannot be paired: {one_line(error)}") from error
        for name, value in _special(writes).items():
            setattr(model.config, name, value)
            setattr(model.generation_config, name, value)
        if writes is not tokenizer:
            setattr(model.config, KEY, digest(writes))
            put_beside(tokenizer, writes)
        save_made(model, tokenizer, Path(folder))
        yield Path(folder)


def _new(file: str, tokenizer: Any, targets: Iterable[str]) -> tuple[PreTrainedModel, Any]:
    """A decoder of the sizes in a file, and its tokenizer: the encoder's, or one of as many tokens as the file says."""
    from transformers import AutoModelForCausalLM

    config, tokens = read_architecture(file, OPTION)
    tell_small_weights(config, file)
    _attend(config, file)
    try:
        writes = tokenizer if tokens is None else train_tokenizer(targets, tokens)
    except InputError as error:
        raise InputError(f"{OPTION} {file}: {error}") from None
    special = _special(writes)
    for key, value in {"vocab_size": len(writes), "bos_token_id": special["decoder_start_token_id"], **special}.items():
        setattr(config, key, value)
    return AutoModelForCausalLM.from_config(config), writes


def _pretrained(name: str, tokenizer: Any) -> tuple[PreTrainedModel, Any]:
    """A pretrained decoder, or an encoder as one, and its tokenizer; what is new in it is told."""
    from transformers import AutoModelForCausalLM

    own = load_tokenizer(name)
    writes = tokenizer if own.get_vocab() == tokenizer.get_vocab() else _ending(own)
    config = load_config(name)
    _attend(config, name)
    load: Any = AutoModelForCausalLM.from_pretrained
    model, info = load(name, config=config, use_safetensors=True, trust_remote_code=False, output_loading_info=True)
    crossing = {key for key in info["missing_keys"] if "cross" in key.lower()}
    others = sorted(set(info["missing_keys"]) - crossing)
    told = f" and {len(others)} more ({others[0]}, …)" if others else ""
    log.info("new in %s: %d parameters of the cross attention%s", name, len(crossing), told)
    if len(writes) > (rows := model.get_input_embeddings().num_embeddings):
        raise InputError(f"{OPTION} {name}: its tokenizer has {len(writes):,} tokens and the model {rows:,}")
    return model, writes


def _ending(tokenizer: Any) -> Any:
    """A tokenizer that pads, and puts its end token after a text, as a decoder's has to."""
    from tokenizers import processors

    end = tokenizer.eos_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = end
    known = {end, tokenizer.sep_token} - {None}
    if end and tokenizer.is_fast and not known.intersection(tokenizer.convert_ids_to_tokens(tokenizer("a").input_ids)):
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, tokenizer.eos_token_id)]
        )
    return tokenizer


def _attend(config: PreTrainedConfig, name: str) -> None:
    """Ask for a decoder with cross attention."""
    if not hasattr(config, "add_cross_attention"):
        raise InputError(
            f"{OPTION} {name}: {config.model_type!r} cannot be asked to attend to an encoder; bert, roberta, "
            "gpt2 and their like can"
        )
    for key, value in ATTENDS.items():
        setattr(config, key, value)


def _special(tokenizer: Any) -> dict[str, int | None]:
    """Which tokens start, end and fill the texts that are written, as a configuration spells them."""
    starts = (tokenizer.cls_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    ends = (tokenizer.sep_token_id, tokenizer.eos_token_id)
    return {
        "decoder_start_token_id": next((one for one in starts if one is not None), None),
        "eos_token_id": next((one for one in ends if one is not None), None),
        "pad_token_id": tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
    }
