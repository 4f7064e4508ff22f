"""Runs of recipes that are kept: each is run once, its scores added to a file of results."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Runs:
    """Scores by key, in a JSON file that is written after each run."""

    def __init__(self, path):
        self.path = path
        self.found = json.loads(path.read_text()) if path.exists() else {}

    def run(self, key, recipe, argv, metrics):
        """Run a recipe, unless the key is there already; keep the test scores ``metrics`` and the seconds."""
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
        scores, training = facts["scores"]["test"], facts["training"]
        self.found[key] = {name: scores[name] for name in metrics}
        self.found[key] |= {"seconds": seconds, "examples_per_second": training["examples_per_second"]}
        if facts["interval"]:
            self.found[key]["interval"] = facts["interval"]["test"]
        print(key, self.found[key], file=sys.stderr)
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.found, indent=1) + "\n")

    def scores(self, prefix, metric):
        """The scores of all seeds of ``prefix``, by seed."""
        of = {key.rpartition("/")[2]: value for key, value in self.found.items() if key.rpartition("/")[0] == prefix}
        return {seed: value[metric] for seed, value in of.items()}
