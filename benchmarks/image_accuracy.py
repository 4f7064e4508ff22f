"""What the image recipe reaches on CIFAR-10 (a JPEG copy) and PneumoniaMNIST, and what an attention changes there.

    python benchmarks/image_accuracy.py                        # all below, seed 0
    python benchmarks/image_accuracy.py --groups variants --seeds 0 1 2

Each run is added to results/image_accuracy.json, and one that is there already is not run again; the tables are of them
all. Settings of a group share seeds, so that differences to its first one are paired; their 95 % interval is Student's.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from recipe_runs import Runs, half_interval

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "image_accuracy.json"
VIT = ["--model", str(SHARED / "checkpoints/vit-tiny-patch16-224-in1k")]
RESNET = ["--image_size", "32", "--epochs", "6", "--lr", "3e-4"]
SHORT = ["--image_size", "96", "--epochs", "4"]

GROUPS = {
    "probe": {
        "linear probe, 2,000 images, 224 px": (
            "cifar10:2000",
            [*VIT, "--linear_probe", "true", "--epochs", "30"],
        ),
    },
    "fine-tuning": {
        "10,000 images, 160 px": ("cifar10:10000", [*VIT, "--image_size", "160"]),
        "20,000 images (all of train), 160 px": ("cifar10", [*VIT, "--image_size", "160"]),
    },
    "settings": {
        "lr 1e-4, head 1e-3 (default)": ("cifar10:5000", [*VIT, *SHORT]),
        "lr 1e-4, head 1e-4": ("cifar10:5000", [*VIT, *SHORT, "--head_lr", "1e-4"]),
        "lr 2e-4, head 2e-4": ("cifar10:5000", [*VIT, *SHORT, "--lr", "2e-4", "--head_lr", "2e-4"]),
        "lr 2e-4, head 2e-3": ("cifar10:5000", [*VIT, *SHORT, "--lr", "2e-4"]),
        "layer decay 0.8": ("cifar10:5000", [*VIT, *SHORT, "--layer_decay", "0.8"]),
    },
    "token merging": {
        f"r = {r}": ("cifar10:5000", [*VIT, "--image_size", "160", "--epochs", "4", "--token_merging", str(r)])
        for r in (0, 3, 6)
    },
    "pneumonia": {
        "class weights": ("pneumoniamnist", [*VIT, "--image_size", "96", "--class_weights", "balanced"]),
    },
    "variants": {
        "dot_product": ("cifar10:5000", [*VIT, *SHORT]),
        "focal": ("cifar10:5000", [*VIT, *SHORT, "--attention", "focal"]),
        "window": ("cifar10:5000", [*VIT, *SHORT, "--attention", "window"]),
        "entmax15, mix 0": (
            "cifar10:5000",
            [*VIT, *SHORT, "--attention", "entmax15", "--attention_kwargs", '{"mix": 0.0}'],
        ),
    },
    "resnet20": {
        "plain": ("cifar10:5000", ["--model", "resnet20", *RESNET]),
        "se": ("cifar10:5000", ["--model", "resnet20", *RESNET, "--config_options", '{"channel_attention": "se"}']),
        "cbam": ("cifar10:5000", ["--model", "resnet20", *RESNET, "--config_options", '{"channel_attention": "cbam"}']),
        "eca": ("cifar10:5000", ["--model", "resnet20", *RESNET, "--config_options", '{"channel_attention": "eca"}']),
        "attention head": ("cifar10:5000", ["--model", "resnet20", *RESNET, "--head", "attention"]),
    },
}
METRICS = ["accuracy", "auroc"]


def dataset(name, folder):
    """The folder of a dataset; ``name:rows`` has only the first so many training rows."""
    name, _, rows = name.partition(":")
    source = SHARED / "data" / name
    if not rows:
        return source
    from datasets import load_dataset

    part = Path(folder, f"{name}-{rows}")
    if not part.exists():
        part.mkdir()
        train = load_dataset("parquet", data_files=str(source / "train.parquet"), split="train")
        train.select(range(int(rows))).to_parquet(part / "train.parquet")
        for other in ("validation", "test"):
            (part / f"{other}.parquet").symlink_to((source / f"{other}.parquet").resolve())
    return part


def model(argv, folder):
    """The arguments with the converted CIFAR ResNet in place of its name."""
    if "resnet20" not in argv:
        return argv
    from hf_attn.models.vision.cifar_resnet_conversion import convert

    converted = Path(folder, "resnet20")
    if not converted.exists():
        convert(SHARED / "checkpoints/resnet-cifar10-akamaster/resnet20.safetensors", converted)
    return [str(converted) if word == "resnet20" else word for word in argv]


def table(group, runs):
    print(
        f"\n| {group} | accuracy | AUROC | difference in accuracy to the first, 95 % interval | images/s in training |"
    )
    print("|---" * 5 + "|")
    first = None
    for setting in GROUPS[group]:
        found = runs.scores(f"{group}/{setting}", "accuracy")
        if not found:
            continue
        auroc = runs.scores(f"{group}/{setting}", "auroc")
        first = found if first is None else first
        differences = [value - first[seed] for seed, value in found.items() if seed in first]
        speed = statistics.median(runs.scores(f"{group}/{setting}", "examples_per_second").values())
        compared = "" if found is first else interval(differences, "+")
        print(f"| {setting} | {spread(found)} | {spread(auroc)} | {compared} | {speed:.0f} |")


def spread(found):
    """Mean, deviation and interval over seeds."""
    values = list(found.values())
    more = f" ± {statistics.stdev(values):.4f}, {len(values)} seeds" if len(values) > 1 else ""
    return interval(values) + more


def interval(values, sign=""):
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:{sign}.4f}"
    half = half_interval(values)
    return f"{mean:{sign}.4f} ({mean - half:{sign}.4f} to {mean + half:{sign}.4f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=GROUPS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args = parser.parse_args()
    runs = Runs(RESULTS)
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            for group in args.groups:
                for setting, (data, argv) in GROUPS[group].items():
                    given = [*model(argv, folder), "--dataset", str(dataset(data, folder)), "--seed", str(seed)]
                    runs.run(f"{group}/{setting}/{seed}", "image_classification", given, METRICS)
    for group in args.groups:
        table(group, runs)


if __name__ == "__main__":
    main()
