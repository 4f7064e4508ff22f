"""How a trained model writes, for a while."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..errors import InputError, nearest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KINDS = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}
"""Types of options by the names of these, and how they are called."""
EXAMPLE = """'{"num_beams": 4}'"""


def read_generation(given: str) -> dict[str, Any]:
    """Return fields of GenerationConfig out of JSON.

    Raises:
        InputError: it is none, or holds what no model takes.
    """
    try:
        asked = json.loads(given)
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or not asked:
        raise InputError(f"--generation {given}: expected fields of GenerationConfig as JSON, such as {EXAMPLE}")
    if wrong := problems(asked):
        raise InputError(f"--generation: {'; '.join(wrong)}")
    return asked


def problems(asked: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with fields of GenerationConfig, whatever the model, one line each."""
    from transformers import GenerationConfig

    from .targets.generation import ONE_TEXT, GenerationOptions

    known = {*vars(GenerationConfig()), "seed"}
    found = [f"GenerationConfig has no {name!r}{nearest(name, known)}" for name in asked if name not in known]
    found += [
        f"{name} is {asked[name]!r}: each input has one text, and nothing else is returned"
        for name, value in ONE_TEXT.items()
        if asked.get(name) not in (None, value)
    ]
    if asked.get("max_length") is not None:
        found.append(f"max_length is {asked['max_length']!r}: give max_new_tokens, which counts what is written alone")
    kinds = {field.name: str(field.type).removesuffix(" | None") for field in fields(GenerationOptions)}
    kinds["seed"] = "int"
    given = {name: value for name, value in asked.items() if name in kinds and value is not None}
    for name, value in given.items():
        types, words = KINDS[kinds[name]]
        if type(value) not in types:
            found.append(f"{name} is {value!r}: expected {words}")
    if not found:
        options = {name: value for name, value in given.items() if name != "seed"}
        found = GenerationOptions(**{"do_sample": True, **options}).problems()
    return found


@contextmanager
def writing(model: PreTrainedModel, asked: Mapping[str, Any] | None) -> Iterator[None]:
    """Let a model write as is asked for inside the block.

    Args:
        model: a trained one.
        asked: fields of GenerationConfig, and the ``seed`` of sampling; None leaves all as it is.

    Raises:
        InputError: the model does not write, or its configuration has no such field or does not take the value.
    """
    if asked is None:
        yield
        return
    from .targets.generation import check, put

    before = getattr(model, "generation_config", None)
    if before is None or not model.can_generate():
        raise InputError(f"generation is for models that write, and this is a {type(model).__name__}")
    config = copy.deepcopy(before)
    if wrong := problems(asked):
        raise InputError(f"generation: {'; '.join(wrong)}")
    put(config, asked)
    check(model, config)
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = before
