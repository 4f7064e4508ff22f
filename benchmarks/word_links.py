"""Which words of two texts translate each other, by an aligner of words that knows no attention."""

import warnings

import numpy as np

from hf_attn.tasks.inputs.text.words import WORD


def words(text):
    """The words, as attention is summed over, and the punctuation marks, in small letters."""
    return WORD.findall(text.lower())


def links(sources, targets, wanted, iterations=5):
    """Return the links of the last ``wanted`` pairs: {(source word, target word), …} for each.

    IBM model 2 (Brown et al. 1993, section 4.2) of NLTK, learned in both directions; the links on which both agree
    (Och & Ney 2003, section 3.1), which are few and seldom wrong.
    """
    from nltk.translate import AlignedSent, IBMModel2

    pairs = [(words(one), words(other)) for one, other in zip(sources, targets, strict=True)]
    pairs = [pair for pair in pairs[:-wanted] if all(pair)] + pairs[-wanted:]
    found = []
    for way in (1, -1):
        corpus = [AlignedSent(*pair[::way]) for pair in pairs]
        with warnings.catch_warnings(action="ignore"):
            IBMModel2(corpus, iterations)
        found.append([{link[::way] for link in one.alignment if None not in link} for one in corpus[-wanted:]])
    return [one & other for one, other in zip(*found, strict=True)]


def followed(model, tokenizer, sources, targets, known):
    """Return the share of linked target words whose most attended source word is a linked one, and that of chance.

    The references are given to the model, so that all models are asked of the same words.

    Args:
        model: a translator.
        tokenizer: its own.
        sources: texts.
        targets: their references.
        known: of :func:`links`.

    Returns:
        (layers,) shares by the mean of a layer's heads; the same where the word at the same place in the text is taken,
        which no model is needed for.

    Raises:
        ValueError: the model's words are others in more than a tenth of the pairs; those are left out.
    """
    from hf_attn.tasks.inputs.text.alignment import align

    right, diagonal, used = [], [], 0
    for source, target, linked in zip(sources, targets, known, strict=True):
        seen = align(model, tokenizer, source, target)
        if [[word.lower() for word in side] for side in (seen.sources, seen.written)] != [words(source), words(target)]:
            continue
        used += 1
        best = seen.weights.mean(1).argmax(-1)  # (layers, written)
        for at in sorted({written for _, written in linked}):
            right.append([(int(one), at) in linked for one in best[:, at]])
            same = round(at * (len(seen.sources) - 1) / max(1, len(seen.written) - 1))
            diagonal.append((same, at) in linked)
    if used < 0.9 * len(sources):
        raise ValueError(f"the words of {len(sources) - used} of {len(sources)} pairs are not those of the model")
    return np.mean(right, 0), float(np.mean(diagonal))
