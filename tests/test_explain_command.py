"""``hf-attn explain`` and ``hf-attn faithfulness``: what they write, and one line for what they refuse."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from explained_models import IMAGE, TEXT, loaded
from huggingface_hub import ModelCard
from PIL import Image
from tiny_bert import TEXTS, save_tiny_bert
from tiny_vit import save_tiny_vit

import hf_attn
from hf_attn import InputError
from hf_attn.cli.main import dispatch
from hf_attn.training.run_files import digests


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return str(save_tiny_bert(tmp_path_factory.mktemp("explained") / "run"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    IMAGE.save(folder / "photo.png")
    return str(save_tiny_vit(folder / "run")), str(folder / "photo.png")


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "texts.csv"
    rows = [f'{text},"[[0, 2]]",{at}' for at, text in enumerate(TEXTS)]
    file.write_text("text,why,id\n" + "\n".join(rows) + "\n")
    return str(file)


def test_a_text_is_explained_in_the_terminal_with_its_scores_and_whether_to_believe_it(run, capsys):
    dispatch(["explain", run, TEXT, "--method", "occlusion"])
    out = capsys.readouterr().out
    said = hf_attn.predict(run, [TEXT])[0]
    assert f"predicted: {said['label']}" in out and f"(probability {said['score']:.3f})" in out
    assert "comprehensiveness" in out and "random, least to greatest" in out
    assert "On this input" in out or "Do not read" in out
    assert all(word in out for word in TEXT.replace(",", " ,").split())


def test_a_file_becomes_rows_of_erasers_format_with_every_word_and_the_scores_of_the_model(run, table, tmp_path):
    output = tmp_path / "rows.jsonl"
    dispatch(["explain", run, table, "--output", str(output), "--method", "occlusion", "lime", "--samples", "30"])
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["annotation_id"] for row in rows] == [
        f"{at}_{name}" for at in range(4) for name in ("occlusion", "lime")
    ]
    answers = hf_attn.predict(run, TEXTS)
    for row in rows:
        text, answer = TEXTS[int(row["annotation_id"][0])], answers[int(row["annotation_id"][0])]
        assert row["classification"] == answer["label"]
        assert row["classification_scores"] == pytest.approx(answer["probabilities"], abs=1e-5)
        parts = row["attribution"]["parts"]
        assert "".join(text[slice(*part["span"])] for part in parts) == text.replace(" ", "")
        (rationale,) = row["rationales"]
        assert rationale["soft_rationale_predictions"] == [part["weight"] for part in parts]
        assert [score["threshold"] for score in row["thresholded_scores"]] == [0.01, 0.05, 0.1, 0.2, 0.5]
    whole, label = rows[0]["classification_scores"], rows[0]["classification"]
    lost = [score["comprehensiveness_classification_scores"][label] for score in rows[0]["thresholded_scores"]]
    kept = rows[0]["attribution"]["faithfulness"]["comprehensiveness"]["value"]
    assert np.mean([whole[label] - one for one in lost]) == pytest.approx(kept, abs=1e-5)


@pytest.mark.parametrize("ending", ["html", "png", "svg"])
def test_an_image_becomes_a_page_or_a_picture(ending, photo, tmp_path):
    run, file = photo
    output = tmp_path / f"out.{ending}"
    dispatch(["explain", run, file, "--output", str(output), "--method", "occlusion", "--segments", "3x3"])
    content = output.read_bytes()
    if ending == "png":
        with Image.open(output) as drawn:
            assert drawn.width > 1500 and len(np.unique(np.asarray(drawn.convert("L")))) > 20
    else:
        assert content.lstrip().startswith(b"<!DOCTYPE html>" if ending == "html" else b"<?xml")


def test_pairs_and_targets_and_the_same_seed_give_the_same(run, tmp_path):
    rows = []
    for name in ("a", "b"):
        output = tmp_path / f"{name}.jsonl"
        how = ["--text_pair", "now no", "--target", "payment", "--against", "other", "--seed", "3", "--method", "lime"]
        dispatch(["explain", run, TEXT, *how, "--samples", "40", "--output", str(output)])
        rows.append(json.loads(output.read_text()))
    assert rows[0] == rows[1] and rows[0]["attribution"]["target"] == "payment − other"
    assert [one["docid"] for one in rows[0]["rationales"]] == ["0", "0_1"]


BAD = {
    "a target the model has not": (["--target", "refund"], "target 'refund'"),
    "a number of none": (["--target", "7"], "target '7'"),
    "the same class twice": (["--target", "payment", "--against", "payment"], "expected two classes"),
    "a class to differ from that is none": (["--against", "refund"], "against 'refund'"),
    "no such method": (["--method", "limes"], "method 'limes'"),
    "a method for feature maps": (["--method", "grad_cam"], "no feature map"),
    "a method for networks that do not attend": (["--method", "deep_lift"], "no rule"),
    "a layer that is none": (["--method", "attention", "--layer", "9"], "layer 9"),
    "a head that is none": (["--method", "attention", "--head", "-9"], "head -9"),
    "an option of another method": (["--method", "lime", "--layer", "1"], "--layer is of attention"),
    "segments of images": (["--segments", "patches"], "segments 'patches'"),
    "removal of images": (["--removal", "blur"], "removal 'blur'"),
    "no samples": (["--method", "lime", "--samples", "1"], "samples 1"),
    "too few samples": (["--method", "kernel_shap", "--samples", "3"], "samples 3"),
    "no steps": (["--method", "integrated_gradients", "--steps", "0"], "steps 0"),
    "no batch": (["--batch_size", "0"], "--batch_size 0"),
    "no inputs": (["--limit", "0"], "--limit 0"),
    "another kind of file": (["--output", "out.pdf"], "must end in one of"),
    "a folder that is not there": (["--output", "nowhere/out.html"], "does not exist"),
    "two methods on a picture": (["--output", "out.png", "--method", "lime", "occlusion"], "a picture is of one input"),
    "a column and no file": (["--text", "body"], "--text names a column"),
    "a column of images": (["--image", "photo"], "--image is for images"),
    "an unknown option": (["--colour", "red"], "--colour"),
    "a number that is none": (["--seed", "two"], "invalid int"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_explained_is_refused_in_one_line_and_nothing_is_written(what, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = BAD[what]
    output = [] if "--output" in arguments else ["--output", "out.jsonl"]
    with pytest.raises(InputError, match=".") as error:
        dispatch(["explain", run, TEXT, *arguments, *output])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_an_empty_text_is_refused(text, run):
    with pytest.raises(InputError, match="empty"):
        dispatch(["explain", run, text])


def test_an_output_that_exists_is_kept(run, tmp_path):
    output = tmp_path / "page.html"
    output.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        dispatch(["explain", run, TEXT, "--output", str(output)])
    with pytest.raises(InputError, match="no such output"):
        dispatch(["explain", run, TEXT, "--output", str(output), "--overwrite", "--target", "refund"])
    assert output.read_text() == "mine"


def test_a_row_that_cannot_be_explained_is_named(run, tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "my card"}\n{"text": " "}\n')
    with pytest.raises(InputError, match="input 2: the text to explain is empty"):
        dispatch(["explain", run, str(tmp_path / "t.jsonl")])


def test_a_model_without_attention_is_explained_by_what_needs_none(tmp_path, photo):
    model, processor = loaded("plain CNN")
    model.save_pretrained(tmp_path / "cnn")
    processor.save_pretrained(tmp_path / "cnn")
    with pytest.raises(InputError, match="methods that need no attention: integrated_gradients"):
        dispatch(["explain", str(tmp_path / "cnn"), photo[1], "--method", "relevance"])
    how = ["--method", "grad_cam", "--output", str(tmp_path / "p.html")]
    dispatch(["explain", str(tmp_path / "cnn"), photo[1], *how])
    assert '"attention":null' in (tmp_path / "p.html").read_text()


# Ranking


METHODS = ["occlusion", "saliency", "attention", "grad_cam", "random"]


def test_methods_are_ranked_and_written_into_the_run_and_the_best_one_explains_by_default(run, table, tmp_path, capsys):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "README.md").write_text("---\ntags:\n- hf_attn\n---\n\n# run\n\n## Training\n\nabout it\n")
    facts = {"recipe": "r", "arguments": {}, "versions": {}, "files": digests(folder, [folder / "README.md"])}
    (folder / "run.json").write_text(json.dumps(facts))
    how = ["--data", table, "--methods", *METHODS, "--rationale", "why"]
    dispatch(["faithfulness", str(folder), *how])
    out = capsys.readouterr().out
    found = json.loads((folder / "faithfulness.json").read_text())
    assert set(found["methods"]) == {"occlusion", "saliency", "attention", "random"}
    assert "grad_cam" in found["refused"] and "grad_cam does not apply" in out
    for row in found["methods"].values():
        for score in ("area", "comprehensiveness", "sufficiency", "saco", "auprc", "token_f1", "iou_f1"):
            assert row["scores"][score]["low"] <= row["scores"][score]["value"] <= row["scores"][score]["high"]
    assert found["methods"]["random"]["shuffled_weights"] is None and not found["methods"]["random"]["beats_chance"]
    card = ModelCard.load(folder / "README.md").content
    assert card.index("## Explanation") < card.index("## Training") and found["sentence"] in card
    assert (folder / "figures/faithfulness.png").stat().st_size > 5000
    kept = json.loads((folder / "run.json").read_text())["files"]
    assert kept == digests(folder, [folder / name for name in kept]) and "faithfulness.json" in kept
    with pytest.raises(InputError, match="exists"):
        dispatch(["faithfulness", str(folder), *how])
    dispatch(["faithfulness", str(folder), *how, "--overwrite"])
    assert (folder / "README.md").read_text().count("## Explanation") == 1
    found["best"] = "saliency"
    (folder / "faithfulness.json").write_text(json.dumps(found))
    capsys.readouterr()
    dispatch(["explain", str(folder), TEXT])
    assert "by saliency" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["a photo", "Müller’s card was swallowed"])
def test_a_terminal_of_plain_letters_shows_what_it_can(given, run, photo):
    of = photo if given == "a photo" else (run, given)
    start = [sys.executable, "-c", "from hf_attn.cli.main import main; main()", "explain"]
    told = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*start, *of, "--method", "saliency"], capture_output=True, env=told)
    assert done.returncode == 0 and "by saliency" in done.stdout.decode("ascii"), done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rationale", "reasons"], "no column 'reasons'"),
        (["--rationale", "id"], "no spans"),
        (["--methods", "limes"], "method 'limes'"),
        (["--limit", "0"], "--limit 0"),
        (["--output", "nowhere"], "nowhere"),
        (["--methods", "grad_cam"], "feature map"),
    ],
)
def test_a_ranking_that_cannot_be_made_is_refused_in_one_line(arguments, words, run, table, tmp_path):
    output = [] if "--output" in arguments else ["--output", str(tmp_path)]
    with pytest.raises(InputError, match=".") as error:
        dispatch(["faithfulness", run, "--data", table, *arguments, *output])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["texts.csv"]


def test_the_help_names_every_method():
    from hf_attn.cli.explanation import METHODS as NAMED
    from hf_attn.explain import METHODS as ALL

    assert NAMED.split(", ") == list(ALL)


def test_no_run_folder_and_no_output_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="--output FOLDER"):
        dispatch(["faithfulness", str(tmp_path / "none"), "--data", "texts.csv"])
