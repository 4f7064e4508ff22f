"""Interactions and rows with histories: what each row may see, how they are cut, and what is refused."""

import json
import logging
import re

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from tiny_histories import interactions, items, rows_of, save_histories, save_interactions

from hf_attn.errors import InputError
from hf_attn.interface.arguments import parse
from hf_attn.recipes.recommendation import Config
from hf_attn.tasks.inputs import history
from hf_attn.tasks.inputs.history.flat import histories_of
from hf_attn.tasks.inputs.history.given_files import read_files
from hf_attn.tasks.inputs.history.past import seen_by
from hf_attn.tasks.inputs.text.given import trained_columns
from hf_attn.tasks.targets import preferences


def loaded(dataset, *more, items_file="items.csv"):
    """Splits, past and arguments of a data set; interactions where it is a file."""
    argv = ["--model", "m", "--dataset", str(dataset), *(["--items", items_file] if items_file else []), *more]
    args = parse(Config, [str(word) for word in argv], recipe="recommendation")
    splits, past = history.load_past(history.load_splits(args, args.label), args, args.label)
    return preferences.encode(splits, args)[0], past, args


def flat(folder, *more):
    return loaded(folder, *more, items_file=None)


@pytest.mark.parametrize("more", [(), ("--split_by_time", "global"), ("--time", "null")])
def test_a_history_holds_what_came_before_its_row_and_nothing_else(tmp_path, more):
    table = interactions(users=8, each=18)
    table = table.sample(frac=1, random_state=0) if not more or more[0] != "--time" else table
    splits, past, args = loaded(save_interactions(tmp_path, table), *more)
    names = items()["text"].tolist()
    seen_so_far = {"train": ["train"], "validation": ["train", "validation"], "test": ["train", "validation", "test"]}
    checked = 0
    for name, split in splits.items():
        allowed = pd.concat([splits[one].to_pandas() for one in seen_so_far[name]], ignore_index=True)
        for row, (candidate, start, end) in enumerate(zip(*seen_by(split), strict=True)):
            one = split[row]
            found_items, found_ratings = past.before(start, end, 10**6)
            before = allowed[allowed.user_id == one["user_id"]]
            if args.time is None:
                place = {(r.user_id, r.item_id): at for at, r in enumerate(allowed.itertuples())}
                mine = place[one["user_id"], one["item_id"]]
                before = before[[place[r.user_id, r.item_id] < mine for r in before.itertuples()]]
            else:
                before = before[before.timestamp < one["timestamp"]]
            assert sorted(past.texts[i] for i in found_items) == sorted(names[i] for i in before.item_id)
            ratings = dict(zip([past.texts[i] for i in found_items], found_ratings.tolist(), strict=True))
            assert ratings == {names[r.item_id]: float(r.rating) for r in before.itertuples()}
            assert past.texts[candidate] == names[one["item_id"]] and past.texts[candidate] not in ratings
            checked += len(before)
    assert checked > 200


def test_a_list_that_is_shown_at_once_has_one_history(tmp_path):
    splits, past, _ = loaded(save_interactions(tmp_path, interactions(users=8, each=18)), "--history_until", "split")
    rolling, _, _ = loaded(tmp_path / "ratings.csv")
    for name in ("validation", "test"):
        table, ends = splits[name].to_pandas(), seen_by(splits[name])[2]
        first = table.groupby("user_id").timestamp.transform("min").to_numpy()
        own = seen_by(rolling[name])[2]
        for user in table.user_id.unique():
            mine = (table.user_id == user).to_numpy()
            assert (ends[mine] == own[mine & (table.timestamp.to_numpy() == first)][0]).all() and mine.sum() > 1
        assert (ends <= own).all() and (ends < own).any()
    np.testing.assert_array_equal(seen_by(splits["train"])[2], seen_by(rolling["train"])[2])


def test_rows_that_hold_their_history_have_it_until_they_say(tmp_path):
    with pytest.raises(InputError, match="history_until split is of interactions"):
        flat(save_histories(tmp_path), "--history_until", "split")


def test_a_history_is_in_the_order_of_its_times(tmp_path):
    table = interactions(users=3, each=18)
    table["timestamp"] = np.arange(len(table))[::-1]
    splits, past, _ = loaded(save_interactions(tmp_path, table))
    when = {(r.user_id, r.item_id): r.timestamp for r in table.itertuples()}
    number = {text: at for at, text in enumerate(items()["text"])}
    for row, (_, start, end) in enumerate(zip(*seen_by(splits["test"]), strict=True)):
        seen, _ = past.before(start, end, 5)
        times = [when[splits["test"]["user_id"][row], number[past.texts[item]]] for item in seen]
        assert times == sorted(times) and len(times) == 5


@pytest.mark.parametrize("how", ["user", "global"])
def test_splits_are_cut_by_time(tmp_path, how):
    splits, _, _ = loaded(save_interactions(tmp_path, interactions(users=12, each=20)), "--split_by_time", how)
    tables = {name: split.to_pandas() for name, split in splits.items()}
    sizes = {name: len(table) for name, table in tables.items()}
    rows = sum(sizes.values())
    assert rows == len(interactions(users=12, each=20).drop_duplicates(["user_id", "item_id", "timestamp"]))
    for early, late in (("train", "validation"), ("validation", "test")):
        if how == "global":
            assert tables[early].timestamp.max() < tables[late].timestamp.min()
        else:
            last, first = (
                tables[early].groupby("user_id").timestamp.max(),
                tables[late].groupby("user_id").timestamp.min(),
            )
            assert (last.reindex(first.index) <= first).all()
            assert sizes["test"] == 24 and sizes["validation"] == 24


def test_splits_that_a_column_names_are_taken(tmp_path):
    table = interactions()
    table["part"] = np.where(table.timestamp < 9, "train", np.where(table.timestamp < 12, "valid", "test"))
    splits, _, _ = loaded(save_interactions(tmp_path, table), "--split", "part")
    assert {name: len(split) for name, split in splits.items()} == {
        "train": (table.part == "train").sum(),
        "validation": (table.part == "valid").sum(),
        "test": (table.part == "test").sum(),
    }


def test_a_split_that_is_not_by_time_is_told(tmp_path, caplog):
    table = interactions()
    table["part"] = np.resize(["train", "train", "test", "valid"], len(table))
    with caplog.at_level(logging.WARNING):
        loaded(save_interactions(tmp_path, table), "--split", "part")
    assert "older than what is trained on of the same user: the split is not by time" in caplog.text


def test_ids_are_one_however_they_are_written(tmp_path):
    table, texts = interactions(), items()
    texts["item_id"] = texts["item_id"].map(lambda number: f" {number} ")
    table["user_id"] = table["user_id"].astype(float)
    splits, past, _ = loaded(save_interactions(tmp_path, table, texts))
    assert sum(map(len, splits.values())) == len(table) and len(past.texts) == len(texts)


def test_a_user_is_cut_as_one_however_the_id_is_written(tmp_path, caplog):
    table = interactions()
    table["user_id"] = [f"u{user}{' ' * (at % 2)}" for at, user in enumerate(table.user_id)]
    with caplog.at_level(logging.INFO):
        splits, _, _ = loaded(save_interactions(tmp_path, table))
    train, test = (splits[name].to_pandas() for name in ("train", "test"))
    last, first = (
        train.groupby(train.user_id.str.strip()).timestamp.max(),
        test.groupby(test.user_id.str.strip()).timestamp.min(),
    )
    assert (last.reindex(first.index) <= first).all() and "rows of 10 users" in caplog.text


def test_dates_are_times(tmp_path):
    table = interactions()
    table["timestamp"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(table.timestamp, unit="D")
    splits, _, _ = loaded(save_interactions(tmp_path, table), "--split_by_time", "global")
    assert max(splits["train"]["timestamp"]) < min(splits["test"]["timestamp"])


def test_an_interaction_that_stands_there_twice_is_taken_once_and_told(tmp_path, caplog):
    table = interactions()
    with caplog.at_level(logging.WARNING):
        splits, _, _ = loaded(save_interactions(tmp_path, pd.concat([table, table.tail(3)])))
    assert sum(map(len, splits.values())) == len(table) and "3 interactions stand there twice" in caplog.text


def test_items_of_one_text_are_one_and_told(tmp_path, caplog):
    texts = items()
    texts.loc[1, "text"] = texts.loc[0, "text"]
    with caplog.at_level(logging.WARNING):
        _, past, _ = loaded(save_interactions(tmp_path, texts=texts))
    assert len(past.texts) == len(texts) - 1 and "1 items have the text of another" in caplog.text


def test_users_without_history_are_kept_and_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        splits, _, _ = loaded(save_interactions(tmp_path))
    _, start, end = seen_by(splits["train"])
    assert (start == end).sum() >= 10 and "of them without history" in caplog.text


def test_rows_may_hold_their_history_as_one_text(tmp_path):
    folder = save_histories(tmp_path)
    lists, past, _ = flat(folder, "--history_ratings", "ratings")
    for split in ("train", "validation", "test"):
        rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        texts = [{**row, "history": "; ".join(row["history"])} for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    joined, other, _ = flat(folder, "--history_ratings", "ratings", "--separator", "; ")
    for name in lists:
        for one, two in zip(
            zip(*seen_by(lists[name]), strict=True), zip(*seen_by(joined[name]), strict=True), strict=True
        ):
            assert [past.texts[i] for i in past.before(*one[1:], 99)[0]] == [
                other.texts[i] for i in other.before(*two[1:], 99)[0]
            ]
            assert past.before(*one[1:], 99)[1].tolist() == other.before(*two[1:], 99)[1].tolist()


def changed(**values):
    """Interactions, of which the first rows have other values."""
    table = interactions().astype(object)
    for column, given in values.items():
        table.loc[: len(given) - 1, column] = given
    return table


def texts_with(**values):
    table = items().astype(object)
    for column, given in values.items():
        table.loc[: len(given) - 1, column] = given
    return table


BAD = {
    "no such items file": ({}, ["--items", "films.csv"], "films.csv cannot be read"),
    "an item without text": (
        {"texts": texts_with(text=[None, " "])},
        [],
        r"'text' of 2 items is no text \(lines 2, 3 of items.csv\)",
    ),
    "an id with two texts": (
        {"texts": texts_with(item_id=[3])},
        [],
        r"'item_id' of items.csv has ids with two texts \(line 5",
    ),
    "an item that is not there": (
        {"table": changed(item_id=[777])},
        [],
        r"'item_id' of 1 rows of train is not in --items: '?777'? \(line 2",
    ),
    "ids of another kind": (
        {"texts": texts_with(item_id=[f"tt{n}" for n in range(19)])},
        [],
        "no id is the same in both files",
    ),
    "a user that is empty": ({"table": changed(user_id=[None])}, [], r"'user_id' of 1 rows of train is empty \(line 2"),
    "a rating that is a word": (
        {"table": changed(rating=["good"])},
        [],
        r"'rating' of 1 rows is no number \(line 2.*'good'",
    ),
    "a rating that is missing": ({"table": changed(rating=[None])}, [], r"'rating' of 1 rows is no number \(line 2"),
    "a rating that is infinite": ({"table": changed(rating=["inf"])}, [], r"'rating' of 1 rows is no number"),
    "a rating out of scale": (
        {"table": changed(rating=[55, 0])},
        ["--rating_scale", "[1, 5]"],
        r"'rating' of 2 rows is out of the scale from 1 to 5 \(lines 2, 3",
    ),
    "a scale that is none": ({}, ["--rating_scale", "[5, 1]"], "rating_scale is .*expected the lowest and the highest"),
    "a time that is a word": (
        {"table": changed(timestamp=["soon"])},
        [],
        r"'timestamp' of 1 rows is no time \(line 2.*'soon'",
    ),
    "a time that is missing": ({"table": changed(timestamp=[None])}, [], r"'timestamp' of 1 rows is no time"),
    "times of two units": (
        {"table": interactions().assign(timestamp=[1_500_000_000] * 199 + [1_500_000_000_000])},
        [],
        r"'timestamp' holds seconds and parts of seconds: 1 of 200 rows .*\(line 201 .*1500000000000",
    ),
    "one row a user": (
        {"table": interactions().assign(user_id=range(200))},
        [],
        "fewer than 2 of 200 rows: give files for them, or --split_by_time global",
    ),
    "no column of times": ({}, ["--time", "when"], "no column 'when'.*--time null takes the rows in their order"),
    "no column of users": ({}, ["--user", "uid"], "no column 'uid'"),
    "no column of items": ({}, ["--item", "movie"], "no column 'movie'"),
    "no column of texts": ({}, ["--item_text", "title"], "no column 'title'"),
    "no column of labels": ({}, ["--label", "stars"], "no column 'stars'"),
    "a split that is none": (
        {"table": interactions().assign(part="trian")},
        ["--split", "part"],
        "'part' of 200 rows names no split.*'trian'",
    ),
    "splits without a test": (
        {"table": interactions().assign(part=np.resize(["train", "valid"], 200))},
        ["--split", "part"],
        "gives test fewer than 2",
    ),
    "no column of splits": ({}, ["--split", "fold"], "no column 'fold'"),
    "all liked": (
        {"table": interactions().assign(rating=1)},
        [],
        "'rating' is 1 in all rows of train: there is nothing to tell apart",
    ),
    "a threshold below all": (
        {},
        ["--liked_from", "0"],
        "liked_from 0: all ratings of train are at least that, from 1 to 5",
    ),
    "a threshold above all": ({}, ["--liked_from", "6"], "liked_from 6: all ratings of train are below that"),
    "a rating that contradicts": (
        {"table": pd.concat([interactions(), interactions().head(1).assign(rating=3)])},
        [],
        "'rating' differs between rows of the same user, item and time",
    ),
    "columns given twice": ({}, ["--item", "user_id"], "'user_id' is given twice|no column 'user_id' in items.csv"),
    "a label that is the time": ({}, ["--time", "rating"], "'rating' is given as the label, too"),
    "too few rows": ({"table": interactions().head(4)}, [], "fewer than 2 of 4 rows"),
    "a share that is none": ({}, ["--test_share", "1.5"], "a share of 1.5 for test"),
    "a history of nothing": ({}, ["--history_length", "0"], "history_length is 0: it must be at least 1"),
    "ratings of a history beside items": (
        {},
        ["--history_ratings", "r"],
        "history_ratings is of rows that hold their history",
    ),
    "a loss below nothing": ({}, ["--pair_weight", "-1"], "pair_weight is -1.0: it must be at least 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_interactions_are_one_line_that_says_where(tmp_path, case):
    files, more, message = BAD[case]
    path = save_interactions(tmp_path, files.get("table"), files.get("texts"))
    with pytest.raises(InputError) as error:
        loaded(path, *more)
    assert re.search(message, str(error.value)) and "\n" not in str(error.value), str(error.value)


ROW = rows_of(1, 5)[0]
BAD_ROWS = {
    "a history that is a number": ({"history": 4}, [], "'history'"),
    "a history that is one text": ({"history": "a; b"}, [], r"mixes|is one text: expected a list, or --separator"),
    "a history with nothing in it": (
        {"history": ["my", " "], "ratings": [1.0, 2.0]},
        [],
        r"'history' of 1 rows holds an empty text \(line 1 of train.jsonl\)",
    ),
    "a history with null in it": (
        {"history": ["my", None], "ratings": [1.0, 2.0]},
        [],
        "'history' of 1 rows holds what is no text",
    ),
    "too few ratings": ({"ratings": [1.0]}, [], r"'ratings' of 1 rows has 1 ratings for \d texts \(line 1"),
    "ratings out of scale": (
        {"history": ["my"], "ratings": [9.0]},
        ["--rating_scale", "[1, 5]"],
        "'ratings' of 1 rows holds a rating out of the scale",
    ),
    "a candidate that is empty": (
        {"candidate": " "},
        [],
        r"'candidate' of 1 rows is no text \(line 1 of train.jsonl\)",
    ),
    "a candidate that is missing": ({"candidate": None}, [], "'candidate' of 1 rows is no text"),
    "no such column of histories": ({}, ["--history", "past"], "no column 'past'"),
    "no such column of candidates": ({}, ["--candidate", "film"], "no column 'film'"),
    "no such column of ratings": ({}, ["--history_ratings", "stars"], "no column 'stars'"),
    "no such column of users": ({}, ["--user", "who"], "no column 'who'"),
    "interactions without items": ({}, ["--interactions", "a.csv"], "interactions needs --items"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_one_line_that_says_where(tmp_path, case):
    values, more, message = BAD_ROWS[case]
    folder = save_histories(tmp_path)
    lines = (folder / "train.jsonl").read_text().splitlines()
    (folder / "train.jsonl").write_text("\n".join([json.dumps({**ROW, **values}), *lines[1:]]) + "\n")
    with pytest.raises(InputError) as error:
        flat(folder, *([] if "--history_ratings" in more else ["--history_ratings", "ratings"]), *more)
    assert re.search(message, str(error.value)) and "\n" not in str(error.value), str(error.value)


def test_rows_that_cannot_be_used_are_left_out_where_that_is_asked_for(tmp_path, caplog):
    table = changed(item_id=[777], rating=[None, None])
    texts = texts_with(text=[None])
    with caplog.at_level(logging.WARNING):
        splits, past, _ = loaded(save_interactions(tmp_path, table, texts), "--skip_bad_rows", "true")
    gone = {0, 1} | set(table.index[table.item_id == 0])
    assert sum(map(len, splits.values())) == len(table) - len(gone) and len(past.texts) == len(texts) - 1
    assert "left out" in caplog.text


def test_codes_for_not_rated_are_told(tmp_path, caplog):
    table = interactions()
    table["rating"] = np.resize([1, 2, 3, 4, 5], len(table))
    table.loc[3:5, "rating"] = 0
    with caplog.at_level(logging.WARNING):
        loaded(save_interactions(tmp_path, table))
    assert "have 0 in 'rating', apart from all others (1 to 5): where it means not rated" in caplog.text


def test_the_separator_of_training_divides_histories_that_are_predicted(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"arguments": {"separator": "; ", "history": "past"}}))
    pd.DataFrame({"past": ["a film; another"], "candidate": ["a third"]}).to_csv(tmp_path / "rows.csv", index=False)
    trained = trained_columns(str(tmp_path), history.COLUMNS)
    found = read_files([str(tmp_path / "rows.csv")], trained=trained).inputs
    assert [one["history"] for one in found] == [["a film", "another"]]
    asked = read_files([str(tmp_path / "rows.csv")], trained=trained, separator=" f").inputs
    assert [one["history"] for one in asked] == [["a", "ilm; another"]]


def test_a_separator_that_stands_nowhere_is_told(caplog):
    rows = Dataset.from_dict({"past": ["a film; another", "a third; a fourth", ""]})
    assert histories_of(rows, "past", "; ")[0] == ["a film", "another"] and not caplog.text
    assert histories_of(rows, "past", "|") == [["a film; another"], ["a third; a fourth"], []]
    assert "separator '|' stands in none of the 2 histories: each is one text" in caplog.text
