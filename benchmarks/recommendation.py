"""What recommends MovieLens' films: attention over the history, its plain mean, a sparse attention, and simple ways.

    python benchmarks/recommendation.py --seeds 0 1 2                 # all settings: half an hour of one core
    python benchmarks/recommendation.py --settings attention mean     # these, seed 0

The recipe runs with recipes/configs/movielens_text.yaml. Each run is added to results/recommendation.json, and one that
is there already is not run again; the table is of them all: means over seeds, and the spread of these. Intervals over
users, which are wider, stand in each run's card.
"""

import argparse
import os
import statistics
from pathlib import Path

from recipe_runs import Runs

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "recommendation.json"
CONFIG = ["--config", "recipes/configs/movielens_text.yaml", "--dataset", f"{SHARED}/data/movielens_text"]
METRICS = ["auroc", "gauc", "ndcg_at_10", "loss"]
SETTINGS = {
    "attention": [],
    "mean": ["--pooling", "mean"],
    "entmax15": ["--attention", "entmax15"],
    "no pairs": ["--pair_weight", "0"],
}


def table(runs):
    print("| setting | " + " | ".join(METRICS) + " | seconds |")
    print("|---" * (len(METRICS) + 2) + "|")
    for setting in SETTINGS:
        scores = {name: list(runs.scores(setting, name).values()) for name in [*METRICS, "seconds"]}
        if not scores["loss"]:
            continue
        cells = []
        for name in METRICS:
            spread = f" ± {statistics.stdev(scores[name]):.4f}" if len(scores[name]) > 1 else ""
            cells.append(f"{statistics.mean(scores[name]):.4f}{spread}")
        seeds = len(scores["loss"])
        print(f"| {setting} ({seeds} seeds) | " + " | ".join(cells) + f" | {statistics.mean(scores['seconds']):.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    from hf_attn.models.quickstart import checkpoint

    runs = Runs(args.results)
    for seed in args.seeds:
        for setting in args.settings:
            argv = ["--model", str(checkpoint()), *CONFIG, *SETTINGS[setting], "--seed", str(seed)]
            runs.run(f"{setting}/{seed}", "recommendation", argv, METRICS)
    table(runs)


if __name__ == "__main__":
    main()
