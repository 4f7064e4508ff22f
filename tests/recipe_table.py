"""The recipes, a row each: a tiny model, a tiny data set, and what a user may do with them, well and badly."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from tiny_bert import WORDS as TINY_WORDS
from tiny_bert import save_tiny_bert
from tiny_histories import given, save_histories, without_labels
from tiny_questions import questions_of, questions_without_answers, save_questions
from tiny_translators import save_pairs, save_tiny_translator, source_file, sources_of, sources_without_targets
from tiny_vit import picture, save_pictures, save_tiny_vit

from hf_attn.recipes import (
    image_classification,
    language_modeling,
    question_answering,
    recommendation,
    summarization,
    text_classification,
    token_classification,
    translation,
)

MIXED = ("--mixup", "0.8", "--cutmix", "1", "--color_jitter", "0.3", "--reprob", "0.2", "--rand_augment", "rand-m5-n1")
RATED = ("--history_ratings", "ratings")
WORDS = {
    "paid": ["i want to pay", "pay with it", "please now"],
    "lost": ["card was swallowed", "the machine", "no station"],
}


@dataclass(frozen=True)
class Recipe:
    """A recipe and what its tests need."""

    module: ModuleType
    model: Callable[[Path], Path]
    """Saves a tiny model in a folder."""
    data: Callable[[Path], Path]
    """Saves a data set with a test split of its own in a folder."""
    given: Callable[[Path], list[Any]]
    """What ``hf_attn.predict`` is given for the test split of a data set, in the order of its rows."""
    command: Callable[[Path], list[str]]
    """The same for ``hf-attn predict``."""
    unlabelled: Callable[[Path], list[Any]]
    """Takes the labels off the test split of a data set; what ``hf_attn.predict`` is given for it."""
    auto: str
    """Auto class of the saved model."""
    files: frozenset[str]
    """Of a run, figures among them, beside those of every run and its code."""
    learns: tuple[str, ...]
    """Arguments with which the tiny model learns its data."""
    drawn: tuple[str, ...]
    """Arguments by which as much as can be is drawn at random."""
    alike: tuple[str, ...]
    """Arguments of whose draws none is a process's own."""
    options: tuple[tuple[str, ...], ...]
    """Arguments after which the saved model must load and predict as it was scored."""
    only_scored: frozenset[str]
    """Arguments that change the scores and not the saved model."""
    bad: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    """Bad arguments, and a pattern of the one line that they get."""
    labels: bool = True
    """Whether the target is one class a row: a label, a prediction and the probabilities of the labels."""
    answer: str = "label"
    """What an answer of ``hf_attn.predict`` calls that which stands under ``prediction`` in predictions.parquet."""
    score: str = "accuracy"
    floor: float = 0.8
    """What the tiny model reaches of the score."""
    unlearnt: tuple[str, ...] = ()
    """Ends of the names of parameters whose gradient is zero but for rounding."""
    says_rows: bool = True
    """Whether ``hf_attn.predict`` says of a row what it was scored by; a language model is scored by all its tokens."""
    tag: str = ""
    """Its task as the Hub has it; empty is the recipe's name."""
    code: str = "modeling_hf_attn.py"
    """File that the saved class stands in."""
    saved: tuple[str, str] | None = None
    """Saved class and model type; None is the variant's of the class that the tiny model is."""
    reported: tuple[str, ...] = ("precision", "recall", "f1-score", "macro avg")
    """Words of the report."""

    @property
    def name(self) -> str:
        """As the command line has it."""
        return self.module.__name__.rpartition(".")[2]

    @property
    def every_bad(self) -> dict[str, tuple[list[str], str]]:
        """Bad arguments of every recipe, and of this one."""
        return {**EVERY, **(LABELLED if self.labels else {}), **self.bad}

    def arguments(self, model: Any, data: Any, output: Any, *more: str) -> list[str]:
        """A command line for a short run."""
        argv = ["--model", model, "--dataset", data, "--output_dir", output, "--precision", "no", "--epochs", "2"]
        return [str(word) for word in [*argv, "--batch_size", "8", *more]]


def save_reviews(folder: Path, train: int = 96, test: int = 18) -> Path:
    """Texts that tell their class by their words, ``train.csv`` and ``test.csv``."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        labels = random.choice(["paid", "lost"], count)
        texts = [" ".join(random.choice(WORDS[label], random.integers(1, 4))) for label in labels]
        pd.DataFrame({"text": texts, "label": labels}).to_csv(folder / f"{split}.csv", index=False)
    return folder


def reviews_of(folder: Path) -> list[str]:
    return pd.read_csv(folder / "test.csv")["text"].tolist()


def masked_reviews_of(folder: Path) -> list[str]:
    """The first word of each text hidden."""
    return [" ".join(["[MASK]", *text.split()[1:]]) for text in reviews_of(folder)]


def reviews_without_labels(folder: Path) -> list[str]:
    table = pd.read_csv(folder / "test.csv").drop(columns="label")
    table.to_csv(folder / "test.csv", index=False)
    return table["text"].tolist()


TAGGED = {"card": "B-thing", "machine": "I-thing", "station": "B-place", "yesterday": "B-time", "evening": "I-time"}


def save_sentences(folder: Path, train: int = 96, test: int = 18) -> Path:
    """Lists of tokens that tell their tags, some longer than the tiny model reads at once."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        rows = []
        for number in range(count):
            words = random.choice(
                [*TINY_WORDS, *TAGGED, *TAGGED, *TAGGED], 70 if number % 9 == 4 else random.integers(3, 9)
            ).tolist()
            words[1] = "card"
            tags = [TAGGED.get(word, "O") for word in words]
            rows.append({"tokens": words, "tags": tags, "pos": ["X" if tag == "O" else "N" for tag in tags]})
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def sentences_of(folder: Path) -> list[list[str]]:
    return [json.loads(line)["tokens"] for line in (folder / "test.jsonl").read_text().splitlines()]


def sentences_without_tags(folder: Path) -> list[list[str]]:
    found = sentences_of(folder)
    (folder / "test.jsonl").write_text("".join(json.dumps({"tokens": tokens}) + "\n" for tokens in found))
    return found


def pictures_of(folder: Path) -> list[str]:
    return [str(path) for path in sorted((folder / "test").rglob("*.png"))]


def pictures_without_labels(folder: Path) -> list[str]:
    random = np.random.default_rng(1)
    for path in (folder / "test").iterdir():
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    for index in range(7):
        picture(index % 3, random).save(folder / f"test/{index}.png")
    return pictures_of(folder)


EVERY = {
    "unknown variant": (["--attention", "entmax"], "unknown attention variant 'entmax'"),
    "unknown option of a variant": (["--attention", "local", "--attention_kwargs", '{"windw": 2}'], "no option windw"),
    "options without a variant": (["--attention_include", "layer"], "need --attention"),
    "layers that do not match": (["--attention", "cosine", "--attention_include", "blocks"], "matches none of the"),
    "a pattern that is none": (["--attention", "cosine", "--attention_include", "("], "no regular expression"),
    "two ways to freeze": (["--linear_probe", "true", "--lora", "4"], "exclude each other"),
    "probe and freezing": (["--linear_probe", "true", "--freeze", "encoder"], "exclude each other"),
    "nothing to freeze": (["--freeze", "layr"], "matches no parameter"),
    "a rank of nothing": (["--lora", "0"], "lora is 0: a rank is 1 or more"),
    "a rank below nothing": (["--lora", "-2"], "lora is -2"),
    "adapters that drop all": (["--lora", "2", "--lora_dropout", "1"], "lora_dropout is 1.0: it must be at least 0"),
    "adapters that add nothing": (["--lora", "2", "--lora_alpha", "0"], "lora_alpha is 0.0: it must be above 0"),
    "adapters without a rank": (["--lora_alpha", "4", "--lora_targets", '["query"]'], "lora_targets need --lora"),
    "another number of labels": (["--config_options", '{"num_labels": 7}'], "config_options has num_labels"),
    "other names of labels": (["--config_options", '{"id2label": {"0": "x"}}'], "config_options has id2label"),
    "another problem": (["--config_options", '{"problem_type": "regression"}'], "config_options has problem_type"),
    "a seed too great": (["--seed", "4294967296"], r"seed is 4294967296: it must be at least 0 and below 2\*\*32"),
    "unknown metric": (["--metric", "accurcy"], "accuracy"),
    "unknown schedule": (["--schedule", "lineal"], "linear"),
    "negative learning rate": (["--lr", "-1"], "lr"),
    "learning rate that is text": (["--lr", "fast"], "lr"),
    "no steps": (["--max_steps", "0"], "max_steps is 0"),
    "fp16 on a CPU": (["--precision", "fp16"], "fp16 needs a GPU"),
    "unknown tracker": (["--trackers", "tensorbord"], "unknown tracker 'tensorbord'"),
    "unknown flag": (["--learning_rate", "1"], "learning_rate"),
    "push without a token": (["--push_to_hub", "someone/something"], "oken"),
    "push to no name": (["--push_to_hub", "something"], "user/name"),
    "model that is nowhere": (["--model", "./no/such/model"], "does not exist"),
    "model that is a file": (["--model", __file__], "is a file"),
    "data that is nowhere": (["--dataset", "./no/such/data"], "no file or folder"),
}
"""Bad arguments of every recipe."""

LABELLED = {
    "unknown problem": (["--problem", "classes"], "problem"),
    "regression on words": (["--problem", "regression"], "label"),
    "loss that needs classes": (["--problem", "regression", "--label_smoothing", "0.1"], ""),
    "smoothing above 1": (["--label_smoothing", "2"], "label_smoothing is 2.0: it must be at least 0 and below 1"),
    "negative focus": (["--focal_gamma", "-1"], "focal_gamma is -1.0: it must be at least 0"),
    "wrong weights of classes": (["--class_weights", "1,2,3,4"], r"expected 'balanced', or \d numbers"),
    "weights that are text": (["--class_weights", "even"], "class_weights is 'even': expected balanced"),
    "a weight of nothing": (["--class_weights", "1,0"], "class_weights is '1,0': expected balanced"),
    "missing label": (["--label", "lable"], "no column 'lable'"),
}
"""Bad arguments of every recipe whose target is labels."""

CLASSES_DRAWN = ("figures/confusion.png", "figures/reliability.png")

WRITING: dict[str, Any] = {
    "model": save_tiny_translator,
    "data": save_pairs,
    "given": sources_of,
    "command": source_file,
    "unlabelled": sources_without_targets,
    "auto": "AutoModelForSeq2SeqLM",
    "files": frozenset(
        {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "worst.jsonl"}
        | {"figures/alignment.png", "figures/lengths.png"}
    ),
    "learns": ("--lr", "5e-3", "--epochs", "8", "--max_new_tokens", "32"),
    "drawn": ("--config_options", '{"dropout": 0.3}', "--eval_generated", "0", "--max_new_tokens", "8"),
    "alike": ("--max_new_tokens", "8"),
    "options": (
        ("--lora", "4", "--attention", "cosine", "--max_new_tokens", "8"),
        ("--attention", "entmax15", "--attention_include", "encoder_attn", "--max_new_tokens", "8"),
        ("--label_smoothing", "0.1", "--max_tokens", "128", "--accumulation_steps", "2", "--max_new_tokens", "8"),
        ("--num_beams", "3", "--length_penalty", "0.6", "--no_repeat_ngram_size", "2", "--max_new_tokens", "8"),
        ("--source_prefix", "say: ", "--eval_generated", "0", "--ema", "0.9", "--max_new_tokens", "8"),
        ("--precision", "bf16", "--lr", "3e-3", "--epochs", "4", "--max_new_tokens", "16"),
        ("--freeze", r"model\.encoder\.", "--metric=-loss", "--patience", "1", "--max_new_tokens", "8"),
    ),
    "only_scored": frozenset(),
    "labels": False,
    "floor": 50,
    "bad": {
        "unknown metric": (["--metric", "blue"], "metric 'blue': expected one of .*did you mean 'bleu'"),
        "a score of texts and no texts": (
            ["--metric", "bleu", "--eval_generated", "0"],
            "eval_generated 0 writes none",
        ),
        "missing source": (["--source", "sorce"], "no column 'sorce'.*did you mean 'source'"),
        "missing target": (["--target", "goal"], "no column 'goal'"),
        "one column for both": (["--target", "source"], "given both as source and as target"),
        "no beams": (["--num_beams", "0"], "num_beams is 0: it must be at least 1"),
        "no room for a target": (["--max_target_length", "1"], "max_target_length is 1: it must be at least 2"),
        "no room for a source": (["--max_source_length", "1"], "leave no room for text"),
        "longer than the decoder": (["--max_target_length", "400"], "max_target_length is 400: the decoder has 160"),
        "sampling without sampling": (["--top_p", "0.9"], "top_p needs --do_sample true"),
        "a temperature of nothing": (["--do_sample", "true", "--temperature", "0"], "temperature is 0.0: it must be"),
        "more probability than there is": (["--do_sample", "true", "--top_p", "1.5"], "top_p is 1.5"),
        "least beyond most": (["--min_new_tokens", "9", "--max_new_tokens", "8"], "min_new_tokens is 9 and max_new"),
        "smoothing above 1": (["--label_smoothing", "1"], "label_smoothing is 1.0"),
        "a model and a new one": (["--from_scratch", "x.yaml"], "--from_scratch FILE.yaml: both are given"),
        "batches too small for a row": (["--max_tokens", "4"], "max_tokens is 4, and .* rows have more tokens"),
        "batches of two kinds": (["--max_tokens", "99", "--group_by_length", "false"], "batches of like length"),
        "words that sacreBLEU does not know": (["--bleu_tokenize", "14a"], "bleu_tokenize '14a': expected one of"),
        "words that need another library": (["--bleu_tokenize", "ja-mecab"], "bleu_tokenize 'ja-mecab'"),
        "texts of labels": (["--label", "target"], "unknown argument --label"),
    },
}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            module=text_classification,
            model=save_tiny_bert,
            data=save_reviews,
            given=reviews_of,
            command=lambda data: [str(data / "test.csv")],
            unlabelled=reviews_without_labels,
            auto="AutoModelForSequenceClassification",
            files=frozenset({"tokenizer.json", "tokenizer_config.json", "figures/attention.png", *CLASSES_DRAWN}),
            learns=("--lr", "1e-3", "--head_lr", "1e-3", "--epochs", "4"),
            drawn=("--config_options", '{"hidden_dropout_prob": 0.3}'),
            alike=("--config_options", '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'),
            options=(
                ("--lora", "4", "--attention", "cosine"),
                ("--linear_probe", "true"),
                ("--freeze", "embeddings", "--attention", "entmax15", "--attention_kwargs", '{"mix": 0.0}'),
                ("--ema", "0.9", "--layer_decay", "0.8", "--schedule", "cosine", "--warmup", "3"),
                ("--label_smoothing", "0.1", "--focal_gamma", "2", "--class_weights", "balanced"),
                ("--precision", "bf16", "--accumulation_steps", "2", "--group_by_length", "false"),
                ("--metric=-loss", "--patience", "1", "--eval_every", "0.5", "--keep", "1"),
                ("--trackers", "tensorboard", "--auto_batch_size", "true", "--num_workers", "1"),
            ),
            only_scored=frozenset(),
            bad={
                "no room for text": (["--max_length", "2"], "leave no room for text"),
                "no tokens": (["--max_length", "0"], "max_length is 0: it must be above 0"),
                "mistakes of several groups": (
                    ["--label_smoothing", "2", "--max_length", "0", "--lr", "-1"],
                    "label_smoothing is 2.0.*; lr is -1.0|lr is -1.0.*; label_smoothing is 2.0",
                ),
                "missing column": (["--text", "txt"], "no column 'txt'"),
            },
        ),
        Recipe(
            module=token_classification,
            model=save_tiny_bert,
            data=save_sentences,
            given=sentences_of,
            command=lambda data: [str(data / "test.jsonl")],
            unlabelled=sentences_without_tags,
            auto="AutoModelForTokenClassification",
            files=frozenset(
                {
                    *("tokenizer.json", "tokenizer_config.json", "figures/attention.png"),
                    *("figures/confusion.png", "figures/f1_by_type.png", "worst.jsonl"),
                }
            ),
            learns=("--lr", "5e-3", "--head_lr", "5e-3", "--epochs", "12"),
            drawn=("--config_options", '{"hidden_dropout_prob": 0.3}'),
            alike=("--config_options", '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'),
            options=(
                ("--lora", "4", "--attention", "cosine"),
                ("--linear_probe", "true", "--layout", "none"),
                ("--attention", "entmax15", "--attention_kwargs", '{"mix": 0.0}', "--layout", "BIOES"),
                ("--ema", "0.9", "--layer_decay", "0.8", "--label_all_tokens", "--layout", "IO"),
                ("--label_smoothing", "0.1", "--focal_gamma", "2", "--class_weights", "balanced"),
                ("--accumulation_steps", "2", "--max_length", "16", "--num_workers", "1"),
                ("--metric=-loss", "--patience", "1", "--eval_every", "0.5", "--keep", "1"),
            ),
            only_scored=frozenset(),
            labels=False,
            answer="tags",
            score="f1",
            bad={
                "no room for text": (["--max_length", "2"], "leave no room for text"),
                "no tokens": (["--max_length", "0"], "max_length is 0: it must be above 0"),
                "missing tokens": (["--tokens", "token"], "no column 'token'.*did you mean 'tokens'.*--tokens.*--text"),
                "missing tags": (["--tags", "tag"], "no column 'tag'.*did you mean 'tags'"),
                "missing texts": (["--text", "texts"], "no column 'texts'"),
                "tokens as raw texts": (["--text", "tokens"], "'tokens' of train is not text .*--tokens"),
                "spans without texts": (["--spans", "tags"], "spans are characters of raw texts.*--text"),
                "tokens beside texts": (
                    ["--text", "text", "--tokens", "words"],
                    "tokens words is given beside text text",
                ),
                "tags beside spans": (["--spans", "spans", "--tags", "pos"], "tags pos is given beside spans spans"),
                "offsets of no spans": (["--offsets", "bytes"], "offsets bytes is of --spans, which are not given"),
                "tokens for tags": (["--tags", "tokens"], "'tokens' is given both as tokens and as tags"),
                "layout of other tags": (["--layout", "BIO", "--tags", "pos"], "say no entities; expected such as O"),
                "unknown layout": (["--layout", "BILUO"], "layout"),
                "metric of another task": (["--metric", "mcc"], "unknown metric 'mcc': expected one of loss, f1"),
                "smoothing above 1": (["--label_smoothing", "2"], "label_smoothing is 2.0: it must be at least 0"),
                "weights of fewer tags": (["--class_weights", "1,2"], "expected 'balanced', or 7 numbers"),
                "names that are no file": (["--tag_names", "no.json"], "tag_names no.json: .*expected a json file"),
                "a name twice": (["--tag_names", "O,O"], "'O' more than once"),
                "names that are not of the tags": (["--tag_names", "O,PER"], "the tag 'B-thing', which is none of 2"),
                "rationales": (["--rationale", "spans"], "rationale"),
            },
        ),
        Recipe(
            module=image_classification,
            model=save_tiny_vit,
            data=save_pictures,
            given=pictures_of,
            command=lambda data: [str(data / "test" / name) for name in ("blue", "green", "red")],
            unlabelled=pictures_without_labels,
            auto="AutoModelForImageClassification",
            files=frozenset({"preprocessor_config.json", "figures/errors.png", "figures/patches.png", *CLASSES_DRAWN}),
            learns=("--lr", "3e-3", "--epochs", "6"),
            drawn=("--drop_path", "0.2", *MIXED),
            alike=MIXED,
            options=(
                ("--head", "attention", "--freeze", "encoder"),
                ("--head", "multi_query", "--attention", "entmax15"),
                ("--head", "mean"),
                ("--head", "cbam"),
                ("--lora", "4", "--crop", "resized"),
                ("--drop_path", "0.2", "--grad_checkpointing", "--ema", "0.9"),
                ("--channels_last", "--ema", "0.9", "--tta_flip", "--class_weights", "balanced", "--focal_gamma", "2"),
                ("--layer_decay", "0.7", "--label_smoothing", "0.1", *MIXED),
                ("--image_size", "32", "--attention", "window", "--attention_kwargs", '{"grid": [4, 4]}'),
                ("--token_merging", "2"),
            ),
            only_scored=frozenset({"--tta_flip", "--token_merging"}),
            bad={
                "size that patches do not fill": (["--image_size", "30"], "30 is not divisible by .* 8.*24 and 32"),
                "unknown head": (["--head", "atention"], "head"),
                "unknown crop": (["--crop", "square"], "crop"),
                "probability above 1": (["--hflip", "2"], "hflip"),
                "RandAugment that is none": (["--rand_augment", "rand-x9"], "rand_augment"),
                "missing column": (["--image", "imag"], "no column 'imag'.*did you mean 'image'"),
                "text given for images": (["--text", "t"], "unknown argument --text"),
                "cutmix of numbers": (["--problem", "regression", "--cutmix", "1"], "cutmix needs classes|label"),
                "less than no tokens to merge": (["--token_merging", "-1"], "token"),
                "stochastic depth above 1": (["--drop_path", "1.5"], "drop"),
            },
        ),
        Recipe(
            module=question_answering,
            model=save_tiny_bert,
            data=save_questions,
            given=questions_of,
            command=lambda data: [str(data / "test.jsonl")],
            unlabelled=questions_without_answers,
            auto="AutoModelForQuestionAnswering",
            files=frozenset(
                {"tokenizer.json", "tokenizer_config.json", "worst.jsonl", "figures/attention.png"}
                | {"figures/f1_by_kind.png", "figures/no_answer.png"}
            ),
            learns=("--lr", "5e-3", "--head_lr", "5e-3", "--epochs", "8"),
            drawn=("--config_options", '{"hidden_dropout_prob": 0.3}'),
            alike=(
                *("--config_options", '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'),
                *("--lr", "1e-5"),
            ),
            unlearnt=(
                "qa_outputs.bias",
                "layer.1.output.LayerNorm.bias",
            ),  # the same at all tokens: softmax is over them
            options=(
                ("--lora", "4", "--attention", "cosine"),
                ("--linear_probe", "true", "--max_answer_length", "2"),
                ("--attention", "entmax15", "--attention_kwargs", '{"mix": 0.0}', "--learn_from", "first"),
                ("--ema", "0.9", "--layer_decay", "0.8", "--stride", "0"),
                ("--accumulation_steps", "2", "--max_length", "20", "--stride", "6", "--num_workers", "1"),
                ("--metric=-loss", "--patience", "1", "--eval_every", "0.5", "--keep", "1"),
                ("--precision", "bf16", "--freeze", "embeddings", "--metric", "best_f1"),
            ),
            only_scored=frozenset(),
            labels=False,
            answer="answer",
            score="f1",
            floor=0.5,
            reported=("questions", "exact match", "no answer: said of", "tuned on the validation split"),
            bad={
                "no room for text": (["--max_length", "3"], "leave no room for text"),
                "no tokens": (["--max_length", "0"], "max_length is 0: it must be above 0"),
                "windows that never go on": (
                    ["--max_length", "40", "--stride", "40"],
                    "stride is 40: it must be below",
                ),
                "less than no stride": (["--stride", "-1"], "stride is -1: it must be at least 0"),
                "answers of nothing": (["--max_answer_length", "0"], "max_answer_length is 0: it must be at least 1"),
                "missing question": (["--question", "quest"], "no column 'quest'.*did you mean 'question'"),
                "missing context": (["--context", "passage"], "no column 'passage'"),
                "missing answers": (["--answers", "answer"], "no column 'answer'.*did you mean 'answers'"),
                "missing places": (["--answer_start", "start"], "no column 'start'"),
                "one column for both": (["--context", "question"], "given both as question and as context"),
                "questions for answers": (["--answers", "question"], "'question' is given both as text and as answers"),
                "answers for contexts": (["--context", "answers", "--answers", "context"], "is not text"),
                "unknown offsets": (["--offsets", "byte"], "offsets"),
                "learning from none": (["--learn_from", "last"], "learn_from"),
                "metric of another task": (
                    ["--metric", "accuracy"],
                    "unknown metric 'accuracy': expected one of",
                ),
                "a metric as others spell it": (["--metric", "exact"], "did you mean 'exact_match'"),
                "questions that leave no room": (["--max_length", "5", "--stride", "1"], "tokens for their context"),
                "labels": (["--label", "answers"], "unknown argument --label"),
                "pairs": (["--text_pair", "context"], "text_pair"),
                "smoothing": (["--label_smoothing", "0.1"], "label_smoothing"),
                "mistakes of several groups": (
                    ["--stride", "-1", "--max_answer_length", "0", "--lr", "-1"],
                    "(?=.*stride is -1)(?=.*max_answer_length is 0)(?=.*lr is -1.0)",
                ),
            },
        ),
        Recipe(translation, answer="translation_text", score="bleu", reported=("BLEU", "13a", "worst"), **WRITING),
        Recipe(
            module=summarization,
            answer="summary_text",
            score="chrf",
            reported=("ROUGE", "worst"),
            **{**WRITING, "bad": {"unknown metric": (["--metric", "rogue1"], "did you mean 'rouge1'")}},
        ),
        Recipe(
            module=language_modeling,
            model=save_tiny_bert,
            data=save_reviews,
            given=masked_reviews_of,
            command=masked_reviews_of,
            unlabelled=reviews_without_labels,
            auto="AutoModelForMaskedLM",
            files=frozenset({"tokenizer.json", "tokenizer_config.json", "figures/attention.png", "figures/tokens.png"}),
            learns=("--lr", "3e-3", "--epochs", "40", "--block_size", "24"),
            drawn=("--config_options", '{"hidden_dropout_prob": 0.3}'),
            alike=("--config_options", '{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}'),
            options=(
                ("--objective", "causal", "--do_sample", "true", "--top_p", "0.9"),
                ("--objective", "causal", "--num_beams", "2", "--max_new_tokens", "5", "--block_size", "24"),
                ("--lora", "4", "--attention", "entmax15"),
                ("--packing", "false", "--whole_word_mask", "false", "--mlm_probability", "0.3"),
                ("--block_size", "8", "--ema", "0.9", "--accumulation_steps", "2"),
                ("--metric=accuracy", "--patience", "1", "--eval_every", "0.5", "--num_workers", "1"),
                ("--freeze", "embeddings", "--precision", "bf16"),
            ),
            only_scored=frozenset(),
            labels=False,
            answer="token_str",
            score="accuracy",
            floor=0.3,
            says_rows=False,
            tag="fill-mask",
            reported=("masked tokens of 18 texts", "bytes of UTF-8", "nats"),
            bad={
                "no share": (["--mlm_probability", "0"], "mlm_probability is 0.0: it must be above 0 and below 1"),
                "all of it": (["--mlm_probability", "1"], "mlm_probability is 1.0: it must be above 0 and below 1"),
                "a share of what follows": (
                    ["--objective", "causal", "--mlm_probability", "0.2"],
                    "mlm_probability needs --objective masked",
                ),
                "words of what follows": (
                    ["--objective", "causal", "--whole_word_mask", "false"],
                    "whole_word_mask needs --objective masked",
                ),
                "beams without writing": (["--num_beams", "4"], "num_beams needs --objective causal"),
                "sampling without sampling": (
                    ["--objective", "causal", "--temperature", "0.7"],
                    "temperature needs --do_sample true",
                ),
                "no beams": (["--objective", "causal", "--num_beams", "0"], "num_beams is 0: it must be at least 1"),
                "unknown objective": (["--objective", "mlm"], "objective"),
                "blocks too small": (["--block_size", "4"], "block_size is 4: it must be at least 8"),
                "missing column": (["--text", "txt"], "no column 'txt'"),
                "a pair": (["--text_pair", "b"], "text_pair"),
                "a label": (["--label", "label"], "label"),
                "a length": (["--max_length", "20"], "max_length"),
                "score of the other objective": (["--metric", "bits_per_byte"], "choose one of loss, perplexity"),
                "mistakes of several groups": (
                    ["--mlm_probability", "2", "--block_size", "1", "--lr", "-1"],
                    "(?=.*mlm_probability is 2.0)(?=.*block_size is 1)(?=.*lr is -1.0)",
                ),
            },
        ),
        Recipe(
            module=recommendation,
            model=save_tiny_bert,
            data=save_histories,
            given=given,
            command=lambda data: [str(data / "test.jsonl")],
            unlabelled=without_labels,
            auto="AutoModel",
            files=frozenset(
                {"tokenizer.json", "tokenizer_config.json", "figures/comparison.png", "figures/reliability.png"}
                | {"figures/history.png"}
            ),
            learns=("--lr", "1e-3", "--head_lr", "1e-2", "--epochs", "12", *RATED),
            drawn=(*RATED, "--history_dropout", "0.3", "--item_dropout", "0.3"),
            alike=("--head_lr", "3e-4", "--history_dropout", "0", "--item_dropout", "0", *RATED),
            options=(
                ("--pooling", "mean", *RATED),
                ("--train_encoder", "true", "--lora", "2", "--attention", "cosine", *RATED),
                ("--train_encoder", "true", "--attention", "entmax15", "--attention_include", "", *RATED),
                ("--ema", "0.9", "--pair_weight", "0", "--history_length", "3", *RATED),
                ("--metric=-loss", "--patience", "1", "--eval_every", "0.5", "--freeze", "encoder", *RATED),
                ("--num_factors", "0", *RATED),
                ("--label", "rating", "--liked_from", "1", "--auto_batch_size", "true", "--num_workers", "1", *RATED),
                ("--accumulation_steps", "2", "--num_heads", "2", "--hidden_size", "32", *RATED),
            ),
            only_scored=frozenset(),
            labels=False,
            score="gauc",
            floor=0.6,
            code="modeling_history.py",
            tag="text-ranking",
            saved=("HistoryForRecommendation", "hf_attn_history"),
            reported=("this model", "matrix factorisation", "gauc", "ndcg_at_10", "Within users"),
            bad={
                "a mean that attends": (["--pooling", "mean", "--attention", "cosine"], "give one of them"),
                "factors below none": (["--num_factors", "-1"], "num_factors is -1: it must be at least 0"),
                "one history of rows that hold theirs": (["--history_until", "split"], "is of interactions"),
                "adapters in a frozen encoder": (["--lora", "2"], "give --train_encoder too"),
                "a probe": (["--linear_probe", "true"], "the encoder is frozen anyway"),
                "a frozen encoder that is trained": (
                    ["--train_encoder", "true", "--freeze", "encoder"],
                    "exclude each other",
                ),
                "a variant in a frozen encoder": (
                    ["--attention", "cosine", "--attention_include", "layer"],
                    "puts the variant into the encoder",
                ),
                "heads that do not fit": (["--hidden_size", "30"], "hidden_size is 30 with 4 heads"),
                "dropout of all": (["--item_dropout", "1"], "item_dropout is 1.0"),
                "unknown pooling": (["--pooling", "max"], "pooling"),
                "no tokens": (["--max_length", "0"], "max_length is 0: it must be above 0"),
                "no room for text": (["--max_length", "2"], "leave no room for text"),
                "missing label": (["--label", "lable"], "no column 'lable'"),
                "missing candidate": (["--candidate", "film"], "no column 'film'"),
            },
        ),
    )
}
