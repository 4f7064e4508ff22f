import json
import warnings

import numpy as np
import pytest
from PIL import Image
from run_records import TOKENS, made_up

from hf_attn.runs import figures
from hf_attn.tasks.inputs.example import AttentionExample
from hf_attn.tasks.inputs.text import shown
from hf_attn.tasks.targets.labels import confusions
from hf_attn.tasks.targets.labels import figures as score_figures

KINDS = {
    "single": {"curves.png", "confusion.png", "reliability.png", "attention.png"},
    "multi": {"curves.png", "classes.png", "reliability.png", "attention.png"},
    "regression": {"curves.png", "scatter.png", "attention.png"},
}


def draw(folder, **options):
    return {picture.name for picture in figures.draw(folder, made_up(folder, **options))}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_labels_gets_its_figures_and_none_is_blank(tmp_path, kind):
    names = () if kind == "regression" else ("a", "b", "c")
    assert draw(tmp_path, kind=kind, names=names) == KINDS[kind]
    for name in KINDS[kind]:
        picture = np.asarray(Image.open(tmp_path / "figures" / name).convert("RGB"))
        assert 300 <= min(picture.shape[:2]) and max(picture.shape[:2]) <= 2500
        assert 0.01 < (picture != 255).any(-1).mean() < 0.95
        edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert (edges == 255).all(), "something is cut off at the edge"


@pytest.mark.parametrize("count", [2, 20, 21, 77])
def test_a_confusion_matrix_grows_with_its_classes_and_stays_square(tmp_path, count):
    draw(tmp_path, names=[f"class_{i}" for i in range(count)], rows=4 * count)
    width, height = Image.open(tmp_path / "figures" / "confusion.png").size
    assert width == height and 450 <= width <= 2300


def test_counts_are_written_where_classes_are_few():
    truth, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    texts = {text.get_text() for text in score_figures.confusion(truth, predicted, ["no", "yes"]).axes[0].texts}
    assert texts == {"2", "1"}


def test_confusion_counts_equal_scikit_learns():
    from sklearn.metrics import confusion_matrix

    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 5, 300), random.integers(0, 5, 300)
    expected = confusion_matrix(truth, predicted, labels=range(7))
    np.testing.assert_array_equal(score_figures.confusion_counts(truth, predicted, 7), expected)


def test_the_reliability_figure_states_the_calibration_error_of_the_scores(tmp_path):
    record = made_up(tmp_path, names=("a", "b", "c"))
    logits = record.predictions.outputs
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    figure = score_figures.reliability(record.predictions.labels, probabilities)
    assert figure.axes[0].get_title(loc="left") == f"Calibration error {record.scores['ece']:.3f}"


@pytest.mark.parametrize("name", ["$x^2$ and $", "<b>&", "多くの人", "a" * 300, "line\nbreak", "%s {} \\alpha"])
def test_any_label_can_be_drawn(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, names=(name, "other"))
        draw(tmp_path, names=(name, "other"), kind="multi")


def test_curves_show_training_and_validation(tmp_path):
    made_up(tmp_path)
    figure = figures.curves(figures.read_log(tmp_path / "log.jsonl"), "accuracy")
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["Loss", "Validation accuracy", "Learning rate"]
    validation = figure.axes[1].lines[0]
    assert validation.get_xdata().tolist() == [100, 200, 300]
    assert validation.get_ydata().tolist() == [1 - 9 / step for step in (100, 200, 300)]
    assert [text.get_text() for text in figure.axes[0].get_legend().texts] == ["training, smoothed", "validation"]


def test_little_to_draw_is_drawn(tmp_path):
    record = made_up(tmp_path, rows=1)
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 0.5, "lr": 0.1}) + "\n")
    assert "curves.png" in {picture.name for picture in figures.draw(tmp_path, record)}
    (tmp_path / "log.jsonl").unlink()
    assert "curves.png" not in {picture.name for picture in figures.draw(tmp_path, record)}


def test_the_confusion_table_is_a_matrix_for_few_classes():
    text = confusions.confusion_table([0, 0, 0, 1], [0, 0, 1, 1], ["no", "yes"])
    assert [line.split() for line in text.splitlines()] == [
        ["true", "\\", "predicted", "no", "yes", "recall"],
        ["no", "2", "1", "0.667"],
        ["yes", "0", "1", "1.000"],
    ]


def test_the_confusion_table_lists_the_worst_pairs_for_many_classes():
    names = [f"class_{i}" for i in range(77)]
    truth = np.repeat(np.arange(77), 40)
    predicted = truth.copy()
    predicted[:3], predicted[40:42] = 5, 7
    lines = confusions.confusion_table(truth, predicted, names).splitlines()
    assert "3,075 of 3,080 right" in lines[0]
    assert [line.split() for line in lines[1:]] == [
        ["3", "of", "40", "class_0", "->", "class_5"],
        ["2", "of", "40", "class_1", "->", "class_7"],
    ]
    assert "no mistakes" in confusions.confusion_table(truth, truth, names)


def test_attention_is_shaded_by_weight():
    words, weights = ["my", "card", "was"], [0.0, 0.8, 0.2]
    assert shown.attention_line(words, weights, colour=False) == "my card█ was▂"
    coloured = shown.attention_line(words, weights, colour=True)
    assert coloured.startswith("my ") and "\x1b[48;5;202m\x1b[38;5;16mcard\x1b[0m" in coloured
    assert shown.attention_line([], []) == ""
    assert shown.attention_line(["a"], [0.0], colour=False) == "a"


def test_without_letters_for_bars_digits_are_shown(monkeypatch):
    monkeypatch.setattr(shown, "encodable", lambda _: False)
    assert shown.attention_line(["my", "card"], [0.5, 1.0], colour=False) == "my(4) card(9)"


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["[CLS]", "swallow", "##ed", "card", "[SEP]"], ["swallowed", "card"]),
        (["<s>", "▁swallow", "ed", "▁card", "</s>"], ["swallowed", "card"]),
        (["<s>", "swallow", "ed", "Ġcard", "</s>"], ["swallowed", "card"]),
    ],
)
def test_word_pieces_become_words_and_their_weights_add_up(tokens, words):
    special = frozenset({"[CLS]", "[SEP]", "<s>", "</s>"})
    assert shown.join_pieces(tokens, [0.3, 0.1, 0.2, 0.25, 0.15], special) == (words, pytest.approx([0.3, 0.25]))


def test_attention_text_says_layer_prediction_and_what_rests_on_no_word():
    weights = np.zeros((6, 12, len(TOKENS)))
    weights[..., 0], weights[..., 2] = 0.75, 0.25
    text = shown.attention_text(AttentionExample(TOKENS, weights, prediction="lost", label="found"), colour=False)
    assert "[CLS] in layer 6 of 6" in text and "predicted lost, true found" in text
    assert "card█ was" in text and "(75% of it rests on [CLS], [SEP])" in text


def test_control_characters_of_a_text_never_reach_the_terminal():
    line = shown.attention_line(["\x1b[2J", "a\rb"], [0.5, 1.0], colour=False)
    assert line.isprintable()
    assert "\x1b" not in confusions.confusion_table([0, 1], [1, 1], ["\x1b[2J", "b"])
