"""Scores of an order, their intervals, simple ways beside them, and the loss of pairs: against plain references."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ndcg_score, roc_auc_score

from hf_attn.errors import InputError
from hf_attn.tasks.targets.preferences import baselines, intervals
from hf_attn.tasks.targets.preferences.liked import NAMES, Liked
from hf_attn.tasks.targets.preferences.paired import with_pairs
from hf_attn.tasks.targets.preferences.rating import Rating
from hf_attn.tasks.targets.preferences.table import comparison
from hf_attn.tasks.targets.preferences.within_users import Ranked, auc, mean_of
from hf_attn.training.evaluation import Predictions

random = np.random.default_rng(0)
USERS = random.integers(0, 40, 600)
LIKED = (random.random(600) < 0.5).astype(float)
LIKED[USERS < 4] = 1.0  # users of one kind
SCORE = np.round(LIKED + random.normal(0, 1.5, 600), 1)  # with ties


@pytest.fixture(autouse=True)
def _a_test_draws_the_same_whichever_ran_before():
    random.bit_generator.state = np.random.default_rng(1).bit_generator.state


def each_user():
    for user in np.unique(USERS):
        yield SCORE[user == USERS], LIKED[user == USERS]


def test_auc_within_users_is_that_of_scikit_learn_for_each_user():
    expected = [roc_auc_score(liked, score) for score, liked in each_user() if len(set(liked)) > 1]
    ranked = Ranked(USERS, SCORE, LIKED)
    assert mean_of(ranked.auc_of_users) == pytest.approx(np.mean(expected), abs=1e-12)
    assert (~ranked.told_apart).sum() == 4 and np.isnan(ranked.auc_of_users).sum() == 4


@pytest.mark.parametrize("gains", ["clicks", "ratings"])
def test_ndcg_is_that_of_scikit_learn_for_each_user_with_ties_shared(gains):
    gain = LIKED if gains == "clicks" else np.round(SCORE * 0 + random.integers(1, 6, 600), 0)
    expected = [
        ndcg_score([gain[user == USERS]], [SCORE[user == USERS]], k=10)
        for user in np.unique(USERS)
        if len(set(gain[user == USERS])) > 1
    ]
    assert mean_of(Ranked(USERS, SCORE, gain).ndcg_of_users) == pytest.approx(np.mean(expected), abs=1e-12)


def test_auc_over_all_rows_is_that_of_scikit_learn():
    assert auc(SCORE, LIKED) == pytest.approx(roc_auc_score(LIKED, SCORE), abs=1e-12)


def test_the_order_of_the_file_earns_nothing():
    same = Ranked(USERS, np.zeros(600), LIKED)
    shuffled = random.permutation(600)
    other = Ranked(USERS[shuffled], np.zeros(600), LIKED[shuffled])
    assert mean_of(same.auc_of_users) == 0.5
    assert mean_of(same.ndcg_of_users) == pytest.approx(mean_of(other.ndcg_of_users), abs=1e-12)


def test_intervals_draw_users_with_all_their_rows():
    rows = [np.flatnonzero(user == USERS) for user in np.unique(USERS)]
    own = np.random.default_rng(0)
    values = []
    for _ in range(300):
        some = np.concatenate([rows[user] for user in own.integers(0, len(rows), len(rows))])
        values.append(roc_auc_score(LIKED[some], SCORE[some]))
    expected = np.quantile(values, [0.025, 0.975])
    assert intervals.auc_by_user(SCORE, LIKED, USERS, draws=300) == pytest.approx(tuple(expected), abs=1e-12)
    assert intervals.by_user(lambda some: auc(SCORE[some], LIKED[some]), USERS, draws=300) == pytest.approx(
        tuple(expected)
    )
    low, high = intervals.of_rows(LIKED, USERS)
    assert low < LIKED.mean() < high


def test_one_user_of_many_rows_does_not_decide_the_mean():
    users, score = np.array([0] * 100 + [1, 1]), np.r_[np.arange(100.0), 0.0, 1.0]
    liked = np.r_[np.arange(100) >= 50, 1.0, 0.0].astype(float)
    assert mean_of(Ranked(users, score, liked).auc_of_users) == 0.5


def predictions(rows=600):
    logits = np.stack([-SCORE / 2, SCORE / 2], 1)[:rows]
    return Predictions(np.arange(rows), logits, LIKED[:rows].astype(int))


def test_a_target_scores_the_users_of_its_split():
    target = dataclasses.replace(Liked(), names=NAMES).among(USERS, {"another": -SCORE})
    found = target.scores(predictions())
    assert found["gauc"] == mean_of(Ranked(USERS, SCORE, LIKED).auc_of_users)
    assert found["auroc"] == pytest.approx(roc_auc_score(LIKED, SCORE))
    table = comparison(target, predictions())
    assert table["this model"]["gauc"].value == found["gauc"]
    assert table["another"]["gauc"].value == pytest.approx(1 - found["gauc"], abs=1e-12)
    assert table["this model"]["loss"].value == pytest.approx(found["loss"])
    low, high = target.interval(predictions(), "gauc")
    assert low < found["gauc"] < high
    assert "36 of 40 users; the other 4 have rows of one kind" in target.report(predictions())
    with pytest.raises(InputError, match="whose rows they are"):
        dataclasses.replace(Liked(), names=NAMES).scores(predictions())


def test_the_loss_of_pairs_is_that_of_a_plain_loop_and_adds_up_over_batches():
    scores = torch.randn(12, 2, dtype=torch.float64, requires_grad=True)
    preferred = torch.tensor([1.0, -1.0, 0.0] * 4)
    labels = torch.randint(0, 2, (12,))

    class Model:
        def __call__(self, rows):
            first = scores[rows, :1]
            return type("Found", (), {"logits": torch.cat([-first / 2, first / 2], 1), "scores": scores[rows]})

    def loss(rows):
        batch = {"rows": rows, "labels": labels[rows], "preferred": preferred[rows], "ids": rows}
        return with_pairs(Liked(names=NAMES).criterion, 0.7, Model(), batch)

    expected = 0.0
    for row in range(12):
        one, other = scores[row].detach().tolist()
        expected += np.log1p(np.exp(-one * (2 * int(labels[row]) - 1)))
        if preferred[row]:
            expected += 0.7 * np.log1p(np.exp(-(one - other) * float(preferred[row])))
    assert loss(torch.arange(12)).item() == pytest.approx(expected, rel=1e-6)
    assert (loss(torch.arange(5)) + loss(torch.arange(5, 12))).item() == pytest.approx(expected, rel=1e-6)


def seen(users, items, labels):
    return baselines.Seen(users, items, labels.astype(float), labels.astype(float), random.normal(size=(len(users), 4)))


def split_of(rows, taste):
    users, items = random.integers(0, 30, rows), random.integers(0, 25, rows)
    return seen(users, items, (taste[users, items] + random.normal(0, 0.2, rows) > 0).astype(float))


def test_simple_ways_find_what_they_can_and_no_more():
    taste = np.outer(random.normal(size=30), random.permutation(np.linspace(-1, 1, 25)))  # no item is good to all
    parts = {name: split_of(rows, taste) for name, rows in (("train", 6000), ("validation", 800), ("test", 800))}
    found = baselines.compare(parts)
    ranked = {way: auc(score, parts["test"].label) for way, score in found.items()}
    assert ranked["matrix factorisation"] > 0.85 > 0.7 > ranked["user and item bias"] > ranked["popularity"] - 0.05
    assert set(found) == {"popularity", "item mean", "user and item bias", "matrix factorisation", "recency"}


def test_the_item_means_are_shrunk_and_learned_from_train_alone():
    taste = np.ones((30, 1)) * np.linspace(-1, 1, 25)
    parts = {name: split_of(rows, taste) for name, rows in (("train", 4000), ("validation", 500), ("test", 500))}
    train, test = parts["train"], parts["test"]
    mean = np.array(
        [
            (train.value[train.item == item] - train.value.mean()).sum() / ((train.item == item).sum() + 5)
            for item in range(25)
        ]
    )
    said = baselines.compare(parts)["item mean"]
    own = LogisticRegression(C=1e3).fit(mean[parts["validation"].item][:, None], parts["validation"].label)
    np.testing.assert_allclose(said, own.decision_function(mean[test.item][:, None]), atol=0.05)
    parts["test"] = dataclasses.replace(test, label=1 - test.label, value=1 - test.value)
    np.testing.assert_array_equal(baselines.compare(parts)["item mean"], said)


def test_a_rating_is_scored_by_its_order_and_its_error():
    ratings = random.integers(1, 6, 600).astype(np.float32)
    found = Rating().among(USERS).scores(Predictions(np.arange(600), ratings[:, None] + 0.5, ratings))
    assert found["rmse"] == pytest.approx(0.5) and found["gauc"] == found["ndcg_at_10"] == 1.0


def test_where_each_user_has_one_row_no_order_is_scored_and_the_loss_chooses(caplog):
    target = dataclasses.replace(Liked(), names=NAMES).among(range(len(LIKED)))
    assert target.choose_metric(None, LIKED) == "loss"
    assert "no user has rows of the validation split that differ" in caplog.text
    with pytest.raises(InputError, match="give more rows of each user, or --metric loss"):
        target.choose_metric("gauc", LIKED)
    assert not {"gauc", "ndcg_at_10"} & set(comparison(target, predictions())["this model"])
    assert target.among(USERS).choose_metric(None, LIKED) == "gauc"
