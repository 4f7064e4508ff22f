"""Foreign texts and names on the page of an explanation are shown and never obeyed."""

import re
from functools import cache

import pytest
import torch
from browser import chromium
from explained_models import explain
from hostile import HOSTILE
from tiny_explained import model_for
from transformers import BertConfig, BertForSequenceClassification

from hf_attn.explain.attribution import Attribution
from hf_attn.explain.page import page as html_of
from hf_attn.explain.verdict import headline
from hf_attn.interface.printable import printable

STRUCTURE = """() => [...document.querySelectorAll(":not(canvas)")].map((one) =>
  [one.tagName, ...one.getAttributeNames(), one.className.baseVal ?? one.className])"""
OURS = set("br button canvas details div h1 h2 p path section span strong summary svg table tbody td th tr".split())
TEXTS = """() => [...document.querySelectorAll("p.text")].map((one) => {
  const text = one.cloneNode(true);
  for (const own of text.querySelectorAll("[data-own]")) own.remove();
  return [text.textContent, one.querySelectorAll("*").length,
    one.querySelectorAll(":scope > span.part, :scope > span.own, :scope > span.unread").length];
})"""
SAID = """() => examples.map((one) => one.parts.map((part) => {
  part.dispatchEvent(new MouseEvent("mouseenter"));
  return [document.querySelector(".tip"), one.live].map((said) => said.textContent);
}))"""
CHOSEN = "async () => { for (const one of examples) { await one.choose(0); await one.chooseHead(0); } }"


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("pages")) as browser:
        yield browser


@pytest.fixture
def browser(started):
    yield started
    started.forget()


def whole(text: str) -> str:
    """Text with a sign for what is no character: half a surrogate pair."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@pytest.fixture(scope="module")
def hostile() -> tuple[list[tuple[str, ...]], list[Attribution]]:
    how = {"method": "attention", "faithfulness": False}
    inputs = [(one,) for one in HOSTILE] + list(zip(HOSTILE[::2], HOSTILE[1::2], strict=False))
    # One tokenizer makes parts of the signs of an element, the other one leaves it whole.
    models = [model_for("text" if len(some) == 1 else "blanks") for some in inputs]
    return inputs, [explain(*model, *some, **how) for model, some in zip(models, inputs, strict=True)]


def test_hostile_texts_are_shown_as_text(browser, hostile):
    inputs, attributions = hostile
    page = browser.show(*([one] for one in attributions))
    texts = [text for some in inputs for text in some]
    for text, (shown, elements, ours) in zip(texts, page.evaluate(TEXTS), strict=True):
        shown, expected = "".join(shown.split()), printable("".join(whole(text).split()))
        assert shown == expected or (shown[-1] == "…" and expected.startswith(shown[:-1]))
        assert len(shown) <= 400
        assert elements == ours


def test_a_text_that_no_token_is_left_of_is_shown_as_not_read(browser):
    one = explain(*model_for("text"), "my card", "\u200b\ufeff", method="attention", faithfulness=False)
    page = browser.show([one])
    assert page.locator("p.text").nth(1).locator(".unread").all_inner_texts() == ["··"]


def test_hostile_texts_run_nothing_and_ask_for_nothing(browser, hostile):
    page = browser.show(*([one] for one in hostile[1]))
    page.evaluate(CHOSEN)
    page.evaluate(SAID)
    page.wait_for_timeout(100)
    assert browser.faults == [] and page.evaluate("window.hit") is None
    assert page.locator("script").count() == 2
    tags = set(page.eval_on_selector_all("main *", "all => all.map((one) => one.localName)"))
    assert tags <= OURS


def test_hostile_texts_are_text_under_the_pointer(browser, hostile):
    page = browser.show(*([one] for one in hostile[1]))
    for one, said in zip(hostile[1], page.evaluate(SAID), strict=True):
        expected = [f"{printable(part.name[:60])}: {w:+.3f}" for part, w in zip(one.parts, one.weights, strict=True)]
        assert said == [[text, text] for text in expected]


@cache
def named(names: tuple[str, ...]) -> tuple[str, list[Attribution]]:
    """Return a page on which each name is predicted once, with a title of all of them."""
    torch.manual_seed(0)
    tiny, tokenizer = model_for("text")
    config = BertConfig(**{**tiny.config.to_dict(), "id2label": dict(enumerate(names))})
    model, shown = BertForSequenceClassification(config).eval(), []
    for number in range(len(names)):
        with torch.no_grad():
            model.classifier.bias.copy_(9.0 * torch.nn.functional.one_hot(torch.tensor(number), len(names)))
        against = number - 1 if number else None
        shown.append([explain(model, tokenizer, "my card", method="attention", faithfulness=False, against=against)])
    for (one,), name in zip(shown, names, strict=True):
        assert whole(name) in one.prediction and whole(name) in headline(one)
    return html_of(shown, title=" ".join(names)), [one for (one,) in shown]


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_names_of_classes_are_shown_as_text(browser, scripts):
    names = tuple(name for name in HOSTILE if len(name) < 10_000)
    html, attributions = named(names)
    page = browser.open(html, scripts=scripts)
    structure = page.evaluate(STRUCTURE)
    said = page.eval_on_selector_all(".what", "all => all.map((one) => one.textContent)")
    for text, one in zip(said, attributions, strict=True):
        assert text == f"predicted: {printable(one.prediction)}explained: {printable(headline(one))}"
    assert page.title().split() == printable(" ".join(names)).split()
    assert browser.faults == [] and page.evaluate("window.hit") is None
    harmless = browser.open(named(tuple(f"class_{at}" for at in range(len(names))))[0], scripts=scripts)
    assert structure == harmless.evaluate(STRUCTURE)
