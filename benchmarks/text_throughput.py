"""Training speed of the text recipe against transformers.Trainer: same model, data, batch size, steps and optimizer.

    python benchmarks/text_throughput.py                       # about 10 minutes on two CPU cores
    python benchmarks/text_throughput.py --ablate              # the recipe without each of its parts of hf_attn.cpu
    python benchmarks/text_throughput.py --model google-bert/bert-base-uncased --peak_tflops 989    # a GPU: adds MFU

Each contestant trains in a process of its own. They take turns, some steps each, and wait in between, so that a
machine that is slow for a while is slow for all; the first turn of each is not counted. Printed are medians over the
turns, the ratio turn by turn, peak memory, and the test accuracy at the end.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "text_throughput.json"
CONTESTANTS = ("Trainer, defaults", "Trainer, best", "hf_attn, defaults")
ABLATIONS = ("memory", "dropout", "embedding", "close padding")


class Turns:
    """Inside a contestant: counts steps and tokens, and waits for its turn."""

    def __init__(self, steps_per_turn):
        self.steps_per_turn, self.steps, self.tokens, self.seconds = steps_per_turn, 0, 0, []
        self.started = None

    def count(self, module, args, kwargs):
        if module.training:
            mask = kwargs["attention_mask"]
            self.tokens += mask.sum() if mask.is_cuda else int(mask.sum())

    def begin(self):
        sys.stdin.readline()
        self.started = time.perf_counter()

    def step(self, *_):
        self.steps += 1
        if self.steps % self.steps_per_turn == 0:
            tokens = int(self.tokens)  # waits for a GPU
            print("TURN", json.dumps({"seconds": time.perf_counter() - self.started, "tokens": tokens}), flush=True)
            self.tokens = 0
            self.begin()


def run_trainer(args, best, turns):
    import torch
    from datasets import load_dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    data = load_dataset("csv", data_files={name: f"{args.data}/{name}.csv" for name in ("train", "test")})
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=256), batched=True)
    data = data.remove_columns(["text", "label_name"]).rename_column("label", "labels")
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=2)
    model.register_forward_pre_hook(turns.count, with_kwargs=True)
    speed = {"bf16": True, "train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"} if best else {}
    settings = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=2 * args.batch_size,
        max_steps=args.steps,
        learning_rate=2e-4,
        weight_decay=0.01,
        warmup_steps=0.06,
        seed=args.seed,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **speed,
    )

    class Waiter(TrainerCallback):
        def on_train_begin(self, *_, **__):
            turns.begin()

        def on_step_end(self, *_, **__):
            turns.step()

    collate = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8 if best else None)
    trainer = Trainer(model, settings, train_dataset=data["train"], data_collator=collate, callbacks=[Waiter()])
    trainer.train()
    predictions = trainer.predict(data["test"])
    return float((predictions.predictions.argmax(-1) == predictions.label_ids).mean())


def run_recipe(args, without, turns):
    from hf_attn import cpu, data, training
    from hf_attn.recipes import text_classification

    fit = training.fit

    def fit_in_turns(model, *positional, **keywords):
        model.register_forward_pre_hook(turns.count, with_kwargs=True)
        turns.begin()
        return fit(model, *positional, **keywords, after_step=[turns.step])

    training.fit = fit_in_turns
    parts = tuple(part for part in cpu.PARTS if part != without)
    if without == "close padding":
        to_multiple_of_4 = data.collate
        data.collate = lambda tokenizer, **_: to_multiple_of_4(tokenizer, pad_to_multiple_of=8)
    cpu.faster_training = partial(cpu.faster_training, parts=parts)
    argv = ["--model", args.model, "--dataset", args.data, "--output_dir", tempfile.mkdtemp() + "/run"]
    argv += ["--max_steps", str(args.steps), "--batch_size", str(args.batch_size), "--seed", str(args.seed)]
    return text_classification.main([*argv, "--eval_every", "1000"])["accuracy"]


def contestant(args):
    import torch

    turns = Turns(args.turn)
    if args.contestant.startswith("Trainer"):
        accuracy = run_trainer(args, "best" in args.contestant, turns)
    else:
        accuracy = run_recipe(args, args.contestant.partition("without ")[2], turns)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**20
    print("END", json.dumps({"accuracy": accuracy, "memory_mib": memory}), flush=True)


def read_line(process, word):
    for line in process.stdout:
        if line.startswith(word):
            return json.loads(line.removeprefix(word))
    raise SystemExit(f"a contestant ended early, with status {process.wait()}")


def race(names, args):
    command = [sys.executable, __file__, *sys.argv[1:], "--contestant"]
    # Started one after the other: each waits before its first step.
    processes = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in names
    ]
    results = {name: {"turns": []} for name in names}

    def go(process):
        process.stdin.write("go\n")
        process.stdin.flush()

    for turn in range(args.steps // args.turn):
        for name, process in zip(names, processes, strict=True):
            go(process)
            results[name]["turns"].append(read_line(process, "TURN"))
            print(f"turn {turn + 1}: {name}: {results[name]['turns'][-1]['seconds']:.1f} s", file=sys.stderr)
    for name, process in zip(names, processes, strict=True):
        go(process)
        results[name] |= read_line(process, "END")
        process.wait()
    return results


def summarize(results, args):
    reference = results[args.against]["turns"][1:]
    rows = []
    for name, result in results.items():
        turns = result["turns"][1:]
        speeds = [turn["tokens"] / turn["seconds"] for turn in turns]
        ratios = [speed * turn["seconds"] / turn["tokens"] for speed, turn in zip(speeds, reference, strict=True)]
        samples = [args.turn * args.batch_size / turn["seconds"] for turn in turns]
        row = {
            "contestant": name,
            "tokens_per_second": statistics.median(speeds),
            "samples_per_second": statistics.median(samples),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "memory_mib": result["memory_mib"],
            "accuracy": result["accuracy"],
        }
        if args.peak_tflops:
            row["mfu"] = 6 * encoder_parameters(args.model) * row["tokens_per_second"] / (args.peak_tflops * 1e12)
        rows.append(row)
    return rows


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
    rows = summarize(race([*names, CONTESTANTS[2]], args), args)
    print(f"\n| | tokens/s | samples/s | × {args.against} (range) | peak memory, MiB | test accuracy |")
    print("|---" * 6 + "|")
    for row in rows:
        low, high = row["ratio_range"]
        mfu = f", MFU {row['mfu']:.1%}" if "mfu" in row else ""
        print(
            f"| {row['contestant']} | {row['tokens_per_second']:.0f}{mfu} | {row['samples_per_second']:.0f} | "
            f"{row['ratio']:.2f} ({low:.2f}–{high:.2f}) | {row['memory_mib']:.0f} | {row['accuracy']:.3f} |"
        )
    if args.save:
        RESULTS.parent.mkdir(exist_ok=True)
        key = "ablation" if args.ablate else "throughput"
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        command = "python benchmarks/text_throughput.py " + " ".join(sys.argv[1:])
        RESULTS.write_text(json.dumps({**known, key: {"command": command, "rows": rows}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
