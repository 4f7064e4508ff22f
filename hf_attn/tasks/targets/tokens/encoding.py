"""What is predicted of texts, as the arguments say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import following, masked

if TYPE_CHECKING:
    from .options import Options
    from .tokens import Tokens


def encode(splits: Any, args: Options) -> tuple[Any, Tokens]:
    """Return the splits as they are, and what is predicted of them."""
    return following.encode(splits, args) if args.objective == "causal" else masked.encode(splits, args)
