"""Scores of attributions against the papers' equations as loops; rankings; and a planted reason that is found."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from explained_models import case_of, explain, image_processor
from sklearn.metrics import auc, precision_recall_curve
from tiny_bert import WORDS, save_tiny_bert
from transformers import ViTConfig, ViTForImageClassification

from hf_attn import InputError
from hf_attn.explain.agreement import agreement, marked_parts
from hf_attn.explain.case import Case
from hf_attn.explain.faithfulness import MEASURES, measured, saco, scores_of
from hf_attn.explain.methods import METHODS
from hf_attn.explain.ranking import Contest, Measured, Ranking, interval
from hf_attn.explain.verdict import verdict
from hf_attn.tasks.predict import load

CLAIMING = ("relevance", "integrated_gradients", "occlusion", "lime", "kernel_shap", "partition_shap")
"""Methods that say what an answer hangs on; others say where a layer looks, or what it would change by."""


def test_scores_are_those_of_the_papers():
    case = case_of("text")
    weights = np.random.default_rng(1).standard_normal(len(case))
    order = sorted(range(len(case)), key=lambda part: -weights[part])
    parts = len(case)

    def score(members):
        keep = np.zeros((1, parts), bool)
        keep[0, list(members)] = True
        return float(case.scores(keep)[0])

    whole = score(range(parts))
    takes = [max(1, round(share * parts)) for share in (0.01, 0.05, 0.1, 0.2, 0.5)]
    found = scores_of(case, np.array(order), weights)
    assert found["comprehensiveness"] == pytest.approx(sum(whole - score(order[take:]) for take in takes) / 5)
    assert found["sufficiency"] == pytest.approx(sum(whole - score(order[:take]) for take in takes) / 5)
    gone = [score(order[take:]) for take in range(parts + 1)]
    back = [score(order[:take]) for take in range(parts + 1)]
    assert found["deletion"] == pytest.approx(sum((a + b) / 2 / parts for a, b in itertools.pairwise(gone)))
    assert found["insertion"] == pytest.approx(sum((a + b) / 2 / parts for a, b in itertools.pairwise(back)))
    assert found["area"] == pytest.approx(found["insertion"] - found["deletion"])
    lost = [whole - score(set(range(parts)) - {part}) for part in order]
    salience = [float(weights[part]) for part in order]
    value = total = 0.0
    for i, j in itertools.combinations(range(parts), 2):  # Wu et al. 2024, algorithm 1
        weight = salience[i] - salience[j] if lost[i] >= lost[j] else -(salience[i] - salience[j])
        value, total = value + weight, total + abs(weight)
    assert found["saco"] == pytest.approx(value / total)
    assert found.keys() == MEASURES.keys()


def test_saco_is_one_for_the_right_order_and_minus_one_for_the_reverse():
    assert saco(np.array([3.0, 2, 1]), np.array([0.5, 0.2, 0.1])) == 1
    assert saco(np.array([3.0, 2, 1]), np.array([0.1, 0.2, 0.5])) == -1
    assert saco(np.array([1.0, 1]), np.array([0.1, 0.2])) == 0


def test_a_score_stands_beside_those_of_random_weights_on_the_same_input():
    case = case_of("text")
    found = measured(case, METHODS["occlusion"].run(case))
    for score in found.values():
        assert score["random_low"] <= score["random"] <= score["random_high"]
    assert measured(case, METHODS["occlusion"].run(case)) == found


def test_agreement_is_that_of_the_marked_words():
    weights, marked = np.array([0.1, 0.9, 0.8, 0.2, 0.7]), np.array([False, True, True, False, False])
    found = agreement(weights, marked, 0.4)
    precision, recall, _ = precision_recall_curve(marked, weights)
    assert found["token_f1"] == found["iou_f1"] == 1.0 and found["auprc"] == pytest.approx(1.0)
    assert auc(recall, precision) == pytest.approx(1.0)
    worse = agreement(weights, np.array([True, False, False, True, False]), 0.4)
    assert worse["token_f1"] == 0 and worse["iou_f1"] == 0 and worse["auprc"] == pytest.approx((1 / 4 + 2 / 5) / 2)
    half = agreement(weights, np.array([False, True, False, False, True]), 0.4)
    assert half["token_f1"] == pytest.approx(0.5)  # words 1 and 2 of 1 and 4
    assert half["iou_f1"] == pytest.approx(2 * 1 * 0.5 / 1.5)  # the one run, [1, 3), is half of [1, 2)


def test_words_that_share_a_letter_with_a_mark_are_marked():
    case = case_of("pair")
    marked = marked_parts(case.parted.parts, [(3, 5)])
    assert [part.name for part, one in zip(case.parted.parts, marked, strict=True) if one] == ["card"]
    assert not marked_parts(case.parted.parts, [(3, 5)], source=1)[: len(marked) // 2].any()


# Rankings


def made(difference, rows=40, seed=0):
    random = np.random.default_rng(seed)
    control = random.normal(0, 0.1, rows)
    one = Measured(seconds=[0.1])
    one.scores["area"] = (control + difference + random.normal(0, 0.05, rows)).tolist()
    one.control["area"] = control.tolist()
    return one


def test_a_ranking_names_the_best_method_and_those_not_told_apart_from_it():
    methods = {"lime": made(0.3), "occlusion": made(0.29, seed=1), "rollout": made(0.0, seed=2), "random": made(0.0)}
    ranking = Ranking(methods, {}, 40, "text")
    assert ranking.best == "lime" and ranking.as_good == ["occlusion"]
    assert "Use lime" in ranking.sentence and "2 of 3 methods beat chance" in ranking.sentence
    assert [name for name, row in ranking.table.items() if row["beats_chance"]] == ["lime", "occlusion"]
    assert json.loads(json.dumps(ranking.to_dict()))["best"] == "lime"


def test_a_ranking_in_which_nothing_beats_chance_says_so():
    ranking = Ranking({f"m{number}": made(0.0, seed=number) for number in range(12)}, {}, 40, "image")
    assert ranking.best is None and ranking.as_good == []
    assert "None of 12 methods beats random weights on 40 images" in ranking.sentence


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says():
    random = np.random.default_rng(0)
    inside = sum(low <= 0 <= high for low, high in (interval(random.normal(size=40)) for _ in range(300)))
    assert 0.90 < inside / 300 < 0.98


def test_a_method_that_one_input_refuses_is_left_out_of_all():
    contest = Contest(["occlusion", "grad_cam", "random"])
    contest.take(case_of("text"))
    ranking = contest.ranking("text")
    assert set(ranking.methods) == {"occlusion", "random"} and "feature map" in ranking.refused["grad_cam"]
    with pytest.raises(InputError, match="grad_cam"):
        Contest(["grad_cam"]).take(case_of("text"))


def test_an_explanation_no_better_than_chance_is_not_to_be_read():
    case = case_of("text")
    occlusion, chance = METHODS["occlusion"].run(case), METHODS["random"].run(case)
    from dataclasses import replace

    said = [verdict(replace(one, faithfulness=measured(case, one))) for one in (occlusion, chance)]
    assert said[0].startswith("On this input") and said[1].startswith("Do not read")
    assert verdict(occlusion) == "Whether this can be believed was not measured."
    with pytest.raises(InputError, match="faithfulness=True"):
        occlusion.plot()


# A planted reason


@pytest.fixture(scope="module")
def shortcut(tmp_path_factory):
    """A text classifier for which one word alone decides, trained here."""
    model, tokenizer = load(save_tiny_bert(tmp_path_factory.mktemp("shortcut"), names=("without", "with")))
    random = np.random.default_rng(0)
    others = [word for word in WORDS if word != "card"]
    torch.manual_seed(0)
    with torch.no_grad():  # as a new model is, so that it learns nothing else
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.05)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    for _ in range(200):
        labels = random.integers(0, 2, 32)
        texts = []
        for label in labels:
            words = random.choice(others, 8).tolist()
            if label:
                words[random.integers(8)] = "card"
            texts.append(" ".join(words))
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        loss = model(**batch, labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return model.eval(), tokenizer


@pytest.mark.parametrize("name", CLAIMING)
def test_the_word_that_alone_decides_is_found_on_top(name, shortcut):
    random = np.random.default_rng(7)
    others = [word for word in WORDS if word != "card"]
    for _ in range(5):
        words = random.choice(others, 8, replace=False).tolist()
        words[random.integers(8)] = "card"
        found = METHODS[name].run(Case(*shortcut, " ".join(words)))
        assert found.prediction == "with" and found.parts[int(found.order()[0])].name == "card"


def test_on_a_planted_word_an_explanation_beats_chance_and_random_weights_do_not(shortcut):
    found = explain(*shortcut, "my card was swallowed by the machine at station", method="integrated_gradients")
    assert found.faithfulness["comprehensiveness"]["value"] > 0.9 and "On this input" in verdict(found)
    chance = explain(*shortcut, "my card was swallowed by the machine at station", method="random", seed=3)
    assert chance.faithfulness["area"]["value"] < found.faithfulness["area"]["value"]


def planted(random, label):
    pixels = random.integers(90, 160, (24, 24, 3), dtype=np.uint8)
    patch = int(random.integers(9))
    if label:
        row, column = divmod(patch, 3)
        pixels[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    return pixels, patch


@pytest.fixture(scope="module")
def bright_patch():
    """An image classifier for which one white patch decides, trained here."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=24, patch_size=8,
        id2label={0: "dull", 1: "bright"},
    )  # fmt: skip
    model, random = ViTForImageClassification(config), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    processor = image_processor(24)
    for _ in range(200):
        labels = random.integers(0, 2, 32)
        pixels = np.stack([planted(random, label)[0] for label in labels])
        values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        loss = model(pixel_values=values, labels=torch.tensor(labels)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return model.eval(), processor


@pytest.mark.parametrize("name", CLAIMING)
def test_the_patch_that_alone_decides_is_found_on_top(name, bright_patch):
    random = np.random.default_rng(11)
    for _ in range(5):
        pixels, patch = planted(random, 1)
        found = METHODS[name].run(Case(*bright_patch, pixels))
        assert found.prediction == "bright" and int(found.order()[0]) == patch


def test_ties_of_weights_are_broken_at_random_and_the_same_again():
    case = case_of("text")
    from dataclasses import replace

    flat = replace(METHODS["occlusion"].run(case), weights=np.zeros(len(case)))
    assert sorted(flat.order()) == list(range(len(case))) and list(flat.order()) != list(range(len(case)))
    assert list(flat.order()) == list(flat.order()) and math.isfinite(flat.sink_share)
