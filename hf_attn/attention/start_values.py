"""Start values of the layers that this package adds to a pretrained model."""

from torch import nn
from transformers import initialization

PACKAGE = __name__.rpartition(".")[0]


def fill_new_layers(model: nn.Module) -> None:
    """Call ``reset_parameters`` on the layers of this package whose parameters did not come from a checkpoint.

    For ``initialize_weights`` of a model class: ``from_pretrained`` makes parameters without memory and calls that
    afterwards. What a layer fills, its inner layers included, keeps its values from the architecture's own
    ``_init_weights``. Parameters that were loaded are not touched.
    """
    with initialization.guard_torch_init_functions():
        for module in model.modules():
            own = type(module).__module__.rpartition(".")[0] == PACKAGE and hasattr(module, "reset_parameters")
            if own and not getattr(module, "_is_hf_initialized", False):
                module.reset_parameters()  # type: ignore[operator]
                for inner in module.modules():
                    inner._is_hf_initialized = True  # type: ignore[assignment]
