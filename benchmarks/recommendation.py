"""What recommends MovieLens' films: attention over the history, its plain mean, a sparse attention, and simple ways.

    python benchmarks/recommendation.py --seeds 0 1 2                 # all settings: half an hour of one core
    python benchmarks/recommendation.py --settings attention mean     # these, seed 0

The recipe runs with recipes/configs/movielens_text.yaml. Each run is added to results/recommendation.json, and one that
is there already is not run again; the table is of them all: means over seeds, and the spread of these. Intervals over
users, which are wider, stand in each run's card.
"""

import argparse
import os
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
    """A line each setting: means over seeds and their spread."""
    head = ["setting", "seeds", *METRICS, "seconds"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for setting, seeds in runs.settings(SETTINGS).items():
        cells = [runs.mean(setting, name, 4) for name in METRICS]
        lines.append(f"| {setting} | {seeds} | {' | '.join(cells)} | {runs.mean(setting, 'seconds', 0)} |")
    return "\n".join(lines)


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
    print(table(runs))


if __name__ == "__main__":
    main()
