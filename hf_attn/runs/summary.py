"""What a recipe prints at its end."""

from .record import RunRecord


def summary(record: RunRecord) -> str:
    """Return what a recipe prints at its end: test scores, what the target and an example show, the folder."""
    scores = "  ".join(f"{name} {value:.4f}" for name, value in record.scores.items())
    first = f"test  {scores}"
    if record.interval:
        first += f"\n      {record.metric} 95 % interval {record.interval[0]:.4f} to {record.interval[1]:.4f}"
    parts = [first, record.target.summary(record.predictions), record.text, f"saved in {record.config.output_dir}"]
    return "\n\n".join(filter(None, parts))
