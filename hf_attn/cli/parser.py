"""The parser of the commands."""

import argparse
from typing import NoReturn

from ..errors import InputError


def columns_of_files(parser: argparse.ArgumentParser) -> None:
    """Add what says how a FILE is read, and which of its columns."""
    option = parser.add_argument
    option("--text", metavar="COLUMN", help="column of the texts in FILE (default: text, or the only one)")
    option(
        "--text_pair",
        metavar="COLUMN|TEXT",
        help="column of the second texts in FILE; or the second text itself (default: none)",
    )
    option("--image", metavar="COLUMN", help="column of the images, or of their paths, in FILE (default: image)")
    option("--delimiter", metavar="CHARACTER", help="between the fields of a csv or tsv FILE (default: , and tab)")
    option("--encoding", metavar="NAME", help="of a FILE of text, such as cp1252 or shift_jis (default: UTF-8)")


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are an InputError, so that all errors of a program read alike."""

    def error(self, message: str) -> NoReturn:  # noqa: D102
        raise InputError(f"{message} (see {self.prog} --help)")
