"""Training speed of the image recipe against transformers.Trainer: same ViT, images, size, batch, steps and optimizer.

    python benchmarks/image_throughput.py            # ViT-Ti/16 at 160 px on CIFAR-10: 10 minutes on two cores
    python benchmarks/image_throughput.py --ablate   # the recipe without each of its parts of hf_attn.training.cpu
    python benchmarks/image_throughput.py --photo 500 375   # the same images, as JPEGs as large as ImageNet's
    python benchmarks/image_throughput.py --model google/vit-base-patch16-224 --image_size 224 --peak_tflops 989

“Usual” decodes, flips and processes each image as it is asked for. “Best” has the pixels decoded and resized in memory,
crops and flips them in worker processes, and trains in bf16 with fused AdamW. The contestants take turns (``race.py``);
what “best” and the recipe decode before their first step is in no turn: it is printed as milliseconds an image.
Printed are medians over the turns, the ratio turn by turn, peak memory, and the test accuracy at the end.
"""

import argparse
import io
import os
import random
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import race

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "image_throughput.json"
CONTESTANTS = ("Trainer, usual", "Trainer, best", "hf_attn, defaults")
MERGING = "hf_attn, token merging "
ABLATIONS = ("attention", "memory", "patches")


def count_images(turns, module, args, kwargs):
    if module.training:
        turns.units += len(kwargs["pixel_values"])


class Usual:
    """Rows whose image is decoded, flipped and processed as it is asked for."""

    def __init__(self, rows, processor, train):
        self.rows, self.processor, self.train = rows, processor, train

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        from PIL import ImageOps

        row = self.rows[index]
        image = row["image"].convert("RGB")
        if self.train and random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = self.processor(image, return_tensors="pt")["pixel_values"][0]
        return {"pixel_values": pixels, "labels": row["label"]}


class Cached:
    """Rows whose pixels are in memory, cropped after padding and flipped as they are asked for."""

    def __init__(self, rows, processing, train):
        images = (row["image"].convert("RGB") for row in rows)
        self.pixels = np.stack([processing.pixels([image])[0] for image in images])
        self.labels, self.normalize, self.train = rows["label"][:], processing.normalize, train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        import torch

        pixels = self.pixels[index]
        if self.train:
            side = pixels.shape[-1]
            reach = side // 8
            top, left = random.randint(0, 2 * reach), random.randint(0, 2 * reach)
            padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
            pixels = padded[:, top : top + side, left : left + side]
            pixels = pixels[..., ::-1] if random.random() < 0.5 else pixels
        values = self.normalize(torch.from_numpy(np.ascontiguousarray(pixels))[None])[0]
        return {"pixel_values": values, "labels": self.labels[index]}


def image_processor(args):
    """The checkpoint's own, for the size that is asked for."""
    from hf_attn.models import load_image_processor
    from hf_attn.tasks.inputs.images import set_image_size

    return set_image_size(load_image_processor(args.model), args.image_size)


def run_trainer(args, best, turns):
    from datasets import load_dataset
    from transformers import AutoModelForImageClassification, Trainer

    from hf_attn.models.vision import resolution
    from hf_attn.tasks.inputs.images import Processing

    processor = image_processor(args)
    rows = load_dataset("parquet", data_files={name: f"{args.data}/{name}.parquet" for name in ("train", "test")})
    make = partial(Cached, processing=Processing(processor)) if best else partial(Usual, processor=processor)
    model = AutoModelForImageClassification.from_pretrained(args.model, num_labels=10, ignore_mismatched_sizes=True)
    resolution.set_image_size(model, args.image_size)
    model.register_forward_pre_hook(partial(count_images, turns), with_kwargs=True)
    speed = {"bf16": True, "optim": "adamw_torch_fused", "dataloader_num_workers": 2} if best else {}
    more = {"learning_rate": args.lr, "per_device_eval_batch_size": 2 * args.batch_size, "remove_unused_columns": False}
    settings = race.trainer_settings(args, **more, **speed)
    trainer = Trainer(model, settings, train_dataset=make(rows["train"], train=True), callbacks=[turns.callback()])
    trainer.train()
    predictions = trainer.predict(make(rows["test"], train=False))
    return float((predictions.predictions.argmax(-1) == predictions.label_ids).mean())


def run_recipe(args, without, merging, turns):
    from hf_attn import training
    from hf_attn.recipes import image_classification
    from hf_attn.training import cpu

    training.fit = turns.fit(training.fit, partial(count_images, turns))
    parts = tuple(part for part in cpu.PARTS if part != without)
    cpu.faster_training = partial(cpu.faster_training, parts=parts)
    argv = ["--model", args.model, "--dataset", args.data, "--output_dir", tempfile.mkdtemp() + "/run"]
    argv += ["--image_size", str(args.image_size), "--lr", str(args.lr), "--max_steps", str(args.steps)]
    argv += ["--batch_size", str(args.batch_size), "--seed", str(args.seed), "--eval_every", "1000"]
    argv += ["--token_merging", merging or "0"]
    return image_classification.main(argv)["accuracy"]


def contestant(args):
    turns = race.Turns(args.turn)
    if args.contestant.startswith("Trainer"):
        race.finish(run_trainer(args, "best" in args.contestant, turns))
    else:
        without, merging = (args.contestant.partition(word)[2] for word in ("without ", MERGING))
        race.finish(run_recipe(args, without, merging, turns))


def some_of(source, folder, photo):
    """CIFAR-10 with fewer validation and test images, which are not what is timed; enlarged to the size ``photo``."""
    from datasets import load_dataset

    for name, rows in (("train", 10_000), ("validation", 500), ("test", 2_000)):
        split = load_dataset("parquet", data_files=f"{source}/{name}.parquet", split="train")
        split = split.select(range(min(rows, len(split))))
        split = split.map(partial(enlarge, size=tuple(photo)), num_proc=2) if photo else split
        split.to_parquet(f"{folder}/{name}.parquet")
    return folder


def enlarge(row, size):
    """The row with its image as a JPEG of ``size``, (width, height) in pixels."""
    written = io.BytesIO()
    row["image"].convert("RGB").resize(size).save(written, "JPEG", quality=90)
    return {"image": {"bytes": written.getvalue(), "path": None}}


def milliseconds_to_decode(args, data):
    """For one image, decoded and resized in one thread."""
    from datasets import load_dataset

    from hf_attn.tasks.inputs.images import Processing

    rows = load_dataset("parquet", data_files=f"{data}/train.parquet", split="train").select(range(200))
    processing = Processing(image_processor(args))
    started = time.perf_counter()
    for row in rows:
        processing.pixels([row["image"].convert("RGB")])
    return 1000 * (time.perf_counter() - started) / len(rows)


def flops_per_image(model, image_size):
    """Of a training step: three times those of a forward pass, two for each multiplication and addition."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, AutoModelForImageClassification

    with torch.device("meta"):
        network = AutoModelForImageClassification.from_config(AutoConfig.from_pretrained(model))
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, image_size, image_size), interpolate_pos_encoding=True)
    return 3 * counter.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(SHARED / "checkpoints/vit-tiny-patch16-224-in1k"))
    parser.add_argument("--data", help="folder of train, validation, test parquet (default: a part of CIFAR-10)")
    parser.add_argument("--image_size", type=int, default=160, help="pixels a side (default: 160)")
    parser.add_argument("--photo", nargs=2, type=int, help="enlarge CIFAR-10's images to WIDTH HEIGHT pixels first")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps of each (default: 200)")
    parser.add_argument("--turn", type=int, default=20, help="steps in a turn (default: 20)")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak_tflops", type=float, help="the device's dense bf16 peak in TFLOP/s, for MFU")
    parser.add_argument("--ablate", action="store_true", help="the recipe without each of its parts, not the Trainer")
    parser.add_argument("--token_merging", type=int, help="one contestant more: the recipe with so many a block")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contestant:
        return contestant(args)
    names = [f"hf_attn, without {part}" for part in ABLATIONS] if args.ablate else list(CONTESTANTS[:2])
    names += [f"{MERGING}{args.token_merging}"] if args.token_merging else []
    against = CONTESTANTS[2] if args.ablate else CONTESTANTS[0]
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or some_of(SHARED / "data/cifar10", folder, args.photo)
        results = race.race(__file__, [*names, CONTESTANTS[2]], args.steps // args.turn, ["--data", data])
        decoding = milliseconds_to_decode(args, data)
    rows = race.summarize(results, against, args.turn * args.batch_size, "images")
    if args.peak_tflops:
        for row in rows:
            flops = flops_per_image(args.model, args.image_size)
            row["mfu"] = flops * row["images_per_second"] / (args.peak_tflops * 1e12)
    race.show(rows, against, "images")
    print(f"Decoding and resizing an image once, on one core: {decoding:.1f} ms")
    if args.save:
        photo = ", photographs of {} x {}".format(*args.photo) if args.photo else ""
        race.save(RESULTS, f"{'ablation' if args.ablate else 'throughput'} at {args.image_size} px{photo}", rows)


if __name__ == "__main__":
    main()
