# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Fine-tune a pretrained encoder on texts, or pairs of texts: one class, several labels, or a number.

    hf-attn text_classification --model google-bert/bert-base-uncased --dataset reviews.csv --attention entmax15
    accelerate launch recipes/text_classification.py --model … --dataset … --text sentence1 --text_pair sentence2

The run folder holds the model for ``from_pretrained``, its scores, figures, predictions and card. ``--config
runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import text
from hf_attn.tasks.targets import labels
from hf_attn.training.around import RationaleOptions
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, text.Options, RationaleOptions, labels.Options, TrainConfig, HubOptions):
    """Fine-tune an encoder on text classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="text_classification")
    from hf_attn import data, explain, models, runs, studies, training

    models.check(args, text.check_folder)
    earlier = studies.earlier_round(main, args)
    accelerator = runs.begin(args)

    # Texts and labels
    strata = labels.strata_of(args.label, args.problem)
    splits = text.load_splits(args, args.label, strata, args.unlabeled)
    splits, target = labels.encode(splits, args)
    splits, target, taught = labels.learn_from(earlier, splits, target, args)
    metric = target.choose_metric(args.metric, splits["validation"]["labels"])

    # Model, and tokens that it takes
    tokenizer = text.load_processor(args.model)
    agree = partial(text.bring_together, tokenizer=tokenizer, max_length=args.max_length)
    model = models.load_for("text-classification", args, target, adapt=agree)
    rows = text.rows(splits, tokenizer, args, accelerator)
    collate = text.collate(tokenizer, pad_to_multiple_of=4 if accelerator.device.type == "cpu" else 8)

    # Training
    train = training.train_loader(rows["train"], collate, accelerator, args)
    parts = {name: training.eval_loader(rows[name], collate, accelerator, args) for name in rows if name != "train"}

    def predict(model, split: str):
        return training.predict(model, parts[split], accelerator, target.outputs)

    loss_fn = training.supervised(target.loss, model, parts["validation"], accelerator, args)
    with training.faster_training(model, accelerator.device, rows["train"]):
        model, history = training.fit(
            model,
            train,
            args,
            accelerator,
            loss_fn=loss_fn,
            count=target.count,
            evaluate=lambda model: target.scores(predict(model, "validation"), [metric]),
            default_metric=metric,
            data=data.fingerprint(splits),
        )
    model = models.merge_lora(model)
    predictions = {split: predict(model, split) for split in parts if split != "validation" or args.unlabeled}

    examples = text.Examples(splits["test"], tokenizer, args)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task="text-classification",
        target=target,
        history=history,
        predictions=predictions["test"],
        pictures=shown.pictures,
        text=shown.text,
        validation=predictions.get("validation"),
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=text.names(splits.get(data.UNLABELLED), args),
        **taught.told,
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
