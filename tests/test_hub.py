import json
import subprocess
import sys

import huggingface_hub
import interpreter
import pytest
import requests
from hub_server import HubServer, client_environment
from huggingface_hub import constants
from tiny_bert import TEXTS, save_tiny_bert
from tiny_vit import save_tiny_vit

from hf_attn import models
from hf_attn.cli import main as cli

WRITE, READ = "hf_" + "w" * 34, "hf_" + "r" * 34
ATTENTIONS = [None, "cosine"]


@pytest.fixture
def hub():
    with HubServer({WRITE: ("ada", "write"), READ: ("ada", "read")}) as server:
        yield server


def hf_attn(*arguments, env):
    """The command in a process of its own."""
    return interpreter.run(["-m", "hf_attn.cli", *arguments], env)


@pytest.fixture
def push(monkeypatch, tmp_path, capsys):
    """The command in this process, the client's settings put where its environment variables would have put them."""

    def push(hub, *arguments, token=WRITE):
        monkeypatch.setattr(constants, "ENDPOINT", hub.url if isinstance(hub, HubServer) else hub)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setenv("HF_TOKEN", token or "")
        monkeypatch.setattr(sys, "argv", ["hf-attn", "push", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return subprocess.CompletedProcess([], exit.value.code, *capsys.readouterr())

    return push


def python(program, env):
    return json.loads(interpreter.run(["-c", program], env, check=True).stdout)


@pytest.fixture
def run(tmp_path):
    """A run folder with everything that must not leave the machine beside what may."""
    folder = save_tiny_bert(tmp_path / "runs" / "cards")
    (folder / "README.md").write_text('---\nlibrary_name: transformers\n---\n\n```python\nmodel_id = "cards"\n```\n')
    for name in ("config.yaml", "run.json", "log.jsonl", "predictions.parquet", "optimizer.pt", "notes.txt"):
        (folder / name).write_text("secret")
    for name in ("checkpoints/00000010/model.safetensors", "checkpoints/00000010/optimizer.pt", "figures/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
    (folder / "figures" / "curves.png").write_bytes(b"\x89PNG picture")
    return folder


LOGITS = """
import json, torch, transformers
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForSequenceClassification.from_pretrained({source!r}, **{options!r}).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained({source!r})
with torch.no_grad():
    batch = tokenizer({texts!r}, padding=True, return_tensors="pt")
    print(json.dumps({{"logits": model(**batch).logits.tolist(), "class": type(model).__name__}}))
"""


IMAGE_LOGITS = """
import json, sys, torch, transformers
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForImageClassification.from_pretrained({source!r}, trust_remote_code=True).eval()
processor = transformers.AutoImageProcessor.from_pretrained({source!r}, backend="pil")
pixels = processor([torch.arange(24 * 24 * 3).reshape(24, 24, 3).numpy().astype("uint8")], return_tensors="pt")
with torch.no_grad():
    logits = model(**pixels).logits.tolist()
print(json.dumps({{"logits": logits, "class": type(model).__name__, "package": "hf_attn" in sys.modules}}))
"""


def test_a_pushed_attention_head_with_its_variant_loads_from_the_hub_without_the_package(hub, run, push, tmp_path):
    labels, folder = ["cat", "dog"], save_tiny_vit(tmp_path / "vit")
    model = models.load(folder, task="image-classification", labels=labels, head="attention", attention="focal")
    photos = tmp_path / "photos"
    model.save_pretrained(photos)
    models.load_image_processor(str(folder)).save_pretrained(photos)
    (photos / "README.md").write_text((run / "README.md").read_text())
    assert push(hub, photos, "ada/photos").returncode == 0
    reader = client_environment(hub, tmp_path / "empty", token=None)
    here, there = (python(IMAGE_LOGITS.format(source=source), reader) for source in (str(photos), "ada/photos"))
    assert here == there and there["class"] == "AttentionHeadForImageClassification" and not there["package"]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_pushed_run_loads_from_the_hub_in_a_clean_process(hub, run, tmp_path, attention):
    save_tiny_bert(run, attention=attention)
    pushed = hf_attn("push", run, "ada/cards", env=client_environment(hub, tmp_path / "home", WRITE))
    assert (pushed.returncode, pushed.stdout.strip()) == (0, f"{hub.url}/ada/cards"), pushed.stderr
    options = {"trust_remote_code": True} if attention else {}
    reader = client_environment(hub, tmp_path / "empty", token=None)
    here = python(LOGITS.format(source=str(run), texts=TEXTS, options=options), reader)
    there = python(LOGITS.format(source="ada/cards", texts=TEXTS, options=options), reader)
    assert there == here
    assert there["class"].startswith("HfAttn" if attention else "Bert")


def test_the_push_goes_through_every_step_of_the_protocol(hub, run, push):
    push(hub, run, "ada/cards")
    paths = [f"{method} {path}" for method, path, _ in hub.log]
    steps = ["POST /api/repos/create", "POST /api/validate-yaml", "POST /api/models/ada/cards/preupload/main"]
    steps += ["POST /ada/cards.git/info/lfs/objects/batch", "PUT /lfs/", "POST /api/models/ada/cards/commit/main"]
    places = [next(place for place, path in enumerate(paths) if path.startswith(step)) for step in steps]
    assert places == sorted(places)


def test_only_what_a_model_needs_is_pushed(hub, run, push):
    push(hub, run, "ada/cards")
    files = hub.repositories["ada/cards"].at("main")[1]
    model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert set(files) == model | {".gitattributes", "README.md", "figures/curves.png"}
    assert files["model.safetensors"].content == (run / "model.safetensors").read_bytes()
    assert b'model_id = "ada/cards"' in files["README.md"].content
    assert 'model_id = "cards"' in (run / "README.md").read_text()


def test_the_code_of_a_variant_is_pushed(hub, run, push):
    save_tiny_bert(run, attention="cosine")
    push(hub, run, "ada/cards")
    files = set(hub.repositories["ada/cards"].at("main")[1])
    assert {path.name for path in run.glob("*.py")} == {path for path in files if path.endswith(".py")} != set()


def test_pushing_twice_changes_nothing(hub, run, push):
    push(hub, run, "ada/cards")
    commits = len(hub.repositories["ada/cards"].commits)
    assert push(hub, run, "ada/cards").returncode == 0
    assert len(hub.repositories["ada/cards"].commits) == commits


def test_private_is_private(hub, run, push):
    assert push(hub, run, "ada/cards", "--private").returncode == 0
    assert hub.repositories["ada/cards"].private
    assert requests.get(f"{hub.url}/api/models/ada/cards").status_code == 401
    with pytest.raises(huggingface_hub.errors.RepositoryNotFoundError):
        huggingface_hub.HfApi(hub.url, token=False).model_info("ada/cards")


def test_private_never_publishes_into_a_public_repository(hub, run, push):
    push(hub, run, "ada/cards")
    before = hub.repositories["ada/cards"].head
    (run / "README.md").write_text("---\ntags: [new]\n---\n")
    refused = push(hub, run, "ada/cards", "--private")
    assert (refused.returncode, hub.repositories["ada/cards"].head) == (2, before)
    assert "exists and is public" in refused.stderr


@pytest.mark.parametrize(
    ("token", "repo_id", "message"),
    [
        (None, "ada/cards", "no Hub token: run `hf auth login`, or set HF_TOKEN"),
        ("hf_" + "x" * 34, "ada/cards", "the Hub does not know this token"),
        (READ, "ada/cards", "may only read"),
        (WRITE, "bob/cards", "may not write to 'bob': expected one of ada"),
        (WRITE, "cards", "expected user/name"),
        (WRITE, "ada/../cards", "expected user/name"),
    ],
)
def test_a_push_that_may_not_be_is_one_line(hub, run, push, token, repo_id, message):
    refused = push(hub, run, repo_id, token=token)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ") and message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not hub.repositories


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("hf_" + "x" * 34, 401), (READ, 403)])
def test_the_server_of_these_tests_guards_its_door(hub, token, status):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = {"name": "cards", "organization": "ada", "type": "model"}
    assert requests.post(f"{hub.url}/api/repos/create", json=asked, headers=headers).status_code == status


@pytest.mark.parametrize("offline", [False, True])
def test_a_hub_out_of_reach_is_one_line_that_says_what_can_be_done(run, push, monkeypatch, offline):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    refused = push("http://127.0.0.1:9", run, "ada/cards")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert "the Hub cannot be reached" in refused.stderr and "hf-attn push" in refused.stderr
    assert ("HF_HUB_OFFLINE is set" in refused.stderr) == offline


def test_a_card_that_the_hub_refuses_is_one_line(hub, run, push):
    (run / "README.md").write_text("---\nmodel-index:\n- name: x\n  results: [{task: {type: a}}]\n---\n")
    refused = push(hub, run, "ada/cards")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert "the Hub refuses the metadata of README.md" in refused.stderr
    assert len(hub.repositories["ada/cards"].commits) == 1


def test_predict_offline_with_a_model_never_downloaded_is_one_line(tmp_path):
    env = client_environment("http://127.0.0.1:9", tmp_path / "home", token=None, HF_HUB_OFFLINE="1")
    refused = hf_attn("predict", "ada/cards", "a text", env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ") and len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "ada/cards" in refused.stderr and "offline" in refused.stderr


def test_predict_takes_a_model_of_the_hub(hub, run, tmp_path, push):
    push(hub, run, "ada/cards")
    env = client_environment(hub, tmp_path / "empty", token=None)
    there, here = (hf_attn("predict", model, *TEXTS, env=env) for model in ("ada/cards", run))
    assert there.returncode == 0, there.stderr
    assert there.stdout == here.stdout


def test_a_token_shows_up_nowhere(hub, run, tmp_path, push):
    """In no output and no file, whether the push succeeds, is refused or finds no Hub."""
    strange = "hf_" + "x" * 34
    cases = [(hub, READ, "ada/cards"), (hub, WRITE, "bob/cards"), (hub, strange, "ada/cards")]
    cases += [("http://127.0.0.1:9", WRITE, "ada/cards")]
    done = [push(endpoint, run, repo_id, token=token) for endpoint, token, repo_id in cases]
    done += [hf_attn("push", run, "ada/cards", env=client_environment(hub, tmp_path / "home", WRITE))]
    assert [one.returncode for one in done] == [2, 2, 2, 2, 0]
    said = [one.stdout + one.stderr for one in done]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    files += [file.content for file in hub.repositories["ada/cards"].at("main")[1].values()]
    everything = b"\n".join([*files, *(text.encode() for text in said)])
    assert not [token for token in (WRITE, READ, strange) if token.encode() in everything]


@pytest.mark.parametrize("name", ["README.md", "config.json"])
@pytest.mark.parametrize("token", [WRITE, "hf_" + "Z9" * 17])
def test_a_file_with_a_token_inside_is_not_pushed(hub, run, push, name, token):
    content = (run / name).read_text()
    (run / name).write_text(content.replace("transformers", token, 1))
    refused = push(hub, run, "ada/cards")
    assert refused.returncode == 2 and f"{name} holds a Hub token" in refused.stderr
    assert token not in refused.stderr
    assert not hub.repositories


def test_what_is_no_run_is_refused_before_the_hub_is_asked(hub, tmp_path, push):
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "none", "does not exist"), (tmp_path / "empty", "has no weights")):
        refused = push(hub, folder, "ada/cards")
        assert refused.returncode == 2 and message in refused.stderr
    assert not hub.log
