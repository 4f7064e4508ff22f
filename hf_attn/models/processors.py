"""Load what makes a model's inputs: its tokenizer, or its image processor."""

import inspect
import logging
import math
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL.Image import Resampling
from torch import nn
from transformers import AutoImageProcessor, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import ModelOutput

from ..errors import InputError
from .adapter_files import base_of, is_adapter
from .checkpoint import quietly
from .checkpoint_files import check_model_folder
from .configuration import load_config, one_line

logger = logging.getLogger(__name__)


TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def check_text_model(source: str | Path) -> None:
    """Refuse a model folder as :func:`.checkpoint_files.check_model_folder` does, and one without a tokenizer.

    Raises:
        InputError: what is wrong with it.
    """
    check_model_folder(source, also=tokenizer_faults)


def tokenizer_faults(folder: Path) -> list[str]:
    """Return why a folder's tokenizer, or that of an adapter's base, is not there; what AutoTokenizer loads is.

    Some have no vocabulary (CANINE, ByT5), so that a file of an unknown name, or none, is no fault by itself.
    """
    if any((folder / name).exists() for name in TOKENIZERS):
        return []
    if is_adapter(folder) and not (folder / "tokenizer_config.json").exists():
        base = base_of(folder)
        return tokenizer_faults(Path(base)) if Path(base).is_dir() else []
    try:
        load_tokenizer(folder, checked=True)
    except InputError as error:
        reason = str(error).partition(": its tokenizer cannot be loaded. ")[2]
        found = ", ".join(TOKENIZERS) + (f"; {reason}" if reason else "")
        return [
            f"the tokenizer is missing (none of {found}): save the one that the model was trained with there, by "
            "tokenizer.save_pretrained(folder)"
        ]
    return []


def load_tokenizer(name: str | Path, *, checked: bool = False) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint; an adapter that was saved without one has that of its base.

    Args:
        name: folder or Hub id.
        checked: whether the folder's files were looked at already.

    Raises:
        InputError: it has none that can be loaded, where transformers would make one without a vocabulary.
    """
    if not checked:
        check_text_model(name)
    if is_adapter(name) and not (Path(name) / "tokenizer_config.json").exists():
        return load_tokenizer(base_of(name))
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(str(name), trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises nothing narrower
        if (Path(name) / "config.json").is_file():
            load_config(str(name))  # says so where that is at fault
        reason = one_line(error)
        if find_spec("sentencepiece") is None and re.search("sentencepiece|tiktoken", reason, re.IGNORECASE):
            reason = "It is a SentencePiece model: pip install sentencepiece, or bring its tokenizer.json"
        raise InputError(f"model {str(name)!r}: its tokenizer cannot be loaded. {reason}") from error
    longest = tokenizer.model_max_length
    if not isinstance(longest, int | float):
        raise InputError(f"model {str(name)!r}: model_max_length of its tokenizer is {longest!r}: expected a number")
    if not has_vocabulary(tokenizer):
        raise InputError(f"model {str(name)!r} has a tokenizer without a vocabulary: it needs its tokenizer.json")
    return tokenizer


def has_vocabulary(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer knows more than special and added tokens, and the blank that some begin with."""
    if not getattr(tokenizer, "is_fast", False):
        return len(tokenizer) > len(tokenizer.all_special_ids)
    added = {token.content for token in tokenizer.added_tokens_decoder.values()}
    return not set(tokenizer.get_vocab()) <= added | {*tokenizer.all_special_tokens, "\u2581"}


def load_image_processor(name: str | Path) -> Any:
    """Load the image processor of a checkpoint in the form that needs only pillow and numpy.

    Raises:
        InputError: it has none that can be loaded.
    """
    if is_adapter(name) and not (Path(name) / "preprocessor_config.json").exists():
        return load_image_processor(base_of(name))
    try:
        found = AutoImageProcessor.from_pretrained(str(name), backend="pil", trust_remote_code=False)
        return _timm_processor(found.data_config) if hasattr(found, "data_config") else found
    except ImportError as error:
        return _plain_processor(str(name), error)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"model {str(name)!r}: its image processor cannot be loaded; expected a preprocessor_config.json beside "
            f"the weights. {one_line(error)}"
        ) from error


def _plain_processor(name: str, missing: ImportError) -> Any:
    """The settings of a processor that has no form for pillow (DINOv3's), in ViT's: resized as bytes, not as floats.

    Raises:
        InputError: it has none, as timm's models, or they are not those of a resize and a normalisation.
    """
    from transformers import ViTImageProcessorPil

    try:
        settings, _ = ViTImageProcessorPil.get_image_processor_dict(name)
    except OSError:
        raise InputError(f"model {name!r}: {one_line(missing)}") from missing
    known = ("size", "resample", "do_resize", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
    own = settings.get("image_processor_type", "its image processor")
    if settings.get("do_center_crop") or settings.get("do_pad") or "size" not in settings:
        raise InputError(f"model {name!r}: {own} has no form that works without torchvision, and cannot be imitated")
    logger.info("%s has no form without torchvision: ViTImageProcessorPil takes its size, mean and deviation", own)
    return ViTImageProcessorPil(**{key: settings[key] for key in known if key in settings})


def _timm_processor(settings: Mapping[str, Any]) -> Any:
    """What timm does at evaluation with an image, by a processor that leaves it in bytes until it is normalised.

    Where an odd number of rows or columns is cut, timm may cut the odd one on the other side.

    Raises:
        ValueError: it does more than resize and crop.
    """
    from transformers import BitImageProcessorPil, ViTImageProcessorPil

    (_, height, width), mode = settings["input_size"], settings["crop_mode"] or "center"
    resample = getattr(Resampling, settings["interpolation"].upper(), None)
    if resample is None or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise ValueError(f"timm's {mode!r} crop to {height} × {width}, {settings['interpolation']}, is not imitated")
    shared = {"resample": resample, "image_mean": settings["mean"], "image_std": settings["std"]}
    whole = {"height": math.floor(height / settings["crop_pct"]), "width": math.floor(width / settings["crop_pct"])}
    if mode == "squash" and settings["crop_pct"] == 1:
        return ViTImageProcessorPil(size=whole, **shared)
    size = whole if mode == "squash" else {"shortest_edge": whole["height"]}
    return BitImageProcessorPil(size=size, crop_size={"height": height, "width": width}, **shared)


def check_takes_images(model: PreTrainedModel) -> None:
    """Refuse a model that cannot be run on images, (batch, channels, height, width), alone, or that gives no logits.

    Raises:
        InputError: it takes texts, patches and their places, or images not of 3 channels, or gives something else.
    """
    signature, what = inspect.signature(model.forward), type(model).__name__
    others = [name for name in ("input_ids", "spatial_shapes") if name in signature.parameters]
    if "pixel_values" not in signature.parameters or others:
        raise InputError(f"{what} takes {' and '.join(others) or model.main_input_name}, not images alone")
    check_takes_colour(model)
    given = signature.return_annotation
    if inspect.isclass(given) and issubclass(given, ModelOutput) and not hasattr(given, "logits"):
        raise InputError(
            f"{what} gives {given.__name__}, which has no logits: give it a head, such as --head attention"
        )


def check_takes_colour(model: PreTrainedModel) -> None:
    """Refuse a model for images of another number of channels than the 3 that images are read in.

    Raises:
        InputError: it is, by its configuration, or by its first convolution where that says nothing.
    """
    parts = [getattr(model.config, name, None) for name in ("vision_config", "backbone_config")]
    said = [channels for part in (model.config, *parts) if (channels := getattr(part, "num_channels", None))]
    seen = [module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
    channels = (said or seen or [3])[0]
    if channels != 3:
        raise InputError(
            f"{type(model).__name__} takes images of {channels} channel{'s' if channels > 1 else ''}, and images are "
            "read in colour (3 channels): choose a model for colour images, which may be given grey ones"
        )
