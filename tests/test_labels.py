"""Labels: what kind they are, their numbers and names, the same in every split."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from hf_attn.errors import InputError
from hf_attn.tasks.targets.labels import OneClass, SeveralLabels, encode_labels
from hf_attn.tasks.targets.labels.encoding import KINDS


def splits(train, validation=None, test=None, feature=None, **columns):
    parts = {"train": train, "validation": validation or train, "test": test or train}

    def dataset(values):
        kinds = Features({"label": feature}) if feature else None
        return Dataset.from_dict({"label": values, **columns}, kinds)

    return DatasetDict({name: dataset(values) for name, values in parts.items()})


def encoded(data, column="label", **kwargs):
    data, labels = encode_labels(data, column, **kwargs)
    return [split["labels"][:] for split in data.values()], labels, data["train"].features["labels"]


def test_numbers_to_predict_are_the_names_of_classes_and_never_their_places():
    def splits(names):
        features = Features({"label": ClassLabel(names=names)})
        return DatasetDict({s: Dataset.from_dict({"label": [0, 1, 2]}, features=features) for s in ("train", "test")})

    encoded, labels = encode_labels(splits(["0.5", "10", "-3"]), "label", kind="regression")
    assert encoded["train"]["labels"][:] == [0.5, 10, -3] and labels.kind == "regression"
    with pytest.raises(InputError, match="labels in 'label' that are no numbers: 'blue', 'green', 'red'"):
        encode_labels(splits(["blue", "green", "red"]), "label", kind="regression")


def test_names_are_numbered_in_alphabetical_order():
    values, labels, feature = encoded(splits(["no", "yes", "no", "maybe"], ["yes", "maybe"], ["no", "no"]))
    assert values == [[1, 2, 1, 0], [2, 0], [1, 1]]
    assert labels == OneClass(("maybe", "no", "yes"), "label", (1, 2, 1))
    assert feature == Value("int64")
    assert labels.problem_type == "single_label_classification" and labels.num_labels == 3
    assert labels.id2label == {0: "maybe", 1: "no", 2: "yes"}


def test_whole_numbers_are_numbered_in_their_order():
    for values in ([10, 1, 5, 1], [10.0, 1.0, 5.0, 1.0]):
        found, labels, _ = encoded(splits(values))
        assert found[0] == [2, 0, 1, 0] and labels.names == ("1", "5", "10") and labels.counts == (2, 1, 1)


def test_true_and_false_are_two_classes():
    found, labels, _ = encoded(splits([True, False, True]))
    assert found[0] == [1, 0, 1] and labels.names == ("False", "True")


def test_class_labels_keep_their_names_and_numbers():
    found, labels, _ = encoded(splits([2, 0, 2], feature=ClassLabel(names=["b", "never", "a"])))
    assert found[0] == [2, 0, 2] and labels.names == ("b", "never", "a") and labels.counts == (1, 0, 2)


def test_class_labels_of_splits_are_matched_by_name():
    data = splits([0, 1, 0], feature=ClassLabel(names=["a", "b"]))
    data["test"] = splits([0, 1, 1], feature=ClassLabel(names=["b", "a"]))["train"]
    assert encoded(data)[0] == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_names_of_numbers_come_from_their_column():
    names = ["zero", "one", "zero", "one"]
    for kwargs in ({"label_names": "words"}, {}):
        column = "words" if kwargs else "label_name"
        _, labels, _ = encoded(splits([0, 1, 0, 1], **{column: names}), **kwargs)
        assert labels.names == ("zero", "one")


def test_a_column_of_names_that_does_not_fit_is_not_taken_by_itself():
    _, labels, _ = encoded(splits([0, 1, 0, 1], label_name=["a", "b", "c", "d"]))
    assert labels.names == ("0", "1")


def test_floats_are_a_regression():
    found, labels, feature = encoded(splits([0.5, 1, 2.25]))
    assert found[0] == [0.5, 1.0, 2.25] and feature == Value("float32")
    assert (labels.kind, labels.names, labels.num_labels, labels.problem_type) == ("regression", (), 1, "regression")


def test_whole_numbers_are_a_regression_if_told():
    assert encoded(splits([1, 5, 3]), kind="regression")[0][0] == [1.0, 5.0, 3.0]


def test_lists_of_names_are_multi_label():
    found, labels, feature = encoded(splits([["b", "a"], [], ["b"]], [["a"]], [["b"]]))
    assert found == [[[1, 1], [0, 0], [0, 1]], [[1, 0]], [[0, 1]]]
    assert labels == SeveralLabels(("a", "b"), "label", (1, 2)) and feature == List(Value("float32"))
    assert labels.problem_type == "multi_label_classification"


def test_lists_of_numbers_and_of_class_labels_are_multi_label():
    assert encoded(splits([[3, 1], [], [3]]))[0][0] == [[1, 1], [0, 0], [0, 1]]
    found, labels, _ = encoded(splits([[1, 0], [1]], feature=List(ClassLabel(names=["x", "y"]))))
    assert found[0] == [[1, 1], [0, 1]] and labels.names == ("x", "y")


def test_lists_of_zeros_and_ones_of_one_length_are_indicators():
    found, labels, _ = encoded(splits([[0, 1, 1], [0, 0, 0], [1, 0, 0]]))
    assert found[0] == [[0, 1, 1], [0, 0, 0], [1, 0, 0]] and labels.counts == (1, 1, 1)


def test_lists_of_the_labels_zero_and_one_are_labels():
    assert encoded(splits([[0, 1], [1, 0]]))[0][0] == [[1, 1], [1, 1]]
    assert encoded(splits([[0], [1], [0]]))[0][0] == [[1, 0], [0, 1], [1, 0]]


def test_several_columns_of_zero_and_one_are_multi_label():
    parts = Dataset.from_dict({"toxic": [1, 0, 1], "rude": [False, True, True]})
    found, labels, feature = encoded(DatasetDict(train=parts, validation=parts, test=parts), ["toxic", "rude"])
    assert found[0] == [[1, 0], [0, 1], [1, 1]] and feature == List(Value("float32"))
    assert labels == SeveralLabels(("toxic", "rude"), ("toxic", "rude"), (2, 2))


def test_a_column_named_labels_is_replaced():
    parts = Dataset.from_dict({"labels": ["x", "y", "x"]})
    data, labels = encode_labels(DatasetDict(train=parts, validation=parts, test=parts), "labels")
    assert data["test"]["labels"][:] == [0, 1, 0] and labels.names == ("x", "y")


def test_a_class_that_test_lacks_is_told_and_kept(caplog):
    _, labels, _ = encoded(splits(["a", "b", "c"], None, ["a", "b"]))
    assert labels.names == ("a", "b", "c")
    assert "test has no row of 1 of train's classes: 'c'" in caplog.text


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
def test_the_problem_type_is_one_that_transformers_knows(kind):
    from transformers import PreTrainedConfig

    assert PreTrainedConfig(problem_type=KINDS[kind](("a", "b")).problem_type)
