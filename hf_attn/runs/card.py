"""The model card: README.md of a run, its scores as model-index, every foreign text escaped."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..interface.printable import without_tokens
from ..interface.whole_files import write_text
from ..tasks.table import TASKS
from .lineage import base_of
from .markdown import escape, fenced
from .usage import usage

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from ..interface.plotting import Picture
    from .record import RunRecord

SHOWN = ("model", "dataset", "attention", "epochs", "batch_size", "lr", "seed")
"""Arguments that a card always shows; the others where they differ from the default."""
HIDDEN = ("output_dir", "overwrite", "resume", "trackers", "push_to_hub", "private", "log_every", "num_workers")
DATA_FILES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt")


def write(folder: Path, record: "RunRecord", facts: dict[str, Any], drawn: "Sequence[Picture]") -> None:
    """Write ``README.md`` of a run.

    Args:
        folder: The run folder.
        record: What the recipe knows of its run.
        facts: What ``run.json`` holds.
        drawn: What is in ``figures/``.

    Raises:
        ValueError: The metadata does not come back as written.
    """
    from huggingface_hub import ModelCard

    shown = without_tokens(body(folder, record, facts, drawn))
    text = f"---\n{metadata(folder, record).to_yaml()}\n---\n\n{shown}"
    read_back = ModelCard(text).data.to_dict()
    if read_back != metadata(folder, record).to_dict():
        raise ValueError(f"the model card's metadata does not come back as written: {read_back}")
    write_text(folder / "README.md", text)


def metadata(folder: Path, record: "RunRecord") -> Any:
    """Return the card's ``ModelCardData``; only ids that the Hub can resolve go into fields that link."""
    from huggingface_hub import ModelCardData

    attention, model, dataset = record.config.attention, record.config.model, record.config.dataset
    return ModelCardData(
        model_name=folder.resolve().name,
        pipeline_tag=record.task,
        library_name="transformers",
        language=record.language,
        license=record.licence,
        base_model=base_of(model).hub_id if model else None,
        datasets=[str(dataset)] if is_hub_id(dataset) else None,
        tags=["hf_attn", *([f"attention:{attention}"] if attention else [])],
        eval_results=eval_results(record),
    )


def eval_results(record: "RunRecord") -> "list[EvalResult]":
    """Return the test scores as the Hub's evaluation results, unrounded."""
    from huggingface_hub import EvalResult

    dataset = record.config.dataset
    results = []
    for name, value in record.scores.items():
        kind, _ = record.target.METRICS.get(name, (name, name))
        results.append(
            EvalResult(
                task_type=record.task,
                task_name=record.task.replace("-", " ").capitalize(),
                dataset_type=str(dataset) if is_hub_id(dataset) else "custom",
                dataset_name=short_source(dataset),
                dataset_split="test",
                metric_type=kind,
                metric_name=readable(record, name),
                metric_value=float(value),
            )
        )
    return results


def body(folder: Path, record: "RunRecord", facts: dict[str, Any], drawn: "Sequence[Picture]") -> str:
    """Return the card's markdown below the metadata."""
    parts = [
        f"# {escape(folder.resolve().name)}",
        summary(record),
        "## Use",
        usage(folder, record),
        "## Scores",
        score_table(record),
        *([fenced(record.report)] if record.report else []),
        *(f"![{picture.caption}](figures/{picture.name})" for picture in drawn),
        *(part for heading, text in record.notes.items() for part in (f"## {heading}", text)),
        "## Training",
        argument_table(record.config),
        circumstances(facts),
        "## Data and licence",
        provenance(record),
    ]
    return "\n\n".join(parts) + "\n"


def summary(record: "RunRecord") -> str:
    """Say in a sentence or two what this model is."""
    names, given, what = record.target.names, TASKS[record.task].input.NOUN, record.target.sentence
    if new := getattr(record.config, "from_scratch", None):
        made = f"A new model of the architecture and sizes in {escape(short_source(new))}, trained"
    else:
        decoder = getattr(record.config, "decoder", None)
        beside = f" with a decoder, {escape(short_source(decoder))}" if decoder else ""
        made = f"{origin(record.config.model)}{beside}, fine-tuned"
    line = f"{made} to give each {given} {what}, by `hf-attn {record.config.recipe}`."
    return line + (f"\n\nLabels: {', '.join(escape(str(name)) for name in names)}." if names else "")


def origin(model: Any) -> str:
    """Say what a model was made of: an id of the Hub; or a folder's name, and the model that it came from."""
    if not model:
        return "A pretrained model"
    base = base_of(model)
    if base.is_it:
        return escape(base.name)
    kind = f" {escape(base.kind)}" if base.kind else ""
    came = f" that came from {escape(base.hub_id)}" if base.hub_id else ""
    return f"{escape(base.name)}, a local{kind} model{came}"


def score_table(record: "RunRecord") -> str:
    """Return validation and test scores as a table, with the test score's interval."""
    splits = record.split_scores
    names = list(dict.fromkeys(name for scores in splits.values() for name in scores))
    rows = [["Score", *splits], ["---", *["---:"] * len(splits)]]
    for name in names:
        values = [scores.get(name) for scores in splits.values()]
        rows.append(
            [
                escape(readable(record, name)),
                *("" if v is None else f"{v:.4f}" for v in values),
            ]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if record.scored_with:
        table += (
            f"\n\nThe test scores are those of the model with {record.scored_with}; loaded as above, it runs without."
        )
    if record.interval is None:
        return table
    low, high = record.interval
    name = escape(readable(record, record.metric))
    count = len(record.predictions.ids)
    return f"{table}\n\n{name} on test: 95 % bootstrap interval {low:.4f} to {high:.4f} ({count:,} examples)."


def readable(record: "RunRecord", score: str) -> str:
    """Return the name of a score to read; an unknown one is called as it is."""
    return record.target.METRICS.get(score, (score, score))[1]


def argument_table(config: Any) -> str:
    """Return the arguments that matter: the usual ones, and what differs from the defaults; folders by name alone."""
    rows = ["| Argument | Value |", "| --- | --- |"]
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        default = item.default_factory() if callable(item.default_factory) else item.default
        if item.name not in HIDDEN and (item.name in SHOWN or value != default):
            shown = short_source(value) if isinstance(value, str | Path) else json.dumps(value, default=str)
            shown = base_of(value).name if item.name == "model" and value else shown
            rows.append(f"| {escape(item.name)} | {escape(shown)} |")
    return "\n".join(rows)


def circumstances(facts: dict[str, Any]) -> str:
    """Say how long training took, on what, and with which versions."""
    training, hardware = facts["training"], facts["hardware"]
    where = " and ".join([f"{hardware['cores']} cores of {hardware['processor']}", *hardware["gpus"]])
    parts = []
    best = f", the best at step {training['best_step']:,}" if training["best_step"] is not None else ""
    parts.append(f"{training['steps']:,} steps{best}")
    parts.append(f"{training['seconds']:,.0f} s of training steps")
    if training["tokens_per_second"] is not None:
        parts.append(f"{training['tokens_per_second']:,.0f} tokens a second without padding")
    elif training["examples_per_second"] is not None:
        parts.append(f"{training['examples_per_second']:,.0f} examples a second")
    done = "; ".join(parts)
    versions = ", ".join(f"{escape(name)} {escape(number)}" for name, number in facts["versions"].items())
    return f"{done}, on {escape(where)}, precision {hardware['precision']}.\n\nVersions: {versions}."


def provenance(record: "RunRecord") -> str:
    """Say which data it was, its licence and the model's, or that they are not known."""
    data = escape(short_source(record.config.dataset))
    lines = [f"Data: {data}; licence: {escape(record.dataset_licence or 'not stated')}."]
    if record.fingerprint:
        lines.append(f"sha256 of the data as it was read: `{record.fingerprint}`.")
    if record.licence is None:
        lines.append("The model's licence is not stated here; that of the base model and of the data hold.")
    return "\n".join(lines)


def with_model_id(text: str, model_id: str) -> str:
    """Return the card with the usage snippet naming ``model_id``."""
    return re.sub(r"^model_id = .*$", lambda _: f"model_id = {json.dumps(model_id)}", text, count=1, flags=re.MULTILINE)


def is_hub_id(source: Any) -> bool:
    """Return whether ``source`` is a ``user/name`` of the Hub and nothing on this machine."""
    text = str(source)
    named = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text) is not None
    return named and not text.endswith(DATA_FILES) and not Path(text).exists()


def short_source(source: Any) -> str:
    """Return a Hub id as it is, and only the last part of a path: a card tells nothing of the machine's folders."""
    if source is None:
        return "not stated"
    text = " ".join(str(source).split())
    return text if is_hub_id(text) else Path(text).name or text
