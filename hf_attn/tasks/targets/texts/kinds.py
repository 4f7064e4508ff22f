"""The tasks whose targets are texts, and what differs between them: scores, and the name of an answer."""

from __future__ import annotations

from dataclasses import dataclass

from ....errors import InputError, nearest
from ....interface.printable import one_line
from .metrics import check_installed
from .options import Options


@dataclass(frozen=True)
class Kind:
    """A task whose target is a text.

    Attributes:
        task: its name on the Hub.
        answer: key of the text in an answer, as the Hub's widgets have it.
        sentence: what the model gives each text.
        scores: names of ``metrics.SCORES``, the usual one first.
        needs: modules that compute them.
    """

    task: str
    answer: str
    sentence: str
    scores: tuple[str, ...]
    needs: tuple[str, ...]


KINDS = {
    kind.task: kind
    for kind in (
        Kind(
            "translation",
            "translation_text",
            "its translation",
            ("bleu", "chrf", "ter", "length_ratio", "copied"),
            ("sacrebleu",),
        ),
        Kind(
            "summarization",
            "summary_text",
            "its summary",
            (
                *("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "length_ratio", "copied", "new_bigrams"),
                "as_many_sentences",
            ),
            ("sacrebleu", "rouge_score"),
        ),
    )
}
OF_LOSS = ("loss", "perplexity")


def check(args: Options, task: str, metric: str | None) -> None:
    """Refuse what cannot be scored, before anything is loaded.

    Raises:
        InputError: a library that is missing, an unknown score, or one of texts where none are written.
    """
    kind = KINDS[task]
    check_installed(*kind.needs)
    name = (metric or "loss").removeprefix("-")
    known = (*OF_LOSS, *kind.scores)
    if name not in known:
        raise InputError(f"metric {name!r}: expected one of {', '.join(known)}{nearest(name, known)}")
    if name in kind.scores and not args.eval_generated:
        raise InputError(
            f"metric {name!r} is of texts, and --eval_generated 0 writes none: give some, or --metric loss"
        )
    tokenize_of(args)


def tokenize_of(args: Options) -> str:
    """Return sacreBLEU's way to divide targets into words.

    Raises:
        InputError: it has no such way, or one that needs another library.
    """
    name = args.bleu_tokenize
    if name is None:
        return "zh" if (args.target_lang or "").lower().split("_")[0] in ("zh", "zho", "yue") else "13a"
    from sacrebleu.metrics import BLEU

    known = [one for one in BLEU.TOKENIZERS if one]
    if name not in known:
        raise InputError(f"bleu_tokenize {name!r}: expected one of {', '.join(known)}{nearest(name, known)}")
    try:
        BLEU(tokenize=name)
    except Exception as error:  # RuntimeError or ImportError of a library that is missing
        raise InputError(f"bleu_tokenize {name!r}: {one_line(error)}") from None
    return name
