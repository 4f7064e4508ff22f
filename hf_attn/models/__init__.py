"""Loading pretrained models, choosing what is trained."""

from .loading import load

__all__ = ["load"]
