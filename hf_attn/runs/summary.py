"""What a recipe prints at its end."""

from ..tasks.inputs.text.shown import attention_text
from ..tasks.targets.labels.confusions import confusion_table
from .record import RunRecord


def summary(record: RunRecord) -> str:
    """Return what a recipe prints at its end: test scores, confusions, the attention of one example, the folder."""
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.scores.items())
    parts = [f"test  {scores}"]
    if record.interval:
        parts[0] += f"\n      {record.metric} 95 % interval {record.interval[0]:.4f} to {record.interval[1]:.4f}"
    predictions = record.predictions
    if record.labels.kind == "single" and predictions.labels is not None:
        parts.append(confusion_table(predictions.labels, predictions.logits.argmax(-1), record.labels.names))
    if record.attention is not None:
        parts.append(attention_text(record.attention))
    return "\n\n".join([*parts, f"saved in {record.config.output_dir}"])
