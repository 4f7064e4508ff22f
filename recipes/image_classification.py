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
from hf_attn.models.vision.options import ImageModelOptions
from hf_attn.runs.options import HubOptions
from hf_attn.tasks.inputs.images.options import AugmentOptions, ImageOptions
from hf_attn.tasks.targets.labels.options import LossOptions
from hf_attn.training.config import TrainConfig


@dataclass(kw_only=True)
class Config(ImageModelOptions, ImageOptions, AugmentOptions, TrainConfig, LossOptions, HubOptions):
    """Fine-tune a vision model on image classification or regression."""


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    args = parse(Config, argv, recipe="image_classification")
    from hf_attn import data, models, training
    from hf_attn.explain import image_report
    from hf_attn.models.probe import Probe
    from hf_attn.runs import folder
    from hf_attn.runs.record import RunRecord
    from hf_attn.tasks.inputs import images
    from hf_attn.tasks.targets import labels as target
    from hf_attn.tasks.targets import losses
    from hf_attn.training import cpu, features

    args.check_model()
    accelerator = folder.begin(args)

    # Images and labels
    splits = args.load_images(args.seed, target.strata_of(args.label, args.problem))
    splits, labels = target.encode(splits, args, args.limit, args.seed)
    fingerprint = data.fingerprint(splits)
    metric = target.choose_metric(args.metric, labels, splits["validation"]["labels"])
    processing = args.load_processing(args.model)
    augment = args.augmentation(processing, labels, args.seed)
    model = args.load_image_model(labels, processing.size, args.image_size, args.dtype)
    rows = args.load_pixels(splits, processing, accelerator)
    labels = labels.recounted(rows["train"].labels)

    # Batches
    def loader(rows, collate):
        return training.eval_loader(rows, collate, accelerator, args)

    collate, as_seen = augment.collate(rows["train"]), images.collate_images(processing.normalize)
    loss_fn, count = args.losses(labels)
    trained, seen = model, rows
    if args.linear_probe:  # the backbone runs once over every image, as it is
        labelled = [name for name in rows if name != data.UNLABELLED]
        seen = {name: features.features(model, loader(rows[name], as_seen), accelerator, name) for name in labelled}
        trained, collate, as_seen = Probe(model), features.collate_features, features.collate_features
    else:
        loss_fn = losses.with_augmentation(loss_fn, augment)
    train = training.train_loader(seen["train"], collate, accelerator, args, drawn=True)
    valid, test = loader(seen["validation"], as_seen), loader(seen["test"], as_seen)

    def evaluate(model) -> dict[str, float]:
        return target.scores(training.predict(model, valid, accelerator), labels, [metric])

    # Training
    unlabelled, ids = None, {}
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
        predictions = training.predict(args.scorer(trained), test, accelerator)
        if data.UNLABELLED in rows:
            others = loader(rows[data.UNLABELLED], images.collate_images(processing.normalize))
            whole = model if args.linear_probe else trained
            unlabelled = training.predict(args.scorer(whole), others, accelerator)
            ids = args.image_names(splits[data.UNLABELLED])
    model = models.merge_lora(model)

    record = RunRecord(
        config=args,
        history=history,
        labels=labels,
        predictions=predictions,
        unlabelled=unlabelled,
        unlabelled_ids=ids,
        fingerprint=fingerprint,
        sources=data.image_paths(splits["test"], args.image),
        pictures=image_report.pictures(model, rows["test"], processing, predictions, labels),
        task="image-classification",
    )
    return folder.complete(model, processing.processor, record, accelerator)


if __name__ == "__main__":
    command_line(main)
