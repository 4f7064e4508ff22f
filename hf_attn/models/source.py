"""Where the model of a run comes from: a checkpoint, a file of sizes, or an encoder and a decoder."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .options import ModelOptions


@dataclass(kw_only=True)
class ScratchOptions(ModelOptions):
    """A new model"""

    model: str | None = None  # type: ignore[assignment]
    """Hub id or folder of a pretrained model, or the folder of an earlier run; or give from_scratch."""
    from_scratch: str | None = None
    """yaml file of a new model, in place of a pretrained one: model_type, sizes as its configuration spells them, and
    vocab_size; a tokenizer is trained on the training texts."""
    decoder: str | None = None
    """Makes an encoder-decoder of model, an encoder: Hub id or folder of a decoder, which brings its tokenizer where
    that has other tokens; or a yaml file of a new one, as of from_scratch, whose tokenizer is trained on the training
    targets if the file has vocab_size, else is the encoder's. Its cross attention is new."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        if (self.model is None) == (self.from_scratch is None):
            given = "neither is" if self.model is None else "both are"
            return [f"--model PRETRAINED or --from_scratch FILE.yaml: {given} given, expected one of them"]
        if self.from_scratch is not None and self.decoder is not None:
            return ["--decoder is for an encoder, --model; --from_scratch makes encoder and decoder"]
        return []


@contextmanager
def source_of(args: ScratchOptions, auto: str, texts: Iterable[str], targets: Iterable[str] = ()) -> Iterator[Any]:
    """Give the arguments of a run with ``model`` a checkpoint: the named one, or one that is made while this lasts.

    Args:
        args: of the run, with its ``seed``.
        auto: Auto class of transformers for a new model.
        texts: that a new model's tokenizer is trained on.
        targets: that a new decoder's is trained on.

    Raises:
        InputError: what is asked for cannot be made.
    """
    from .paired import paired_checkpoint
    from .scratch import new_checkpoint

    seed = args.seed  # type: ignore[attr-defined]
    if args.from_scratch is not None:
        made = new_checkpoint(args.from_scratch, auto, texts, seed, args.config_options)
    elif args.decoder is not None:
        made = paired_checkpoint(str(args.model), args.decoder, seed, targets)
    else:
        yield args
        return
    with made as folder:
        changed = copy.copy(args)
        changed.model = str(folder)
        if args.from_scratch is not None:
            changed.config_options = None
        yield changed
