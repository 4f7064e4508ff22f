"""Self-training: a run that learns from what an earlier one says of rows without labels."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..interface.arguments import to_yaml
from ..training import output


def earlier_round(main: Callable[[list[str]], object], args: Any) -> Path | None:
    """Run the round of self-training before this one, in a folder beside, and return that; None where there is none.

    Round 0 learns from the labels alone. Each round begins with the model of ``--model`` anew, and learns from the
    labels and from what the round before says of the rows without (Yarowsky 1995; Lee 2013). All processes call it.

    Args:
        main: of the recipe.
        args: of the run.

    Raises:
        InputError: this run cannot write its folder, or whatever the earlier round refuses.
    """
    if not args.unlabeled or not args.unlabeled_rounds:
        return None
    output.check(args)
    if args.push_to_hub:
        from ..runs.hub import check_access

        check_access(args.push_to_hub)
    number = args.unlabeled_rounds - 1
    folder = Path(f"{base_of(args)}-round-{number}")
    earlier = dataclasses.replace(args, output_dir=str(folder), unlabeled_rounds=number, push_to_hub=None)
    with tempfile.TemporaryDirectory() as place:
        config = Path(place, "config.yaml")
        config.write_text(to_yaml(earlier, args.recipe), "utf-8")
        main(["--config", str(config)])
    start_anew()
    return folder


def base_of(args: Any) -> str:
    """Return the folder of the last round, of whatever round this is."""
    return str(args.output_dir).removesuffix(f"-round-{args.unlabeled_rounds}")


def start_anew() -> None:
    """Forget the processes of a run that has ended, so that the next one brings them together again."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    AcceleratorState._reset_state()
    GradientState._reset_state()
    PartialState._reset_state()
