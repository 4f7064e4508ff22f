import re

import pytest
import yaml
from hub_server import HubServer
from huggingface_hub import ModelCard, constants
from run_records import Config, made_up

from hf_attn.attention import VARIANTS, Variant
from hf_attn.runs import card
from hf_attn.runs.folder import describe
from hf_attn.runs.markdown import escape, fenced
from hf_attn.tasks.targets.labels.metrics import METRICS


@pytest.fixture(scope="module")
def hub():
    with HubServer({}) as server:
        yield server


def written(folder, **options):
    describe(folder, made_up(folder, **options))
    return (folder / "README.md").read_text()


def validate(text, hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    ModelCard(text).validate()


@pytest.mark.parametrize(("kind", "names"), [("single", ("no", "yes")), ("multi", ("a", "b")), ("regression", ())])
def test_the_card_is_valid_and_its_scores_come_back(tmp_path, hub, monkeypatch, kind, names):
    record = made_up(tmp_path / "cards", kind=kind, names=names)
    describe(tmp_path / "cards", record)
    text = (tmp_path / "cards" / "README.md").read_text()
    validate(text, hub, monkeypatch)
    data = ModelCard(text).data
    assert data.model_name == "cards"
    assert data.pipeline_tag == "text-classification" and data.library_name == "transformers"
    assert data.base_model == "google-bert/bert-base-uncased"
    found = {(result.metric_type, result.metric_name): result.metric_value for result in data.eval_results}
    assert found == {METRICS[name]: value for name, value in record.scores.items()}
    assert {(result.dataset_name, result.dataset_split) for result in data.eval_results} == {("mails.csv", "test")}


def test_the_server_of_these_tests_refuses_a_bad_card(hub, monkeypatch):
    with pytest.raises(ValueError):
        validate("---\nmodel-index:\n- name: x\n  results: [{task: {type: a}}]\n---\n", hub, monkeypatch)


NASTY = [
    "<script>alert(1)</script>",
    "**bold** _it_ `code` [a](http://example.org) ![b](x)",
    "a | b\n| --- |",
    "# title\n---\nlicense: mit",
    "yes: {no: [1, *a]}",
    "``` \n~~~",
    "$x$ & &lt; @user \\",
    "'\"%&!#",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_foreign_text_is_shown_and_never_obeyed(tmp_path, hub, monkeypatch, nasty):
    config = Config(output_dir=str(tmp_path), model=nasty, dataset=nasty, attention=None)
    text = written(tmp_path, names=(nasty, "other"), config=config, licence="other", dataset_licence=nasty)
    validate(text, hub, monkeypatch)
    _, front, body = text.split("---\n", 2)
    assert set(yaml.safe_load(front)) == {"library_name", "pipeline_tag", "tags", "license", "model-index"}
    prose = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    assert "<" not in prose
    assert not re.search(r"(?<!\\)(\*\*bold|_it_|`code`|\[a\])", prose)
    assert not re.search(r"(?m)^(# title|---)", prose.replace("| ---", ""))
    tables = [line for line in prose.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {3, 4}


@pytest.mark.parametrize("nasty", NASTY)
def test_escaped_text_reads_as_it_was(nasty):
    markdown = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    tokens = markdown.MarkdownIt("commonmark").parse(f"x {escape(nasty)}")
    shown = "".join(child.content for token in tokens for child in token.children or [])
    assert {child.type for token in tokens for child in token.children or []} <= {"text", "text_special"}
    assert shown == "x " + " ".join(nasty.split())


def test_a_fence_holds_whatever_is_inside():
    assert fenced("a\n````\nb").splitlines() == ["`````text", "a", "````", "b", "`````"]


def test_a_variant_is_declared_in_plain_words(tmp_path):
    text = written(tmp_path / "a", config=Config(output_dir=str(tmp_path / "a"), attention="cosine"))
    assert "variant `cosine`" in text and "import hf_attn" in text and "trust_remote_code=True" in text
    assert ModelCard(text).data.tags == ["hf_attn", "attention:cosine"]
    plain = written(tmp_path / "b")
    assert "trust_remote_code" not in plain and "plain transformers" in plain


@pytest.mark.parametrize("saved", [True, False])
def test_a_variant_of_ones_own_that_did_not_travel_is_declared(tmp_path, monkeypatch, saved):
    cls = type("Sharp", (Variant,), {"__module__": "sharp", "name": "sharp"})
    monkeypatch.setitem(VARIANTS, "sharp", cls)
    if saved:
        (tmp_path / "variant_sharp.py").write_text("")
    text = written(tmp_path, config=Config(attention="sharp"))
    assert ("trust_remote_code" in text) == saved and ("not beside the weights" in text) != saved
    assert "needs the file that registers it imported" in text


def test_the_snippet_is_python_and_names_the_repository_after_a_push(tmp_path):
    text = card.with_model_id(written(tmp_path / 'a"b'), "ada/cards")
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    compile(snippet, "card", "exec")
    assert 'model_id = "ada/cards"' in snippet


def test_a_card_tells_nothing_of_the_machine(tmp_path):
    (tmp_path / "model").mkdir()
    places = {"model": str(tmp_path / "model"), "dataset": str(tmp_path / "mails.csv")}
    text = written(tmp_path / "run", config=Config(output_dir=str(tmp_path / "run"), **places))
    assert str(tmp_path) not in text and "mails.csv" in text
    assert ModelCard(text).data.base_model is None


@pytest.mark.parametrize(
    ("source", "is_id"),
    [
        ("ada/mails", True),
        ("data/mails.csv", False),
        ("/data/mails", False),
        ("./mails", False),
        ("mails", False),
        (None, False),
    ],
)
def test_only_ids_of_the_hub_are_linked(source, is_id):
    assert card.is_hub_id(source) is is_id


def test_a_folder_here_is_no_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "mails").mkdir(parents=True)
    assert not card.is_hub_id("data/mails")


def test_scores_and_interval_are_shown(tmp_path):
    record = made_up(tmp_path)
    describe(tmp_path, record)
    text = (tmp_path / "README.md").read_text()
    accuracy = record.scores["accuracy"]
    assert f"| Accuracy | {accuracy:.4f} | {accuracy:.4f} |" in text
    assert "Accuracy on test: 95 % bootstrap interval 0.5000 to 0.9000 (200 examples)." in text
    assert "300 steps, the best at step 200; 60 s of training steps; 1,500 tokens a second" in text
    for name in re.findall(r"\]\((figures/.*?)\)", text):
        assert (tmp_path / name).exists()


def test_changed_arguments_are_shown_and_the_rest_left_out(tmp_path):
    text = written(tmp_path, config=Config(output_dir=str(tmp_path), weight_decay=0.5, lr=1e-4))
    assert "| weight\\_decay | 0.5 |" in text and "| lr | 0.0001 |" in text
    assert "layer\\_decay" not in text and "output\\_dir" not in text
