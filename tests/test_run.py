import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from run_records import made_up
from tiny_bert import TEXTS, save_tiny_bert
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_attn.errors import InputError
from hf_attn.explain.attended import attend, shown
from hf_attn.models import check_text_model
from hf_attn.models.checkpoint_files import check_model_folder
from hf_attn.runs import machine
from hf_attn.runs.folder import describe, finish, run_facts
from hf_attn.tasks.inputs import text
from hf_attn.tasks.inputs.example import AttentionExample
from hf_attn.tasks.inputs.text.examples import typical
from hf_attn.tasks.predict import outputs, predict
from hf_attn.tasks.targets.labels.encoding import KINDS
from hf_attn.training.evaluation import Predictions


def test_finish_leaves_the_promised_files_and_no_other(tmp_path):
    source = save_tiny_bert(tmp_path / "source", names=("no", "yes"))
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    folder = finish(model, tokenizer, made_up(tmp_path / "run"), Accelerator(cpu=True))
    assert folder == tmp_path / "run"
    figures = {f"figures/{name}.png" for name in ("curves", "confusion", "reliability", "attention")}
    model_files = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"run.json", "log.jsonl", "predictions.parquet", "README.md"} | figures | model_files
    again = AutoModelForSequenceClassification.from_pretrained(folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert AutoTokenizer.from_pretrained(folder).model_max_length == tokenizer.model_max_length


def test_a_lora_model_is_saved_whole(tmp_path):
    from peft import LoraConfig, get_peft_model

    source = save_tiny_bert(tmp_path / "source", names=("no", "yes"))
    model = get_peft_model(
        AutoModelForSequenceClassification.from_pretrained(source),
        LoraConfig(target_modules=["query"], task_type="SEQ_CLS"),
    )
    torch.nn.init.normal_(model.base_model.model.bert.encoder.layer[0].attention.self.query.lora_B.default.weight)
    tokenizer = AutoTokenizer.from_pretrained(source)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    expected = model.eval()(**batch).logits
    folder = finish(model, tokenizer, made_up(tmp_path / "run"), Accelerator(cpu=True))
    assert not (folder / "adapter_config.json").exists()
    again = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    torch.testing.assert_close(again(**batch).logits, expected, atol=1e-5, rtol=0)


def test_run_json_holds_what_is_needed_to_understand_the_run(tmp_path):
    record = made_up(tmp_path / "run")
    describe(tmp_path / "run", record, processes=2, precision="bf16")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["recipe"] == "text_classification" and facts["seed"] == 0
    assert facts["arguments"]["dataset"] == facts["data"]["source"] == "data/mails.csv"
    assert facts["data"]["fingerprint"] == "ab" * 32
    assert facts["training"]["tokens_per_second"] == 1500 and facts["training"]["best_step"] == 200
    assert facts["training"]["peak_memory_bytes"]["resident"] > 1e7
    assert facts["scores"]["test"] == record.scores and facts["scores"]["validation"] == record.history.scores
    assert facts["interval"] == {"level": 0.95, "test": [0.5, 0.9]}
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["hardware"]["processes"] == 2 and facts["hardware"]["precision"] == "bf16"
    assert facts["hardware"]["cores"] >= 1 and facts["hardware"]["processor"]


def test_the_commit_is_that_of_the_working_folder(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.git_state(tmp_path) is None
    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "one")
    state = machine.git_state(tmp_path)
    assert len(state["commit"]) == 40 and state["changed"] is False
    (tmp_path / "a").write_text("2")
    assert machine.git_state(tmp_path) == {**state, "changed": True}


def test_no_seconds_no_speed(tmp_path):
    record = made_up(tmp_path / "run")
    record.history.seconds = 0.0
    assert run_facts(record)["training"]["tokens_per_second"] is None


def read(folder):
    table = pyarrow.parquet.read_table(folder / "predictions.parquet")
    return table.to_pylist(), json.loads(table.schema.metadata[b"labels"])


def test_predictions_parquet_single(tmp_path):
    record = made_up(tmp_path, names=("a", "b", "c"))
    describe(tmp_path, record)
    rows, names = read(tmp_path)
    expected = torch.tensor(record.predictions.outputs).double().softmax(-1).numpy()
    np.testing.assert_allclose([row["probabilities"] for row in rows], expected, atol=1e-12)
    assert [row["id"] for row in rows] == list(range(200))
    assert [row["label"] for row in rows] == ["abc"[i % 3] for i in range(200)]
    assert [row["prediction"] for row in rows] == [names[i] for i in expected.argmax(-1)]


def test_predictions_parquet_multi(tmp_path):
    record = made_up(tmp_path, names=("a", "b", "c"), kind="multi")
    describe(tmp_path, record)
    rows, names = read(tmp_path)
    for row, truth, logits in zip(rows, record.predictions.labels, record.predictions.outputs, strict=True):
        assert row["label"] == [name for name, on in zip(names, truth, strict=True) if on]
        assert set(row["prediction"]) == {name for name, logit in zip(names, logits, strict=True) if logit >= 0}


def test_predictions_parquet_regression(tmp_path):
    record = made_up(tmp_path, names=(), kind="regression")
    describe(tmp_path, record)
    rows, _ = read(tmp_path)
    assert [row["prediction"] for row in rows] == record.predictions.outputs[:, 0].tolist()
    assert [row["label"] for row in rows] == record.predictions.labels.tolist()
    assert "probabilities" not in rows[0]


def test_attend_gives_the_eager_weights_of_the_first_token(tmp_path):
    source = save_tiny_bert(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(source).eval()
    example = attend(model, tokenizer, TEXTS[0], label="payment")
    eager = AutoModelForSequenceClassification.from_pretrained(source, attn_implementation="eager").eval()
    inputs = tokenizer(TEXTS[0], return_tensors="pt")
    output = eager(**inputs, output_attentions=True)
    expected = torch.stack(output.attentions)[:, 0, :, 0].detach().numpy()
    np.testing.assert_allclose(example.weights, expected, atol=1e-6)
    assert list(example.tokens) == ["[CLS]", *TEXTS[0].split(), "[SEP]"]
    assert example.prediction == model.config.id2label[output.logits.argmax().item()]
    assert example.is_text.tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("problem_type", "names", "label", "true"),
    [
        ("single_label_classification", ("lost", "paid"), 1, "paid"),
        ("multi_label_classification", ("lost", "paid", "other"), [1.0, 0.0, 1.0], "lost, other"),
        ("multi_label_classification", ("lost", "paid"), [0.0, 0.0], "no label"),
        ("regression", (), 2.5, "2.5"),
    ],
)
def test_the_example_of_a_run_tells_the_true_label(tmp_path, problem_type, names, label, true):
    source = save_tiny_bert(tmp_path, names, problem_type)
    tokenizer, model = AutoTokenizer.from_pretrained(source), AutoModelForSequenceClassification.from_pretrained(source)
    examples = text.Examples(Dataset.from_list([{"text": TEXTS[0]}]), tokenizer, text.Options(dataset="here"))
    target = {cls.problem_type: cls for cls in KINDS.values()}[problem_type](names)
    ids, found = np.arange(1), outputs(model, text.read([TEXTS[0]]), tokenizer)
    told = shown(model, examples, target, Predictions(ids, found, np.array([label]))).text
    assert f", true {true}\n" in told and ", predicted " in told
    told = shown(model, examples, target, Predictions(ids, found)).text
    assert ", predicted " in told and ", true " not in told


def test_the_example_of_a_run_is_one_that_is_right_and_readable():
    texts = ["no", "one two three four five six", "yes", "a b c d e f", "two words", " ".join("word" * 50)]
    right = [False, False, True, True, True, True]
    assert typical(texts, right) == 3
    assert typical(texts[:3], right[:3]) == 2, "right goes before readable"
    assert typical(texts[:2], right[:2]) == 1, "of what is wrong, something with several words"
    assert typical(texts, None) == 1
    assert typical(["no"], [False]) == 0


@pytest.mark.parametrize(
    ("kind", "logits", "truth", "expected"),
    [
        ("single", [[2.0, 1.0], [0.0, 1.0], [3.0, 4.0]], [0, 0, 1], [True, False, True]),
        ("multi", [[2.0, -1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], [True, False]),
        ("regression", [[1.0], [2.0], [9.0]], [1.1, 2.0, 3.0], [True, True, False]),
    ],
)
def test_what_is_right_of_each_kind_of_labels(kind, logits, truth, expected):
    names = () if kind == "regression" else ("a", "b")
    found = KINDS[kind](names).right(Predictions(np.arange(len(truth)), np.array(logits), np.array(truth)))
    assert found.tolist() == expected


def test_prediction_truncates_as_training_did(tmp_path):
    source = save_tiny_bert(tmp_path / "source", names=("no", "yes"))
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    text.bring_together(model, tokenizer, max_length=7)
    folder = finish(model, tokenizer, made_up(tmp_path / "run"), Accelerator(cpu=True))
    assert predict(folder, ["my card was swallowed by the machine"]) == predict(folder, ["my card was swallowed by"])
    assert len(AutoTokenizer.from_pretrained(folder)("my " * 20, truncation=True)["input_ids"]) == 7


def test_weights_that_do_not_fit_the_tokens_are_refused():
    with pytest.raises(InputError, match=r"\(2, 3\) do not fit 3 tokens"):
        AttentionExample(["a", "b", "c"], np.ones((2, 3)))


CORRUPT = b"\xff" * 64


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(CORRUPT), "model.safetensors is damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "model.safetensors is damaged"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
            "model.safetensors is damaged",
        ),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not readable JSON"),
        (lambda folder: (folder / "config.json").write_text("{}"), "names no model_type"),
        (lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "vocab.txt")], "tokenizer is missing"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "tf_model.h5"), "only in tf_model.h5"),
    ],
)
def test_a_damaged_model_folder_is_refused(tmp_path, damage, message):
    folder = save_tiny_bert(tmp_path / "model")
    check_text_model(folder)
    damage(folder)
    with pytest.raises(InputError, match=message) as error:
        check_text_model(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


def test_a_pickle_is_refused_and_the_command_it_names_converts_it(tmp_path):
    folder = save_tiny_bert(tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="only a pickle") as error:
        check_model_folder(folder)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(str(error.value).split("`")[1], shell=True, check=True, env={**os.environ, "PATH": path})
    check_model_folder(folder)
    again = AutoModelForSequenceClassification.from_pretrained(folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_missing_shard_is_named(tmp_path):
    folder = save_tiny_bert(tmp_path / "model")
    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    check_model_folder(folder)
    first = sorted(folder.glob("model-*.safetensors"))[0]
    first.unlink()
    with pytest.raises(InputError, match=f"weight files are missing, the first is {first.name}"):
        check_model_folder(folder)


def test_a_folder_that_is_missing_is_told_from_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="is no folder here, nor in the cache .* and the Hub cannot be reached"):
        check_model_folder("google-bert/bert-base-uncased", cache_dir=tmp_path)
    for missing in (tmp_path / "none", "./runs/none", "runs/a/none", "../none"):
        with pytest.raises(InputError, match="does not exist"):
            check_model_folder(missing)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, expected a model folder"):
        check_model_folder(tmp_path / "file")
