"""A score that has no value on the validation rows, whatever is predicted, is refused before anything is trained."""

import json

import pytest
from tiny_bert import TEXTS, save_tiny_bert

from hf_attn.errors import InputError
from hf_attn.recipes import text_classification
from hf_attn.tasks.targets.labels import Number, OneClass, SeveralLabels

THREE = OneClass(("no", "perhaps", "yes"))
MULTI, NUMBER = SeveralLabels(("a", "b")), Number(())


@pytest.mark.parametrize(
    ("metric", "labels", "validation", "reason"),
    [
        ("auroc", THREE, [0, 2, 2, 0], "no row is 'perhaps'"),
        ("-auroc", THREE, [1, 1], "no row is 'no' or 'yes'"),
        ("auroc", OneClass(tuple("abcdef")), [0, 0], "no row is 'b' or 'c' or 'd', and 2 more"),
        ("spearman", NUMBER, [2.5, 2.5, 2.5], "all its labels are 2.5"),
        ("pearson", NUMBER, [1.0], "all its labels are 1"),
        ("average_precision", MULTI, [[0.0, 0.0], [0.0, 0.0]], "no row has a label"),
    ],
)
def test_a_score_without_a_value_is_refused_with_the_reason(metric, labels, validation, reason):
    with pytest.raises(InputError, match=f"has no value on the validation split: {reason}; .*choose another") as caught:
        labels.check_metric(metric, validation)
    assert "\n" not in str(caught.value) and metric.removeprefix("-") not in str(caught.value).split("--metric")[1]


@pytest.mark.parametrize(
    ("metric", "labels", "validation"),
    [
        ("auroc", THREE, [0, 1, 2]),
        ("mcc", THREE, [1, 1]),
        ("f1_macro", THREE, [1, 1]),
        ("spearman", NUMBER, [2.5, 2.6]),
        ("-rmse", NUMBER, [2.5]),
        ("average_precision", MULTI, [[0.0, 1.0], [0.0, 0.0]]),
        ("f1_micro", MULTI, [[0.0, 0.0]]),
    ],
)
def test_a_score_with_a_value_is_taken(metric, labels, validation):
    labels.check_metric(metric, validation)


@pytest.mark.parametrize(
    ("labels", "more", "reason"),
    [
        ({"train": "abc", "validation": "ab", "test": "abc"}, ("--metric", "auroc"), "no row is 'c'"),
        ({"train": [1.5, 2.0, 3.5], "validation": [2.0], "test": [1.0, 2.0]}, (), "all its labels are 2"),
    ],
)
def test_the_recipe_refuses_it_before_it_trains(tmp_path, labels, more, reason):
    model, data = save_tiny_bert(tmp_path / "model"), tmp_path / "data"
    data.mkdir()
    for split, values in labels.items():
        rows = [{"text": f"{TEXTS[i % 4]} {split}", "label": values[i % len(values)]} for i in range(12)]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = ["--model", str(model), "--dataset", str(data), "--output_dir", str(tmp_path / "run"), *more]
    with pytest.raises(InputError, match=reason):
        text_classification.main(argv)
    assert not (tmp_path / "run/log.jsonl").exists()
