"""How a model writes: arguments of recipes, and what may be asked of a trained one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...interface.printable import one_line

if TYPE_CHECKING:
    from torch import Tensor

ONE_TEXT: dict[str, Any] = {"num_return_sequences": 1, "return_dict_in_generate": False}
"""What gives each input one text, and token ids alone, whatever a checkpoint says."""
BEAMS = ("early_stopping", "length_penalty")
"""Fields that say something of beams alone."""
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
"""Fields that say something of sampling alone."""


@dataclass(kw_only=True)
class GenerationOptions:
    """Generation, as GenerationConfig of transformers; saved with the model"""

    num_beams: int | None = None
    """Beams of the search; 1 takes the most probable token each time. null is what the model's generation_config.json
    says, here and below."""
    length_penalty: float | None = None
    """Beams: log-probabilities are divided by the length to this power; above 0 favours long texts."""
    early_stopping: bool | None = None
    """Beams: stop as soon as num_beams texts are finished."""
    no_repeat_ngram_size: int | None = None
    """No sequence of so many tokens occurs twice in a text."""
    repetition_penalty: float | None = None
    """Above 1 makes tokens that were written less probable."""
    min_new_tokens: int | None = None
    """Least tokens of a text."""
    max_new_tokens: int | None = None
    """Most tokens of a text; null is the recipe's choice."""
    do_sample: bool | None = None
    """Draw each token by its probability; the seed is the run's, and what is drawn depends on the batch."""
    temperature: float | None = None
    """Sampling: scores are divided by it."""
    top_k: int | None = None
    """Sampling: from so many of the most probable tokens."""
    top_p: float | None = None
    """Sampling: from the fewest tokens that have this probability together."""

    def asked(self) -> dict[str, Any]:
        """Return what was asked for."""
        given = {field.name: getattr(self, field.name) for field in fields(GenerationOptions)}
        return {name: value for name, value in given.items() if value is not None}

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        least = {"num_beams": 1, "no_repeat_ngram_size": 0, "min_new_tokens": 0, "max_new_tokens": 1, "top_k": 0}
        found = [
            f"{name} is {value}: it must be at least {least[name]}"
            for name, value in self.asked().items()
            if name in least and value < least[name]
        ]
        found += [
            f"{name} is {value}: it must be above 0"
            for name, value in self.asked().items()
            if name in ("repetition_penalty", "temperature") and not 0 < value < float("inf")
        ]
        if self.top_p is not None and not 0 < self.top_p <= 1:
            found.append(f"top_p is {self.top_p}: it must be above 0 and at most 1")
        idle = [name for name in ("temperature", "top_k", "top_p") if getattr(self, name) is not None]
        if idle and not self.do_sample:
            found.append(f"{' and '.join(idle)} {'need' if len(idle) > 1 else 'needs'} --do_sample true")
        if (self.min_new_tokens or 0) > (self.max_new_tokens or float("inf")):
            found.append(f"min_new_tokens is {self.min_new_tokens} and max_new_tokens {self.max_new_tokens}: none fits")
        return found


def generate(model: Any, inputs: Mapping[str, Any], config: Any) -> Tensor:
    """Return the token ids that a model writes, one row for each of its inputs.

    Raises:
        InputError: transformers does not write so with this model; the reason is transformers' own.
    """
    config = copy.deepcopy(config)
    for name, value in ONE_TEXT.items():
        setattr(config, name, value)
    try:
        found: Tensor = model.generate(**inputs, generation_config=config)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f"generation: {one_line(error)}") from error
    return found


def put(config: Any, asked: Mapping[str, Any]) -> None:
    """Set what was asked for, in place; what a checkpoint says of beams or sampling goes where there are none."""
    for name, value in asked.items():
        setattr(config, name, value)
    for name in (name for names in _idle(config).values() for name in names):
        if name not in asked:
            setattr(config, name, None)


def in_words(config: Any) -> str:
    """Return how a model writes by its GenerationConfig, whoever asked for it."""
    how = config.to_diff_dict()
    greedy = not config.do_sample and (config.num_beams or 1) == 1
    named = [field.name for field in fields(GenerationOptions) if not (greedy and field.name == "num_beams")]
    told = [f"{name} {how[name]}" for name in (*named, "min_length") if how.get(name)]
    return ", ".join(["greedy", *told] if greedy else told)


def check(model: Any, config: Any) -> None:
    """Refuse a GenerationConfig by which a model cannot write.

    Raises:
        InputError: fields that do not go together, or lengths that the model does not have.
    """
    try:
        config.validate(strict=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"generation: {_without_effect(config) or one_line(error)}") from None
    if wrong := length_fault(model, config):
        raise InputError(f"generation: {wrong}")


def _idle(config: Any) -> dict[str, tuple[str, ...]]:
    """Fields that have no effect, by what would give them one."""
    works = {"num_beams above 1": (config.num_beams or 1) > 1, "do_sample true": bool(config.do_sample)}
    return {cure: names for (cure, has), names in zip(works.items(), (BEAMS, SAMPLING), strict=True) if not has}


def _without_effect(config: Any) -> str:
    """What is set and has no effect, and what would give it one; empty where all has."""
    told = []
    for cure, names in _idle(config).items():
        if given := [name for name in names if getattr(config, name, None) is not None]:
            told.append(f"{' and '.join(given)} {'need' if given[1:] else 'needs'} {cure}")
    return "; ".join(told)


def check_top_k(top_k: int | None, what: str) -> None:
    """Refuse several answers of what has one text.

    Raises:
        InputError: more than one is asked for.
    """
    if top_k not in (None, 1):
        raise InputError(f"top_k is {top_k}: {what} has one answer; for sampling it is a field of generation")


def length_fault(model: Any, config: Any) -> str | None:
    """Return why a model cannot write as long as is asked for: it has no places, or no text could end."""
    from ...models.input_length import half, positions

    name, least, most = "min_new_tokens", config.min_new_tokens, config.max_new_tokens
    if most is None:
        return None
    if model.config.is_encoder_decoder:  # elsewhere the prompt takes places too, and counts in min_length
        places = positions(half(model, "decoder"))
        if places is not None and most > places:
            return f"max_new_tokens is {most}: the decoder has {places} positions"
        if least is None:
            name, least = "min_length (of generation_config.json)", config.min_length
    if (least or 0) <= most:
        return None
    return f"{name} is {least} and max_new_tokens {most}: no text could end; give other min_new_tokens"
