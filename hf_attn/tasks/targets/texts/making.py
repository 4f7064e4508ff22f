"""The target of a run: what its arguments, its tokenizer and its model say of the texts to write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ....errors import InputError
from ....models.decoder_tokenizer import writer
from ....models.input_length import half, plain, positions
from ....models.prefixes import tell_unprefixed
from . import generation
from .kinds import KINDS, tokenize_of
from .languages import codes, knows_languages, of_targets
from .options import Options
from .start import start_token
from .texts import Texts
from .words import unspaced

if TYPE_CHECKING:
    from datasets import DatasetDict
    from torch import nn

log = logging.getLogger(__name__)

LOOKED_AT = 1000
"""Rows whose texts are looked at."""
WithLabels = Callable[["DatasetDict", Any, str, int], "DatasetDict"]
"""Adds the token ids of targets to splits, by a tokenizer, of a column, at most so many a row."""


def encode(
    splits: DatasetDict,
    args: Options,
    tokenizer: Any = None,
    model: Any = None,
    with_labels: WithLabels | None = None,
    task: str = "translation",
) -> tuple[DatasetDict, Texts]:
    """Encode the targets of a run as the column ``labels``, and return what its model writes.

    Args:
        splits: with the column of targets, but for rows that have none.
        args: of the run, with its ``seed``.
        tokenizer: with its languages set.
        model: loaded.
        with_labels: adds the column.
        task: whose texts they are.

    Raises:
        InputError: what :func:`made` refuses.
    """
    if with_labels is not None and not getattr(args, "source_prefix", None):
        sources = splits["train"][:LOOKED_AT][args.source]  # type: ignore[attr-defined]
        tell_unprefixed(plain(model).config, sources, "--source_prefix puts one before each source")
    target = made(task, args, tokenizer, model, args.seed)  # type: ignore[attr-defined]
    if args.bleu_tokenize is None and target.tokenize == "13a" and unspaced(splits["train"][:LOOKED_AT][args.target]):
        target = replace(target, tokenize="char")
        log.info("targets have no blanks between words: BLEU counts characters; --bleu_tokenize has other ways")
    if with_labels is not None:
        splits = with_labels(splits, target.targets, args.target, args.max_target_length)
        tell_short(splits["train"]["labels"], target.generation)
    return splits, target


def tell_short(labels: Sequence[Sequence[int]], config: Any) -> None:
    """Warn of targets that are shorter than what the checkpoint has its model write at least."""
    least = config.min_length if config.min_new_tokens is None else None
    short = sum(len(ids) <= (least or 0) for ids in labels)  # the start token counts in min_length
    if least and short:
        log.warning(
            "%d of %d targets of train are shorter than min_length %d of generation_config.json, which what is written "
            "is not: --min_new_tokens 0 lets texts end where they do",
            short,
            len(labels),
            least,
        )


def made(task: str, args: Options, tokenizer: Any, model: nn.Module, seed: int = 0) -> Texts:
    """Return the target of a run, and note in the model's configuration what prediction needs.

    The decoder's start and, of a tokenizer of several languages, the first token are those that the model's class and
    the tokenizer put there in training; generation starts with the same.

    Args:
        task: ``translation`` or ``summarization``.
        args: of the run; with ``source_prefix`` of the sources.
        tokenizer: with its languages set, and a decoder's own one beside it.
        model: loaded, with adapters or without.
        seed: of sampling.

    Raises:
        InputError: a tokenizer that ends no text, targets longer than the decoder's positions, options of generation
            that do not go together.
    """
    inner: Any = plain(model)
    tokenizer = writer(tokenizer, inner.config)
    target_tokenizer = of_targets(tokenizer)
    example = list(target_tokenizer("a")["input_ids"])
    end = _end(inner, tokenizer, example)
    limit = positions(half(inner, "decoder"))
    if limit is not None and args.max_target_length > limit:
        raise InputError(f"max_target_length is {args.max_target_length}: the decoder has {limit} positions")
    start = start_token(inner, example)
    first = codes(tokenizer)[str(args.target_lang)] if knows_languages(tokenizer) else None
    first = first if first in example[:1] else None
    config = generation.configured(
        inner, args.asked(), start=start, end=end, longest=args.max_target_length, first=first, seed=seed
    )
    if (before := inner.config.decoder_start_token_id) != start:
        if before is not None:
            log.info("decoder_start_token_id %s of config.json is now %s, as the class shifts labels", before, start)
        inner.config.decoder_start_token_id = start
    inner.generation_config = config
    prefix = getattr(args, "source_prefix", None)
    inner.config.task_specific_params = {_key(task, args): {"prefix": prefix} if prefix else {}}
    return Texts(
        KINDS[task],
        tokenizer,
        options=args,
        generation=config,
        start=start,
        pad=int(config.pad_token_id),
        tokenize=tokenize_of(args),
        targets=target_tokenizer,
    )


def _key(task: str, args: Options) -> str:
    """The task as T5's configuration spells it, such as ``translation_en_to_de``."""
    languages = args.source_lang, args.target_lang
    return f"{task}_{languages[0]}_to_{languages[1]}" if all(languages) else task


def _end(model: Any, tokenizer: Any, example: list[int]) -> int:
    """The id of the token that ends a text."""
    known = (
        model.generation_config.eos_token_id,
        model.config.eos_token_id,
        tokenizer.eos_token_id,
        tokenizer.sep_token_id,
    )
    for one in known:
        for end in one if isinstance(one, list) else [one]:
            if end is not None and end in example:
                return int(end)
    raise InputError(
        f"the tokenizer puts no end token after a text ({tokenizer.eos_token!r}): the model would never learn to stop; "
        "take one that does, or set its post-processor"
    )
