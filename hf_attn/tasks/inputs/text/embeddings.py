"""Embeddings of tokens, put in the place of those that a model looks up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def tied_tables(model: nn.Module, table: nn.Module) -> list[nn.Module]:
    """Return the table of embeddings, and others that are tied to it, as an encoder's and a decoder's are."""
    weight = getattr(table, "weight", None)
    tied = [one for one in model.modules() if weight is not None and getattr(one, "weight", None) is weight]
    return [one for one in tied if isinstance(one, nn.Embedding)] or [table]


@contextmanager
def embedded_as(
    tables: Sequence[nn.Module], ids: Tensor, embedded: Tensor, *, once: bool = False
) -> Iterator[list[bool]]:
    """Put these embeddings, (rows, tokens, …), in the place of what a table gives for ``ids``; yields whether it was.

    An encoder-decoder that classifies reads the text a second time, one place to the right behind a start token; others
    read it with padding behind, or with tokens first. With ``once`` the first reading alone is meant: what a decoder
    writes may be the very text.
    """
    put: list[bool] = []
    count = len(ids)

    def replace(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        asked = args[0] if args and isinstance(args[0], Tensor) else None
        if asked is None or asked.dim() != 2 or output.dim() != 3 or (once and put):
            return None
        if asked.shape == (count, len(embedded)) and torch.equal(asked[:, 0], ids):
            found = embedded.transpose(0, 1)
        elif len(asked) != len(embedded) or asked.shape[1] < count:
            return None
        elif torch.equal(asked[0, :count], ids):
            found = torch.cat([embedded, output[:, count:]], 1)
        elif torch.equal(asked[0, 1:count], ids[:-1]):
            found = torch.cat([output[:, :1], embedded[:, :-1], output[:, count:]], 1)
        else:
            return None
        put.append(True)
        return found

    handles = [table.register_forward_hook(replace) for table in tables]
    try:
        yield put
    finally:
        for handle in handles:
            handle.remove()
