"""Load a pretrained model for a task, with the attention that was asked for."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from ..attention import model_class_for
from ..attention.conversion import name_unsaved, variant_config
from ..errors import InputError, nearest
from .checkpoint_files import check_model_folder

logger = logging.getLogger(__name__)

TASKS = {
    "text-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "image-classification": AutoModelForImageClassification,
    "feature-extraction": AutoModel,
}


class LabelSet(Protocol):
    """What :func:`load` needs to know of labels; ``hf_attn.data.labels.Labels`` is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes, in the order of the head's outputs; empty for a regression."""

    @property
    def num_labels(self) -> int:
        """Size of the head's output."""

    @property
    def problem_type(self) -> str:
        """As transformers spells it: ``single_label_classification`` and its like."""


def load(
    name: str | Path,
    *,
    task: str = "text-classification",
    labels: Sequence[str] | LabelSet | int | None = None,
    attention: str | None = None,
    attention_kwargs: Mapping[str, Any] | None = None,
    include: str = "",
    head: str | None = None,
    head_kwargs: Mapping[str, Any] | None = None,
    config_options: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load a checkpoint, a run folder or a Hub model, with a head for a task and a chosen attention.

    Args:
        name: Hub id or folder.
        task: ``text-classification``, ``token-classification``, ``image-classification`` or ``feature-extraction``.
        labels: names of the classes, their number, or a ``Labels``; None keeps the checkpoint's own head.
        attention: a name of :func:`hf_attn.list_variants`; None keeps the checkpoint's own attention.
        attention_kwargs: options of the variant.
        include: regular expression on module names: the layers that get the variant. Empty is all.
        head: a pooling head on the encoder of an image model, a name of ``hf_attn.attention.pooling.HEADS``, in place
            of the architecture's own; None keeps that.
        head_kwargs: options of the head.
        config_options: changes of the configuration, such as a dropout, before the model is made.
        **kwargs: for ``from_pretrained``, such as ``revision``, ``dtype`` or ``token``.

    Raises:
        InputError: no such checkpoint, no usable weights in it, unknown task, variant or head, an architecture that
            cannot take it, or weights that do not fit.
    """
    name = str(name)
    if task not in TASKS:
        raise InputError(f"task {task!r}: expected one of {', '.join(TASKS)}")
    chosen = None
    if head is not None or head_kwargs:
        from .attention_head import Head, load_with_head

        chosen = Head(task, head, head_kwargs, attention, attention_kwargs, include)
    check_model_folder(name)
    config = load_config(name, **{k: v for k, v in kwargs.items() if k in ("revision", "token", "cache_dir")})
    for key, value in (config_options or {}).items():
        if not hasattr(config, key):
            near = nearest(key, vars(config))
            raise InputError(f"config_options: the configuration of {config.model_type!r} has no {key!r}{near}")
        setattr(config, key, value)
    if chosen:
        return load_with_head(name, config, chosen, head_options(labels), **kwargs)
    for key, value in head_options(labels).items():
        setattr(config, key, value)
    try:
        cls: Any = TASKS[task]._model_mapping[type(config)]  # type: ignore[index]
    except KeyError:
        raise InputError(f"{name}: transformers has no {task} head for {config.model_type!r}") from None
    cls = cls[0] if isinstance(cls, (list, tuple)) else cls
    try:
        if attention is not None:
            cls = model_class_for(cls)
            config = variant_config(config, attention, attention_kwargs, include)
        return from_checkpoint(cls, name, config, converted=attention is not None, **kwargs)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {_line(error)}") from error


def load_config(name: str, **kwargs: Any) -> PreTrainedConfig:
    """Load a configuration.

    Raises:
        InputError: there is none, or the Hub cannot be reached.
    """
    try:
        return AutoConfig.from_pretrained(name, **kwargs)
    except (OSError, ValueError) as error:
        raise InputError(
            f"model {name!r} cannot be loaded: expected a folder with config.json and model.safetensors, or a Hub id "
            f"that is reachable or in the cache (offline, give a folder). {_line(error)}"
        ) from error


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


def from_checkpoint(
    cls: type[PreTrainedModel],
    name: str,
    config: PreTrainedConfig,
    *,
    converted: bool,
    headless: bool = False,
    **kwargs: Any,
) -> PreTrainedModel:
    """Load weights, and say in one line which parameters are new.

    Args:
        cls: a model class; its base model's weights must all be there.
        name: Hub id or folder.
        config: of the model.
        converted: whether ``cls`` has an attention variant that the checkpoint may not have.
        headless: whether ``cls`` is a base model itself.
        **kwargs: for ``from_pretrained``.

    Raises:
        InputError: weights outside the head are missing or have other shapes.
    """
    load: Any = cls.from_pretrained
    options = {"output_loading_info": True, "ignore_mismatched_sizes": True, "use_safetensors": True, **kwargs}
    with quietly():
        model, info = load(name, config=config, **options)
    prefix = "" if headless else f"{model.base_model_prefix}."
    mismatched = {key for key, *_ in info["mismatched_keys"]}
    wrong = sorted(key for key in mismatched if key.startswith(prefix))
    if wrong:
        raise InputError(
            f"{name}: the shapes of {', '.join(wrong[:3])} do not fit config.json: the folder is inconsistent"
        )
    new = set(info["missing_keys"]) | mismatched
    slots = sorted(key for key in new if ".hf_attn." in key)
    head = sorted(new - set(slots))
    lost = [key for key in head if key.startswith(prefix) and "pooler." not in key]
    if lost:
        raise InputError(f"{name}: its weights have no {', '.join(lost[:3])}: this is no checkpoint of {cls.__name__}")
    if new:
        logger.info(
            "new parameters: %s%s", ", ".join(head), f" and {len(slots)} of the attention variant" if slots else ""
        )
    if info["unexpected_keys"]:
        logger.info("not used from %s: %s", name, ", ".join(sorted(info["unexpected_keys"])))
    return name_unsaved(model) if converted else model


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint.

    Raises:
        InputError: it has none that can be loaded, where transformers would make one without a vocabulary.
    """
    check_model_folder(name, tokenizer=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"model {str(name)!r}: its tokenizer cannot be loaded. {_line(error)}") from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise InputError(f"model {str(name)!r} has a tokenizer without a vocabulary: it needs its tokenizer.json")
    return tokenizer


def load_image_processor(name: str | Path) -> Any:
    """Load the image processor of a checkpoint in the form that needs only pillow and numpy.

    Raises:
        InputError: it has none that can be loaded.
    """
    try:
        return AutoImageProcessor.from_pretrained(str(name), backend="pil")
    except ImportError:
        return _plain_processor(str(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"model {str(name)!r}: its image processor cannot be loaded; expected a preprocessor_config.json beside "
            f"the weights. {_line(error)}"
        ) from error


def _plain_processor(name: str) -> Any:
    """The settings of a processor that has no form for pillow (DINOv3's), in ViT's: resized as bytes, not as floats.

    Raises:
        InputError: its settings are not those of a resize and a normalisation.
    """
    from transformers import ViTImageProcessorPil

    settings, _ = ViTImageProcessorPil.get_image_processor_dict(name)
    known = ("size", "resample", "do_resize", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
    own = settings.get("image_processor_type", "its image processor")
    if settings.get("do_center_crop") or settings.get("do_pad") or "size" not in settings:
        raise InputError(f"model {name!r}: {own} has no form that works without torchvision, and cannot be imitated")
    logger.info("%s has no form without torchvision: ViTImageProcessorPil takes its size, mean and deviation", own)
    return ViTImageProcessorPil(**{key: settings[key] for key in known if key in settings})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
