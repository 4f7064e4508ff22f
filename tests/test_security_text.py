"""Foreign names and texts are shown in figures, cards, terminals and messages, and never obeyed."""

import logging
import os
import sys

import numpy as np
import pytest
from matplotlib.text import Text
from run_records import made_up

from hf_attn.errors import InputError
from hf_attn.interface import arguments, plotting
from hf_attn.runs.folder import describe
from hf_attn.runs.markdown import escape, fenced
from hf_attn.runs.summary import summary
from hf_attn.tasks.inputs.example import AttentionExample
from hf_attn.tasks.inputs.images.shown import contact_sheet

NAMES = ["$x^2$ and $\\frac{", "a\0b\x1b[31m", "_hidden", "x" * 20_000, "\u202eevil", "{}%s", "a\nb", "=1+1", "ท"]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_names_neither_end_a_run_nor_reach_terminal_and_card_as_controls(tmp_path, kind):
    weights = np.random.default_rng(0).dirichlet(np.ones(len(NAMES) + 1), size=(2, 3))
    example = AttentionExample(["[CLS]", *NAMES], weights, prediction=NAMES[0], label=NAMES[1])
    record = made_up(tmp_path, names=NAMES, kind=kind, attention=example)
    describe(tmp_path, record)
    for text in ((tmp_path / "README.md").read_text(), summary(record)):
        assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"reliability.png", "attention.png"}


def test_figures_take_no_name_for_mathematics(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plotting, "save", lambda figure, path: drawn.append(figure))
    monkeypatch.setattr("hf_attn.runs.figures.save", lambda figure, path: drawn.append(figure))
    names = ["$x$", "$\\frac{", "\\alpha$"]
    weights = np.random.default_rng(0).dirichlet(np.ones(len(names)), size=(2, 3))
    for kind in ("single", "multi"):
        attention = AttentionExample(names, weights, prediction="$y$", label="$x$")
        record = made_up(tmp_path / kind, names=names, kind=kind, attention=attention)
        from hf_attn.runs import figures

        figures.draw(tmp_path / kind, record)
    drawn.append(contact_sheet([np.zeros((8, 8, 3), np.uint8)], ["$x$\n→ $\\frac{"], "Errors"))
    for figure in drawn:
        figure.savefig(os.devnull, format="png")
        texts = [text for text in figure.findobj(Text) if "$" in text.get_text()]
        assert not any(text.get_parse_math() for text in texts)
    assert any("$" in text.get_text() for text in drawn[-1].findobj(Text))


def test_a_name_that_no_font_has_is_drawn(tmp_path):
    plotting.save(contact_sheet([np.zeros((8, 8, 3), np.uint8)], ["\ud800 \0 \x1b]0;x\x07"], "x"), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_messages_hold_no_escapes_and_stay_one_line(capsys, monkeypatch):
    def fail(argv):
        logging.getLogger("hf_attn.data").warning("file %s", "\x1b]0;title\x07.png")
        raise InputError("no column 'a\x1b[2J\nerror: forged'")

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as ended:
        arguments.command_line(fail)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "\x1b" not in said and "\x07" not in said
    assert said.splitlines() == ["file ·]0;title·.png", "error: no column 'a·[2J·error: forged'"]


@pytest.mark.parametrize(
    "text", ["www.example.org", "http://a.b", "WWW.a.b", "<img src=x onerror=alert(1)>", "a\x1b[1m"]
)
def test_markdown_makes_neither_link_nor_element_nor_colour(text):
    shown = escape(text)
    assert "<" not in shown and "\x1b" not in shown and "www." not in shown.lower() and "http:" not in shown
    assert "\x1b" not in fenced(f"{text}\n")
