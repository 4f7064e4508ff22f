"""What a language model says, as what is explained: words in the place of masks, or those that follow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ....errors import InputError
from ....models.token_logits import logits_at
from ....training.step import model_inputs
from ...explained import Said
from ..written import asked_for, differing, given_words, log_probabilities, question, short, written
from .generating import generated

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def following(
    target: Any,
    model: PreTrainedModel,
    parted: Any,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Said:
    """Return how a model goes on from a text, and what of it is explained, given the text and the words before.

    Args:
        target: of the model.
        model: a causal one.
        parted: the text, as the model goes on from it.
        wanted: a word that follows, or several, or the number of one; all by default.
        against: what might stand there instead.

    Raises:
        InputError: nothing follows, or not that.
    """
    tokenizer = target.tokenizer
    (more,) = generated(model, model_inputs(parted.batch))
    begun = parted.batch["input_ids"][0].tolist()
    decode = partial(tokenizer.decode, skip_special_tokens=True)
    before = len(decode(begun))
    whole = written(decode, begun + more)
    said = whole._replace(
        text=whole.text[before:], spans=[(max(s - before, 0), max(e - before, 0)) for s, e in whole.spans[len(begun) :]]
    )
    tokens, (start, end) = asked_for(said, wanted)
    columns, chosen = list(tokens), [more[one] for one in tokens]
    other = None if against is None else given_words(against, "against")
    if other is not None:
        meant, at = [len(begun) + one for one in tokens], (before + start, before + end)
        place, token = differing(tokenizer, begun + more, whole.text, at, meant, other)
        columns, chosen = [place - len(begun)] * 2, [more[place - len(begun)], token]
    count = len(more)
    extended = parted.between(slice(None), after=more[:-1], names=tokenizer.convert_ids_to_tokens)

    def outputs(model: Any, batch: dict[str, Tensor]) -> Tensor:
        given = model_inputs(batch)
        ids = given["input_ids"]
        there = given.get("attention_mask", torch.ones_like(ids))
        first = there.sum(1) - count  # padding is behind
        where = first[:, None] + torch.arange(count, device=ids.device)
        logits = model(**given, use_cache=False).logits
        logits = logits.gather(1, where[:, columns, None].expand(-1, -1, logits.shape[-1]))
        return log_probabilities(logits, chosen)

    name = said.text[start:end]
    asked = question(name, len(tokens) if other is None else 1, other)
    read = tuple(sorted({len(begun) - 1 + one for one in columns}))
    kept = [(begun, more)]
    return Said(extended, outputs, asked, target, kept, short(said.text, 10_000), read)


def masked(
    target: Any,
    model: PreTrainedModel,
    parted: Any,
    wanted: str | int | None = None,
    against: str | int | None = None,
) -> Said:
    """Return what a model says in the place of masks, and what of it is explained: all masks at once.

    Args:
        target: of the model.
        model: of masks.
        parted: the text.
        wanted: a word, or one a mask with blanks between; the most probable ones by default.
        against: likewise, what might stand there instead.

    Raises:
        InputError: no mask, or words that are not one token each.
    """
    tokenizer, ids = target.tokenizer, parted.batch["input_ids"]
    masks = ids == tokenizer.mask_token_id
    places, count = masks[0].nonzero()[:, 0].tolist(), int(masks.sum())
    if not count:
        raise InputError(f"the text has no {tokenizer.mask_token}: put it where a word is wanted")
    kept = target.outputs(model, {**model_inputs(parted.batch), "masks": masks})
    best = [int(row[0]) for row in kept[0][2]]
    at_masks = partial(_at_masks, tokenizer, parted.texts[0], places=places, ids=ids)
    chosen = best if wanted is None else at_masks(given_words(wanted, "target"))
    other = None if against is None else given_words(against, "against")
    others = [] if other is None else at_masks(other)
    deleted = parted.removal == "delete"

    def outputs(model: Any, batch: dict[str, Tensor]) -> Tensor:
        given = model_inputs(batch)
        ids = given["input_ids"]
        where = ids == tokenizer.mask_token_id if deleted else masks.expand(len(ids), -1)
        logits = logits_at(model, given, where).unflatten(0, (len(ids), count))
        return torch.cat([log_probabilities(logits, some) for some in (chosen, others) if some], 1)

    words = [tokenizer.decode([one]).strip() for one in chosen]
    name = " ".join(tokenizer.decode([one]).strip() for one in best)
    asked = question(" ".join(words), count, other)
    return Said(parted, outputs, asked, target, kept, name, tuple(places))


def _at_masks(tokenizer: Any, text: str, words: str, places: list[int], ids: Tensor) -> list[int]:
    """The tokens of words that stand where masks stood, one each."""
    given, mask = words.split(), tokenizer.mask_token
    if len(given) != len(places):
        raise InputError(f"{words!r}: the text has {len(places)} {mask}; expected as many words, with blanks between")
    filled = text
    for word in given:
        filled = filled.replace(mask, word, 1)
    found = tokenizer(filled, truncation=True, verbose=False)["input_ids"]
    rest = set(range(ids.shape[1])) - set(places)
    if len(found) != ids.shape[1] or any(found[at] != int(ids[0, at]) for at in rest):
        raise InputError(f"{words!r}: a {mask} stands for one token, and these are not one token each for this model")
    return [found[at] for at in places]
