"""A revision and a folder of a dataset, of the Hub or here: those rows, or a line that says why not."""

import json
import os

import interpreter
import pytest
from bad_data import CSV, put
from hub_server import File, HubServer, Repository
from tiny_bert import save_tiny_bert

from hf_attn.data import fingerprint
from hf_attn.errors import InputError
from hf_attn.recipes import text_classification
from hf_attn.tasks.targets.labels import encode_labels, load_splits

PROGRAM = """
import json, sys
from hf_attn.data import load_splits
from hf_attn.errors import InputError
for options in json.loads(sys.argv[1]):
    try:
        splits = load_splits("ada/texts", label="label", **options)
        print(json.dumps(sorted({text.split()[0] for split in splits.values() for text in split["text"]})))
    except InputError as error:
        print(json.dumps(str(error)))
"""


def rows(word):
    return File(("text,label\n" + "".join(f"{word} {row},{row % 2}\n" for row in range(20))).encode(), False)


def words(options, endpoint, home):
    """First words of the texts, or the message, for each of several ways to load; and what was logged."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1"}
    done = interpreter.run(["-c", PROGRAM, json.dumps(options)], environment, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_revision_is_that_of_the_hub_and_never_another_from_the_cache(tmp_path):
    with HubServer({}) as hub:
        data = hub.repositories["datasets/ada/texts"] = Repository("datasets/ada/texts", private=False)
        old = data.commit({"train.csv": rows("old")})
        data.tags["v1"] = old
        new = data.commit(
            {"train.csv": rows("new"), "german/train.csv": rows("neu"), "german/test.csv": rows("prüfen")}
        )
        ways = [{"data_dir": "german"}, {"revision": new}, {"revision": "v1"}, {"revision": old}]
        found, _ = words([*ways, {"revision": "v2"}, {"data_dir": "greek"}], hub.url, tmp_path)
    assert found[0] == ["neu", "prüfen"] and "new" in found[1] and found[2:4] == [["old"], ["old"]]
    assert "Revision 'v2' doesn't exist for dataset 'ada/texts'" in found[4]
    assert "is there a folder 'greek' with data in it?" in found[5]
    ways = [{}, {"revision": old}, {"revision": new}, {"revision": "v1"}, {"revision": "v2"}]
    offline, said = words(ways, "http://127.0.0.1:9", tmp_path)
    assert offline[:2] == [["old"], ["old"]]  # what was prepared last
    assert f"ada/texts comes from the cache, commit {old}" in said
    for name, message in zip((new, "v1", "v2"), offline[2:], strict=True):
        assert f"revision '{name}' of 'ada/texts' cannot be had, for the Hub cannot be reached" in message
        assert f"the cache has commit {old}" in message


def folder(path):
    """Two sets of data in one folder."""
    put(path, "german/train.csv", CSV.replace("one", "eins"))
    put(path, "german/deep/train.csv", CSV.replace("one", "tief"))
    put(path, "english/train.csv", CSV)
    return path


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"data_dir": "german"}, "eins"),
        ({"data_dir": "english"}, "one"),
        ({"data_dir": "german/deep"}, "tief"),
        ({"data_dir": "german", "subset": "deep"}, "tief"),
    ],
)
def test_a_folder_in_a_folder_is_the_data(tmp_path, options, word):
    splits = load_splits(str(folder(tmp_path)), label="label", **options)
    assert {text for split in splits.values() for text in split["text"]} == {word, "two"}


def test_the_recipe_takes_a_folder_in_a_folder(tmp_path):
    model, output = save_tiny_bert(tmp_path / "model"), tmp_path / "run"
    argv = ["--model", model, "--dataset", folder(tmp_path / "data"), "--output_dir", output, "--precision", "no"]
    text_classification.main([str(word) for word in [*argv, "--data_dir", "german/deep", "--epochs", "1"]])
    whole = load_splits(str(tmp_path / "data/german/deep"), label="label")
    expected = fingerprint(encode_labels(whole, "label")[0])
    assert json.loads((output / "run.json").read_text())["data"]["fingerprint"] == expected


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        ("data", {"data_dir": "greek"}, "no folder .*greek"),
        ("data", {"data_dir": "german", "revision": "v1"}, "revision 'v1' given with .*data, which is here"),
        ("data/german/train.csv", {"revision": "v1"}, "revision 'v1' given with .*train.csv, which is here"),
        ("data/german/train.csv", {"data_dir": "german"}, "data_dir 'german' given with the file"),
        ("data/german/gone.csv", {"revision": "v1"}, "revision 'v1' given with the file"),
    ],
)
def test_what_names_a_part_of_something_else_is_refused(tmp_path, place, options, message):
    folder(tmp_path / "data")
    with pytest.raises(InputError, match=message):
        load_splits(str(tmp_path / place), label="label", **options)
