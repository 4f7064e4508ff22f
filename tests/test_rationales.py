"""Attention that follows rationales: the losses against loops and entmax, heads chosen, and the recipe end to end."""

import json
import math

import numpy as np
import pytest
import torch
from explained_models import TEXT, loaded
from tiny_bert import WORDS, save_tiny_bert
from torch.nn import functional as F

import hf_attn
from hf_attn import InputError
from hf_attn.explain.agreement import agreement, marked_parts
from hf_attn.explain.case import Case
from hf_attn.explain.methods import METHODS
from hf_attn.recipes import text_classification
from hf_attn.tasks.inputs.text.rationales import annotators_of, marks, share_of_tokens
from hf_attn.training.around.rationale import rationale_loss, with_rationales

LOSSES = ("kl", "mse", "mass", "sparsemax")


def example(rows=3, heads=2, tokens=6):
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(rows, heads, tokens, generator=random, dtype=torch.float64)
    marked = torch.tensor([[0, 1, 1, 0, 0, 0], [0, 0.5, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1.0]], dtype=torch.float64)
    return scores, marked


def looped(scores, marked, loss, mass=0.8):
    """The loss of scores by the equations, row by row and head by head."""
    total = 0.0
    for row, truth in zip(scores.tolist(), marked.tolist(), strict=True):
        wanted = [value / sum(truth) for value in truth]
        for head in row:
            top = max(head)
            exps = [math.exp(value - top) for value in head]
            given = [value / sum(exps) for value in exps]
            if loss == "kl":
                one = sum(r * math.log(r / a) for r, a in zip(wanted, given, strict=True) if r)
            elif loss == "mse":
                one = sum((a - r) ** 2 for r, a in zip(wanted, given, strict=True))
            else:
                one = max(0.0, mass - sum(a for r, a in zip(truth, given, strict=True) if r)) / mass
            total += one / len(row)
    return total


@pytest.mark.parametrize("loss", ["kl", "mse", "mass"])
def test_a_rationale_loss_is_that_of_its_equation(loss):
    scores, marked = example()
    assert float(rationale_loss(scores.softmax(-1), marked, loss)) == pytest.approx(looped(scores, marked, loss))


def test_the_loss_of_sparsemax_is_that_of_entmax():
    entmax = pytest.importorskip("entmax")
    scores, _ = example()
    marked = F.one_hot(torch.tensor([1, 4, 5]), 6).double()  # the library takes one target a row
    wanted = sum(
        entmax.SparsemaxLoss(reduction="sum")(scores[:, head], marked.argmax(-1)) for head in range(scores.shape[1])
    )
    assert float(rationale_loss(scores, marked, "sparsemax")) == pytest.approx(float(wanted) / scores.shape[1])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_of_a_rationale_loss_is_right(loss):
    scores, marked = example()
    given = scores if loss == "sparsemax" else scores.softmax(-1)
    assert torch.autograd.gradcheck(lambda found: rationale_loss(found, marked, loss), given.requires_grad_())


@pytest.mark.parametrize("attention", [None, "sparsemax", "entmax15"])
@pytest.mark.parametrize("loss", LOSSES)
def test_following_the_loss_brings_attention_to_the_rationale_and_leaves_the_task_loss_alone(loss, attention):
    model, tokenizer = loaded("text")
    model = hf_attn.swap_attention(model, attention) if attention else model
    import copy

    model = copy.deepcopy(model).eval()  # without the noise of dropout
    batch = dict(tokenizer([TEXT, "i want to pay"], return_tensors="pt", padding=True))
    marked = torch.zeros(batch["input_ids"].shape)
    marked[0, 2:4] = 1

    def task(model, batch):
        return model(**batch).logits.sum() * 0

    loss_fn = with_rationales(task, 1.0, heads=[0, 2], loss=loss, mass=1.0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    values = []
    for _ in range(80):
        value = loss_fn(model, {**batch, "rationale": marked})
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value))
    assert values[-1] < 0.9 * values[0] and min(values) >= -1e-5
    assert float(loss_fn(model, batch)) == 0
    assert float(loss_fn(model, {**batch, "rationale": torch.zeros_like(marked)})) == 0


def test_with_gradient_checkpointing_the_gradients_are_the_same():
    import copy

    batch = dict(loaded("text")[1]([TEXT], return_tensors="pt"))
    marked = torch.zeros(batch["input_ids"].shape)
    marked[0, 3] = 1
    found = []
    for checkpointing in (False, True):
        model = copy.deepcopy(loaded("text")[0])
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        torch.manual_seed(0)
        loss_fn = with_rationales(lambda model, batch: model(**batch).logits.square().sum(), 1.0, loss="kl")
        loss_fn(model, {**batch, "rationale": marked}).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad, msg=name)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ([[0, 2], [3, 5]], [[(0, 2), (3, 5)]]),
        ("[[0, 2]]", [[(0, 2)]]),
        ([[[0, 2]], [[1, 4]]], [[(0, 2)], [(1, 4)]]),
        (None, []),
        ("", []),
        ([], []),
        ("no spans", None),
        ([[0]], None),
        ([[0, 2.5]], None),
        ({"a": 1}, None),
    ],
)
def test_spans_are_read_of_one_annotator_or_several(value, read):
    assert annotators_of(value) == read


def test_a_token_has_the_share_of_annotators_who_mark_it():
    _, tokenizer = loaded("text")
    shares = share_of_tokens(tokenizer, "my card was swallowed", None, [[(3, 7)], [(3, 11)]], None)
    assert shares.tolist() == [0, 0, 1, 0.5, 0, 0]


def test_marks_are_what_half_of_the_annotators_say():
    from datasets import Dataset

    table = Dataset.from_dict({"why": ["[[[0, 4]], [[2, 6]]]", "[]"]})
    assert marks(table, "why", ["abcdefgh", "x"]) == [[(0, 6)], []]
    three = Dataset.from_dict({"why": ["[[[0, 4]], [[2, 6]], [[3, 8]]]"]})
    assert marks(three, "why", ["abcdefgh"]) == [[(2, 6)]]


# The recipe


def reviews(folder, rows=120, seed=0):
    """Texts whose label is told by one word, which the rationale marks, and by another that nobody marks."""
    random = np.random.default_rng(seed)
    others = [word for word in WORDS if word not in ("card", "machine", "evening", "station")]
    lines = []
    for _ in range(rows):
        label = int(random.integers(2))
        words = random.choice(others, 8).tolist()
        at, unmarked = (int(place) for place in random.choice(8, 2, replace=False))
        words[at] = ("card", "machine")[label]
        words[unmarked] = ("evening", "station")[label]
        text = " ".join(words)
        start = len(" ".join(words[:at])) + (at > 0)
        lines.append({"text": text, "label": ("lost", "found")[label], "why": [[start, start + len(words[at])]]})
    folder.mkdir(exist_ok=True)
    for name, some in (("train", lines[:80]), ("validation", lines[80:100]), ("test", lines[100:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in some))
    return folder


def trained(tmp_path, model, *more):
    output = tmp_path / ("with" if more else "without")
    argv = ["--model", str(model), "--dataset", str(reviews(tmp_path / "data")), "--output_dir", str(output)]
    argv += ["--epochs", "30", "--batch_size", "16", "--lr", "2e-3", "--head_lr", "2e-3", "--precision", "no", *more]
    return output, text_classification.main(argv)


def own_attention_finds(output, folder):
    """Area below precision and recall of the classifier's own attention, over the test texts."""
    from hf_attn.tasks.predict import load

    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    model = load(output)
    found = []
    for row in rows:
        one = METHODS["attention"].run(Case(*model, row["text"]))
        found.append(agreement(one.weights, marked_parts(one.parts, row["why"]), 1 / 8)["auprc"])
    return float(np.mean(found))


def test_the_recipes_model_attends_to_the_words_that_people_mark_and_not_to_others_that_tell_as_much(tmp_path):
    model = save_tiny_bert(tmp_path / "model")
    without, scores = trained(tmp_path, model)
    with_, supervised = trained(
        tmp_path, model, "--rationale", "why", "--rationale_weight", "5", "--rationale_heads", "all"
    )
    assert own_attention_finds(with_, tmp_path / "data") > 0.9 > own_attention_finds(without, tmp_path / "data")
    assert supervised["accuracy"] >= scores["accuracy"] - 0.05
    assert "rationale: why" in (with_ / "config.yaml").read_text()


BAD = {
    "no such column": (["--rationale", "reason"], "reason"),
    "a weight of none": (["--rationale", "why", "--rationale_weight", "0"], "rationale_weight is 0"),
    "a loss that is none": (["--rationale", "why", "--rationale_loss", "hinge"], "rationale_loss"),
    "a share above 1": (["--rationale", "why", "--rationale_mass", "1.5"], "rationale_mass is 1.5"),
    "heads in words": (["--rationale", "why", "--rationale_heads", "first"], "rationale_heads is 'first'"),
    "a head that is none": (["--rationale", "why", "--rationale_heads", "0,9"], "head 9"),
    "a layer that is none": (["--rationale", "why", "--rationale_layer", "5"], "rationale_layer 5"),
    "a column of no spans": (["--rationale", "text"], "no spans"),
    "spans of words as if of letters": (["--rationale", "far"], "no spans"),
}


@pytest.mark.parametrize("what", BAD)
def test_rationales_that_cannot_be_followed_are_refused_in_one_line(what, tmp_path):
    arguments, words = BAD[what]
    folder = reviews(tmp_path / "data")
    for name in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        lines = [json.dumps({**row, "far": [[0, len(row["text"]) + 1]]}) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    argv = ["--model", str(save_tiny_bert(tmp_path / "model")), "--dataset", str(folder)]
    with pytest.raises(InputError, match=".") as error:
        text_classification.main([*argv, "--output_dir", str(tmp_path / "run"), "--epochs", "1", *arguments])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run" / "model.safetensors").exists()
