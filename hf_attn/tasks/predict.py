"""Predictions of a trained model for texts or images: in Python, and as rows for ``hf-attn predict``."""

import inspect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

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
    inputs: "Iterable[str] | Iterable[str | Path | Image | np.ndarray]",
    *,
    text_pair: Iterable[str] | None = None,
    top_k: int | None = None,
    batch_size: int = 32,
    processor: Any = None,
) -> list[dict[str, Any]]:
    """Classify texts or images, or give each a number where the model is a regression.

    Args:
        run: A run folder, any model folder or Hub id, or a model in hand.
        inputs: For a model of texts: the texts; longer ones are cut to what the model takes. For one of images: files,
            pillow images, or (height, width, 3) uint8 arrays. A list, tuple, generator, array, or one column of pandas,
            polars, datasets or arrow.
        text_pair: A second text for each, for a model trained on pairs; a run that was trained otherwise is told so.
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
    from .inputs.given import images_of, tell_pairs, texts_of

    check_options(top_k, batch_size)
    if isinstance(run, str | Path):
        model, saved_processor = load(run)
    else:
        model, saved_processor = run, None
    if takes_images(model):
        from .inputs.images.prediction import image_logits

        if text_pair is not None:
            raise InputError("text_pair given, but this model classifies images")
        images = images_of(inputs)
        if not images:
            return []
        processor = processor or saved_processor or load_processor(model)
        values = image_logits(model, processor, images, batch_size)
    else:
        texts, pairs = texts_of(inputs, text_pair)
        if not texts:
            return []
        processor = processor or saved_processor or load_processor(model)
        tell_pairs(run, pairs)
        values = logits(model, processor, texts, pairs, batch_size)
    return described(model, values, top_k)


def described(model: "PreTrainedModel", values: np.ndarray, top_k: int | None) -> list[dict[str, Any]]:
    """Return what (examples, outputs) logits say, as :func:`predict` gives it."""
    from ..training.evaluation import Predictions
    from .targets.labels.labels import Labels
    from .targets.labels.scoring import probabilities

    kind = "regression" if values.shape[1] == 1 else KINDS.get(model.config.problem_type, "single")
    if kind == "regression":
        return [{"value": float(row[0]) if len(row) == 1 else row.tolist()} for row in values]
    labels = Labels(kind, label_names(model, values.shape[1]))
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
    from ..attention.unsaved import UNSAVED
    from ..models import load_image_processor, load_tokenizer

    name = str(model.name_or_path)
    if name.startswith(UNSAVED):
        raise InputError(f"the model in hand is not saved ({name}): give its tokenizer or image processor, processor=")
    return (load_image_processor if takes_images(model) else load_tokenizer)(name)


def check_options(top_k: int | None, batch_size: int) -> None:
    """Raise InputError with all that is wrong with the options of :func:`predict`."""
    wrong = []
    if top_k is not None and not _counts(top_k):
        wrong.append(f"top_k is {top_k}, expected at least 1")
    if not _counts(batch_size):
        wrong.append(f"batch_size is {batch_size}, expected at least 1")
    if wrong:
        raise InputError("; ".join(wrong))


def _counts(number: Any) -> bool:
    return isinstance(number, int | np.integer) and int(number) >= 1


def label_names(model: "PreTrainedModel", outputs: int) -> tuple[str, ...]:
    """Return the names of a model's outputs; ``LABEL_0`` and so on where it has none.

    Raises:
        InputError: two have one name, so that a prediction would not tell them apart.
    """
    from .inputs.text.encoding import characters

    known = {int(index): str(name) for index, name in (model.config.id2label or {}).items()}
    names = tuple(characters([known.get(index, f"LABEL_{index}") for index in range(outputs)], "label names"))
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"the model has several classes named {twice[0]!r}: name each one in config.json, id2label")
    return names


def load(source: str | Path) -> "tuple[PreTrainedModel, Any]":
    """Return classifier (in evaluation mode, on the GPU if there is one) and processor of a folder or Hub id.

    Raises:
        InputError: There is none, it cannot be loaded, or its classification head was never trained.
    """
    import torch

    from .. import models
    from ..models.checkpoint_files import check_model_folder

    source = Path(source).expanduser() if Path(source).expanduser().exists() else source
    check_model_folder(source)
    task, known = trained_task(source)
    if task is None:
        raise InputError(
            f"{str(source)!r} has no trained classification head ({known}): fine-tune it first, such as by "
            "`hf-attn text_classification` or `hf-attn image_classification`"
        )
    if task == "text-classification":
        models.check_text_model(source)
    model = models.load(source, task=task)
    model.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    loader = models.load_image_processor if task == "image-classification" else models.load_tokenizer
    return model, loader(source)


def trained_task(source: str | Path) -> tuple[str | None, str]:
    """Return what a saved model was trained to classify, a key of :data:`ARCHITECTURES` or None, and its class' name.

    Raises:
        InputError: it has no configuration that can be loaded.
    """
    from .. import models
    from ..models.adapter_files import base_of, has_head, is_adapter

    adapter = is_adapter(source)
    config = models.load_config(base_of(source) if adapter else str(source))
    if adapter and has_head(source):
        from ..models.task_class import TASKS

        heads: dict[str, Any] = TASKS
        return next((task for task in ARCHITECTURES if type(config) in heads[task]._model_mapping), None), "adapter"
    known = config.architectures or ["no architecture named"]
    task = next((task for task, name in ARCHITECTURES.items() if any(name in one for one in known)), None)
    return task, ", ".join(known)


def logits(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: list[str],
    text_pair: list[str] | None,
    batch_size: int,
) -> np.ndarray:
    """Return (texts, outputs) float32 logits in the texts' order; each module's mode is left as it was.

    Where model and tokenizer have no padding in common, texts go through it one by one; where the model reads padding,
    those of one length go together.

    Raises:
        InputError: texts with tokens that the model has no embeddings for.
    """
    import torch

    from ..attention.modes import evaluation_mode
    from .inputs.text.agreement import check_token_ids, fitted, padding
    from .inputs.text.encoding import encode
    from .inputs.text.padding_read import reads_padding
    from .inputs.text.tokens import Padding

    tokenizer = fitted(tokenizer, model)
    encoded = encode(tokenizer, texts, text_pair)
    check_token_ids(encoded["input_ids"], model, tokenizer)
    pad = padding(model)
    batch_size = 1 if pad is None else batch_size
    values = {"input_ids": pad or 0, "attention_mask": 0, "token_type_ids": tokenizer.pad_token_type_id}
    multiple = getattr(model.config, "downsampling_rate", 1)  # CANINE takes so many characters together
    collate = Padding(values, tokenizer.padding_side, multiple, limit=2**31)
    given = [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
    lengths = [len(row["input_ids"]) for row in given]
    order = sorted(range(len(texts)), key=lambda index: -lengths[index])
    alike = (
        batch_size > 1 and lengths[order[0]] > lengths[order[-1]] and reads_padding(model, given[order[-1]], collate)
    )
    found = np.zeros((len(texts), model.config.num_labels or 1), np.float32)
    with evaluation_mode(model), torch.inference_mode():
        for rows in batches(order, batch_size, lengths if alike else None):
            batch = collate([given[row] for row in rows])
            on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
            found[rows] = model(**on_device).logits.float().cpu().numpy()
    return found


def batches(order: list[int], batch_size: int, lengths: list[int] | None) -> Iterator[list[int]]:
    """Yield the rows in batches; of one length each, where lengths are given, by which the rows are ordered."""
    for _, group in itertools.groupby(order, key=lengths.__getitem__ if lengths else lambda row: 0):
        rows = list(group)
        yield from (rows[at : at + batch_size] for at in range(0, len(rows), batch_size))


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
