"""Languages of a tokenizer that knows several: the source's, the target's, and the token that a text starts with."""

from __future__ import annotations

import copy
import logging
from typing import Any

from ....data.columns import listing
from ....errors import InputError, nearest

log = logging.getLogger(__name__)


def knows_languages(tokenizer: Any) -> bool:
    """Return whether a tokenizer marks the language of a text by a token."""
    return hasattr(type(tokenizer), "src_lang")


def codes(tokenizer: Any) -> dict[str, int]:
    """Return the ids of the languages by their codes; empty where they are not known."""
    for name in ("lang_code_to_id", "lang_code_to_token"):
        found = getattr(tokenizer, name, None)
        if found:
            return {
                code: tokenizer.convert_tokens_to_ids(token) if isinstance(token, str) else int(token)
                for code, token in dict(found).items()
            }
    special = set(tokenizer.all_special_tokens) | {
        token.content for token in tokenizer.added_tokens_decoder.values() if token.special
    }
    named = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
    plain = {str(token) for name, token in tokenizer.special_tokens_map.items() if name in named}
    return {token: tokenizer.convert_tokens_to_ids(token) for token in sorted(special - plain)}


def set_languages(tokenizer: Any, source: str | None, target: str | None) -> int | None:
    """Set the languages of a tokenizer that knows several, in place, as they are then saved.

    Args:
        tokenizer: of the model.
        source: code of the source's language.
        target: code of the target's.

    Returns:
        The id of the token that the target starts with by its language; None for a tokenizer without languages.

    Raises:
        InputError: a code that it does not know, or one that is missing.
    """
    if not knows_languages(tokenizer):
        given = {"source_lang": source, "target_lang": target}
        if told := " and ".join(f"{name} {code}" for name, code in given.items() if code):
            log.warning("%s: the tokenizer has no tokens of languages, so none is put before a text", told)
        return None
    known = codes(tokenizer)
    wrong = []
    for name, code in (("source_lang", source), ("target_lang", target)):
        if code is None:
            wrong.append(f"the tokenizer is of several languages: give --{name}, such as {listing(list(known), 3)}")
        elif code not in known:
            near = nearest(code, known) or f" (it knows {listing(list(known), 4)})"
            wrong.append(f"{name} {code!r} is no language of the tokenizer{near}")
    if wrong:
        raise InputError("; ".join(wrong))
    tokenizer.tgt_lang = target
    tokenizer.src_lang = source
    tokenizer.init_kwargs.update(src_lang=source, tgt_lang=target)
    return known[str(target)]


def tell_unsaid(tokenizer: Any, config: Any) -> None:
    """Warn where a tokenizer knows several languages and nothing says which one a model writes."""
    if tokenizer is None or not knows_languages(tokenizer):
        return
    known = codes(tokenizer)
    if known and not {config.forced_bos_token_id, config.decoder_start_token_id} & {*known.values()}:
        code = min(known)
        log.warning(
            "the tokenizer is of %d languages, and the model does not say which one to write: ask for one by "
            'generation, such as {"forced_bos_token_id": %d} for %s, or train it for one',
            len(known),
            known[code],
            code,
        )


def of_targets(tokenizer: Any) -> Any:
    """Return a tokenizer for targets: the same one, or a copy that marks their language or has their vocabulary."""
    if not hasattr(tokenizer, "_switch_to_target_mode"):
        return tokenizer
    made = copy.deepcopy(tokenizer)
    made._in_target_context_manager = True
    made._switch_to_target_mode()
    return made
