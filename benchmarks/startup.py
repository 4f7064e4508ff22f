"""How long an answer takes that needs no model, against importing a model: wall time of whole processes, in turns.

    python benchmarks/startup.py --save

Printed is the median of each command's time in the same round as ``transformers.BertModel``'s import, as a ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "startup.json"
IMPORT = [sys.executable, "-c", "import torch, transformers; transformers.BertModel"]
CLI = [sys.executable, "-m", "hf_attn.cli"]
ANSWERS = {
    "hf-attn --help": [*CLI, "--help"],
    "hf-attn text_classification --help": [*CLI, "text_classification", "--help"],
    "hf-attn image_classification --help": [*CLI, "image_classification", "--help"],
    "hf-attn list variants": [*CLI, "list", "variants"],
    "hf-attn list entmax15": [*CLI, "list", "entmax15"],
    "hf-attn predict --help": [*CLI, "predict", "--help"],
    'python -c "import hf_attn"': [sys.executable, "-c", "import hf_attn"],
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds, after one that warms the disk's cache (default: 7)"
    )
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    ratios: dict[str, list[float]] = {name: [] for name in ANSWERS}
    imports = []
    for turn in range(given.rounds + 1):
        base = seconds(IMPORT)
        taken = {name: seconds(command) for name, command in ANSWERS.items()}
        if turn:
            imports.append(base)
            for name, value in taken.items():
                ratios[name].append(value / base)
    medians = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    print(f"importing transformers.BertModel: {statistics.median(imports):.2f} s")
    for name, ratio in medians.items():
        print(f"{ratio:6.3f}  {name}")
    if given.save:
        RESULTS.write_text(json.dumps({"rounds": given.rounds, "ratio to the import": medians}, indent=2) + "\n")


if __name__ == "__main__":
    main()
