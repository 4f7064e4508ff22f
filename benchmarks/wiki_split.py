"""One sentence made two (WikiSplit), by a small model from random weights that learns to restore texts before.

    python benchmarks/wiki_split.py                  # seed 0: half an hour of one core
    python benchmarks/wiki_split.py --table          # of the runs that are there

5,000 pairs do not teach a model to write down what it reads, names above all. So it first learns to give back the texts
of train, in which a word or two are missing or too many (denoising, Lewis et al. 2020, section 2.2): copies of them as
they are would teach it to copy by places alone, and behind the first word that differs it is lost. Then it learns the
pairs, by recipes/configs/wiki_split_text2text.yaml. `pairs alone` begins with the pairs.

Each run is added to results/wiki_split.json, and one that is there already is not run again. BLEU is of the given
tokens; `as many sentences` is the share of outputs with as many sentences as the reference, mostly two.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipe_runs import Runs, markdown, rows_of

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
DATA = SHARED / "data" / "wiki_split_text2text"
RESULTS = Path(__file__).parent / "results" / "wiki_split.json"
MODEL = "recipes/configs/multi30k_en_de_model.yaml"
CONFIG = "recipes/configs/wiki_split_text2text.yaml"
COLUMNS = {"bleu": "BLEU", "chrf": "chrF", "as_many_sentences": "as many sentences", "copied": "copied"}
SETTINGS = COPY, ALONE, _ = ("the source as it is", "pairs alone", "restoring, then pairs")
DRAWS = 6
"""Of damage to each text."""
LEARNING = ["--lr", 3e-3, "--warmup", 200, "--epochs", 1]
"""Of the model that restores texts."""


def damaged(text, words, drawn):
    """The text after one or two changes: a word is left out, or one or two of others are put in."""
    made = text.split()
    for _ in range(drawn.randint(1, 2)):
        at = drawn.randrange(len(made))
        if drawn.random() < 0.5 and len(made) > 3:
            del made[at]
        else:
            made[at:at] = drawn.choices(words, k=drawn.randint(1, 2))
    return " ".join(made)


def save_damaged(folder, seed):
    """Train with the texts of train, each damaged in some ways; the targets of validation, damaged once."""
    drawn = random.Random(seed)
    texts = [row[side] for row in rows_of(DATA, "train") for side in ("source", "target")]
    words = [word for text in texts for word in text.split()]
    targets = [row["target"] for row in rows_of(DATA, "validation")]
    splits = {"train": texts * DRAWS, "validation": targets[:400], "test": targets[400:500]}
    folder.mkdir()
    for split, some in splits.items():
        rows = [{"source": damaged(text, words, drawn), "target": text} for text in some]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def restorer(folder, seed):
    """The run of a model that gives back damaged texts."""
    save_damaged(folder / "damaged", seed)
    argv = ["--config", CONFIG, "--from_scratch", MODEL, "--dataset", folder / "damaged", "--seed", seed]
    argv += [*LEARNING, "--num_beams", 1, "--precision", "no", "--output_dir", folder / "restorer"]
    subprocess.run([sys.executable, "recipes/summarization.py", *map(str, argv)], check=True)
    return folder / "restorer"


def copying():
    """Scores of the sources as they are."""
    import numpy as np

    from hf_attn.tasks.targets.texts.metrics import SCORES, Compared

    rows = rows_of(DATA, "test")
    sources, targets = ([row[side] for row in rows] for side in ("source", "target"))
    compared = Compared(sources=sources, references=targets, written=sources, tokenize="none")
    return {name: SCORES[name](compared)(np.arange(len(rows))) for name in COLUMNS}


def table(runs):
    rows = []
    for setting, seeds in runs.settings(SETTINGS).items():
        cells = [runs.mean(setting, name, 1 if name in ("bleu", "chrf") else 3) for name in COLUMNS]
        minutes = statistics.mean(runs.scores(setting, "minutes").values())
        rows.append([setting, str(seeds), *cells, f"{minutes:.0f}"])
    return markdown(["setting", "seeds", *COLUMNS.values(), "minutes"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    args = parser.parse_args()
    runs = Runs(RESULTS)
    for setting in () if args.table else args.settings:
        for seed in args.seeds if setting != COPY else [0]:
            key = f"{setting}/{seed}"
            if key in runs.found:
                continue
            if setting == COPY:
                runs.keep(key, {**copying(), "minutes": 0})
                continue
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                argv = ["--config", CONFIG, "--dataset", DATA, "--seed", seed, "--precision", "no"]
                argv += ["--from_scratch", MODEL] if setting == ALONE else ["--model", restorer(Path(folder), seed)]
                runs.run(key, "summarization", list(map(str, argv)), COLUMNS)
            runs.keep(key, {**runs.found[key], "minutes": (time.perf_counter() - started) / 60})
    print(table(runs))


if __name__ == "__main__":
    main()
