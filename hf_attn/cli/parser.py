"""The parser of the commands."""

import argparse
from typing import NoReturn

from ..errors import InputError


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are an InputError, so that all errors of a program read alike."""

    def error(self, message: str) -> NoReturn:  # noqa: D102
        raise InputError(f"{message} (see {self.prog} --help)")
