"""Training speed of each sequence recipe against transformers' Trainer at its best, and speed of writing texts.

    python benchmarks/task_throughput.py                                  # every task, about half an hour of two cores
    python benchmarks/task_throughput.py --tasks tags --steps 60 --turn 10
    python benchmarks/task_throughput.py --tasks writing                  # generation alone

Same model, data, rows a step, steps and optimizer; both group rows by length and pad to the longest of a batch. The
contestants take turns (``race.py``); tokens are those of inputs and targets without padding, and printed is the median
of the ratios, turn by turn. bf16 is used by both where the device computes in it. The Trainer of masked language
modelling joins texts and cuts them into blocks, as its example script does, in which texts see each other. Writing is
``generate`` in batches in the order of the file, the same sorted by length, and :func:`hf_attn.predict`.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import race
from recipe_runs import rows_of

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "task_throughput.json"
NEW = Path(__file__).parents[1] / "recipes" / "configs" / "multi30k_en_de_model.yaml"
STRIDE = 32
KEPT = ("input_ids", "special_tokens_mask", "offset_mapping")
"""Of texts whose whole words are hidden."""
CONTESTANTS = ("Trainer, best", "hf_attn, defaults")
WRITERS = ("generate in the file's order", "generate sorted by length", "hf_attn.predict")


def count_tokens(turns, pad, module, args, kwargs):
    if module.training:
        given = kwargs["input_ids"]
        turns.units += int((given != pad).sum())
        if (target := kwargs.get("labels")) is not None and target.shape != given.shape:
            turns.units += int((target != -100).sum())
        elif (target := kwargs.get("decoder_input_ids")) is not None:
            turns.units += int((target != pad).sum())


def tags(args, tokenizer):
    """Words of WNUT-17, of which the first token is scored."""
    from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

    rows = rows_of(SHARED / "data/wnut17_ner", "train")
    names = sorted({tag for row in rows for tag in row["tags"]})

    def encoded(row):
        found = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=args.length)
        words, last = found.word_ids(), None
        labels = []
        for word in words:
            labels.append(-100 if word is None or word == last else names.index(row["tags"][word]))
            last = word
        return {**found, "labels": labels}

    model = AutoModelForTokenClassification.from_pretrained(args.model, num_labels=len(names))
    return model, list(map(encoded, rows)), DataCollatorForTokenClassification(tokenizer)


def answers(args, tokenizer):
    """Questions on articles of Wikipedia, contexts in windows that overlap, as the example script has them."""
    from transformers import AutoModelForQuestionAnswering, DataCollatorWithPadding

    rows = rows_of(SHARED / "data/squadshifts_wiki_qa", "train")[:1500]
    found = tokenizer(
        [row["question"] for row in rows],
        [row["context"] for row in rows],
        **{"truncation": "only_second", "max_length": args.length, "stride": STRIDE},
        **{"return_overflowing_tokens": True, "return_offsets_mapping": True},
    )
    encoded = []
    for window, row in enumerate(found["overflow_to_sample_mapping"]):
        answer = rows[row]["answers"]
        first = answer["answer_start"][0]
        last = first + len(answer["text"][0]) - 1
        places = zip(found.sequence_ids(window), found["offset_mapping"][window], strict=True)
        spans = [span if source == 1 else (0, 0) for source, span in places]
        ends = [next((at for at, (a, b) in enumerate(spans) if a <= char < b), 0) for char in (first, last)]
        start, end = ends if all(ends) else (0, 0)
        inputs = {name: found[name][window] for name in ("input_ids", "token_type_ids", "attention_mask")}
        encoded.append({**inputs, "start_positions": start, "end_positions": end})
    return AutoModelForQuestionAnswering.from_pretrained(args.model), encoded, DataCollatorWithPadding(tokenizer)


def translation(args, tokenizer):
    """Captions of Multi30k, by a model from random weights."""
    from transformers import AutoModelForSeq2SeqLM, DataCollatorForSeq2Seq

    rows = rows_of(SHARED / "data/multi30k_en_de", "train")
    options = {"truncation": True, "max_length": args.length}
    encoded = [dict(tokenizer(row["en"], text_target=row["de"], **options)) for row in rows]
    model = AutoModelForSeq2SeqLM.from_pretrained(args.model)
    return model, encoded, DataCollatorForSeq2Seq(tokenizer, model)


def language_modeling(args, tokenizer):
    """Reviews of films, whole words hidden, in rows that are full."""
    from transformers import AutoModelForMaskedLM, DataCollatorForLanguageModeling

    texts = [row["text"] for row in rows_of(SHARED / "data/movie_rationales", "train")[:400]]
    found = tokenizer(texts, return_special_tokens_mask=True, return_offsets_mapping=True, verbose=False)
    whole = {name: [one for row in found[name] for one in row] for name in KEPT}
    starts = range(0, len(whole["input_ids"]) - args.length + 1, args.length)
    blocks = [{name: values[at : at + args.length] for name, values in whole.items()} for at in starts]
    model = AutoModelForMaskedLM.from_pretrained(args.model)
    hide = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True)
    return model, blocks, hide


TASKS = {
    "tags": (tags, "token_classification", "wnut17_ner", []),
    "answers": (answers, "question_answering", "squadshifts_wiki_qa", ["--limit", "1500", "--stride", str(STRIDE)]),
    "translation": (
        translation,
        "translation",
        "multi30k_en_de",
        ["--source", "en", "--target", "de", "--eval_generated", "0"],
    ),
    "language_modeling": (language_modeling, "language_modeling", "movie_rationales", ["--limit", "400"]),
}


def run_trainer(args, turns):
    import torch
    from transformers import AutoTokenizer, Trainer

    from hf_attn.training.launcher import choose_precision

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model, rows, collate = TASKS[args.task][0](args, tokenizer)
    model.register_forward_pre_hook(partial(count_tokens, turns, tokenizer.pad_token_id), with_kwargs=True)
    settings = race.trainer_settings(
        args,
        learning_rate=1e-4,
        bf16=choose_precision(torch.device("cuda" if torch.cuda.is_available() else "cpu")) == "bf16",
        train_sampling_strategy="group_by_length",
        optim="adamw_torch_fused",
        remove_unused_columns=False,
    )
    Trainer(model, settings, train_dataset=rows, data_collator=collate, callbacks=[turns.callback()]).train()


def run_recipe(args, turns):
    import importlib

    from transformers import AutoTokenizer

    from hf_attn import training

    _, recipe, data, more = TASKS[args.task]
    pad = AutoTokenizer.from_pretrained(args.model).pad_token_id
    training.fit = turns.fit(training.fit, partial(count_tokens, turns, pad))
    length = "--block_size" if recipe == "language_modeling" else "--max_length"
    lengths = ["--max_source_length", "--max_target_length"] if recipe == "translation" else [length]
    argv = ["--model", args.model, "--dataset", f"{SHARED}/data/{data}", "--output_dir", tempfile.mkdtemp() + "/run"]
    argv += ["--max_steps", str(args.steps), "--batch_size", str(args.batch_size), "--seed", str(args.seed)]
    argv += [word for one in lengths for word in (one, str(args.length))]
    importlib.import_module(f"hf_attn.recipes.{recipe}").main([*argv, "--eval_every", "100000", *more])


def contestant(args):
    turns = race.Turns(args.turn)
    (run_trainer if args.contestant.startswith("Trainer") else run_recipe)(args, turns)
    race.finish(0.0)


def new_translator(folder):
    """A model from random weights and its tokenizer, in a folder."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    from hf_attn.models.new_tokenizer import train_tokenizer
    from hf_attn.models.scratch import read_architecture, with_tokens_of

    config, size = read_architecture(NEW)
    rows = rows_of(SHARED / "data/multi30k_en_de", "train")
    tokenizer = train_tokenizer([row[name] for row in rows for name in ("en", "de")], size)
    with_tokens_of(config, tokenizer)
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def writing(args):
    """Texts a second of 200 reviews' first sentences and captions, which are of unlike lengths; the end is forced."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    import hf_attn

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSeq2SeqLM.from_pretrained(args.model).eval()
    texts = [row["text"][:400] for row in rows_of(SHARED / "data/movie_rationales", "validation")[:100]]
    texts += [row["en"] for row in rows_of(SHARED / "data/multi30k_en_de", "validation")[:200]]
    random.Random(0).shuffle(texts)
    model.generation_config.update(max_new_tokens=20, min_new_tokens=20, num_beams=1, max_length=None)

    def generate(texts):
        with torch.no_grad():
            for at in range(0, len(texts), args.batch_size):
                some = tokenizer(texts[at : at + args.batch_size], padding=True, truncation=True, return_tensors="pt")
                model.generate(**some)

    def run(name):
        if name == WRITERS[2]:
            return hf_attn.predict(model, texts, processor=tokenizer, batch_size=args.batch_size)
        return generate(texts if name == WRITERS[0] else sorted(texts, key=len))

    ratios = {name: [] for name in WRITERS}
    for turn in range(args.steps // args.turn):
        took = {}
        for name in WRITERS:
            started = time.perf_counter()
            run(name)
            took[name] = time.perf_counter() - started
        if turn:
            for name in WRITERS:
                ratios[name].append(took[WRITERS[0]] / took[name])
    rows = [
        {"way": name, "ratio": statistics.median(some), "range": [min(some), max(some)]}
        for name, some in ratios.items()
    ]
    print(f"\nwriting\n\n| | × {WRITERS[0]} (range) |\n|---|---|")
    for row in rows:
        print(f"| {row['way']} | {row['ratio']:.2f} ({row['range'][0]:.2f}–{row['range'][1]:.2f}) |")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=[*TASKS, "writing"], choices=[*TASKS, "writing"])
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="tokens of a row at most (default: 128)")
    parser.add_argument("--steps", type=int, default=120, help="optimizer steps of each (default: 120)")
    parser.add_argument("--turn", type=int, default=15, help="steps in a turn (default: 15)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contestant:
        return contestant(args)
    from hf_attn.models.quickstart import checkpoint

    with tempfile.TemporaryDirectory() as folder:
        new_translator(folder)
        for task in args.tasks:
            args.model = folder if task in ("translation", "writing") else str(checkpoint())
            if task == "writing":
                rows = writing(args)
            else:
                more = ["--task", task, "--model", args.model]
                results = race.race(__file__, CONTESTANTS, args.steps // args.turn, more)
                rows = race.summarize(results, CONTESTANTS[0], args.turn * args.batch_size, "tokens")
                print(f"\n{task}")
                race.show(rows, CONTESTANTS[0], "tokens")
            if args.save:
                race.save(RESULTS, task, rows)


if __name__ == "__main__":
    main()
