"""The card shows each split's scores as that split's, and those of the test split as the result."""

import json

import pytest
from huggingface_hub import ModelCard
from run_records import made_up

from hf_attn.runs.folder import describe
from hf_attn.tasks.targets.labels.metrics import METRICS

VALIDATION = {"loss": 0.5111, "accuracy": 0.6222, "f1_macro": 0.6333, "mcc": 0.1444}
TEST = {"loss": 0.7555, "accuracy": 0.8666, "f1_macro": 0.8777, "ece": 0.0888}


@pytest.fixture
def record(tmp_path):
    record = made_up(tmp_path)
    record.scores, record.interval = TEST, (0.8123, 0.9234)
    record.history.scores = VALIDATION
    return record


def test_each_column_of_the_table_is_its_split(tmp_path, record):
    describe(tmp_path, record)
    lines = (tmp_path / "README.md").read_text().splitlines()
    start = lines.index("| Score | validation | test |")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : start + 7]]
    assert {row[0]: row[1:] for row in rows} == {
        "Loss": ["0.5111", "0.7555"],
        "Accuracy": ["0.6222", "0.8666"],
        "Macro F1": ["0.6333", "0.8777"],
        "Matthews correlation": ["0.1444", ""],
        r"Calibration error \(15 bins\)": ["", "0.0888"],
    }
    assert "Accuracy on test: 95 % bootstrap interval 0.8123 to 0.9234 (200 examples)." in "\n".join(lines)


def test_the_results_of_the_metadata_are_the_test_splits(tmp_path, record):
    describe(tmp_path, record)
    results = ModelCard((tmp_path / "README.md").read_text()).data.eval_results
    assert {(result.metric_type, result.metric_name): result.metric_value for result in results} == {
        METRICS[name]: value for name, value in TEST.items()
    }
    assert {result.dataset_split for result in results} == {"test"}


def test_the_record_and_the_log_hold_each_split_under_its_name(tmp_path, record):
    describe(tmp_path, record)
    assert json.loads((tmp_path / "run.json").read_text())["scores"] == {"validation": VALIDATION, "test": TEST}
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert {name: value for name, value in last.items() if "/" in name} == {f"test/{k}": v for k, v in TEST.items()}
    assert last["step"] == record.history.step


def test_a_run_without_validation_shows_the_test_split_alone(tmp_path, record):
    record.history.scores = {}
    describe(tmp_path, record)
    text = (tmp_path / "README.md").read_text()
    assert "| Score | test |" in text and "| Accuracy | 0.8666 |" in text
