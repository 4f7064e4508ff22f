# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Fine-tune a pretrained encoder to answer questions by a part of a text, or to say that it holds no answer.

    hf-attn question_answering --model google-bert/bert-base-uncased --dataset rajpurkar/squad --attention entmax15
    hf-attn question_answering --model … --dataset train-v2.0.json --max_length 384 --stride 128
    accelerate launch recipes/question_answering.py --model … --dataset pages.csv --answers answer

The run folder holds the model for ``from_pretrained``, its scores, figures, predictions and card. ``--config
runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import passage
from hf_attn.tasks.targets import spans
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, passage.Options, spans.Options, TrainConfig, HubOptions):
    """Fine-tune an encoder to answer questions by a part of a text."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="question_answering")
    from hf_attn import data, explain, models, runs, training

    models.check(args, passage.check_folder)
    accelerator = runs.begin(args)

    # Questions, contexts and answers
    splits, target = spans.encode(passage.load_splits(args, spans.columns_of(args), spans.ALSO), args)
    metric = target.choose_metric(args.metric, splits["validation"]["labels"])

    # Model, and windows of tokens that it takes
    tokenizer = passage.load_processor(args.model)
    agree = partial(passage.bring_together, tokenizer=tokenizer, max_length=args.max_length)
    model = models.load_for("question-answering", args, target, adapt=agree)
    splits = passage.fitting(splits, tokenizer, args)
    rows = passage.rows(splits, tokenizer, args, accelerator, align=target.align)
    spans.tell_unlearnt(rows["train"], splits["train"], args.max_answer_length)
    collate = passage.collate(tokenizer, pad_to_multiple_of=4 if accelerator.device.type == "cpu" else 8)

    # Training; the threshold of saying that there is no answer is tuned on the validation split
    train = training.train_loader(rows["train"], collate, accelerator, args)
    parts = {name: training.eval_loader(rows[name], collate, accelerator, args) for name in rows if name != "train"}

    def predict(model, split: str):
        return training.predict(model, parts[split], accelerator, target.outputs)

    def evaluate(model) -> dict[str, float]:
        found = predict(model, "validation")
        return target.tuned(found).scores(found, [metric])

    with training.faster_training(model, accelerator.device, rows["train"]):
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
    predictions = {split: predict(model, split) for split in parts}
    target = target.tuned(predictions["validation"])
    spans.keep(model, target, passage.overlap_of(args, tokenizer))

    examples = passage.Examples(splits["test"], tokenizer, args)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task="question-answering",
        target=target,
        history=history,
        predictions=predictions["test"],
        pictures=shown.pictures,
        text=shown.text,
        names=passage.names(splits["test"], args),
        worst=50,
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=passage.names(splits.get(data.UNLABELLED), args),
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
