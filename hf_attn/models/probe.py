"""The head of a model alone, on features that are computed before."""

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from ..errors import InputError
from .trainable import head_modules


class Probe(nn.Module):
    """The head of a model on features, (batch, …); trained in place, so that the model has what was learned.

    Raises:
        InputError: the head is more than one module, so that it sees more than one input.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        names = head_modules(model)
        if len(names) != 1:
            raise InputError(
                f"--linear_probe needs a head of one module, {type(model).__name__} has {', '.join(names) or 'none'}: "
                "train it by --freeze encoder"
            )
        self.head = model.get_submodule(names[0])
        self.config = model.config

    def forward(self, features: Tensor) -> ModelOutput:
        """Return ``logits``, (batch, outputs)."""
        return ModelOutput(logits=self.head(features))
