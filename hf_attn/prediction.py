"""Predictions of a trained model for texts or images: in Python, and as rows for ``hf-attn predict``."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KINDS = {
    None: "single",
    "single_label_classification": "single",
    "multi_label_classification": "multi",
    "regression": "regression",
}
ARCHITECTURES = {
    "text-classification": "ForSequenceClassification",
    "image-classification": "ForImageClassification",
}


def predict(
    run: "str | Path | PreTrainedModel",
    inputs: "Sequence[str] | Sequence[str | Path | Image | np.ndarray]",
    *,
    text_pair: Sequence[str] | None = None,
    top_k: int | None = None,
    batch_size: int = 32,
    processor: Any = None,
) -> list[dict[str, Any]]:
    """Classify texts or images, or give each a number where the model is a regression.

    Args:
        run: A run folder, any model folder or Hub id, or a model in hand.
        inputs: For a model of texts: the texts; longer ones are cut to what the model takes. For one of images: files,
            pillow images, or (height, width, 3) uint8 arrays.
        text_pair: A second text for each, for a model trained on pairs.
        top_k: Keep so many of the probabilities; all of them by default.
        batch_size: Inputs a forward pass; it never changes the results.
        processor: The model's tokenizer or image processor; by default the one saved beside the model.

    Returns:
        One dict an input, in their order: ``label``, ``score`` (its probability) and ``probabilities`` (by label,
        greatest first). Where an example may have several labels, ``label`` and ``score`` are lists of all with a
        probability of at least 0.5. For a regression: ``value``.

    Raises:
        InputError: No such model, inputs that it does not take or that cannot be read, pairs that do not fit.
    """
    from .data.labels import Labels
    from .evaluation import Predictions, probabilities

    check_options(top_k, batch_size)
    if isinstance(run, str | Path):
        model, saved_processor = load(run)
    else:
        model, saved_processor = run, None
    if takes_images(model):
        from .image_prediction import image_logits

        if text_pair is not None:
            raise InputError("text_pair given, but this model classifies images")
        processor = processor or saved_processor or load_processor(model)
        values = image_logits(model, processor, inputs, batch_size)
        if not len(values):
            return []
    else:
        check_texts(inputs, text_pair)  # type: ignore[arg-type]
        if not inputs:
            return []
        processor = processor or saved_processor or load_processor(model)
        pairs = list(text_pair) if text_pair is not None else None
        values = logits(model, processor, list(inputs), pairs, batch_size)  # type: ignore[arg-type]
    kind = "regression" if values.shape[1] == 1 else KINDS[model.config.problem_type]
    if kind == "regression":
        return [{"value": float(row[0]) if len(row) == 1 else row.tolist()} for row in values]
    names = {int(index): name for index, name in (model.config.id2label or {}).items()}
    labels = Labels(kind, tuple(names[index] for index in range(values.shape[1])))
    shares = probabilities(Predictions(np.arange(len(values)), values), labels)
    return [label_of(row, labels.names, kind, top_k) for row in shares]


def takes_images(model: "PreTrainedModel") -> bool:
    """Return whether a model's input is an image."""
    takes = inspect.signature(model.forward).parameters
    return model.main_input_name == "pixel_values" or ("pixel_values" in takes and "input_ids" not in takes)


def load_processor(model: "PreTrainedModel") -> Any:
    """Return the tokenizer or image processor that a model in hand was loaded with.

    Raises:
        InputError: the model was made of another and is not saved, or its checkpoint has none.
    """
    from .attention.conversion import UNSAVED
    from .models import load_image_processor, load_tokenizer

    name = str(model.name_or_path)
    if name.startswith(UNSAVED):
        raise InputError(f"the model in hand is not saved ({name}): give its tokenizer or image processor, processor=")
    return (load_image_processor if takes_images(model) else load_tokenizer)(name)


def check_options(top_k: int | None, batch_size: int) -> None:
    """Raise InputError with all that is wrong with the options of :func:`predict`."""
    wrong = []
    if top_k is not None and top_k < 1:
        wrong.append(f"top_k is {top_k}, expected at least 1")
    if batch_size < 1:
        wrong.append(f"batch_size is {batch_size}, expected at least 1")
    if wrong:
        raise InputError("; ".join(wrong))


def check_texts(texts: Sequence[str], text_pair: Sequence[str] | None) -> None:
    """Raise InputError with all that is wrong with the texts for :func:`predict`."""
    wrong = []
    for name, given in (("texts", texts), ("text_pair", text_pair)):
        if isinstance(given, str):
            wrong.append(f"{name} is one string, expected a list: [{given[:20]!r}]")
        elif given is not None:
            bad = [index for index, text in enumerate(given) if not isinstance(text, str)]
            if bad:
                kind = type(given[bad[0]]).__name__
                wrong.append(f"{name} must be strings, but {len(bad)} are not, the first at {bad[0]} ({kind})")
    if not wrong and text_pair is not None and len(text_pair) != len(texts):
        wrong.append(f"{len(texts)} texts but {len(text_pair)} in text_pair: expected one for each")
    if wrong:
        raise InputError("; ".join(wrong))


def load(source: str | Path) -> "tuple[PreTrainedModel, Any]":
    """Return classifier (in evaluation mode, on the GPU if there is one) and processor of a folder or Hub id.

    Raises:
        InputError: There is none, it cannot be loaded, or its classification head was never trained.
    """
    import torch

    from . import models
    from .models.checkpoint_files import check_model_folder
    from .registration import register_model_types

    register_model_types()
    source = Path(source).expanduser() if Path(source).expanduser().exists() else source
    check_model_folder(source)
    known = models.load_config(str(source)).architectures or ["no architecture named"]
    task = next((task for task, name in ARCHITECTURES.items() if any(name in one for one in known)), None)
    if task is None:
        raise InputError(
            f"{str(source)!r} has no trained classification head ({', '.join(known)}): fine-tune it first, such as by "
            "`hf-attn text_classification` or `hf-attn image_classification`"
        )
    if task == "text-classification":
        check_model_folder(source, tokenizer=True)
    model = models.load(source, task=task)
    model.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loader = models.load_image_processor if task == "image-classification" else models.load_tokenizer
    return model, loader(source)


def logits(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: list[str],
    text_pair: list[str] | None,
    batch_size: int,
) -> np.ndarray:
    """Return (texts, outputs) float32 logits in the texts' order; the model's mode is left as it was."""
    import torch

    encoded = tokenizer(texts, text_pair, truncation=True, max_length=longest(model, tokenizer))
    order = sorted(range(len(texts)), key=lambda index: -len(encoded["input_ids"][index]))
    training = model.training
    model.eval()
    found = np.zeros((len(texts), model.config.num_labels or 1), np.float32)
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = tokenizer.pad(
                    {key: [column[row] for row in rows] for key, column in encoded.items()}, return_tensors="pt"
                )
                found[rows] = model(**batch.to(model.device)).logits.float().cpu().numpy()
    finally:
        model.train(training)
    return found


def longest(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """Return how many tokens the model takes, as far as tokenizer and config tell; None where they do not."""
    known = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    return min((length for length in known if length is not None and length < 10**6), default=None)


def label_of(probabilities: np.ndarray, names: Sequence[str], kind: str, top_k: int | None) -> dict[str, Any]:
    """Return label, score and probabilities of one example."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = {names[index]: float(probabilities[index]) for index in order}
    label: Any = next(iter(ranked))
    score: Any = ranked[label]
    if kind == "multi":
        label = [name for name, probability in ranked.items() if probability >= 0.5]
        score = [ranked[name] for name in label]
    return {"label": label, "score": score, "probabilities": dict(list(ranked.items())[:top_k])}
