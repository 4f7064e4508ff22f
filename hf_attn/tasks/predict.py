"""Predictions of a trained model: the one way from what a user gives to an answer."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .table import TASKS, Task, task_for, task_of
from .writing import writing

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel

    from .contracts import Target


def predict(
    run: "str | Path | PreTrainedModel",
    inputs: "Iterable[str] | Iterable[str | Path | Image | np.ndarray]",
    *,
    text_pair: Iterable[str] | None = None,
    top_k: int | None = None,
    batch_size: int = 32,
    processor: Any = None,
    generation: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Classify texts or images, give each a number, or say the words that are wanted, as the model was trained to.

    Args:
        run: A run folder, any model folder or Hub id, or a model in hand.
        inputs: For a model of texts: the texts; longer ones are cut to what the model takes. For one of images: files,
            pillow images, or (height, width, 3) uint8 arrays. A list, tuple, generator, array, or one column of pandas,
            polars, datasets or arrow. For one of questions: dicts of ``question`` and ``context``, one or several, or a
            table with these columns.
        text_pair: A second text for each, for a model trained on pairs; a run that was trained otherwise is told so.
        top_k: Keep so many of the probabilities; all of them by default.
        batch_size: Inputs a forward pass; it never changes the results.
        processor: The model's tokenizer or image processor; by default the one saved beside the model.
        generation: Fields of GenerationConfig, such as ``num_beams`` or ``max_new_tokens``, for a model that writes, in
            place of what is saved with it.

    Returns:
        One dict an input, in their order, as ``say`` of the task's target words it: ``label``, ``score`` (its
        probability) and ``probabilities`` (by label, greatest first). Where an example may have several labels,
        ``label`` and ``score`` are lists of all with a probability of at least 0.5. For a regression: ``value``. For
        texts with a mask: ``token_str``, ``score``, ``sequence`` and ``tokens`` (``top_k`` of them, 5 by default). For
        a model that goes on from a text: ``generated_text`` and ``continuation``. For a question: ``answer``,
        ``score``, ``start`` and ``end`` in characters of the context; with ``top_k`` above 1 the best ``answers``.

    Raises:
        InputError: No such model, inputs that it does not take or that cannot be read, pairs that do not fit.
    """
    check_options(top_k, batch_size)
    model, saved = load(run) if isinstance(run, str | Path) else (run, None)
    task = task_of(model)
    given = task.input.read(inputs, text_pair, run)
    if not len(given):
        return []
    processor = processor or saved or load_processor(model)
    with writing(model, generation):
        found = outputs(model, given, processor, batch_size)
    return target_of(model, found, processor).say(found, top_k)


def outputs(model: "PreTrainedModel", given: Any, processor: Any, batch_size: int = 32) -> Any:
    """Return what a model gives for inputs, one item each, in their order; each module's mode is left as it was.

    Args:
        model: a trained one.
        given: as ``read`` of its input gives it.
        processor: its tokenizer or image processor.
        batch_size: inputs a forward pass.

    Raises:
        InputError: inputs that the model does not take.
    """
    from ..training.evaluation import in_order, run

    task = task_of(model)
    batches = task.input.batches(given, processor, model, batch_size)
    return in_order(run(model, batches, model.device, task.target.outputs)).outputs


def target_of(model: "PreTrainedModel", outputs: Any, processor: Any = None) -> "Target":
    """Return what a trained model says, of which some outputs are known; ``processor`` makes words of token ids."""
    width = outputs.shape[-1] if isinstance(outputs, np.ndarray) else 0
    return task_of(model).target.of_model(model, width, processor)


def load_processor(model: "PreTrainedModel") -> Any:
    """Return the tokenizer or image processor that a model in hand was loaded with.

    Raises:
        InputError: the model was made of another and is not saved, or its checkpoint has none.
    """
    from ..attention.unsaved import UNSAVED

    name = str(model.name_or_path)
    if name.startswith(UNSAVED):
        raise InputError(f"the model in hand is not saved ({name}): give its tokenizer or image processor, processor=")
    return task_of(model).input.load_processor(name)


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
    task.input.check_folder(source)
    model = models.load(source, task=task.name)
    model.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return model, task.input.load_processor(source)


def trained_task(source: str | Path) -> tuple[Task | None, str]:
    """Return the task that a saved model was trained for, or None, and its class' name.

    Raises:
        InputError: it has no configuration that can be loaded.
    """
    from .. import models
    from ..models.adapter_files import base_of, has_head, is_adapter

    adapter = is_adapter(source)
    config = models.load_config(base_of(source) if adapter else str(source))
    if adapter and has_head(source):
        import transformers

        autos: dict[str, Any] = {name: getattr(transformers, task.auto) for name, task in TASKS.items()}
        known = (TASKS[name] for name, auto in autos.items() if type(config) in auto._model_mapping)
        return next(known, None), "adapter"
    classes = config.architectures or ["no architecture named"]
    return task_for(config, classes), ", ".join(classes)
