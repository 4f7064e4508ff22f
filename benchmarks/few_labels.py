"""What texts without labels are worth where labels are few: Banking77 with 10 labels a class, MiniLM.

    python benchmarks/few_labels.py                                # every condition, 3 seeds: for a free machine
    python benchmarks/few_labels.py --conditions alone continued --seeds 0
    python benchmarks/few_labels.py --table                        # of the runs that are there

`alone` is fine-tuned on the labels; `continued` first goes on pretraining on the training texts, by masked language
modelling; `self-training` learns from the training texts as --unlabeled; `both` is self-training of the continued
model. Each training has as many steps, so that what the texts add is not more training. The training texts are
shuffled. Each run is added to results/few_labels.json; one that is there already is not
run again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
from recipe_runs import Runs, half_interval, markdown

RESULTS = Path(__file__).parent / "results" / "few_labels.json"
DATA = Path("recipes/data/banking77")
CONDITIONS = ("alone", "continued", "self-training", "both")


def prepared(folder, labels, seed):
    """Train with so many labels a class, validation and test as they are, and the texts of train, shuffled."""
    place = folder / f"labels-{labels}-{seed}"
    if not (place / "test.csv").exists():
        place.mkdir(parents=True, exist_ok=True)
        train = pd.read_parquet(DATA / "train.parquet").sample(frac=1, random_state=seed)
        train[["text"]].to_csv(place.with_suffix(".csv"), index=False)
        few = train.groupby("label", sort=False).head(labels)
        few[["text", "label"]].to_csv(place / "train.csv", index=False)
        for split in ("validation", "test"):
            pd.read_parquet(DATA / f"{split}.parquet")[["text", "label"]].to_csv(place / f"{split}.csv", index=False)
    return place, place.with_suffix(".csv")


def continued(args, texts, seed):
    """The model that went on pretraining on the texts; made once a seed."""
    folder = args.folder / f"continued-{seed}-{args.pretraining:g}"
    if not (folder / "run.json").exists():
        argv = ["--model", args.model, "--dataset", texts, "--output_dir", folder, "--seed", seed, "--resume", "true"]
        argv += ["--epochs", args.pretraining, "--batch_size", 8, "--lr", 2e-4, "--head_lr", 2e-3]
        subprocess.run([sys.executable, "recipes/language_modeling.py", *map(str, argv)], check=True)
    return folder, json.loads((folder / "run.json").read_text())["scores"]["test"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--labels", type=int, default=10, help="a class (default: 10)")
    parser.add_argument("--steps", type=int, default=500, help="of each fine-tuning, 32 rows each (default: 500)")
    parser.add_argument("--pretraining", type=float, default=2, help="epochs of masked language modelling (default: 2)")
    parser.add_argument("--threshold", type=float, default=0.9, help="of self-training (default: 0.9)")
    parser.add_argument("--model", help="encoder (default: the quickstart's MiniLM)")
    parser.add_argument("--folder", type=Path, default=Path("runs/few_labels"))
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    args = parser.parse_args()
    runs = Runs(RESULTS)
    if not args.table:
        from hf_attn.models.quickstart import checkpoint

        args.model = args.model or str(checkpoint())
        for seed in args.seeds:
            place, texts = prepared(args.folder, args.labels, seed)
            for condition in args.conditions:
                key = f"{condition}, {args.labels} labels, {args.steps} steps/{seed}"
                if key in runs.found:
                    continue
                model = continued(args, texts, seed)[0] if condition in ("continued", "both") else args.model
                argv = ["--model", model, "--dataset", place, "--seed", seed, "--max_steps", args.steps, "--lr", 2e-4]
                if condition in ("self-training", "both"):
                    argv += ["--unlabeled", texts, "--unlabeled_threshold", args.threshold]
                runs.run(key, "text_classification", [str(word) for word in argv], ["accuracy", "f1_macro"])
    print(table(runs))


def table(runs):
    """Mean accuracy by condition, and its paired difference to `alone` with the 95 % interval of Student's t."""
    rows = []
    for prefix in dict.fromkeys(key.rpartition("/")[0] for key in runs.found):
        name, _, rest = prefix.partition(", ")
        own, base = runs.scores(prefix, "accuracy"), runs.scores(f"alone, {rest}", "accuracy")
        paired = [own[seed] - base[seed] for seed in own if seed in base] if name != "alone" else []
        cell = f"{statistics.mean(paired):+.3f}" if paired else ""
        if len(paired) > 1:
            cell += f" ± {half_interval(paired):.3f}"
        rows.append([prefix, str(len(own)), f"{statistics.mean(own.values()):.3f}", cell])
    return markdown(["condition", "seeds", "test accuracy", "difference to alone"], rows)


if __name__ == "__main__":
    main()
