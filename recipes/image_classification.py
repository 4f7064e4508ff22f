# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn"]
# ///
"""Fine-tune a pretrained vision model on images: one class, several labels, or a number.

    hf-attn image_classification --model google/vit-base-patch16-224-in21k --dataset photos/ --attention focal
    accelerate launch recipes/image_classification.py --model microsoft/resnet-50 --dataset photos/ --head attention

``photos/`` holds train/CLASS/… and test/CLASS/…, or CLASS/… alone. The run folder holds the model for
``from_pretrained``, its scores, figures, predictions and card. ``--config runs/NAME/config.yaml`` runs it again;
``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_attn.interface.arguments import command_line, parse
from hf_attn.models.vision import ImageModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs import images
from hf_attn.tasks.targets import labels
from hf_attn.training.around import RationaleOptions
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(
    ImageModelOptions, images.Options, images.AugmentOptions, RationaleOptions, labels.Options, TrainConfig, HubOptions
):
    """Fine-tune a vision model on image classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="image_classification")
    from hf_attn import data, explain, models, runs, studies, training
    from hf_attn.models import vision

    vision.check(args)
    earlier = studies.earlier_round(main, args)
    accelerator = runs.begin(args)

    # Images and labels
    strata = labels.strata_of(args.label, args.problem)
    splits = images.load_splits(args, args.label, strata, args.unlabeled)
    splits, target = labels.encode(splits, args)
    splits, target, taught = labels.learn_from(earlier, splits, target, args)
    metric = target.choose_metric(args.metric, splits["validation"]["labels"])

    # Model, and pixels that it takes
    processing = images.load_processing(args.model, args.image_size)
    augment = images.augment_for(args, processing, target)
    model = vision.load_for("image-classification", args, target, processing.size, args.image_size)
    rows = images.rows(splits, processing, args, accelerator)
    target = target.recounted(rows["train"].labels)

    # Batches: of images as they are, and for training with something drawn anew at each pass
    def batches(rows, collate):
        return training.eval_loader(rows, collate, accelerator, args)

    as_they_are = images.collate_images(processing.normalize)
    trained, seen, as_seen, collate = model, rows, as_they_are, augment.collate(rows["train"])
    loss_fn = training.supervised(target.loss, model, batches(rows["validation"], as_they_are), accelerator, args)
    loss_fn = training.augmented(loss_fn, augment)
    if args.linear_probe:  # the backbone runs once over every image, and the head is trained on what it gives
        trained, seen = training.probe(model, rows, as_they_are, accelerator, args)
        collate, as_seen, loss_fn = training.collate_features, training.collate_features, target.loss
    train = training.train_loader(seen["train"], collate, accelerator, args, drawn=True)
    valid, test = batches(seen["validation"], as_seen), batches(seen["test"], as_seen)

    # Training
    def predict(model, batches):
        return training.predict(model, batches, accelerator, target.outputs)

    with training.faster_training(model, accelerator.device), vision.merging(args, model):
        trained, history = training.fit(
            trained,
            train,
            args,
            accelerator,
            loss_fn=loss_fn,
            count=target.count,
            evaluate=lambda model: target.scores(predict(model, valid), [metric]),
            default_metric=metric,
            data=data.fingerprint(splits),
        )
        predictions = {"test": predict(vision.scorer(args, trained), test)}
        if args.unlabeled:
            predictions["validation"] = predict(vision.scorer(args, trained), valid)
        if data.UNLABELLED in rows:
            unlabelled = batches(rows[data.UNLABELLED], as_they_are)
            predictions[data.UNLABELLED] = predict(vision.scorer(args, model), unlabelled)
    model = models.merge_lora(model)

    examples = images.Examples(rows["test"], processing)
    shown = explain.shown(model, examples, target, predictions["test"])
    record = runs.RunRecord(
        config=args,
        task="image-classification",
        target=target,
        history=history,
        predictions=predictions["test"],
        names=images.files(splits["test"], args),
        head=args.head,
        scored_with=vision.scored_with(args),
        pictures=shown.pictures,
        text=shown.text,
        validation=predictions.get("validation"),
        unlabelled=predictions.get(data.UNLABELLED),
        unlabelled_names=images.names(splits.get(data.UNLABELLED), args),
        **taught.told,
    )
    return runs.complete(model, processing.processor, record, accelerator)


if __name__ == "__main__":
    command_line(main)
