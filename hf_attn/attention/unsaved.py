"""Models that were made of a checkpoint and are not saved yet: their name says so, and so do adapters on them."""

from transformers import PreTrainedModel

UNSAVED = "unsaved "
"""How the name of such a model begins."""


def name_unsaved(model: PreTrainedModel, what: str) -> PreTrainedModel:
    """Keep PEFT from naming the original checkpoint as the base of an adapter on a model that is not saved yet.

    Such an adapter would load on the original attention in silence; this way it is refused, in words that say why.
    """
    model.name_or_path = f"{UNSAVED}{what}: save_pretrained it first"
    return model
