"""Contestants that train in turns: each in a process of its own, some steps at a time, waiting in between.

A machine that is slow for a while is slow for all of them. The first turn of each is not counted.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time


class Turns:
    """Inside a contestant: counts steps and units (tokens, images), and waits for its turn."""

    def __init__(self, steps_per_turn):
        self.steps_per_turn, self.steps, self.units = steps_per_turn, 0, 0
        self.started = None

    def begin(self):
        sys.stdin.readline()
        self.started = time.perf_counter()

    def step(self, *_):
        self.steps += 1
        if self.steps % self.steps_per_turn == 0:
            units = int(self.units)  # waits for a GPU
            print("TURN", json.dumps({"seconds": time.perf_counter() - self.started, "units": units}), flush=True)
            self.units = 0
            self.begin()

    def callback(self):
        """A callback for transformers' Trainer."""
        from transformers import TrainerCallback

        turns = self

        class Waiter(TrainerCallback):
            def on_train_begin(self, *_, **__):
                turns.begin()

            def on_step_end(self, *_, **__):
                turns.step()

        return Waiter()

    def fit(self, fit, count):
        """``training.fit`` that takes turns; ``count`` is a forward pre-hook with keywords."""

        def fit_in_turns(model, *positional, **keywords):
            model.register_forward_pre_hook(count, with_kwargs=True)
            self.begin()
            return fit(model, *positional, **keywords, after_step=[self.step])

        return fit_in_turns


def trainer_settings(args, **more):
    """transformers' TrainingArguments of a contestant; ``more`` is what it has besides."""
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=args.batch_size,
        max_steps=args.steps,
        weight_decay=0.01,
        warmup_steps=0.06,
        seed=args.seed,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **more,
    )


def finish(accuracy):
    """End a contestant: its accuracy and greatest memory."""
    import torch

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated() / 2**20
    print("END", json.dumps({"accuracy": accuracy, "memory_mib": memory}), flush=True)


def race(script, names, turns, more=()):
    """Let the contestants of ``script`` run so many turns, and return what they report, by name."""
    command = [sys.executable, script, *sys.argv[1:], *more, "--contestant"]
    # Started one after the other: each waits before its first step.
    processes = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in names
    ]
    results = {name: {"turns": []} for name in names}
    for turn in range(turns):
        for name, process in zip(names, processes, strict=True):
            _go(process)
            results[name]["turns"].append(_line(process, "TURN"))
            print(f"turn {turn + 1}: {name}: {results[name]['turns'][-1]['seconds']:.1f} s", file=sys.stderr)
    for name, process in zip(names, processes, strict=True):
        _go(process)
        results[name] |= _line(process, "END")
        process.wait()
    return results


def _go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def _line(process, word):
    for line in process.stdout:
        if line.startswith(word):
            return json.loads(line.removeprefix(word))
    raise SystemExit(f"a contestant ended early, with status {process.wait()}")


def summarize(results, against, samples_a_turn, unit):
    """A row for each contestant: medians over the turns, and the ratio turn by turn to the one it is compared with."""
    reference = results[against]["turns"][1:]
    rows = []
    for name, result in results.items():
        turns = result["turns"][1:]
        speeds = [turn["units"] / turn["seconds"] for turn in turns]
        ratios = [speed * turn["seconds"] / turn["units"] for speed, turn in zip(speeds, reference, strict=True)]
        row = {
            "contestant": name,
            f"{unit}_per_second": statistics.median(speeds),
            "samples_per_second": statistics.median(samples_a_turn / turn["seconds"] for turn in turns),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "memory_mib": result["memory_mib"],
            "accuracy": result["accuracy"],
        }
        rows.append(row)
    return rows


def show(rows, against, unit):
    """Print the rows as a table."""
    print(f"\n| | {unit}/s | × {against} (range) | peak memory, MiB | test accuracy |")
    print("|---" * 5 + "|")
    for row in rows:
        low, high = row["ratio_range"]
        mfu = f", MFU {row['mfu']:.1%}" if "mfu" in row else ""
        print(
            f"| {row['contestant']} | {row[f'{unit}_per_second']:.0f}{mfu} | {row['ratio']:.2f} ({low:.2f}–{high:.2f}) "
            f"| {row['memory_mib']:.0f} | {row['accuracy']:.3f} |"
        )


def save(path, key, rows):
    """Add the rows to a file of results, with the command that made them."""
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    command = " ".join(["python", *sys.argv])
    path.write_text(json.dumps({**known, key: {"command": command, "rows": rows}}, indent=1) + "\n")
