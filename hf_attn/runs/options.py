"""Arguments of the Hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class HubOptions:
    """Hub"""

    push_to_hub: str | None = None
    """user/name: push the finished run there; needs a token (`hf auth login` or HF_TOKEN)."""
    private: bool = False
    """Make a new Hub repository private."""
