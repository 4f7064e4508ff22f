"""What the text recipe's defaults rest on: test scores of some settings on SST-2, Banking77 and STS-B.

    python benchmarks/defaults.py                    # the settings below, seed 0: 40 minutes on two cores
    python benchmarks/defaults.py --tasks banking77 --settings default --seeds 0 1 2

Each run is added to results/defaults.json, and one that is there already is not run again; the table is of them all.
"""

import argparse
import os
import statistics
from pathlib import Path

from recipe_runs import Runs

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "defaults.json"
TASKS = {
    "banking77": ["--dataset", "recipes/data/banking77"],
    "sst2": ["--dataset", f"{SHARED}/data/sst2"],
    "stsb": [
        *("--dataset", f"{SHARED}/data/stsb", "--label", "score"),
        *("--text", "sentence1", "--text_pair", "sentence2"),
    ],
}
METRICS = {"banking77": "accuracy", "sst2": "accuracy", "stsb": "spearman"}
SETTINGS = {
    "default": [],  # lr 1e-4, head 1e-3
    "lr 1e-4, head 1e-4": ["--lr", "1e-4", "--head_lr", "1e-4"],
    "lr 2e-4, head 2e-4": ["--lr", "2e-4", "--head_lr", "2e-4"],
    "lr 4e-4, head 4e-4": ["--lr", "4e-4", "--head_lr", "4e-4"],
    "8 epochs": ["--epochs", "8"],
    "layer decay 0.9": ["--layer_decay", "0.9"],
    "EMA 0.99": ["--ema", "0.99"],
    "fp32": ["--precision", "no"],
}


def table(runs):
    tasks = [task for task in TASKS if any(key.startswith(f"{task}/") for key in runs.found)]
    print("| setting | " + " | ".join(f"{task}, {METRICS[task]}" for task in tasks) + " |")
    print("|---" * (len(tasks) + 1) + "|")
    for setting in SETTINGS:
        cells = []
        for task in tasks:
            scores = list(runs.scores(f"{task}/{setting}", METRICS[task]).values())
            spread = f" ± {statistics.stdev(scores):.4f} ({len(scores)} seeds)" if len(scores) > 1 else ""
            cells.append(f"{statistics.mean(scores):.4f}{spread}" if scores else "")
        if any(cells):
            print(f"| {setting} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args = parser.parse_args()
    from hf_attn.models.quickstart import checkpoint

    runs = Runs(RESULTS)
    for seed in args.seeds:
        for setting in args.settings:
            for task in args.tasks:
                argv = ["--model", str(checkpoint()), *TASKS[task], *SETTINGS[setting], "--seed", str(seed)]
                runs.run(f"{task}/{setting}/{seed}", "text_classification", argv, [METRICS[task]])
    table(runs)


if __name__ == "__main__":
    main()
