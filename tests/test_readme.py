"""What the README says is what the code does."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from hf_attn.attention import list_variants, variant_info
from hf_attn.attention.pooling import HEADS
from hf_attn.cli import main as cli
from hf_attn.errors import InputError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = [Path("README.md"), Path("CONTRIBUTING.md"), Path("CHANGELOG.md"), Path("SECURITY.md")]
NAMES += sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))
RUN_FILES = {
    "run.json",
    "config.json",
    "generation_config.json",
    "config.yaml",
    "tokenizer.json",
    "adapter_config.json",
    "faithfulness.json",
}
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("made")


def variant_rows():
    """The README's table of variants, as it must stand there."""
    for name in list_variants():
        info = variant_info(name)
        yield f"| `{name}` | " + " | ".join(cell.replace("|", "\\|") for cell in (info.equation, info.source)) + " |"


@pytest.mark.parametrize("row", variant_rows(), ids=list_variants())
def test_the_table_of_variants_is_that_of_the_code(row):
    assert row in README.splitlines()


def test_what_is_made_from_the_code_is_what_it_says_now(made):
    for path, text in made.pages().items():
        assert path.read_text("utf-8") == text, "python docs/made.py writes it anew"


def test_every_fact_of_a_variant_stands_in_its_row(made):
    for name in list_variants():
        info, row = variant_info(name), next(r for r in made.variants().splitlines() if r.startswith(f"| `{name}` |"))
        for cell in (info.equation, info.parameters, info.identity, info.fused, info.refuses, info.source, info.cost):
            assert f"| {cell.replace('|', chr(92) + '|')} |" in row


def commands():
    joined = "\n".join(PAGES.values()).replace("\\\n", " ")
    return sorted(set(re.findall(r"^hf-attn .*?(?=\s+#|$)", joined, flags=re.MULTILINE)))


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_is_understood(command, tmp_path, monkeypatch):
    """It gets as far as the data or the model that this machine has not."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    try:
        cli.dispatch(shlex.split(command)[1:])
    except InputError as error:
        assert not re.search(r"unknown|expected one of|argument -|did you mean|missing: --", str(error)), error


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_a_page_links_to_exists(page):
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", PAGES[page]):
        assert (ROOT / page.parent / target).exists(), target


@pytest.mark.parametrize("page", [name for name in PAGES if name.name != "CHANGELOG.md"], ids=str)
def test_files_and_names_that_a_page_speaks_of_exist(page):
    """``folder/file.py: name``, with or without the package's folder; a bare ``file.py`` is some file."""
    for file, name in re.findall(r"`([\w/]+\.(?:py|yaml|json|ipynb|txt))(?:: (\w+))?`", PAGES[page]):
        places = [ROOT / file, ROOT / "hf_attn" / file, *(ROOT / "hf_attn").rglob(Path(file).name)]
        found = [place for place in places if place.is_file() and place.as_posix().endswith(file)]
        assert found or file in RUN_FILES or "NAME" in file, file
        assert not name or any(re.search(rf"(def|class) {name}\b", place.read_text("utf-8")) for place in found), name


def test_the_makefile_has_the_readmes_commands():
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"^make ([\w-]+)", README, flags=re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_over_a_feature_map_is_in_its_table(head):
    assert re.search(rf"^\| `{head}` \|", PAGES[Path("docs/recipes/image_classification.md")], flags=re.MULTILINE)


CONFIGS = [path for path in sorted((ROOT / "recipes/configs").glob("*.yaml")) if "recipe: " in path.read_text("utf-8")]
"""The others are sizes of new models."""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configuration_says_what_score_to_expect_and_how_it_was_measured(path):
    head = re.match(r"(?:#.*\n)+", path.read_text("utf-8"))[0]
    assert re.search(r"\d\.\d.*python ((?:benchmarks|recipes)/\w+\.py)", head)
    assert (ROOT / re.search(r"python ((?:benchmarks|recipes)/\w+\.py)", head)[1]).exists()


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_recipe_says_what_it_needs_to_run_alone(path):
    head = r'# /// script\n# requires-python = ">=3.11"\n# dependencies = \["hf_attn(?:\[\w+\])?"\]\n# ///\n'
    assert re.match(head, path.read_text("utf-8"))
