import json
import os
import subprocess
import sys
from pathlib import Path

import interpreter
import pytest
from tiny_bert import TEXTS, save_tiny_bert

import hf_attn
from hf_attn.cli import main as cli
from hf_attn.cli.catalogue import table, variant_table

COMMANDS = ["list", "predict", "push", "copy"]
HEAVY = {"torch", "transformers", "datasets", "accelerate", "peft", "sklearn", "matplotlib", "numpy", "pandas"}


@pytest.fixture
def hf_attn_command(monkeypatch, capsys):
    """The command in this process: exit status, standard output, standard error."""

    def call(*arguments, columns=100):
        monkeypatch.setattr(sys, "argv", ["hf-attn", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return exit.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("runs") / "cards")


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder with a recipe in the place of the installed ones."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "greeting.py").write_text(
        '"""Greet whom you choose.\n\nMore."""\n\nif __name__ == "__main__":\n    print("hello")\n'
    )
    (folder / "_hidden.py").write_text("")
    monkeypatch.setattr(cli, "recipe_folder", lambda: folder)
    return folder


def test_help_imports_nothing_heavy(tmp_path):
    program = (
        "import sys; sys.argv = ['hf-attn', '--help']\n"
        "from hf_attn.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as exit:\n    assert not exit.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("usage: hf-attn") and not HEAVY & set(eval(done.stderr))


@pytest.mark.parametrize("command", ["list", "list variants", "list cosine", "--help"])
def test_a_reader_that_has_enough_ends_the_command_quietly(command):
    program = [sys.executable, "-m", "hf_attn.cli", *command.split()]
    running = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    assert running.stderr.read() == "" and running.wait() == 141


def test_help_shows_recipes_and_commands(hf_attn_command, recipes):
    status, out, err = hf_attn_command("--help", columns=80)
    assert (status, err) == (0, "")
    assert "  greeting  Greet whom you choose.\n" in out and "_hidden" not in out
    assert all(f"\n  {command} " in out for command in COMMANDS)
    assert max(map(len, out.splitlines())) <= 80
    assert hf_attn_command() == (status, hf_attn_command("-h")[1], err)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(hf_attn_command, command):
    status, out, err = hf_attn_command(command, "--help", columns=80)
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: hf-attn {command}") and max(map(len, out.splitlines())) <= 80


def test_the_defaults_are_named(hf_attn_command):
    text = " ".join(hf_attn_command("predict", "--help")[1].split())
    for default in ("(default: 32)", "(default: print)", "(default: refuse)", "all in --output)", "or the only one)"):
        assert default in text
    assert "(default: public)" in hf_attn_command("push", "--help")[1]
    assert "(default: all)" in " ".join(hf_attn_command("list", "--help")[1].split())
    assert "(default: .)" in hf_attn_command("copy", "--help")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predcit"], "unknown command 'predcit'; did you mean 'predict'?"),
        (["greting"], "unknown command 'greting'; did you mean 'greeting'?"),
        (
            ["xyz"],
            "unknown command 'xyz': expected one of list, predict, explain, faithfulness, demo, push, copy",
        ),
        (["list", "cosin"], "unknown variant 'cosin'; did you mean 'cosine'?"),
        (["predict"], "required: run, TEXT|FILE (see hf-attn predict --help)"),
        (["predict", "run", "text", "--top_k", "x"], "invalid int value: 'x'"),
        (["predict", "run", "text", "--batchsize", "3"], "unrecognized arguments: --batchsize 3"),
        (["push", "run"], "required: USER/NAME"),
        (["copy", "gretings"], "unknown recipe 'gretings'; did you mean 'greeting'?"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(hf_attn_command, recipes, arguments, message):
    status, out, err = hf_attn_command(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and message in err and len(err.splitlines()) == 1


def test_version(hf_attn_command):
    assert hf_attn_command("--version")[:2] == (0, f"hf_attn {hf_attn.__version__}\n")


def test_list_shows_every_variant_with_what_is_known_of_it(hf_attn_command):
    out = hf_attn_command("list", "variants", columns=250)[1]
    for name in hf_attn.list_variants():
        info = hf_attn.variant_info(name)
        line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
        for fact in (info.equation, info.parameters, info.identity, info.fused, info.refuses):
            assert fact in line


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_list_fits_the_terminal(hf_attn_command, columns):
    out = hf_attn_command("list", columns=columns)[1]
    assert max(map(len, out.splitlines())) <= columns
    assert "Recipes" in out and "Attention variants" in out


def test_list_of_one_variant_has_source_cost_and_options(hf_attn_command):
    out = hf_attn_command("list", "local")[1]
    info = hf_attn.variant_info("local")
    assert all(text in out for text in (info.source, info.cost, info.equation, "window=32"))


def test_a_table_keeps_every_word_whatever_its_width():
    rows = [["a", "one two three four five", "x"], ["bb", "six", "y z"]]
    for width in (12, 20, 40):
        text = table(["name", "words", "rest"], rows, width)
        assert {word for row in rows for cell in row for word in cell.split()} <= set(text.split())
    assert len(variant_table(120)) > len(hf_attn.list_variants()) * 40


def test_predict_prints_the_label_of_each_text(hf_attn_command, run):
    status, out, _ = hf_attn_command("predict", run, *TEXTS)
    lines = out.splitlines()
    found = hf_attn.predict(run, TEXTS)
    assert status == 0 and lines[::2] == TEXTS
    assert [line.split() for line in lines[1::2]] == [[f"{row['score']:.4f}", row["label"]] for row in found]


def test_predict_writes_what_python_predicts(hf_attn_command, run, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    status, out, _ = hf_attn_command(
        "predict", run, tmp_path / "texts.txt", "--top_k", 2, "--output", tmp_path / "o.jsonl"
    )
    assert (status, out) == (0, f"4 predictions in {tmp_path / 'o.jsonl'}\n")
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [{"text": text} | row for text, row in zip(TEXTS, hf_attn.predict(run, TEXTS, top_k=2), strict=True)] == rows


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run.rename(run.with_name("moved")), "does not exist"),
        (lambda run: (run / "model.safetensors").unlink(), "has no weights"),
        (lambda run: (run / "model.safetensors").rename(run / "pytorch_model.bin"), "only a pickle"),
        (lambda run: (run / "model.safetensors").write_bytes(b"x" * 99), "is damaged"),
        (lambda run: [(run / name).unlink() for name in ("tokenizer.json", "vocab.txt")], "the tokenizer is missing"),
    ],
)
def test_predict_with_a_bad_run_is_one_line(hf_attn_command, tmp_path, damage, message):
    damage(save_tiny_bert(tmp_path / "run"))
    status, out, err = hf_attn_command("predict", tmp_path / "run", "a text")
    assert (status, out) == (2, "") and message in err and len(err.splitlines()) == 1


def test_predict_in_a_process_of_its_own_loads_a_variant(tmp_path):
    run = save_tiny_bert(tmp_path / "run", attention="cosine")
    command = [Path(sys.executable).with_name("hf-attn"), "predict", run, *TEXTS]
    done = interpreter.run(command, {**os.environ, "HF_HUB_OFFLINE": "1"}, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines()[1::2]] == [
        row["label"] for row in hf_attn.predict(run, TEXTS)
    ]


def test_copy_writes_a_recipe_that_runs(hf_attn_command, recipes, tmp_path):
    status, out, _ = hf_attn_command("copy", "greeting", tmp_path / "mine")
    target = tmp_path / "mine" / "greeting.py"
    assert (status, out.splitlines()[0]) == (0, str(target))
    assert target.read_text() == (recipes / "greeting.py").read_text()
    assert subprocess.run([sys.executable, target], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert hf_attn_command("copy", "greeting", tmp_path / "other.py")[0] == 0
    assert (tmp_path / "other.py").exists()


def test_copy_overwrites_nothing(hf_attn_command, recipes, tmp_path):
    (tmp_path / "greeting.py").write_text("mine")
    status, out, err = hf_attn_command("copy", "greeting", tmp_path)
    assert (status, out) == (2, "") and "exists and is not overwritten" in err
    assert (tmp_path / "greeting.py").read_text() == "mine"


def test_every_installed_recipe_can_be_copied_and_explains_itself(hf_attn_command, tmp_path):
    for name in cli.recipes():
        assert hf_attn_command("copy", name, tmp_path)[0] == 0
        command = [sys.executable, tmp_path / f"{name}.py", "--help"]
        assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.startswith(
            "usage:"
        )
