# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn[texts]"]
# ///
"""Fine-tune an encoder-decoder to translate, or train a new one with a tokenizer of its own.

    hf-attn translation --model Helsinki-NLP/opus-mt-en-de --dataset corpus.jsonl --source en --target de
    hf-attn translation --from_scratch model.yaml --dataset folder --source en --target de --max_tokens 1024

The run folder holds the model for ``from_pretrained`` with its generation_config.json, its scores, figures,
translations and card. ``--config runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.source import ScratchOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import text
from hf_attn.tasks.targets import texts
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ScratchOptions, text.SourceOptions, texts.Options, TrainConfig, HubOptions):
    """Train an encoder-decoder to translate."""

    head_factor = 1.0
    head_lr: float | None = None
    """Learning rate of what stands above the last block; null is lr."""


def main(argv: list[str] | None = None, recipe: str = "translation") -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe=recipe)
    from hf_attn import data, explain, models, runs, training

    models.check(args, text.check_folder)
    texts.check(args, recipe, args.metric)
    accelerator = runs.begin(args)

    # Sources and targets; model and tokenizer, which may be new ones
    splits = text.load_parallel(args, args.target)
    words, goals = (text.texts_of(splits["train"], *of) for of in ((args.source, args.target), (args.target,)))
    with models.source_of(args, "AutoModelForSeq2SeqLM", words, goals) as made:
        tokenizer = text.load_processor(made.model)
        texts.set_languages(tokenizer, args.source_lang, args.target_lang)
        agree = partial(text.bring_together, tokenizer=tokenizer, max_length=args.max_source_length)
        model = models.load_for(recipe, made, None, adapt=agree)
    splits, target = texts.encode(splits, args, tokenizer, model, text.with_labels, recipe)

    # Tokens
    rows = text.rows(splits, tokenizer, args, accelerator)
    multiple = 1 if accelerator.device.type == "cpu" else 8
    collate = texts.collate(text.collate(tokenizer, multiple), target.start, target.pad, multiple)

    # Training
    train = training.train_loader(rows["train"], collate, accelerator, args)
    rows["sample"] = target.sample(rows["validation"])
    parts = {name: training.eval_loader(rows[name], collate, accelerator, args) for name in rows if name != "train"}

    def predict(model, split: str, outputs):
        found = training.predict(model, parts[split], accelerator, outputs, whole=True)
        return target.beside(found, splits["validation" if split == "sample" else split], args.source)

    def evaluate(model) -> dict[str, float]:
        scores = target.scores(predict(model, "validation", target.row_losses_of))
        return scores | (target.sampled(predict(model, "sample", target.quick)) if args.eval_generated else {})

    metric = target.choose_metric(args.metric)
    kept = training.encoder_once(model, train, parts["validation"], accelerator, args)
    with training.faster_training(model, accelerator.device, rows["train"]), kept:
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
    scored = [split for split in parts if split not in ("validation", "sample")]
    predictions = {split: predict(model, split, target.outputs) for split in scored}

    examples = text.Alignments(splits["test"], tokenizer, args, target.targets)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task=recipe,
        target=target,
        history=history,
        predictions=predictions["test"],
        pictures=shown.pictures,
        text=shown.text,
        names=text.names(splits["test"], args) | {"source": splits["test"][args.source][:]},
        worst=50,
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=text.names(splits.get(data.UNLABELLED), args),
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
