"""What recommends MovieLens' films: attention over the history, its plain mean, a sparse attention, and simple ways.

    python benchmarks/recommendation.py --seeds 0 1 2                 # all settings: an hour of one core
    python benchmarks/recommendation.py --settings attention mean     # these, seed 0
    python benchmarks/recommendation.py --recency                     # what a user's last ratings say of its test rows

The recipe runs with recipes/configs/movielens_text.yaml; `as lists` scores the rows of a user with one history, that
before the first of them. Each run is added to results/recommendation.json, and one that
is there already is not run again; the table is of them all: means over seeds, and the spread of these. Intervals over
users, which are wider, stand in each run's card.
"""

import argparse
import json
import os
from pathlib import Path

from recipe_runs import Runs, markdown

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "recommendation.json"
CONFIG = ["--config", "recipes/configs/movielens_text.yaml", "--dataset", f"{SHARED}/data/movielens_text"]
METRICS = ["auroc", "gauc", "ndcg_at_10", "loss"]
SETTINGS = {
    "attention": [],
    "mean": ["--pooling", "mean"],
    "entmax15": ["--attention", "entmax15"],
    "no factors": ["--num_factors", "0"],
    "attention, as lists": ["--history_until", "split"],
    "no factors, as lists": ["--num_factors", "0", "--history_until", "split"],
}
ROWS = (2, 6, 16, 51, 10**6)
"""Test rows of a user, by which users are grouped."""


def baselines(run):
    """What simple ways score in a run."""
    found = json.loads(Path(run, "run.json").read_text())["baselines"]
    return {"baselines": {way: {name: one["value"] for name, one in of.items()} for way, of in found.items()}}


def table(runs):
    """A line each setting, means over seeds and their spread; and each simple way, in the first run of a kind."""
    rows = []
    for setting, seeds in runs.settings(SETTINGS).items():
        cells = [runs.mean(setting, name, 4) for name in METRICS]
        rows.append([setting, str(seeds), *cells, runs.mean(setting, "seconds", 0)])
    for setting, suffix in (("attention", ""), ("attention, as lists", ", as lists")):
        ways = next(iter(runs.scores(setting, "baselines").values()), {})
        for way, scores in list(ways.items())[1:]:  # the first is the model
            rows.append([f"{way}{suffix}", "", *(f"{scores[name]:.4f}" for name in METRICS), ""])
    return markdown(["setting", "seeds", *METRICS, "seconds"], rows)


def recency():
    """A line each group of users: AUC within users of the mean of a user's last 20 ratings, which knows no item."""
    import numpy as np

    from hf_attn.interface.arguments import parse
    from hf_attn.recipes.recommendation import Config
    from hf_attn.tasks.inputs import history
    from hf_attn.tasks.targets import preferences
    from hf_attn.tasks.targets.preferences.within_users import Ranked, mean_of

    found, lines = {}, []
    for until in ("row", "split"):
        args = parse(Config, [*CONFIG, "--model", "none", "--history_until", until], recipe="recommendation")
        splits, past = history.load_past(history.load_splits(args, args.label), args, args.label)
        splits, _ = preferences.encode(splits, args)
        test = splits["test"]
        users = np.unique(history.users_of(test, args), return_inverse=True)[1]
        found[until] = Ranked(users, history.recent_means(splits, past)["test"][:, 1], np.asarray(test["labels"][:]))
    rows = np.bincount(found["row"].users)
    for low, high in zip(ROWS[:-1], ROWS[1:], strict=True):
        some = (rows >= low) & (rows < high) & found["row"].told_apart
        cells = [f"{mean_of(ranked.auc_of_users[some]):.3f}" for ranked in found.values()]
        name = f"{low} or more" if high == ROWS[-1] else f"{low} to {high - 1}"
        lines.append([name, str(some.sum()), *cells])
    return markdown(["test rows of a user", "users", "AUC within users", "the same, as lists"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--recency", action="store_true", help="run nothing, say what recency does to lists")
    args = parser.parse_args()
    if args.recency:
        return print(recency())
    from hf_attn.models.quickstart import checkpoint

    runs = Runs(args.results)
    for seed in args.seeds:
        for setting in args.settings:
            argv = ["--model", str(checkpoint()), *CONFIG, *SETTINGS[setting], "--seed", str(seed)]
            runs.run(f"{setting}/{seed}", "recommendation", argv, METRICS, more=baselines)
    print(table(runs))


if __name__ == "__main__":
    main()
