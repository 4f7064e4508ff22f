"""Test-time flips."""

from torch import Tensor, nn
from transformers.modeling_outputs import ModelOutput


class FlipAveraged(nn.Module):
    """A classifier whose logits are the mean of those of each image and of its mirror image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> ModelOutput:
        """Return ``logits``, (batch, outputs), of (batch, 3, height, width)."""
        both = [self.model(pixel_values=image).logits for image in (pixel_values, pixel_values.flip(-1))]
        return ModelOutput(logits=(both[0] + both[1]) / 2)
