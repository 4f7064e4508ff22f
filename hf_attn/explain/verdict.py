"""Whether to believe an attribution: what was measured of it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .weighed import Weighed

RANKED_BY = "area"
"""The score that methods are ranked by, and by which an attribution is believed or not."""

READ = {
    "area": "insertion − deletion area",
    "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency (lower is better)",
    "deletion": "deletion area (lower is better)",
    "insertion": "insertion area",
    "saco": "SaCo",
}
"""Names of scores to read, in the order in which they are shown."""


TELLING = 5
"""Parts from which on ten random orders do not hold the best one as a rule."""


def believed(attribution: Weighed) -> bool | None:
    """Return whether an attribution did better than each of the random ones; None where that cannot be told."""
    if RANKED_BY not in attribution.faithfulness or len(attribution.weights) < TELLING:
        return None
    score = attribution.faithfulness[RANKED_BY]
    return score["value"] > score["random_high"]


def verdict(attribution: Weighed) -> str:
    """Say in a sentence or two whether to believe an attribution of one input."""
    found, name = believed(attribution), READ[RANKED_BY]
    if not attribution.faithfulness:
        return "Whether this can be believed was not measured."
    if found is None:
        few = len(attribution.weights)
        return f"With {few} part{'s' if few != 1 else ''} it cannot be told from chance whether this can be believed."
    score = attribution.faithfulness[RANKED_BY]
    here = f"{name} {score['value']:.3f}"
    reach = f"random weights reach {score['random_high']:.3f} at most"
    said = (
        f"On this input the weights name parts that the answer hangs on: {here}, where {reach}."
        if found
        else f"Do not read this as the reason of the answer: {here}, no better than chance ({reach})."
    )
    if attribution.sinks:
        most = max(attribution.sinks, key=lambda name: abs(attribution.sinks[name]))
        said += f" {attribution.sink_share:.0%} of the weight rests on tokens that are no part of it, most on {most}."
    error = attribution.notes.get("completeness_error", 0.0)
    if error > 0.01:
        said += f" The weights miss what they are to sum to by {error:.0%}."
    return f"{said} {attribution.left_out}".rstrip()


def score_rows(attribution: Weighed) -> list[tuple[str, str, str, str]]:
    """Return a row for each score: its name, that of the attribution, the random mean, and the random ones' range."""
    known = attribution.faithfulness
    return [
        (
            words,
            f"{known[name]['value']:+.3f}",
            f"{known[name]['random']:+.3f}",
            f"{known[name]['random_low']:+.3f} to {known[name]['random_high']:+.3f}",
        )
        for name, words in READ.items()
        if name in known
    ]


def headline(attribution: Weighed) -> str:
    """Say what is explained, by what."""
    return f"{attribution.target} ({attribution.unit} {attribution.score:.3f}), by {attribution.method}"
