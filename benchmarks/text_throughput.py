"""Training speed of the text recipe against transformers.Trainer: same model, data, batch size, steps and optimizer.

    python benchmarks/text_throughput.py                       # about 10 minutes on two CPU cores
    python benchmarks/text_throughput.py --ablate              # without each part of hf_attn.training.cpu
    python benchmarks/text_throughput.py --model google-bert/bert-base-uncased --peak_tflops 989    # a GPU: adds MFU

The contestants take turns (``race.py``). Printed are medians over the turns, the ratio turn by turn, peak memory, and
the test accuracy at the end.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

import race

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "text_throughput.json"
CONTESTANTS = ("Trainer, defaults", "Trainer, best", "hf_attn, defaults")
ABLATIONS = ("memory", "dropout", "attention", "embedding", "close padding")


def count_tokens(turns, module, args, kwargs):
    if module.training:
        mask = kwargs["attention_mask"]
        turns.units += mask.sum() if mask.is_cuda else int(mask.sum())


def run_trainer(args, best, turns):
    from datasets import load_dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
    )

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    data = load_dataset("csv", data_files={name: f"{args.data}/{name}.csv" for name in ("train", "test")})
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=256), batched=True)
    data = data.remove_columns(["text", "label_name"]).rename_column("label", "labels")
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=2)
    model.register_forward_pre_hook(partial(count_tokens, turns), with_kwargs=True)
    speed = {"bf16": True, "train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"} if best else {}
    more = {"learning_rate": 1e-4, "per_device_eval_batch_size": 2 * args.batch_size}
    settings = race.trainer_settings(args, **more, **speed)

    collate = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8 if best else None)
    trainer = Trainer(model, settings, train_dataset=data["train"], data_collator=collate, callbacks=[turns.callback()])
    trainer.train()
    predictions = trainer.predict(data["test"])
    return float((predictions.predictions.argmax(-1) == predictions.label_ids).mean())


def run_recipe(args, without, turns):
    from hf_attn import training
    from hf_attn.recipes import text_classification
    from hf_attn.tasks.inputs import text
    from hf_attn.training import cpu

    training.fit = turns.fit(training.fit, partial(count_tokens, turns))
    parts = tuple(part for part in cpu.PARTS if part != without)
    if without == "close padding":
        to_multiple_of_4 = text.collate
        text.collate = lambda tokenizer, **_: to_multiple_of_4(tokenizer, pad_to_multiple_of=8)
    cpu.faster_training = partial(cpu.faster_training, parts=parts)
    argv = ["--model", args.model, "--dataset", args.data, "--output_dir", tempfile.mkdtemp() + "/run"]
    argv += ["--max_steps", str(args.steps), "--batch_size", str(args.batch_size), "--seed", str(args.seed)]
    return text_classification.main([*argv, "--eval_every", "1000"])["accuracy"]


def contestant(args):
    turns = race.Turns(args.turn)
    if args.contestant.startswith("Trainer"):
        race.finish(run_trainer(args, "best" in args.contestant, turns))
    else:
        race.finish(run_recipe(args, args.contestant.partition("without ")[2], turns))


def encoder_parameters(model):
    import torch
    from transformers import AutoConfig, AutoModel

    with torch.device("meta"):
        encoder = AutoModel.from_config(AutoConfig.from_pretrained(model))
    return sum(p.numel() for name, p in encoder.named_parameters() if "embeddings" not in name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="Hub id or folder (default: the quickstart's MiniLM)")
    parser.add_argument("--data", default=str(SHARED / "data/sst2"), help="folder of train, validation, test csv")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=210, help="optimizer steps of each (default: 210, about an epoch)")
    parser.add_argument("--turn", type=int, default=30, help="steps in a turn (default: 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak_tflops", type=float, help="the device's dense bf16 peak in TFLOP/s, for MFU")
    parser.add_argument("--ablate", action="store_true", help="the recipe without each of its parts, not the Trainer")
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.model is None:
        from hf_attn.models.quickstart import checkpoint

        args.model = str(checkpoint())
    if args.contestant:
        return contestant(args)
    names = [f"hf_attn, without {part}" for part in ABLATIONS] if args.ablate else list(CONTESTANTS[:2])
    args.against = CONTESTANTS[2] if args.ablate else CONTESTANTS[0]
    results = race.race(__file__, [*names, CONTESTANTS[2]], args.steps // args.turn)
    rows = race.summarize(results, args.against, args.turn * args.batch_size, "tokens")
    if args.peak_tflops:
        for row in rows:
            row["mfu"] = 6 * encoder_parameters(args.model) * row["tokens_per_second"] / (args.peak_tflops * 1e12)
    race.show(rows, args.against, "tokens")
    if args.save:
        race.save(RESULTS, "ablation" if args.ablate else "throughput", rows)


if __name__ == "__main__":
    main()
