"""Predictions on any number of processes, and scores against independent references."""

import forked
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
import torch
from accelerate import Accelerator
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification

from hf_attn.data import eval_loader
from hf_attn.errors import InputError
from hf_attn.tasks.inputs.text.tokens import Padding
from hf_attn.tasks.targets.labels import Number, OneClass, SeveralLabels
from hf_attn.tasks.targets.labels.encoding import KINDS
from hf_attn.training.evaluation import Predictions, predict
from hf_attn.training.history import direction

MULTI = SeveralLabels(("a", "b", "c"))
REGRESSION = Number()


def single(classes, rows=500, seed=0, skill=2.0):
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) + skill * np.eye(classes)[truth]
    names = tuple(f"class {index}" for index in range(classes))
    return Predictions(np.arange(rows), logits.astype(np.float32), truth), OneClass(names)


def multi(rows=400):
    random = np.random.default_rng(1)
    truth = random.random((rows, 3)) < (0.1, 0.5, 0.3)
    logits = (random.normal(size=(rows, 3)) + truth * 2 - 1).round(1)  # rounded: equal scores occur
    return Predictions(np.arange(rows), logits.astype(np.float32), truth.astype(np.float32))


def regression(rows=300):
    random = np.random.default_rng(2)
    truth = random.integers(0, 26, rows) / 5
    values = truth + random.normal(size=rows)
    return Predictions(np.arange(rows), values[:, None].astype(np.float32), truth.astype(np.float32))


def softmax(logits):
    return torch.from_numpy(logits).double().softmax(-1).numpy()


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_scores_of_classes_are_scikit_learns(classes):
    predictions, labels = single(classes)
    truth, p = predictions.labels, softmax(predictions.outputs)
    said = p.argmax(1)
    expected = {
        "loss": sk.log_loss(truth, p),
        "accuracy": sk.accuracy_score(truth, said),
        "f1_macro": sk.f1_score(truth, said, average="macro"),
        "f1_weighted": sk.f1_score(truth, said, average="weighted"),
        "mcc": sk.matthews_corrcoef(truth, said),
        "auroc": sk.roc_auc_score(truth, p[:, 1]) if classes == 2 else sk.roc_auc_score(truth, p, multi_class="ovr"),
    }
    found = labels.scores(predictions)
    assert set(found) == {*expected, "ece"}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert labels.probabilities(predictions) == pytest.approx(p, abs=1e-12)


def test_f1_counts_classes_that_occur_as_scikit_learn_does():
    predictions, labels = single(6, rows=40)
    predictions.labels[predictions.labels > 3] = 0
    predictions.outputs[:, 5] = -100
    said = predictions.outputs.argmax(1)
    assert labels.scores(predictions)["f1_macro"] == pytest.approx(
        sk.f1_score(predictions.labels, said, average="macro", zero_division=0)
    )


def test_calibration_error_is_that_of_a_plain_loop():
    predictions, labels = single(4, skill=0.5)
    p = softmax(predictions.outputs)
    total = 0.0
    for index in range(15):
        inside = [row for row in range(len(p)) if index / 15 < p[row].max() <= (index + 1) / 15]
        if inside:
            right = sum(p[row].argmax() == predictions.labels[row] for row in inside) / len(inside)
            total += len(inside) / len(p) * abs(right - sum(p[row].max() for row in inside) / len(inside))
    assert labels.scores(predictions)["ece"] == pytest.approx(total, abs=1e-9)


def test_scores_of_many_labels_are_scikit_learns():
    predictions = multi()
    truth, p = predictions.labels.astype(int), torch.from_numpy(predictions.outputs).double().sigmoid().numpy()
    said = (p >= 0.5).astype(int)
    expected = {
        "loss": np.mean([sk.log_loss(truth[:, i], p[:, i]) for i in range(3)]),
        "f1_micro": sk.f1_score(truth, said, average="micro"),
        "f1_macro": sk.f1_score(truth, said, average="macro"),
        "average_precision": sk.average_precision_score(truth, p, average="macro"),
        "accuracy": sk.accuracy_score(truth, said),
    }
    assert MULTI.scores(predictions) == pytest.approx(expected, abs=1e-7)
    assert MULTI.probabilities(predictions) == pytest.approx(p, abs=1e-12)


def test_scores_of_a_regression_are_scipys():
    predictions = regression()
    truth, values = predictions.labels.astype(float), predictions.outputs[:, 0].astype(float)
    expected = {
        "loss": sk.mean_squared_error(truth, values),
        "pearson": scipy.stats.pearsonr(truth, values).statistic,
        "spearman": scipy.stats.spearmanr(truth, values).statistic,
        "mae": sk.mean_absolute_error(truth, values),
        "rmse": sk.root_mean_squared_error(truth, values),
    }
    assert REGRESSION.scores(predictions) == pytest.approx(expected, abs=1e-9)
    assert REGRESSION.probabilities(predictions).shape == (300, 1)


def test_scores_without_a_value_are_left_out():
    predictions, labels = single(3)
    predictions.labels[predictions.labels == 2] = 0
    assert "auroc" not in labels.scores(predictions)
    none = multi()
    none.labels[:] = 0
    assert "average_precision" not in MULTI.scores(none)
    flat = regression()
    flat.labels[:] = 1
    assert not {"pearson", "spearman"} & set(REGRESSION.scores(flat))


def test_a_constant_prediction_has_no_correlation():
    predictions = regression()
    predictions.outputs[:] = 3
    found = REGRESSION.scores(predictions)
    assert found["pearson"] == found["spearman"] == 0.0
    one, labels = single(3)
    one.outputs[:, 1] = 100
    assert labels.scores(one)["mcc"] == 0.0


def test_extreme_logits_give_finite_scores():
    predictions, labels = single(3)
    predictions.outputs[:] *= 1e4
    assert all(np.isfinite(value) for value in labels.scores(predictions).values())
    many = multi()
    many.outputs[:] *= 1e4
    assert all(np.isfinite(value) for value in MULTI.scores(many).values())


def test_logits_that_are_not_finite_are_told():
    predictions, labels = single(3)
    predictions.outputs[7, 1] = np.nan
    with pytest.raises(FloatingPointError, match="1 of 500 rows are not finite .first: row 7"):
        labels.scores(predictions)


def test_rows_without_labels_have_no_scores():
    predictions, labels = single(3)
    with pytest.raises(InputError, match="no labels"):
        labels.scores(Predictions(predictions.ids, predictions.outputs))


def test_smaller_is_better_for_losses_and_for_a_leading_minus():
    assert [direction(name) for name in ("loss", "mae", "rmse", "ece", "-wer", "-own")] == [-1] * 6
    assert [direction(name) for name in ("accuracy", "f1_macro", "spearman", "own")] == [1] * 4


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
def test_the_default_metric_is_one_of_the_scores(kind):
    labels = KINDS[kind](("a", "b"))
    labels.check_metric(labels.DEFAULT_METRIC)


@pytest.mark.parametrize("name", ["accurracy", "f1", "spearman"])
def test_an_unknown_metric_is_refused_with_the_nearest_name(name):
    with pytest.raises(InputError) as caught:
        OneClass(("a", "b")).check_metric(name)
    told = str(caught.value)
    assert f"'{name}' is no score for single labels (loss, accuracy" in told and "\n" not in told
    assert name != "accurracy" or "did you mean 'accuracy'?" in told


METRIC = """
import datasets
import evaluate


class Half(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, average="binary"):
        if average == "binary" and len(set(references)) > 2:
            raise ValueError("choose another average setting")
        return {"half": 0.5 * sum(p == r for p, r in zip(predictions, references)) / len(references)}
"""


def test_a_metric_of_evaluate_joins_the_scores(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_METRICS_CACHE", str(tmp_path))
    script = tmp_path / "half" / "half.py"
    script.parent.mkdir()
    script.write_text(METRIC)
    predictions, labels = single(3)
    labels.check_metric(
        str(script),
    )
    found = labels.scores(predictions, [str(script), "accuracy"])
    assert found[str(script)] == pytest.approx(found["accuracy"] / 2)
    halves = labels.interval(predictions, str(script), samples=20)
    assert halves == pytest.approx(np.array(labels.interval(predictions, "accuracy", samples=20)) / 2)


def test_the_report_is_scikit_learns():
    predictions, labels = single(3)
    said = predictions.outputs.argmax(1)
    assert labels.report(predictions) == sk.classification_report(
        predictions.labels, said, target_names=labels.names, digits=4
    )
    assert "spearman" in REGRESSION.report(regression())
    assert "micro avg" in MULTI.report(multi())


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "mcc", "loss", "auroc"])
def test_the_interval_holds_the_score_and_depends_on_the_seed_alone(metric):
    predictions, labels = single(3)
    low, high = labels.interval(predictions, metric, samples=300, seed=1)
    assert low < labels.scores(predictions)[metric] < high
    np.random.seed(9)
    assert (low, high) == labels.interval(predictions, metric, samples=300, seed=1)
    assert (low, high) != labels.interval(predictions, metric, samples=300, seed=2)
    wide = labels.interval(predictions, metric, samples=300, seed=1, level=0.99)
    assert wide[0] < low < high < wide[1]


def test_the_interval_is_as_wide_as_the_binomial_says():
    predictions, labels = single(2, rows=2000, skill=1.0)
    share = labels.scores(predictions)["accuracy"]
    low, high = labels.interval(predictions, "accuracy", samples=2000)
    spread = 1.96 * np.sqrt(share * (1 - share) / 2000)
    assert (low, high) == pytest.approx((share - spread, share + spread), abs=0.1 * spread)


def test_nineteen_intervals_of_twenty_hold_the_true_accuracy():
    true = 0.8
    labels, held, random = OneClass(("a", "b")), 0, np.random.default_rng(0)
    for _ in range(200):
        truth = (random.random(150) >= true).astype(int)  # class 0 is always predicted, and right with probability 0.8
        found = Predictions(np.arange(150), np.tile(np.float32([1, 0]), (150, 1)), truth)
        low, high = labels.interval(found, "accuracy", samples=200)
        held += low <= true <= high
    assert 0.90 <= held / 200 <= 0.985


def test_a_metric_without_a_value_has_no_interval():
    predictions, labels = single(3)
    predictions.labels[:] = 0
    assert labels.interval(predictions, "auroc", samples=20) is None


def tiny():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, num_labels=3
    )
    return BertForSequenceClassification(config)


def rows(count=13):
    random = np.random.default_rng(0)
    tokens = [random.integers(1, 50, random.integers(2, 12)).tolist() for _ in range(count)]
    columns = {"input_ids": tokens, "attention_mask": [[1] * len(row) for row in tokens]}
    return Dataset.from_dict({**columns, "labels": random.integers(0, 3, count).tolist(), "ids": list(range(count))})


def predicted(accelerator, model, count=13):
    padding = Padding({"input_ids": 0, "attention_mask": 0}, "right", 8, 64)
    return predict(model, eval_loader(rows(count), padding, 4, accelerator), accelerator)


def test_rows_are_predicted_in_order_and_the_model_left_as_it_was():
    accelerator, model = Accelerator(cpu=True), tiny().train()
    model.bert.embeddings.eval()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    found = predicted(accelerator, model)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and not model.bert.embeddings.training and model.classifier.training
    assert found.ids.tolist() == list(range(13)) and found.labels.tolist() == rows()["labels"][:]
    model.eval()
    for index, row in enumerate(rows()):
        alone = model(torch.tensor([row["input_ids"]])).logits.detach().numpy()
        assert found.outputs[index] == pytest.approx(alone[0], abs=1e-5)


def test_a_split_without_labels_is_predicted():
    accelerator, padding = Accelerator(cpu=True), Padding({"input_ids": 0, "attention_mask": 0}, "right", 8, 64)
    found = predict(tiny(), eval_loader(rows().remove_columns("labels"), padding, 4, accelerator), accelerator)
    assert found.labels is None and len(found) == 13


def main(argv):
    accelerator = Accelerator()
    assert accelerator.num_processes == 2
    found = predicted(accelerator, accelerator.prepare(tiny().train()), int(argv[1]))
    np.savez(f"{argv[0]}/{accelerator.process_index}", found.ids, found.outputs, found.labels)


@pytest.mark.parametrize("count", [1, 13])
def test_two_processes_give_exactly_the_rows_of_one(tmp_path, count):
    forked.run(main, [str(tmp_path), str(count)], tmp_path / "said", 2)
    alone = predicted(Accelerator(cpu=True), tiny(), count)
    for index in range(2):
        ids, logits, labels = np.load(tmp_path / f"{index}.npz").values()
        assert ids.tolist() == list(range(count)) and labels.tolist() == alone.labels.tolist()
        assert logits == pytest.approx(alone.outputs, abs=1e-5)
