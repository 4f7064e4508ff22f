"""What the README says is what the code does."""

import re
import shlex
from pathlib import Path

import pytest

from hf_attn import cli
from hf_attn.attention import list_variants, variant_info
from hf_attn.attention.pooling import HEADS
from hf_attn.errors import InputError

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def variant_rows():
    """The README's table of variants, as it must stand there."""
    for name in list_variants():
        info = variant_info(name)
        cells = (f"`{name}`", info.equation, info.parameters, info.identity, info.fused, info.refuses, info.source)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@pytest.mark.parametrize("row", variant_rows(), ids=list_variants())
def test_the_table_of_variants_is_that_of_the_code(row):
    assert row in README.splitlines()


def commands():
    joined = README.replace("\\\n", " ")
    return re.findall(r"^hf-attn .*?(?=\s+#|$)", joined, flags=re.MULTILINE)


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


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_what_the_readme_links_to_exists(target):
    assert (ROOT / target).exists()


def test_the_makefile_has_the_readmes_commands():
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"^make ([\w-]+)", README, flags=re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_over_a_feature_map_is_in_its_table(head):
    assert re.search(rf"^\| `{head}` \|", README, flags=re.MULTILINE)
