"""The parser of the commands."""

import argparse
from typing import Any, NoReturn

from ..errors import InputError

OF_FILES = ("text", "text_pair", "image", "history", "candidate", "ratings", "separator", "question", "context")
"""Options that say which columns of a FILE are read; an input has some of them, its ``COLUMNS``."""


def columns_given(given: Any) -> dict[str, str | None]:
    """Return what was given of :data:`OF_FILES`."""
    return {name: getattr(given, name) for name in OF_FILES}


def columns_of_files(parser: argparse.ArgumentParser) -> None:
    """Add what says how a FILE is read, and which of its columns."""
    option = parser.add_argument
    option(
        "--text",
        metavar="COLUMN",
        help="column of the texts in FILE (default, as of all columns here: that of training where FILE has it; else "
        "text, or the only one)",
    )
    option(
        "--text_pair",
        metavar="COLUMN|TEXT",
        help="column of the second texts in FILE; or the second text itself (else none)",
    )
    option("--image", metavar="COLUMN", help="column of the images, or of their paths, in FILE (else image)")
    option("--history", metavar="COLUMN", help="column of the histories in FILE (else history)")
    option("--candidate", metavar="COLUMN", help="column of their candidates in FILE (else candidate)")
    option("--ratings", metavar="COLUMN", help="column of the ratings of the histories in FILE (else ratings, or none)")
    option(
        "--separator",
        metavar="TEXT",
        help="between the texts of a history that is one text (else of training, or lists)",
    )
    option("--question", metavar="COLUMN", help="column of the questions in FILE (else question)")
    option(
        "--context",
        metavar="COLUMN|TEXT",
        help="column of the contexts of questions in FILE (else context); or the context itself",
    )
    option("--delimiter", metavar="CHARACTER", help="between the fields of a csv or tsv FILE (default: , and tab)")
    option("--encoding", metavar="NAME", help="of a FILE of text, such as cp1252 or shift_jis (default: UTF-8)")


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are an InputError, so that all errors of a program read alike."""

    def error(self, message: str) -> NoReturn:  # noqa: D102
        raise InputError(f"{message} (see {self.prog} --help)")
