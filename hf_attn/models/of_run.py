"""The model of a run: what its arguments ask for, checked first, then loaded and made ready for training."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .checkpoint_files import check_model_folder
from .paired import check_pair
from .scratch import read_architecture

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from transformers import PreTrainedModel

    from .checkpoint import LabelSet
    from .options import ModelOptions


def check(args: ModelOptions, check_folder: Callable[[str | Path], None] = check_model_folder) -> None:
    """Refuse what is wrong with the arguments of a model before data is read or a model loaded.

    Args:
        args: of the run.
        check_folder: refuses a model's folder that lacks something, such as a tokenizer.

    Raises:
        InputError: options that exclude each other, an unknown variant or option of it, or an unusable folder.
    """
    from ..attention import make_variant

    if (args.attention_kwargs or args.attention_include) and not args.attention:
        raise InputError("attention_kwargs and attention_include need --attention: `hf-attn list` prints the names")
    if asked := [name for name in ("dtype", "torch_dtype") if name in (args.config_options or {})]:
        raise InputError(f"config_options has {asked[0]}: give --dtype")
    if sum((args.linear_probe, args.freeze is not None, args.lora is not None)) > 1:
        raise InputError("--linear_probe, --freeze and --lora exclude each other: give one of them")
    if args.attention:
        try:
            make_variant(args.attention, 2, 8, args.attention_kwargs)
        except (ValueError, TypeError) as error:
            raise InputError(f"--attention: {error}") from None
    try:
        re.compile(args.attention_include)
    except re.error as error:
        raise InputError(f"attention_include {args.attention_include!r} is no regular expression: {error}") from None
    if args.model is None:
        read_architecture(args.from_scratch, changes=args.config_options)  # type: ignore[attr-defined]
    else:
        check_folder(args.model)
        if (decoder := getattr(args, "decoder", None)) is not None:
            check_pair(args.model, decoder)


def load_for(
    task: str,
    args: ModelOptions,
    target: LabelSet | None,
    adapt: Callable[[PreTrainedModel], object] | None = None,
    config_options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> nn.Module:
    """Load the model for ``task``, and leave trainable what the arguments say.

    Args:
        task: as in ``models.load``.
        args: of the run, with the ``dtype`` of the weights; what is trained beside an encoder that is frozen whole is
            float32 all the same.
        target: what is predicted; None where that does not change the head.
        adapt: changes the loaded model before anything is frozen or gets adapters.
        config_options: beside those of the arguments.
        **kwargs: more arguments of ``models.load``.

    Raises:
        InputError: whatever ``models.load`` refuses, or a part to freeze that is not there.
    """
    from .loading import load
    from .trainable import Lora, add_lora, freeze, train_in_float32

    model = load(
        args.model,
        task=task,
        labels=target,
        attention=args.attention,
        attention_kwargs=args.attention_kwargs,
        include=args.attention_include,
        config_options={**(args.config_options or {}), **(config_options or {})},
        dtype=args.dtype,  # type: ignore[attr-defined]
        **kwargs,
    )
    if adapt:
        adapt(model)
    if args.linear_probe or args.freeze:
        freeze(model, args.freeze or "encoder")
    if args.lora is not None:
        adapted = add_lora(model, Lora(args.lora, args.lora_alpha, args.lora_dropout, args.lora_targets))
        train_in_float32(adapted)
        return adapted
    if args.linear_probe or args.freeze == "encoder":
        train_in_float32(model)
    return model
