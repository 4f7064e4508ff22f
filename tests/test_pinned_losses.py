"""The losses of a short run of every recipe are those that are stored: what it computes has not changed unseen.

After a change that is meant: ``python tests/test_pinned_losses.py`` stores those of today.
"""

import json
import sys
import tempfile
from pathlib import Path

import pytest
from recipe_table import RECIPES

STORED = Path(__file__).with_name("pinned_losses.json")
STEPS = ("--max_steps", "8", "--log_every", "1", "--eval_every", "100", "--lr", "3e-4", "--head_lr", "3e-4")


def losses(name: str, folder: Path) -> dict[str, list[float]]:
    """Train in fp32 on one thread, and return the loss of each step, the validation's and the test's."""
    recipe = RECIPES[name]
    (folder / "data").mkdir(parents=True)
    model, data = recipe.model(folder / "model"), recipe.data(folder / "data")
    recipe.module.main(recipe.arguments(model, data, folder / "run", *STEPS, *recipe.alike))
    log = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
    return {key: [line[key] for line in log if key in line] for key in ("loss", "validation/loss", "test/loss")}


@pytest.mark.parametrize("name", RECIPES)
def test_the_losses_are_the_stored_ones(name, tmp_path):
    stored, found = json.loads(STORED.read_text())[name], losses(name, tmp_path)
    assert len(stored["loss"]) == 8 and len(stored["validation/loss"]) == len(stored["test/loss"]) == 1
    for key, values in stored.items():
        told = f"{key} of {name} has changed; if that is meant: python tests/test_pinned_losses.py"
        assert found[key] == pytest.approx(values, rel=1e-4), told


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        found = {name: losses(name, Path(place, name)) for name in sorted(RECIPES)}
    STORED.write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(print(f"stored in {STORED}"))
