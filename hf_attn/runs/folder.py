"""The run folder: what a recipe leaves behind when it ends.

    run.json              versions, commit, hardware, seed, data fingerprint, time, throughput, memory, scores
    model.safetensors …   model and tokenizer, for ``from_pretrained`` and ``hf_attn.load``
    decoder_tokenizer/    the tokenizer of a decoder that writes in tokens of its own
    predictions.parquet   id, label, prediction, probabilities of the test split
    unlabelled.parquet    the same, without label, of a test split that has none, or of --unlabeled
    validation.parquet    the same of the validation split, with --unlabeled
    worst.jsonl           the test examples that the model is most wrong about, where a recipe lists them
    figures/              curves, confusion (or scatter, or classes), reliability, attention
    README.md             the model card, its scores as model-index

``config.yaml`` (the exact arguments) and ``log.jsonl`` are there from the start; ``checkpoints/`` is never pushed.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interface.printable import without_tokens
from ..interface.whole_files import as_os_error, whole, whole_folder, write_text
from ..training import output
from ..training.history import REPORT
from ..training.run_files import CARD, FIGURES, LOG, PREDICTIONS, RECORD, UNLABELLED, VALIDATION, WORST, digests
from . import card, figures, machine
from .record import RunRecord
from .summary import summary

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from ..tasks.contracts import Target
    from ..training.evaluation import Predictions


def begin(args: Any) -> "Accelerator":
    """Start a run: its folder, devices and seeds, and the Hub where it is to be pushed.

    Raises:
        InputError: what :func:`hf_attn.training.start` refuses; no access to the repository.
    """
    from ..training import start
    from . import hub

    accelerator = start(args)
    if args.push_to_hub:
        hub.check_access(args.push_to_hub)
    return accelerator


def complete(
    model: "PreTrainedModel", processor: Any, record: RunRecord, accelerator: "Accelerator"
) -> dict[str, float]:
    """End a run: score, save and describe it, print what it came to, push it if that was asked for.

    All processes call it.

    Args:
        model: The trained model; LoRA adapters are merged.
        processor: Its tokenizer or image processor.
        record: What the recipe knows of its run; the scores of its predictions are taken here.
        accelerator: The one the run was started with.

    Returns:
        The scores of the test split.
    """
    from . import hub

    predictions, target, args, metric = record.predictions, record.target, record.config, record.history.metric
    record = dataclasses.replace(
        record,
        scores=target.scores(predictions, [metric]),
        interval=target.interval(predictions, metric),
        report=target.report(predictions),
    )
    finish(model, processor, record, accelerator)
    if accelerator.is_main_process:
        print(summary(record))
        if record.unlabelled is not None:
            print(f"{len(record.unlabelled):,} rows without labels are predicted in {args.output_dir}/{UNLABELLED}")
        if args.push_to_hub:
            print(hub.push(args.output_dir, args.push_to_hub, private=args.private))
    output.release(accelerator)
    accelerator.end_training()
    return dict(record.scores)


def finish(model: "PreTrainedModel", processor: Any, record: RunRecord, accelerator: "Accelerator") -> Path:
    """Save the model and describe the run in ``record.config.output_dir``.

    All processes call it; the main process writes. The folder exists already, with ``config.yaml`` and ``log.jsonl``.

    Args:
        model: The trained model with the weights to keep, wrapped by accelerate or not; LoRA adapters are merged.
        processor: The tokenizer or image processor.
        record: What the recipe knows of its run.
        accelerator: The one the run was started with.

    Returns:
        The run folder.

    Raises:
        OSError: The disk is full, or not to be written to; on every process.
    """
    from accelerate.utils import broadcast_object_list
    from safetensors import SafetensorError

    from ..models import merge_lora
    from ..models.checkpoint import quietly
    from ..models.decoder_tokenizer import save

    folder = Path(record.config.output_dir)
    failure: list[OSError | None] = [None]
    if accelerator.is_main_process:
        plain = merge_lora(accelerator.unwrap_model(model, keep_torch_compile=False))
        try:
            with quietly(), whole_folder(folder) as place:
                plain.save_pretrained(place)
                save(processor, place)
                saved = [folder / path.relative_to(place) for path in place.rglob("*") if path.is_file()]
            how = {"processes": accelerator.num_processes, "precision": accelerator.mixed_precision}
            describe(folder, record, saved=saved, **how)
        except (OSError, SafetensorError) as error:
            rest = f"{folder} could not be completed ({{reason}}); its checkpoints are intact: go on with --resume"
            failure = [as_os_error(error, rest)]
    broadcast_object_list(failure)  # every process stops with the first
    if failure[0] is not None:
        raise failure[0]
    return folder


def describe(
    folder: Path, record: RunRecord, *, processes: int = 1, precision: str = "no", saved: Sequence[Path] = ()
) -> None:
    """Write what describes a model: predictions, the log's last line, figures, the card; and ``run.json`` at the end.

    Args:
        folder: The run folder.
        record: What the recipe knows of its run.
        processes: How many took part.
        precision: Of the training.
        saved: The files of the model; ``run.json`` names the sha256 of these and of what is written here.

    Raises:
        OSError: A file could not be written; none is left cut short.
    """
    facts = run_facts(record, processes=processes, precision=precision)
    write_predictions(folder / PREDICTIONS, record.predictions, record.target, record.names)
    written = [*saved, folder / PREDICTIONS]
    if record.unlabelled is not None:
        write_predictions(folder / UNLABELLED, record.unlabelled, record.target, record.unlabelled_names)
        written.append(folder / UNLABELLED)
    if record.worst and record.predictions.labels is not None:
        write_worst(folder / WORST, record)
        written.append(folder / WORST)
    if record.validation is not None:
        write_predictions(folder / VALIDATION, record.validation, record.target, {})
        written.append(folder / VALIDATION)
    with (folder / LOG).open("a", encoding="utf-8") as log:
        scores = {f"test/{name}": value for name, value in record.scores.items()}
        log.write(json.dumps({"step": record.history.step, **scores, REPORT: record.report}) + "\n")
    drawn = figures.draw(folder, record)
    card.write(folder, record, facts, drawn)
    written += [folder / CARD, *(folder / FIGURES / picture.name for picture in drawn)]
    facts["files"] = digests(folder, written)
    write_text(folder / RECORD, without_tokens(json.dumps(facts, indent=2, ensure_ascii=False, default=str)) + "\n")


def run_facts(record: RunRecord, *, processes: int = 1, precision: str = "no") -> dict[str, Any]:
    """Return what ``run.json`` holds: plain strings, numbers, lists and dicts."""
    config, history = record.config, record.history
    return {
        "recipe": config.recipe,
        "task": record.task,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": dataclasses.asdict(config),
        "seed": config.seed,
        "data": {"source": config.dataset, "fingerprint": record.fingerprint},
        "training": {
            "steps": history.step,
            "best_step": history.best_step,
            "stopped_early": history.stopped_early,
            "seconds": history.seconds,
            "examples": history.examples,
            "examples_per_second": history.examples / history.seconds if history.seconds else None,
            "tokens": history.tokens,
            "tokens_per_second": history.tokens / history.seconds if history.seconds and history.tokens else None,
            "peak_memory_bytes": machine.peak_memory(),
        },
        "metric": record.metric,
        "scores": {split: dict(scores) for split, scores in record.split_scores.items()},
        "report": record.report,
        "interval": None if record.interval is None else {"level": 0.95, "test": list(record.interval)},
        **record.facts,
        "versions": machine.versions(),
        "git": machine.git_state(Path.cwd()),
        "hardware": {**machine.hardware(), "processes": processes, "precision": precision},
    }


def write_predictions(
    path: Path, predictions: "Predictions", target: "Target", names: Mapping[str, Sequence[Any]]
) -> None:
    """Write one row an example: id, what tells it apart, and the columns of the target: label, prediction, and so on.

    The names of what is predicted, in the order of probabilities, are in the file's metadata under ``labels``.

    Args:
        path: Of the file.
        predictions: Of a split.
        target: What is predicted.
        names: Columns of the split, of which each has a value for every row number.
    """
    import pyarrow
    import pyarrow.parquet

    told = {name: [column[row] for row in predictions.ids] for name, column in names.items()}
    table = pyarrow.table({"id": np.asarray(predictions.ids), **told, **target.columns(predictions)})
    with whole(path) as place:
        pyarrow.parquet.write_table(table.replace_schema_metadata({"labels": json.dumps(target.names)}), place)


def write_worst(path: Path, record: RunRecord) -> None:
    """Write the examples of the greatest loss, a JSON object a line: what they are, what is said of them, and the loss.

    Args:
        path: Of the file.
        record: With predictions whose truth is known.
    """
    predictions, target = record.predictions, record.target
    losses = target.row_losses(predictions)
    rows = np.argsort(-losses, kind="stable")[: record.worst].tolist()
    columns = target.columns(predictions)
    lines = []
    for row, said in zip(rows, target.described(predictions, rows), strict=True):
        known = {name: column[predictions.ids[row]] for name, column in record.names.items()}
        told = {
            "id": int(predictions.ids[row]),
            **known,
            "loss": float(losses[row]),
            "true": said.true,
            "said": said.said,
        }
        lines.append(
            json.dumps(told | {name: column[row] for name, column in columns.items()}, ensure_ascii=False, default=str)
        )
    write_text(path, "".join(line + "\n" for line in lines))
