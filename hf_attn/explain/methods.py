"""The methods of explanation, and the one way to run one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.columns import listing
from ..errors import InputError
from ..tasks.predict import load, load_processor
from .attribution import Attribution
from .case import Case

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from .found import Found


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        name: of it, and of its function.
        home: file of its function, in ``explain/``.
        weighs: what a part adds to or takes from, the ``logit`` or the ``score``; empty where a weight is a size alone.
        cost: what it takes, in forward passes of one input.
        source: the paper.
    """

    name: str
    home: str
    weighs: str
    cost: str
    source: str

    @property
    def signed(self) -> bool:
        """Whether a weight below 0 counts against the output."""
        return bool(self.weighs)

    @property
    def function(self) -> Callable[..., Found]:
        """What computes it."""
        return getattr(importlib.import_module(f".{self.home}", __package__), self.name)

    @property
    def options(self) -> dict[str, Any]:
        """Its options and their defaults."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def run(self, case: Case, **options: Any) -> Attribution:
        """Explain one case.

        Raises:
            InputError: an unknown option, or what the method refuses.
        """
        if unknown := options.keys() - self.options.keys():
            has = f"has {listing(list(self.options))}" if self.options else "has none"
            raise InputError(f"method {self.name} has no option {sorted(unknown)[0]!r}: it {has}")
        check_options(options)
        with torch.inference_mode(False):
            found = self.function(case, **options)
        if not np.isfinite(found.weights).all():
            raise InputError(f"{self.name}: weights that are not finite came out; choose another method")
        return Attribution(
            weights=found.weights,
            parts=case.parted.parts,
            target=case.asked.name,
            score=case.score,
            unit=case.asked.unit,
            method=self.name,
            model=PurePath(str(case.model.name_or_path)).name,
            prediction=case.said,
            signed=self.signed,
            weights_unit=case.asked.unit if self.weighs == "score" else self.weighs,
            sinks=found.sinks,
            notes=found.notes,
            left_out=case.parted.left_out,
            case=case,
        )


METHODS = {
    method.name: method
    for method in (
        Method("attention", "attentions", "", "1 (3 for a model's first)", "Bahdanau et al. 2015"),
        Method("rollout", "attentions", "", "1", "Abnar & Zuidema 2020, section 3"),
        Method("flow", "attentions", "", "1, and n greatest flows", "Abnar & Zuidema 2020, section 3"),
        Method("value_norms", "attentions", "", "2", "Kobayashi et al. 2020, eq. 4"),
        Method("value_zeroing", "value_zeroing", "", "n + 1", "Mohebbi et al. 2023, eq. 3 to 5"),
        Method("grad_attention", "relevance", "", "3", "Chefer et al. 2021b, eq. 5"),
        Method("relevance", "relevance", "", "3", "Chefer et al. 2021b, eq. 5 to 11"),
        Method("saliency", "gradients", "", "3", "Simonyan et al. 2014"),
        Method("input_x_gradient", "gradients", "logit", "3", "Shrikumar et al. 2016"),
        Method("integrated_gradients", "gradients", "logit", "27 and more", "Sundararajan et al. 2017, eq. 1"),
        Method("smooth_grad", "gradients", "", "96", "Smilkov et al. 2017"),
        Method("deep_lift", "gradients", "logit", "6", "Shrikumar et al. 2017, section 3.5.1"),
        Method("grad_cam", "gradients", "", "3", "Selvaraju et al. 2017, eq. 1 and 2"),
        Method("occlusion", "perturbations", "score", "n + 1", "Zeiler & Fergus 2014; Li et al. 2016"),
        Method("lime", "perturbations", "score", "1000", "Ribeiro et al. 2016, eq. 1"),
        Method("kernel_shap", "perturbations", "score", "1000", "Lundberg & Lee 2017, theorem 2"),
        Method("partition_shap", "perturbations", "score", "512", "Owen 1977; Lundberg's shap"),
        Method("random", "perturbations", "score", "0", "the control"),
    )
}


LIMITS = {"samples": (1, 100_000), "steps": (1, 10_000), "seed": (0, 2**32 - 1)}
"""Least and greatest of the options that are whole numbers."""


def check_options(options: dict[str, Any]) -> None:
    """Refuse options of methods that are no numbers, or out of all measure.

    Raises:
        InputError: one of them.
    """
    for name, value in options.items():
        if value is None and name != "seed":
            continue
        if name in LIMITS:
            low, high = LIMITS[name]
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise InputError(f"{name} {value!r}: expected a whole number from {low} to {high:,}")
        if name == "noise" and not (isinstance(value, int | float) and 0 <= value < 10):
            raise InputError(f"noise {value!r}: expected a share of 0 or more")


def method_of(name: str) -> Method:
    """Return a method by its name.

    Raises:
        InputError: there is none.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name]


def explain(
    run: str | Path | PreTrainedModel,
    one: Any,
    text_pair: str | None = None,
    *,
    processor: Any = None,
    method: str = "integrated_gradients",
    target: str | int | None = None,
    against: str | int | None = None,
    segments: str | None = None,
    removal: str | None = None,
    batch_size: int = 32,
    faithfulness: bool = True,
    **options: Any,
) -> Attribution:
    """Return how much each part of one input counts for an output of a trained model.

    Args:
        run: a run folder, other model folder or Hub id, or a model in hand, of texts or images, with any attention.
        one: a text, or an image as :func:`hf_attn.predict` takes it.
        text_pair: a second text.
        processor: tokenizer or image processor of a model in hand; by default that of the checkpoint it is from.
        method: one of :data:`METHODS`.
        target: name or number of the class, label or number to explain; words of what is written, or the number of one;
            what is predicted by default.
        against: another class, or other words: the difference of the two logits is explained.
        segments: parts of a text, ``words`` or ``tokens``; of an image, ``patches``, ``slic`` or squares such as
            ``7x7``.
        removal: what stands for a part that is removed: for a text ``mask`` or ``delete``, for an image ``mean`` or
            ``blur``.
        batch_size: rows of a forward pass; it never changes the result.
        faithfulness: also measure it, beside random attributions.
        **options: of the method.

    Raises:
        InputError: what the model does not take, a target it has not, or a method that does not fit it.
    """
    chosen = method_of(method)
    model, saved = load(run) if isinstance(run, str | Path) else (run, None)
    processor = processor or saved or load_processor(model)
    case = Case(
        model,
        processor,
        one,
        text_pair,
        target=target,
        against=against,
        segments=segments,
        removal=removal,
        batch_size=batch_size,
    )
    found = chosen.run(case, **options)
    if not faithfulness:
        return found
    from .faithfulness import with_scores

    return with_scores(case, found)
