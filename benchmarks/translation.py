"""Which function the cross attention of a small translator is: softmax, additive, general, sparsemax, entmax15.

    python benchmarks/translation.py --seeds 0 1 2                        # all: a quarter of an hour of a core each run
    python benchmarks/translation.py --settings softmax additive          # these, seed 0
    python benchmarks/translation.py --settings softmax -- --epochs 0.5   # the recipe's arguments after --
    python benchmarks/translation.py --picture docs/recipes/alignment.png # of the runs that are there

The recipe runs with recipes/configs/multi30k_en_de.yaml, from random weights, with the same steps for all. Each run is
added to results/translation.json, and one that is there already is not run again; the table is of them all, with the
95 % interval of each run's BLEU, which draws sentences, and the spread over seeds.

`follows` is the alignment: of the words of the test references that an aligner of words links to a source word
(word_links.py), the share for which the cross attention is highest on it; heads meant, the layer where that is most.
The picture has one caption of test and its reference, by that layer of each setting, seed 0.
"""

import argparse
import os
import statistics
from functools import cached_property
from pathlib import Path

from recipe_runs import Runs, markdown, rows_of
from word_links import followed, links

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "translation.json"
DATA = SHARED / "data" / "multi30k_en_de"
CONFIG = ["--config", "recipes/configs/multi30k_en_de.yaml", "--dataset", str(DATA)]
LEARNED = 5000
"""Pairs of train that the aligner learns from, beside those of test."""
DRAWN = 0
"""Row of test in the picture."""
METRICS = ["bleu", "chrf", "loss"]
SETTINGS = {
    "softmax": [],
    **{
        name: ["--attention", name, "--attention_include", "encoder_attn"]
        for name in ("additive", "general", "sparsemax", "entmax15")
    },
}


class Links:
    """The links of the words of test, which are found once; and how often a run's attention follows them."""

    @cached_property
    def of_test(self):
        """Sources, references, and the links of each pair."""
        train, test = (rows_of(DATA, split) for split in ("train", "test"))
        sources, references = ([row[name] for row in (*train[:LEARNED], *test)] for name in ("en", "de"))
        known = links(sources, references, len(test))
        return sources[-len(test) :], references[-len(test) :], known

    def __call__(self, run):
        from hf_attn.tasks.inputs.text.alignment import align
        from hf_attn.tasks.predict import load

        model, tokenizer = load(run)
        layers, diagonal = followed(model, tokenizer, *self.of_test)
        source, reference = (texts[DRAWN] for texts in self.of_test[:2])
        seen = align(model, tokenizer, source, reference)
        weights = seen.weights.mean(1)[layers.argmax()].round(3).tolist()
        return {
            "follows": [round(float(share), 4) for share in layers],
            "follows_diagonal": round(diagonal, 4),
            "drawn": {"sources": seen.sources, "written": seen.written, "weights": weights},
        }


def table(runs):
    """A line each setting: means over seeds and their spread, the interval of each run, the alignment."""
    rows = []
    for setting, seeds in runs.settings(SETTINGS).items():
        cells = [runs.mean(setting, name, 2) for name in METRICS]
        each = ", ".join(f"{low:.1f} to {high:.1f}" for low, high in runs.scores(setting, "interval").values())
        follows = statistics.mean(max(shares) for shares in runs.scores(setting, "follows").values())
        rows.append([setting, str(seeds), *cells, each, f"{follows:.2f}"])
    return markdown(["cross attention", "seeds", *METRICS, "BLEU of each seed, 95 % of sentences", "follows"], rows)


def picture(runs):
    """The attention of each setting between the words of one caption and its translation, side by side."""
    from hf_attn.interface.plotting import canvas

    drawn = {name: runs.scores(name, "drawn")["0"] for name in runs.settings(SETTINGS)}
    figure, axes = canvas(2.4 * len(drawn) + 0.8, 3.4, ncols=len(drawn))
    for axis, (name, one) in zip(axes, drawn.items(), strict=True):
        axis.imshow(one["weights"], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(one["sources"])), one["sources"], rotation=60, ha="right", fontsize=8)
        axis.set_yticks(range(len(one["written"])), one["written"] if axis is axes[0] else [], fontsize=8)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(name, fontsize=10)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file for other arguments")
    parser.add_argument("--picture", type=Path, help="draw the runs that are there into this file, run nothing")
    parser.add_argument("recipe", nargs="*", help="after --: further arguments of the recipe")
    args = parser.parse_args()
    runs = Runs(args.results)
    if args.picture:
        from hf_attn.interface.plotting import save

        return save(picture(runs), args.picture)
    aligned = Links()
    for seed in args.seeds:
        for setting in args.settings:
            argv = [*CONFIG, *SETTINGS[setting], *args.recipe, "--seed", str(seed)]
            runs.run(f"{setting}/{seed}", "translation", argv, METRICS, more=aligned)
    print(table(runs))


if __name__ == "__main__":
    main()
