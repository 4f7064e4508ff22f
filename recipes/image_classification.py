"""Fine-tune a pretrained vision model on images: one class, several labels, or a number.

    hf-attn image_classification --model google/vit-base-patch16-224-in21k --dataset photos/ --attention focal
    accelerate launch recipes/image_classification.py --model microsoft/resnet-50 --dataset photos/ --head attention

``photos/`` holds train/CLASS/… and test/CLASS/…, or CLASS/… alone. The run folder holds the model for
``from_pretrained``, its scores, figures, predictions and card. ``--config runs/NAME/config.yaml`` runs it again;
``--resume`` goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_attn.arguments import command_line, parse
from hf_attn.config import TrainConfig
from hf_attn.options import AugmentOptions, HubOptions, ImageModelOptions, ImageOptions, LossOptions


@dataclass(kw_only=True)
class Config(ImageModelOptions, ImageOptions, AugmentOptions, TrainConfig, LossOptions, HubOptions):
    """Fine-tune a vision model on image classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="image_classification")
    from hf_attn import cpu, data, evaluation, hub, image_report, losses, models, probe, run, training

    args.check_model()
    accelerator = training.start(args)
    if args.push_to_hub:
        hub.check_access(args.push_to_hub)

    # Images and labels
    splits, labels = args.load_images(args.seed, args.limit)
    fingerprint = data.fingerprint(splits)
    metric = args.metric or evaluation.default_metric(labels.kind)
    evaluation.check_metric(metric, labels, splits["validation"]["labels"])
    processing = args.load_processing(args.model)
    augment = args.augmentation(processing, labels, args.seed)
    model = args.load_image_model(labels, processing, args.image_size, args.dtype)
    rows, labels = args.load_pixels(splits, labels, processing, accelerator)

    # Batches
    def loader(rows, collate):
        return data.eval_loader(rows, collate, args.eval_batch_size or 2 * args.batch_size, accelerator)

    collate, as_seen = augment.collate(rows["train"]), data.collate_images(processing.normalize)
    loss_fn, count = args.losses(labels)
    trained, seen = model, rows
    if args.linear_probe:  # the backbone runs once over every image, as it is
        labelled = [name for name in rows if name != data.UNLABELLED]
        seen = {name: probe.features(model, loader(rows[name], as_seen), accelerator, name) for name in labelled}
        trained, collate, as_seen = probe.Probe(model), probe.collate_features, probe.collate_features
    else:
        loss_fn = losses.with_augmentation(loss_fn, augment)
    train = data.train_loader(
        seen["train"],
        collate,
        accelerator,
        batch_size=args.batch_size,
        seed=args.seed,
        accumulation_steps=args.accumulation_steps,
        group_by_length=False,
        num_workers=args.num_workers,
        count_draws=True,
    )
    valid, test = loader(seen["validation"], as_seen), loader(seen["test"], as_seen)

    def evaluate(model) -> dict[str, float]:
        return evaluation.scores(evaluation.predict(model, valid, accelerator), labels, [metric])

    # Training
    unlabelled = {}
    with cpu.faster_training(model, accelerator.device), args.merging(model):
        trained, history = training.fit(
            trained,
            train,
            args,
            accelerator,
            loss_fn=loss_fn,
            count=count,
            evaluate=evaluate,
            default_metric=metric,
            data=fingerprint,
        )
        predictions = evaluation.predict(args.scorer(trained), test, accelerator)
        if data.UNLABELLED in rows:
            images = loader(rows[data.UNLABELLED], data.collate_images(processing.normalize))
            whole = model if args.linear_probe else trained
            unlabelled["unlabelled"] = evaluation.predict(args.scorer(whole), images, accelerator)
            unlabelled["unlabelled_ids"] = args.image_names(splits[data.UNLABELLED])
    model = models.merge_lora(model)

    return run.complete(
        model,
        processing.processor,
        args,
        accelerator,
        history=history,
        labels=labels,
        predictions=predictions,
        metric=metric,
        fingerprint=fingerprint,
        sources=data.image_paths(splits["test"], args.image),
        pictures=image_report.pictures(model, rows["test"], processing, predictions, labels),
        task="image-classification",
        **unlabelled,
    )


if __name__ == "__main__":
    command_line(main)
