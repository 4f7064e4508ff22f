import configparser
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import interpreter
import pytest
import yaml
from hub_server import HubServer, client_environment
from huggingface_hub import constants
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from tiny_bert import save_tiny_bert

import hf_attn
from hf_attn.cli import main as cli
from hf_attn.runs import space

TOKEN = "hf_" + "w" * 34
SETUP = configparser.ConfigParser()
SETUP.read(Path(__file__).parents[1] / "setup.cfg")


@pytest.fixture
def hub():
    with HubServer({TOKEN: ("ada", "write")}) as server:
        yield server


@pytest.fixture
def run(tmp_path):
    return save_tiny_bert(tmp_path / "runs" / "cards")


@pytest.fixture
def push(monkeypatch, tmp_path, capsys, hub, run):
    """The command in this process; its result without bars of progress, and in which no token is ever seen."""

    def push(*arguments):
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(sys, "argv", ["hf-attn", "push", str(run), "ada/cards", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        told = "\n".join(line for line in err.splitlines() if line and not re.search(r"files: |safetensors: ", line))
        return subprocess.CompletedProcess([], exit.value.code, out, told)

    return push


def files(hub, name="spaces/ada/cards"):
    return {path: file.content.decode() for path, file in hub.repositories[name].at("main")[1].items()}


def facts(hub):
    return yaml.safe_load(files(hub)["README.md"].split("---\n")[1])


def test_the_model_and_its_space_are_pushed_and_both_addresses_printed(hub, push):
    done = push("--space", "ada/try-cards")
    assert (done.returncode, done.stdout.split()) == (0, [f"{hub.url}/ada/cards", f"{hub.url}/spaces/ada/try-cards"])
    assert set(hub.repositories) == {"ada/cards", "spaces/ada/try-cards"}
    assert hub.repositories["spaces/ada/try-cards"].sdk == "gradio"
    put = files(hub, "spaces/ada/try-cards")
    own = {name for name in put if not name.startswith("hf_attn/")}
    assert own == {".gitattributes", "README.md", "app.py", "requirements.txt"}
    root = Path(hf_attn.__file__).parent
    assert {name for name in put if name.endswith(".py")} - {"app.py"} == {
        f"hf_attn/{path.relative_to(root).as_posix()}" for path in root.rglob("*.py")
    }
    assert len(hub.repositories["spaces/ada/try-cards"].commits) == 2, "more than the creation and one commit"


def test_without_a_name_the_space_is_called_as_the_model(hub, push):
    push("--space")
    assert set(hub.repositories) == {"ada/cards", "spaces/ada/cards"}


def test_without_the_option_there_is_no_space(hub, push):
    push()
    assert set(hub.repositories) == {"ada/cards"}


def test_the_card_of_a_space_says_what_the_hub_asks_for(hub, push):
    push("--space")
    known = {"title": "cards", "sdk": "gradio", "app_file": "app.py", "models": ["ada/cards"]}
    assert known.items() <= facts(hub).items()


def test_a_space_has_the_versions_that_this_package_asks_for(hub, push):
    push("--space")
    gradio = Requirement(SETUP["options.extras_require"]["demo"].strip()).specifier
    assert facts(hub)["sdk_version"] in gradio
    assert facts(hub)["python_version"] in SpecifierSet(SETUP["options"]["python_requires"])
    needed = {Requirement(line).name for line in files(hub)["requirements.txt"].splitlines()}
    asked = {Requirement(line).name for line in SETUP["options"]["install_requires"].split()}
    assert needed == asked and "hf-attn" not in needed


def test_a_model_of_timm_is_given_timm(hub, run, push):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "backbone_config": {"model_type": "timm_wrapper"}}))
    push("--space")
    assert "timm" in files(hub)["requirements.txt"].splitlines()


@pytest.mark.parametrize(("asked", "said"), [("null", "False"), ('"second"', "True"), (None, "None")])
def test_the_app_asks_for_pairs_as_the_run_was_trained(hub, run, push, asked, said):
    if asked is not None:
        (run / "run.json").write_text(f'{{"arguments": {{"text_pair": {asked}}}}}')
    push("--space")
    assert f"pairs={said})" in files(hub)["app.py"]


def test_the_method_that_was_found_best_is_chosen(hub, run, push):
    (run / "faithfulness.json").write_text('{"best": "occlusion"}')
    push("--space")
    assert 'method="occlusion"' in files(hub)["app.py"]


@pytest.mark.skipif(find_spec("gradio") is None, reason="gradio is not installed")
def test_the_app_of_a_space_runs_on_the_model_of_the_hub(hub, push, tmp_path):
    push("--space")
    for name, text in files(hub).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code = "import sys, json; sys.path.insert(0, '.'); import app; run = app.demo.fns[0].fn"
    code += "; print(json.dumps(next(run('random', -1, 'my card'))))"
    env = client_environment(hub, tmp_path / "empty", token=None)
    shown, _ = json.loads(interpreter.run(["-c", code], env, cwd=tmp_path, check=True).stdout)
    assert set(shown) == {"lost_card", "payment", "other"} and sum(shown.values()) == pytest.approx(1)


def test_pushing_twice_changes_nothing(hub, push):
    push("--space")
    before = hub.repositories["spaces/ada/cards"].head
    assert push("--space").returncode == 0
    assert hub.repositories["spaces/ada/cards"].head == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cards", "--space: 'cards' is no repository of the Hub: expected user/name"),
        ("ada/../cards", "expected user/name"),
        ("ada/a b", "expected user/name"),
        ("bob/cards", "--space: the Hub token may not write to 'bob'"),
    ],
)
def test_a_space_that_may_not_be_is_one_line_before_anything_is_pushed(hub, push, name, message):
    refused = push("--space", name)
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
    assert refused.stderr.startswith("error: ") and message in refused.stderr
    assert not hub.repositories


def test_a_variant_of_ones_own_is_refused_before_anything_is_pushed(hub, run, push):
    save_tiny_bert(run, attention="cosine")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "attn_variant": "mine"}))
    refused = push("--space")
    assert refused.returncode == 2 and not hub.repositories
    assert '"mine", a variant of your own' in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(("status", "message"), [(400, "refused"), (403, "may not write"), (503, "cannot be reached")])
def test_a_hub_that_makes_no_space_is_one_line_that_names_what_was_asked(hub, push, status, message):
    hub.refuses_spaces = status
    refused = push("--space", "ada/try-cards")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert message in refused.stderr and "ada/cards --space ada/try-cards" in refused.stderr
    assert set(hub.repositories) == {"ada/cards"}


def test_a_space_that_has_to_be_paid_for_is_one_line(hub, push):
    hub.refuses_spaces = 402
    refused = push("--space")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert "ada/cards is pushed, but the Hub makes no Space here unless it is paid for" in refused.stderr


def test_a_private_run_has_a_private_space_that_is_told_what_it_needs(hub, push):
    done = push("--space", "--private")
    assert all(repository.private for repository in hub.repositories.values()) and len(hub.repositories) == 2
    assert "a secret HF_TOKEN" in done.stdout


def test_private_never_publishes_into_a_public_space(hub, push):
    push("--space")
    before = hub.repositories["spaces/ada/cards"].head
    del hub.repositories["ada/cards"]
    refused = push("--space", "--private")
    assert (refused.returncode, hub.repositories["spaces/ada/cards"].head) == (2, before)
    assert "exists and is public" in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_no_token_and_no_path_of_this_machine_is_in_a_space(hub, push, tmp_path):
    push("--space")
    everything = "\n".join(files(hub).values())
    assert TOKEN not in everything and str(tmp_path) not in everything


def test_the_app_is_a_few_lines_that_are_clean_python(run):
    app = space.space_files(run, "ada/cards", "ada/cards", "lime")["app.py"]
    assert len(app.splitlines()) < 15 and max(map(len, app.splitlines())) <= 120
    compile(app, "app.py", "exec")
    assert not re.search(r"[{}]", app)
