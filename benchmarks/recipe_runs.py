"""Runs of recipes that are kept: each is run once, its scores added to a file of results."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def rows_of(folder, split):
    """The rows of a split that is a .jsonl file."""
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text("utf-8").splitlines()]


def half_interval(values):
    """Half of the 95 % interval of the mean of several values, by Student's t."""
    from scipy.stats import t

    return t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5


def markdown(head, rows):
    """A table of a head and rows of texts."""
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)])


class Runs:
    """Scores by key, in a JSON file that is written after each run."""

    def __init__(self, path):
        self.path = path
        self.found = json.loads(path.read_text()) if path.exists() else {}

    def run(self, key, recipe, argv, metrics, more=None):
        """Run a recipe, unless the key is there already; keep test scores ``metrics``, seconds, and ``more(run)``."""
        if key in self.found:
            return
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, f"recipes/{recipe}.py", *argv, "--output_dir", f"{folder}/run"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            seconds = round(time.perf_counter() - started)
            facts = json.loads(Path(folder, "run/run.json").read_text())
            further = more(f"{folder}/run") if more else {}
        scores, training = facts["scores"]["test"], facts["training"]
        kept = {name: scores[name] for name in metrics}
        kept |= {"seconds": seconds, "examples_per_second": training["examples_per_second"], **further}
        if facts["interval"]:
            kept["interval"] = facts["interval"]["test"]
        self.keep(key, kept)

    def keep(self, key, scores):
        """Add the scores of a run, and write the file."""
        self.found[key] = scores
        print(key, scores, file=sys.stderr)
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.found, indent=1) + "\n")

    def scores(self, prefix, metric):
        """The scores of all seeds of ``prefix``, by seed."""
        of = {key.rpartition("/")[2]: value for key, value in self.found.items() if key.rpartition("/")[0] == prefix}
        return {seed: value[metric] for seed, value in of.items()}

    def mean(self, prefix, metric, digits):
        """The mean of a score over seeds, and its standard deviation where there are several."""
        values = list(self.scores(prefix, metric).values())
        spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.{digits}f}{spread}"

    def settings(self, names):
        """Those of ``names`` that have been run, and how many seeds each has."""
        seeds = {name: sum(key.rpartition("/")[0] == name for key in self.found) for name in names}
        return {name: many for name, many in seeds.items() if many}
