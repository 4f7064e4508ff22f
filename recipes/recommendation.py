# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Recommend from texts: a candidate attends to what a user met before, and gets a probability or a rating.

    hf-attn recommendation --model sentence-transformers/all-MiniLM-L6-v2 --dataset ratings.csv --items items.csv \
        --item movie_id --label rating --liked_from 4 --attention entmax15
    accelerate launch recipes/recommendation.py --model … --dataset folder/ --history_ratings ratings --label liked

The run folder holds the model for ``from_pretrained``, its scores beside those of simple ways, figures, predictions and
card. ``--config runs/NAME/config.yaml`` runs it again; ``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.options import ModelOptions
from hf_attn.models.recommender import RecommenderOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import history
from hf_attn.tasks.targets import preferences
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ModelOptions, RecommenderOptions, history.Options, preferences.Options, TrainConfig, HubOptions):
    """Train an attention over histories, on a text encoder, to recommend."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="recommendation")
    from hf_attn import data, explain, models, runs, training
    from hf_attn.models import recommender

    models.check(args, history.check_folder)
    recommender.check(args)
    accelerator = runs.begin(args)

    # Who met what, what was before it, and what they thought of it
    splits = history.load_splits(args, args.label)
    splits, past = history.load_past(splits, args, args.label)
    splits, target = preferences.encode(splits, args)
    users = {name: history.users_of(split, args) for name, split in splits.items()}
    validated = target.among(users["validation"])
    metric = validated.choose_metric(args.metric, splits["validation"]["labels"])
    recent = history.recent_means(splits, past)
    seen = preferences.seen(splits, users, history.candidates(splits), recent, args.label)

    # Items as tokens, the model, and items as states of its encoder
    tokenizer = history.load_processor(args.model)
    start = recommender.load_start(args)
    history.bring_together(start.encoder, tokenizer, args.max_length)
    items = history.catalogue(past.texts, tokenizer)
    scale, offset = history.scale_of(past, splits["train"]), target.offset(seen["train"].label)
    met, factors = history.candidates(splits)["train"], args.num_factors if scale else 0
    known = history.learned(items, met, seen["train"].value, seen["train"].user, factors, args.seed)
    model = recommender.load_recommender(args, target, start, known, ratings=scale, offset=offset)
    if not args.train_encoder:
        items = history.with_states(items, model.to(accelerator.device), accelerator)
    rows = history.rows(splits, past, args, paired=args.pair_weight > 0, group=known.group)
    collate = history.collate(items, args.history_length, known.apart)

    # Training
    train = training.train_loader(rows["train"], collate, accelerator, args, drawn=True)
    parts = {name: training.eval_loader(rows[name], collate, accelerator, args) for name in rows if name != "train"}

    def predict(model, split: str):
        return training.predict(model, parts[split], accelerator, target.outputs)

    with training.faster_training(model, accelerator.device):
        model, history_of_run = training.fit(
            model,
            train,
            args,
            accelerator,
            loss_fn=target.loss,
            count=target.count,
            evaluate=lambda model: validated.scores(predict(model, "validation"), [metric]),
            default_metric=metric,
            data=history.fingerprint(splits, past),
        )
    model = models.merge_lora(model)
    predictions = {split: predict(model, split) for split in parts if split != "validation"}

    target = target.among(users["test"], preferences.compare(seen, args.seed))
    examples = history.Examples(splits["test"], past, tokenizer, args)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task="text-ranking",
        target=target,
        history=history_of_run,
        predictions=predictions["test"],
        names=history.names(splits["test"], args),
        head="history",
        facts={"baselines": preferences.plain(preferences.comparison(target, predictions["test"]))},
        pictures=shown.pictures,
        text=shown.text,
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=history.names(splits.get(data.UNLABELLED), args),
    )
    return runs.complete(model, tokenizer, record, accelerator)


if __name__ == "__main__":
    command_line(main)
