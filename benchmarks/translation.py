"""Which function the cross attention of a small translator is: softmax, additive, general, sparsemax, entmax15.

    python benchmarks/translation.py --seeds 0 1 2                        # all: a quarter of an hour of a core each run
    python benchmarks/translation.py --settings softmax additive          # these, seed 0
    python benchmarks/translation.py --settings softmax -- --epochs 0.5   # the recipe's arguments after --

The recipe runs with recipes/configs/multi30k_en_de.yaml, from random weights, with the same steps for all. Each run is
added to results/translation.json, and one that is there already is not run again; the table is of them all, with the
95 % interval of each run's BLEU, which draws sentences, and the spread over seeds.
"""

import argparse
import os
import statistics
from pathlib import Path

from recipe_runs import Runs

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "translation.json"
CONFIG = ["--config", "recipes/configs/multi30k_en_de.yaml", "--dataset", f"{SHARED}/data/multi30k_en_de"]
METRICS = ["bleu", "chrf", "loss"]
SETTINGS = {
    "softmax": [],
    **{
        name: ["--attention", name, "--attention_include", "encoder_attn"]
        for name in ("additive", "general", "sparsemax", "entmax15")
    },
}


def table(runs):
    print("| cross attention | " + " | ".join(METRICS) + " | BLEU of each seed, 95 % of sentences | seconds |")
    print("|---" * (len(METRICS) + 3) + "|")
    for setting in SETTINGS:
        scores = {name: list(runs.scores(setting, name).values()) for name in [*METRICS, "seconds"]}
        if not scores["bleu"]:
            continue
        cells = []
        for name in METRICS:
            spread = f" ± {statistics.stdev(scores[name]):.2f}" if len(scores[name]) > 1 else ""
            cells.append(f"{statistics.mean(scores[name]):.2f}{spread}")
        each = ", ".join(f"{low:.1f} to {high:.1f}" for low, high in runs.scores(setting, "interval").values())
        print(f"| {setting} | {' | '.join(cells)} | {each} | {statistics.mean(scores['seconds']):.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="another file for other arguments")
    parser.add_argument("recipe", nargs="*", help="after --: further arguments of the recipe")
    args = parser.parse_args()
    runs = Runs(args.results)
    for seed in args.seeds:
        for setting in args.settings:
            argv = [*CONFIG, *SETTINGS[setting], *args.recipe, "--seed", str(seed)]
            runs.run(f"{setting}/{seed}", "translation", argv, METRICS)
    table(runs)


if __name__ == "__main__":
    main()
