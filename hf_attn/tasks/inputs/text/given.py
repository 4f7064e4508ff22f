"""Texts that are given to :func:`hf_attn.predict`, made lists, or refused in a line that says what was given."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....data.reading import characters
from ....errors import InputError
from ..given import as_list

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

TRAINED_AS = {"text": "source", "ratings": "history_ratings"}
"""Options of ``hf-attn predict`` that recipes may know by another name."""


@dataclass(frozen=True)
class Texts:
    """Texts, and a second text for each where they are pairs."""

    texts: list[str]
    text_pair: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read(inputs: Any, text_pair: Any = None, run: "str | Path | PreTrainedModel | None" = None) -> Texts:
    """Return what is given as texts; a ``run`` that was trained on pairs and gets none, or the reverse, is told.

    Raises:
        InputError: all that is wrong with them.
    """
    given = Texts(*texts_of(inputs, text_pair))
    if run is not None and len(given):
        tell_pairs(run, given)
    return given


def one_each(why: str) -> Callable[..., Texts]:
    """Return :func:`read` for models that take no pairs, ``why`` saying so of them."""

    def read_alone(inputs: Any, text_pair: Any = None, run: Any = None) -> Texts:
        """Return what is given as texts.

        Raises:
            InputError: all that is wrong with them; a pair.
        """
        if text_pair is not None:
            raise InputError(f"text_pair is for models of pairs: {why}")
        return read(inputs, run=run)

    return read_alone


def texts_of(texts: Any, text_pair: Any) -> tuple[list[str], list[str] | None]:
    """Return texts and second texts as lists of strings.

    Raises:
        InputError: all that is wrong with them.
    """
    found: list[list[Any]] = []
    wrong: list[str] = []
    for name, given in (("texts", texts), ("text_pair", text_pair)):
        if given is None and name == "text_pair":
            continue
        try:
            found.append(as_list(given, name))
        except InputError as error:
            wrong.append(str(error))
            continue
        bad = [index for index, text in enumerate(found[-1]) if not isinstance(text, str)]
        if bad:
            first = found[-1][bad[0]]
            hint = ": give second texts as text_pair" if isinstance(first, tuple | list) else ""
            kind = type(first).__name__
            wrong.append(f"{name} must be strings, but {len(bad)} are not, the first at {bad[0]} ({kind}){hint}")
    if not wrong and text_pair is not None and len(found[1]) != len(found[0]):
        wrong.append(f"{len(found[0])} texts but {len(found[1])} in text_pair: expected one for each")
    if wrong:
        raise InputError("; ".join(wrong))
    plain = [characters([str(text) for text in column]) for column in found]
    return plain[0], plain[1] if text_pair is not None else None


def tell_pairs(source: "str | Path | PreTrainedModel", given: Texts) -> None:
    """Warn where a run was trained on pairs and gets single texts, or the reverse."""
    name = str(getattr(source, "name_or_path", source))
    in_hand = not isinstance(source, str | Path)  # of which no more is downloaded than there is
    pairs = None if in_hand and not Path(name).is_dir() else trained_on_pairs(name)
    if pairs is not None and pairs != (given.text_pair is not None):
        trained, got = ("pairs of texts", "single texts") if pairs else ("single texts", "pairs of texts")
        cure = ": give the second texts, text_pair=" if pairs else ""
        logger.warning("the model was trained on %s and is given %s%s", trained, got, cure)


def trained_on_pairs(source: str) -> bool | None:
    """Return whether a run's texts were pairs, by its ``run.json``; None where that is not known."""
    arguments = _arguments(source)
    return arguments["text_pair"] is not None if "text_pair" in arguments else None


def trained_columns(source: str, columns: Iterable[str]) -> dict[str, str]:
    """Return the columns of a file that a run was trained on, by its ``run.json``; those that are known.

    Args:
        source: run.
        columns: of an input, by the names of the options of ``hf-attn predict``.
    """
    arguments = _arguments(source)
    found = {name: arguments.get(name) or arguments.get(TRAINED_AS.get(name, name)) for name in columns}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _arguments(source: str) -> dict[str, Any]:
    """The arguments of a run; none where they are not known."""
    from ....interface.foreign_files import read_json
    from ....interface.hub_connection import optional_file

    path = optional_file(source, "run.json")
    try:
        found = read_json(path)["arguments"] if path else {}
    except (InputError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
