"""A page to try a model on: an input goes in; its answer, where that comes from and whether to believe it come out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from html import escape
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..interface.printable import printable
from ..tasks.predict import target_of
from ..tasks.table import task_of
from .case import Case
from .faithfulness import with_scores
from .methods import METHODS, method_of
from .page import snippet

if TYPE_CHECKING:
    from gradio import Blocks
    from transformers import PreTrainedModel

    from .attribution import Attribution

PREDICTED = -1
"""What stands for the output that is predicted, among the numbers of the outputs."""
LISTED = 10
"""Probabilities that are shown."""
KEPT = 3600
"""Seconds for which a file that was given is kept; none outlives the program."""
Shown = tuple[Any, str]
"""Probabilities, and HTML."""


def build(
    model: PreTrainedModel, processor: Any, *, method: str = "integrated_gradients", pairs: bool | None = None
) -> Blocks:
    """Return a Gradio app of one model; it sends nothing to anyone, and ``launch`` serves it.

    Args:
        model: a trained one.
        processor: its tokenizer or image processor.
        method: the one that is chosen at first.
        pairs: whether the model was trained on pairs, so that the second is asked for; None where that is not known, so
            that it may be left out.

    Raises:
        InputError: there is no such method.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # gradio reads it as it is imported
    import gradio as gr

    trial = Trial(model, processor, pairs)
    name = printable(PurePath(str(model.name_or_path)).name)
    outputs = [("what is predicted", PREDICTED), *((one, at) for at, one in enumerate(trial.names))]
    with gr.Blocks(title=name, analytics_enabled=False, delete_cache=(KEPT, KEPT)) as app:
        gr.HTML(f"<h1>{escape(name)}</h1>")
        with gr.Row():
            with gr.Column():
                fields = [getattr(gr, kind)(**arguments) for kind, arguments in trial.form]
                chosen = gr.Dropdown(list(METHODS), value=method_of(method).name, label="Method")
                target = gr.Dropdown(outputs, value=PREDICTED, label="Explained output", visible=len(outputs) > 1)
                button = gr.Button("Explain")  # the primary one is too pale for its text
            with gr.Column():
                answer = gr.Label(label="Prediction", num_top_classes=LISTED, show_heading=trial.has_one_answer)
                reason = gr.HTML(apply_default_css=False, padding=True)
        for field in fields:
            field.preprocess = forgiving(field.preprocess)
        given = [getattr(field, "submit", None) or field.upload for field in fields]
        gr.on([button.click, *given], trial.run, [chosen, target, *fields], [answer, reason], api_name="explain")
    return app


class Trial:
    """What a model is asked on the page, and says.

    Attributes:
        form: the fields, as an input's ``FORM`` has them.
        names: of the model's outputs; empty where they have none.
        has_one_answer: whether the most probable output is the answer.
    """

    def __init__(self, model: PreTrainedModel, processor: Any, pairs: bool | None) -> None:
        self.model, self.processor, self.pairs = model, processor, pairs
        task, blank = task_of(model), np.zeros((1, int(model.config.num_labels or 1)))
        target = target_of(model, blank)
        self.noun = task.input.NOUN
        self.form = task.input.FORM[: 1 if pairs is False else None]
        self.names = target.names
        ranks = "probabilities" in task.target.COLUMNS
        self.has_one_answer = not ranks or not isinstance(target.say(blank)[0].get("label"), list)

    def run(self, method: str, target: int, one: Any, pair: Any = None) -> Iterator[Shown]:
        """Yield the answer as soon as it is known, and then with what it comes from; or with one line that refuses."""
        answer = None
        try:
            case = self.case(target, one, pair)
            answer = probabilities(case)
            yield answer, line("The explanation is being computed …", "status")
            yield answer, snippet(explained(case, method))
        except InputError as error:
            yield answer, line(str(error), "alert")

    def case(self, target: int, one: Any, pair: Any) -> Case:
        """Return what was given and asked.

        Raises:
            InputError: it is missing, cannot be read, or the model does not take it.
        """
        for given in (one, pair):
            if isinstance(given, InputError):
                raise given
        if one is None:
            raise InputError(f"no {self.noun} was given: expected one")
        if self.pairs and not (pair or "").strip():
            raise InputError(f"the model was trained on pairs: give the second {self.noun} too")
        wanted = None if target == PREDICTED else self.names[target]
        return Case(self.model, self.processor, one, pair or None, target=wanted)


def probabilities(case: Case) -> dict[str, float] | str:
    """Return the probabilities of a case by name; its number, or what is said of it in words, where it has none."""
    answer = case.target.say(case.predictions.outputs)[0]
    if "value" in answer:
        return str(answer["value"])
    if "probabilities" not in answer:
        return printable(case.said)
    return {printable(name): share for name, share in answer["probabilities"].items()}


def explained(case: Case, method: str) -> Attribution:
    """Return the attribution of a case, measured."""
    return with_scores(case, method_of(method).run(case))


def line(said: str, role: str) -> str:
    """Return one line for the place of the explanation."""
    return f'<p role="{role}">{escape(printable(said))}</p>'


def forgiving(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what reads a field, and hands on a refusal in place of what cannot be read."""

    def reading(payload: Any) -> Any:
        try:
            return read(payload)
        except Exception:  # of gradio or pillow, of many kinds
            return InputError("what was given cannot be read")

    return reading
