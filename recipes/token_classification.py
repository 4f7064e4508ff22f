# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Fine-tune a pretrained encoder to tag the words of texts: entities in any layout of tags, or such as parts of speech.

    hf-attn token_classification --model google-bert/bert-base-cased --dataset conll2003/ --attention entmax15
    hf-attn token_classification --model … --dataset annotated.jsonl --text text --spans entities
    accelerate launch recipes/token_classification.py --model … --dataset … --tokens tokens --tags ner_tags

The run folder holds the model for ``from_pretrained``, its scores, figures, predictions and card. ``--config
runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import words
from hf_attn.tasks.targets import tags
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, words.Options, tags.Options, TrainConfig, HubOptions):
    """Fine-tune an encoder to tag words."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="token_classification")
    from hf_attn import data, explain, models, runs, training

    models.check(args, words.check_folder)
    accelerator = runs.begin(args)

    # Words and tags
    splits, target = tags.encode(words.load_splits(args, tags.column_of(args)), args)
    metric = target.choose_metric(args.metric, splits["validation"]["labels"])

    # Model, and windows of tokens that it takes
    tokenizer = words.load_processor(args.model)
    agree = partial(words.bring_together, tokenizer=tokenizer, max_length=args.max_length)
    model = models.load_for("token-classification", args, target, adapt=agree)
    rows = words.rows(splits, tokenizer, args, accelerator, align=target.align)
    multiple = 4 if accelerator.device.type == "cpu" else 8
    collate = words.collate(tokenizer, pad_to_multiple_of=multiple, padded=target.padded)

    # Training
    train = training.train_loader(rows["train"], collate, accelerator, args)
    parts = {name: training.eval_loader(rows[name], collate, accelerator, args) for name in rows if name != "train"}

    def predict(model, split: str):
        return training.predict(model, parts[split], accelerator, target.outputs)

    with training.faster_training(model, accelerator.device, rows["train"]):
        model, history = training.fit(
            model,
            train,
            args,
            accelerator,
            loss_fn=target.loss,
            count=target.count,
            evaluate=lambda model: target.scores(predict(model, "validation"), [metric]),
            default_metric=metric,
            data=data.fingerprint(splits),
        )
    model = models.merge_lora(model)
    predictions = {split: predict(model, split) for split in parts if split != "validation"}

    examples = words.Examples(splits["test"], tokenizer, args)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task="token-classification",
        target=target,
        history=history,
        predictions=predictions["test"],
        pictures=shown.pictures,
        text=shown.text,
        names=words.names(splits["test"], args),
        worst=50,
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=words.names(splits.get(data.UNLABELLED), args),
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
