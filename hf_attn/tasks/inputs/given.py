"""What is given to :func:`hf_attn.predict`, made a list, or refused in a line that says what was given."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


def as_list(given: Any, what: str) -> list[Any]:
    """Return the members of a list, tuple, generator, array, column of a table (pandas, polars, datasets, arrow).

    Raises:
        InputError: one thing in place of several, or what has no order or more than one column.
    """
    kind = type(given).__name__
    if isinstance(given, str):
        raise InputError(f"{what} is one string, expected a list: [{given[:20]!r}]")
    if isinstance(given, Mapping) or hasattr(given, "columns") or hasattr(given, "column_names"):
        names = getattr(given, "column_names", None) or getattr(given, "columns", None)
        names = given if names is None or isinstance(given, Mapping) else names
        listed = ", ".join(map(str, list(names)[:5]))
        raise InputError(f"{what} is a table ({kind} of {listed}), expected texts or images: give one column of it")
    if isinstance(given, set | frozenset):
        raise InputError(f"{what} is a {kind}, which has no order: give a list")
    if isinstance(given, bytes | Path) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"{what} is one {kind}, expected a list")
    to_list = getattr(given, "to_pylist", None)
    return list(given) if to_list is None else to_list()


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
    from .text.encoding import characters

    plain = [characters([str(text) for text in column]) for column in found]
    return plain[0], plain[1] if text_pair is not None else None


def for_tables(*, delimiter: str | None, encoding: str | None, **columns: str | None) -> None:
    """Refuse options that say how a file is read, and which column of it, where there is no file.

    Raises:
        InputError: one of them is given.
    """
    from ...data.files import READERS

    wrong = [f"--{name} names a column" for name, value in columns.items() if value is not None]
    reading = {"delimiter": delimiter, "encoding": encoding}
    wrong += [f"--{name} says how a file is read" for name, value in reading.items() if value is not None]
    if wrong:
        raise InputError(f"{' and '.join(wrong)}, but there is no file ({', '.join(READERS)}) to read it from")


def images_of(images: Any) -> list[Any]:
    """Return images as a list.

    Raises:
        InputError: one image, or what :func:`as_list` refuses.
    """
    from PIL.Image import Image

    if isinstance(images, str | bytes | Path | Image):
        raise InputError(f"images is one {type(images).__name__}, expected a list: [image]")
    if getattr(images, "ndim", 1) in (2, 3):
        raise InputError(f"images is one array of shape {tuple(images.shape)}, expected a list: [image]")
    return as_list(images, "images")


def tell_pairs(source: "str | Path | PreTrainedModel", text_pair: Sequence[str] | None) -> None:
    """Warn where a run was trained on pairs and gets single texts, or the reverse."""
    name = str(getattr(source, "name_or_path", source))
    in_hand = not isinstance(source, str | Path)  # of which no more is downloaded than there is
    pairs = None if in_hand and not Path(name).is_dir() else trained_on_pairs(name)
    if pairs is not None and pairs != (text_pair is not None):
        trained, given = ("pairs of texts", "single texts") if pairs else ("single texts", "pairs of texts")
        cure = ": give the second texts, text_pair=" if pairs else ""
        logger.warning("the model was trained on %s and is given %s%s", trained, given, cure)


def trained_on_pairs(source: str) -> bool | None:
    """Return whether a run's texts were pairs, by its ``run.json``; None where that is not known."""
    from ...interface.foreign_files import read_json
    from ...interface.hub_connection import optional_file

    path = optional_file(source, "run.json")
    try:
        return read_json(path)["arguments"]["text_pair"] is not None if path else None
    except (InputError, KeyError, TypeError):
        return None
