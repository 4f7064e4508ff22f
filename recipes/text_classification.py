"""Fine-tune a pretrained encoder on texts, or pairs of texts: one class, several labels, or a number.

    hf-attn text_classification --model google-bert/bert-base-uncased --dataset reviews.csv --attention entmax15
    accelerate launch recipes/text_classification.py --model … --dataset … --text sentence1 --text_pair sentence2

The run folder holds the model for ``from_pretrained``, its scores, figures, predictions and card. ``--config
runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_attn.arguments import command_line, parse
from hf_attn.config import TrainConfig
from hf_attn.options import HubOptions, LossOptions, ModelOptions, TextOptions


@dataclass(kw_only=True)
class Config(ModelOptions, TextOptions, TrainConfig, LossOptions, HubOptions):
    """Fine-tune an encoder on text classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="text_classification")
    from hf_attn import attended, cpu, data, evaluation, hub, models, run, training

    args.check_model(tokenizer=True)
    accelerator = training.start(args)
    if args.push_to_hub:
        hub.check_access(args.push_to_hub)

    # Texts and labels
    splits, labels = args.load_texts(args.seed, args.limit)
    fingerprint = data.fingerprint(splits)
    metric = args.metric or evaluation.default_metric(labels.kind)
    evaluation.check_metric(metric, labels, splits["validation"]["labels"])
    loss_fn, count = args.losses(labels)

    # Model and tokens
    tokenizer = models.load_tokenizer(args.model)
    model = args.load_model(
        "text-classification",
        labels,
        adapt=lambda model: models.bring_together(model, tokenizer, args.max_length),
        dtype=args.dtype,
    )
    tokens = data.tokenize(splits, tokenizer, args.text, args.text_pair, args.max_length, accelerator.is_main_process)
    collate = data.collate(tokenizer, pad_to_multiple_of=4 if accelerator.device.type == "cpu" else 8)

    # Batches
    def loader(name):
        return data.eval_loader(tokens[name], collate, args.eval_batch_size or 2 * args.batch_size, accelerator)

    train = data.train_loader(
        tokens["train"],
        collate,
        accelerator,
        batch_size=args.batch_size,
        seed=args.seed,
        accumulation_steps=args.accumulation_steps,
        group_by_length=args.group_by_length,
        num_workers=args.num_workers,
    )
    valid, test = loader("validation"), loader("test")

    # Training
    def evaluate(model) -> dict[str, float]:
        return evaluation.scores(evaluation.predict(model, valid, accelerator), labels, [metric])

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
    predictions = evaluation.predict(model, test, accelerator)
    right = evaluation.right(predictions, labels)
    unlabelled = {}
    if data.UNLABELLED in splits:
        unlabelled["unlabelled"] = evaluation.predict(model, loader(data.UNLABELLED), accelerator)
        unlabelled["unlabelled_ids"] = data.id_columns(splits[data.UNLABELLED], [args.text, args.text_pair])

    return run.complete(
        model,
        tokenizer,
        args,
        accelerator,
        history=history,
        labels=labels,
        predictions=predictions,
        metric=metric,
        fingerprint=fingerprint,
        attention=attended.example(model, tokenizer, splits["test"], args.text, args.text_pair, right),
        **unlabelled,
    )


if __name__ == "__main__":
    command_line(main)
