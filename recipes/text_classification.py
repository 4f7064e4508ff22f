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

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs.text.options import TextOptions
from hf_attn.tasks.targets.labels.options import LossOptions
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, TextOptions, TrainConfig, LossOptions, HubOptions):
    """Fine-tune an encoder on text classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="text_classification")
    from hf_attn import data, models, training
    from hf_attn.explain import attended
    from hf_attn.runs import folder
    from hf_attn.runs.record import RunRecord
    from hf_attn.tasks.inputs import text
    from hf_attn.tasks.targets import labels as target
    from hf_attn.training import cpu

    args.check_model(tokenizer=True)
    accelerator = folder.begin(args)

    # Texts and labels
    splits = args.load_texts(args.seed, target.strata_of(args.label, args.problem))
    splits, labels = target.encode(splits, args, args.limit, args.seed)
    fingerprint = data.fingerprint(splits)
    metric = target.choose_metric(args.metric, labels, splits["validation"]["labels"])
    loss_fn, count = args.losses(labels)

    # Model and tokens
    tokenizer = models.load_tokenizer(args.model)
    model = args.load_model(
        "text-classification",
        labels,
        adapt=lambda model: text.bring_together(model, tokenizer, args.max_length),
        dtype=args.dtype,
    )
    tokens = text.tokenize(splits, tokenizer, args.text, args.text_pair, args.max_length, accelerator.is_main_process)
    collate = text.collate(tokenizer, pad_to_multiple_of=4 if accelerator.device.type == "cpu" else 8)

    # Batches
    train = training.train_loader(tokens["train"], collate, accelerator, args)
    parts = {name: training.eval_loader(tokens[name], collate, accelerator, args) for name in tokens if name != "train"}

    # Training
    def evaluate(model) -> dict[str, float]:
        return target.scores(training.predict(model, parts["validation"], accelerator), labels, [metric])

    with cpu.faster_training(model, accelerator.device, tokens["train"]):
        model, history = training.fit(
            model,
            train,
            args,
            accelerator,
            loss_fn=loss_fn,
            count=count,
            evaluate=evaluate,
            default_metric=metric,
            data=fingerprint,
        )
    model = models.merge_lora(model)
    predictions = training.predict(model, parts["test"], accelerator)
    right = target.right(predictions, labels)
    unlabelled, ids = None, {}
    if data.UNLABELLED in splits:
        unlabelled = training.predict(model, parts[data.UNLABELLED], accelerator)
        ids = data.id_columns(splits[data.UNLABELLED], [args.text, args.text_pair])

    record = RunRecord(
        config=args,
        history=history,
        labels=labels,
        predictions=predictions,
        unlabelled=unlabelled,
        unlabelled_ids=ids,
        fingerprint=fingerprint,
        attention=attended.example(model, tokenizer, splits["test"], args.text, args.text_pair, right),
    )
    return folder.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
