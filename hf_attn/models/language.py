"""Language models made of checkpoints; a pooler that their head has no use for is kept all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import AutoModel, PreTrainedModel

from .checkpoint import quietly
from .direction import reading
from .of_run import load_for

if TYPE_CHECKING:
    from .options import ModelOptions

logger = logging.getLogger(__name__)


def load_language_model(
    task: str, args: ModelOptions, *, causal: bool, adapt: Callable[[PreTrainedModel], object]
) -> nn.Module:
    """Load the language model that the arguments of a run ask for, as :func:`.of_run.load_for` does.

    A checkpoint without a head for this gets a new one, whose output layer is the embedding where the architecture ties
    the two; the log says which parameters are new.

    Args:
        task: ``fill-mask`` or ``text-generation``.
        args: of the run.
        causal: whether a token sees only what stands before it.
        adapt: changes the loaded model before anything is frozen or gets adapters.
    """

    def adapted(model: PreTrainedModel) -> None:
        keep_pooler(model, args.model)
        adapt(model)

    return load_for(task, args, None, adapt=adapted, config_options=reading(args.model, causal=causal))


def keep_pooler(model: PreTrainedModel, name: str) -> bool:
    """Keep the pooler of a checkpoint in a language model made of it, untrained, so that it is saved with the rest.

    The head of a language model takes no pooler, so that its class leaves it out; a classifier that is made of the
    trained model would begin with a new one.

    Args:
        model: a language model, just loaded.
        name: of its checkpoint.

    Returns:
        Whether there is one.
    """
    base: Any = model.base_model
    if base is model or getattr(base, "pooler", ...) is not None:
        return False
    with quietly():
        whole, info = AutoModel.from_pretrained(name, output_loading_info=True, use_safetensors=True)
    pooler = getattr(whole, "pooler", None)
    if not isinstance(pooler, nn.Module) or any(".pooler." in f".{key}" for key in info["missing_keys"]):
        return False
    base.pooler = pooler.to(next(model.parameters()).dtype).requires_grad_(False)
    logger.info(
        "the pooler of %s is kept all the same, as it is: it is saved with the model, for classifiers made of it", name
    )
    return True
