"""A pretrained model made of a checkpoint: its class, its weights, and the names of its head."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..attention import model_class_for
from ..attention.auto_classes import saved_class
from ..attention.conversion import variant_config
from ..attention.dispatch import SLOT
from ..attention.saveable import check_saveable
from ..attention.unsaved import name_unsaved
from ..errors import InputError
from ..interface.printable import one_line
from .configuration import answer_by_name, load_config, set_options
from .direction import see_both_sides
from .own_head import UNNAMED, OwnHead, follow_names
from .task_class import class_for
from .trainable import head_modules

logger = logging.getLogger(__name__)

NEW_PARTS = rf"\.{SLOT}\.|pooler\."
"""Parameters of an encoder that a checkpoint need not have."""


class LabelSet(Protocol):
    """What :func:`load` needs to know of labels; ``hf_attn.tasks.targets.labels.labels.Labels`` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, in the order of the head's outputs; empty for a regression."""

    @property
    def num_labels(self) -> int:
        """Size of the head's output."""

    @property
    def problem_type(self) -> str:
        """As transformers spells it: ``single_label_classification`` and its like."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' bars and reports off the terminal inside the block; errors are raised as ever."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def head_options(labels: Sequence[str] | LabelSet | int | None) -> dict[str, Any]:
    """Return what a configuration says of the labels."""
    if labels is None:
        return {}
    if isinstance(labels, int):
        return {"num_labels": labels}
    names: tuple[str, ...] = tuple(getattr(labels, "names", labels))  # type: ignore[arg-type]
    options: dict[str, Any] = {"num_labels": getattr(labels, "num_labels", len(names))}
    if names:
        options |= {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    problem = getattr(labels, "problem_type", None)
    return options | ({"problem_type": problem} if problem else {})


def from_checkpoint(
    cls: type[PreTrainedModel],
    name: str,
    config: PreTrainedConfig,
    *,
    converted: bool,
    headless: bool = False,
    own: OwnHead | None = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load weights, and say in one line which parameters are new.

    Args:
        cls: a model class; its base model's weights must all be there.
        name: Hub id or folder.
        config: of the model.
        converted: whether ``cls`` has an attention variant that the checkpoint may not have.
        headless: whether ``cls`` is a base model itself.
        own: what the checkpoint says of its head, which may lie inside the base model (Perceiver).
        **kwargs: for ``from_pretrained``.

    Raises:
        InputError: weights outside the head are missing or have other shapes.
    """
    load: Any = cls.from_pretrained
    options = {"output_loading_info": True, "ignore_mismatched_sizes": True, "use_safetensors": True, **kwargs}
    with quietly():
        model, info = load(name, config=config, **options)
    check_saveable(model)
    heads = () if headless else tuple(f"{part}." for part in head_modules(model))
    sizes = ((len(own.names) if own else None,), (config.num_labels,))
    new: set[str] = set(info["missing_keys"])
    wrong: list[str] = []
    for key, found, made in info["mismatched_keys"]:
        of_head = key.startswith(heads) or ((tuple(found[:1]), tuple(made[:1])) == sizes and found[1:] == made[1:])
        (new.add if of_head else wrong.append)(key)
    if wrong:
        raise InputError(
            f"{name}: the shapes of {', '.join(sorted(wrong)[:3])} do not fit config.json: the folder is inconsistent"
        )
    lost = [key for key in info["missing_keys"] if not key.startswith(heads) and not re.search(NEW_PARTS, key)]
    if lost:
        raise InputError(
            f"{name}: its weights have no {', '.join(sorted(lost)[:3])}: this is no checkpoint of {cls.__name__}"
        )
    if own and own.follow:
        options["output_loading_info"] = False
        with quietly():
            said = follow_names(model, own, new, lambda config: load(name, config=config, **options))
        tell_rows(name, said)
    slots = sorted(key for key in new if f".{SLOT}." in key)
    head = sorted(new - set(slots))
    if new:
        logger.info(
            "new parameters: %s", ", ".join([*head, *([f"{len(slots)} of the attention variant"] if slots else [])])
        )
    if info["unexpected_keys"]:
        logger.info("not used from %s: %s", name, ", ".join(sorted(info["unexpected_keys"])))
    return name_unsaved(model, f"{config.attn_variant} variant of {model.name_or_path}") if converted else model


def tell_rows(name: str, said: str) -> None:
    """Log which rows a head has: a warning where they are a guess."""
    if said:
        logger.log(logging.WARNING if UNNAMED in said else logging.INFO, "%s: %s", name, said)


def load_whole(
    name: str,
    *,
    task: str | None = None,
    labels: Sequence[str] | LabelSet | int | None = None,
    attention: str | None = None,
    attention_kwargs: Mapping[str, Any] | None = None,
    include: str = "",
    config_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load a checkpoint that is no adapter with its architecture's own head; arguments as of :func:`.loading.load`."""
    config = checkpoint_config(name, config_options, **kwargs)
    own = OwnHead.of(config)
    for key, value in head_options(labels).items():
        setattr(config, key, value)
    given = labels is not None and not isinstance(labels, int)
    if given and config.num_labels != 1 and not hasattr(labels, "problem_type") and own.is_number:
        config.problem_type = None
    try:
        cls = class_for(name, config, task, new_head=labels is not None)
        see_both_sides(name, config, cls)
        own = replace(own, same_class=saved_class(config) in (None, cls), follow=given)
        if attention is not None:
            cls = model_class_for(cls)
            config = variant_config(config, attention, attention_kwargs, include)
        return from_checkpoint(cls, name, config, converted=attention is not None, own=own, **kwargs)
    except InputError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{name}: {one_line(error)}") from error
    except (TypeError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        # what torch and transformers raise for settings that cannot be
        raise InputError(
            f"{name}: no model can be made from config.json and config_options: {type(error).__name__}: "
            f"{one_line(error)}"
        ) from error


def checkpoint_config(name: str, options: Mapping[str, Any] | None = None, **kwargs: Any) -> PreTrainedConfig:
    """Return the configuration of a checkpoint, changed as was asked for."""
    config = load_config(name, **{k: v for k, v in kwargs.items() if k in ("revision", "token", "cache_dir")})
    set_options(config, options or {})
    answer_by_name(name, config)
    return config
