"""Test scores of ready configurations over seeds: the runs that the comments in recipes/configs/ are of.

    python benchmarks/configurations.py                                            # all, 3 seeds: an hour of one core
    python benchmarks/configurations.py --configurations wnut17_ner --seeds 0
    python benchmarks/configurations.py --table                                    # of the runs that are there

Each run is added to results/configurations.json, and one that is there already is not run again. The table has the mean
over seeds with the 95 % interval of Student's t, which says how much a run differs from another, and the interval of
each run, which draws rows of test.
"""

import argparse
import os
import statistics
from pathlib import Path

from recipe_runs import Runs, half_interval, markdown

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "configurations.json"
METRICS = {"wnut17_ner": "f1", "ud_english_ewt_pos": "accuracy"}
"""Configurations of token_classification, each named as its data set, and the score that each is told by."""


def table(runs):
    """A line each configuration."""
    head = ["configuration", "score", "mean of seeds", "each seed, 95 % over rows of test", "minutes a run"]
    rows = []
    for name, seeds in runs.settings(METRICS).items():
        values, intervals, seconds = (
            list(runs.scores(name, score).values()) for score in (METRICS[name], "interval", "seconds")
        )
        mean = f"{statistics.mean(values):.3f}" + (f" ± {half_interval(values):.3f}" if seeds > 1 else "")
        runs_of = zip(values, intervals, strict=True)
        each = ", ".join(f"{value:.3f} ({low:.3f} to {high:.3f})" for value, (low, high) in runs_of)
        rows.append([f"`{name}`", METRICS[name], mean, each, f"{statistics.mean(seconds) / 60:.0f}"])
    return markdown(head, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", nargs="+", default=list(METRICS), choices=METRICS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    args = parser.parse_args()
    runs = Runs(RESULTS)
    if not args.table:
        from hf_attn.models.quickstart import checkpoint

        for seed in args.seeds:
            for name in args.configurations:
                argv = ["--config", f"recipes/configs/{name}.yaml", "--dataset", str(SHARED / "data" / name)]
                argv += ["--model", str(checkpoint()), "--seed", str(seed)]
                runs.run(f"{name}/{seed}", "token_classification", argv, [METRICS[name]])
    print(table(runs))


if __name__ == "__main__":
    main()
