# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Go on pretraining a language model on texts without labels: words that are hidden, or words that follow.

    hf-attn language_modeling --model google-bert/bert-base-uncased --dataset mails.csv
    hf-attn language_modeling --model openai-community/gpt2 --dataset stories/ --objective causal

Short texts share rows, and none sees another. What comes out is a model like any other: fine-tune it by ``hf-attn
text_classification --model runs/NAME``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import text
from hf_attn.tasks.targets import tokens
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, text.UnlabelledOptions, tokens.Options, TrainConfig, HubOptions):
    """Train a language model, masked or causal, on texts without labels."""

    head_factor = 1.0


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="language_modeling")
    from hf_attn import data, explain, models, runs, training

    models.check(args, text.check_folder)
    accelerator = runs.begin(args)

    # Texts
    splits, target = tokens.encode(text.load_unlabelled(args), args)
    metric = target.choose_metric(args.metric)

    # Model, and tokens that it takes
    tokenizer = text.load_processor(args.model)
    agree = partial(text.bring_together, tokenizer=tokenizer, max_length=args.block_size, kept=False)
    model = models.load_language_model(target.task, args, causal=target.causal, adapt=agree)
    target = target.fitted(model.to(accelerator.device), tokenizer, args.block_size, pack=args.packing)
    how = {"causal": target.causal, "whole_words": args.whole_word_mask}
    pieces = text.in_pieces(splits, tokenizer, args, accelerator, **how)
    rows = text.shared_rows(pieces["train"], target, args)

    # Batches: for training with something drawn anew at each pass, for scores of one text a row
    collate = text.collate_rows(model, tokenizer, rows)
    train = training.train_loader(rows, collate, accelerator, args, drawn=True, lengths=rows.lengths)
    scored = {name: text.own_rows(pieces[name], target) for name in pieces if name != "train"}
    collate = text.collate_rows(model, tokenizer, scored["test"])
    parts = {
        name: training.eval_loader(rows, collate, accelerator, args, lengths=rows.lengths)
        for name, rows in scored.items()
    }

    # Training
    def predict(model, split: str):
        return text.of_texts(training.predict(model, parts[split], accelerator, target.outputs), pieces[split])

    def evaluate(model):
        predictions = predict(model, "validation")
        target.tell(model, scored["validation"], predictions)
        return target.scores(predictions)

    with training.faster_training(model, accelerator.device):
        model, history = training.fit(
            model,
            train,
            args,
            accelerator,
            loss_fn=target.loss,
            count=target.count,
            evaluate=evaluate,
            default_metric=metric,
            data=data.fingerprint(splits),
        )
    model = models.merge_lora(model)
    predictions = predict(model, "test")

    shows = text.Options(dataset=args.dataset, text=args.text)
    examples = text.Examples(splits["test"], tokenizer, shows, row=-1 if target.causal else 0)
    shown = explain.shown(model, examples, target, predictions)
    record = runs.RunRecord(
        config=args,
        task=target.task,
        target=target,
        history=history,
        predictions=predictions,
        pictures=shown.pictures,
        text=shown.text,
        names=data.id_columns(splits["test"], [args.text]),
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
