"""Attention on the page of an explanation: it is the model's, a head or a part shows its own, and it stays small."""

import copy
import json

import numpy as np
import pytest
import torch
from browser import PIXELS, chromium, until
from explained_models import explain
from tiny_bert import WORDS
from tiny_explained import PAIR, TEXT, attention, explained, model_for
from tiny_models import perturb
from transformers import BertConfig, BertForSequenceClassification

import hf_attn
from hf_attn.explain.page import page as html_of
from hf_attn.explain.page.packed import AT_LEAST, Weights, packed

PARTS, HEADS, BACK = "[data-part]", ".heads button", ".back:visible"
MATRIX = f"one => ({PIXELS})([one])[0]"
WEIGHTS = """async () => {
  const weights = examples[0].weights, found = [];
  for (const [at, layer] of weights.packed.layers.entries())
    for (let head = 0; head < layer.heads; head++) found.push((await weights.matrix(at, head)).map((row) => [...row]));
  return found;
}"""
AT_ONCE = "([one, other]) => [one, other].map((at) => document.querySelectorAll('.heads button')[at].click())"
ROUNDED = 0.045
"""How far the ratio of two weights may be off that are each known to 2.2 %."""
LARGEST = 2_000_000
"""Bytes of a page of one input."""


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("pages")) as browser:
        yield browser


@pytest.fixture
def browser(started):
    yield started
    started.forget()


def colours(page) -> list[float]:
    return page.eval_on_selector_all(PARTS, "all => all.map((one) => Number(one.style.getPropertyValue('--a')))")


def words(page) -> list[str]:
    return [page.inner_text(".headline"), page.inner_text(".verdict")]


def larger_bert(**sizes: int) -> tuple[BertForSequenceClassification, object]:
    """Return a random BERT of other sizes, and a tokenizer that cuts nothing that it can read."""
    model, tokenizer = model_for("text")
    torch.manual_seed(0)
    larger = BertForSequenceClassification(BertConfig(**{**model.config.to_dict(), **sizes})).eval()
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = sizes["max_position_embeddings"]
    return larger, tokenizer


@pytest.mark.parametrize("kind", ["text", "pair", "image"])
def test_the_weights_in_a_page_are_the_models_and_words_have_the_sum_of_their_pieces(browser, kind):
    expected, found = attention(kind), np.array(browser.show(explained(kind)).evaluate(WEIGHTS))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0.025, atol=2e-5)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("variant", ["sigmoid", "talking_heads"])
def test_weights_that_are_no_probabilities_are_shown_as_they_are(browser, variant):
    model, tokenizer = model_for("text")
    model = hf_attn.swap_attention(copy.deepcopy(model), variant)
    perturb(model)
    page = browser.show([explain(model, tokenizer, TEXT, method="random", faithfulness=False)])
    np.testing.assert_allclose(page.evaluate(WEIGHTS), attention("text", model), rtol=0.025, atol=1e-4)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_chosen_part_draws_its_row_in_every_head(browser, kind):
    page, shape = browser.show(explained(kind)), (3, 3) if kind == "image" else (1, 7)
    page.locator(PARTS).nth(4).click()
    until(page, f"[...document.querySelectorAll('.heads canvas')].every((one) => one.height === {shape[0]})")
    rows = attention(kind)[:, 4, : shape[0] * shape[1]]
    expected = (rows / rows.max(1, keepdims=True)).reshape(-1, *shape)
    np.testing.assert_allclose(page.eval_on_selector_all(".heads canvas", PIXELS), expected, rtol=ROUNDED, atol=0.01)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_head_colours_the_parts_by_the_row_that_the_answer_is_read_off_until_it_is_left(browser, kind):
    page, row, parts = browser.show(explained(kind)), attention(kind)[1], len(explained(kind)[0].parts)
    before = colours(page), words(page)
    page.locator(HEADS).nth(1).click()
    page.wait_for_selector(BACK)
    until(page, "document.querySelector('.headline').textContent.includes('layer 1, head 2')")
    np.testing.assert_allclose(colours(page), row[parts, :parts] / row[parts, :parts].max(), rtol=ROUNDED)
    page.locator(PARTS).nth(2).hover()
    percent = float(page.inner_text(".tip").rpartition(": ")[2].rstrip("%"))
    assert percent == pytest.approx(100 * row[parts, 2], rel=0.025, abs=0.06)
    page.click(".back")
    page.wait_for_selector(".back", state="hidden")
    assert (colours(page), words(page)) == before


def test_another_method_leaves_the_chosen_head(browser):
    page = browser.show(explained("text"))
    page.locator(HEADS).nth(1).click()
    page.wait_for_selector(BACK)
    page.select_option(".method", "1")
    page.wait_for_selector(".back", state="hidden", timeout=3000)
    assert page.locator(".heads [aria-pressed=true]").count() == 0


def test_a_head_that_is_chosen_and_left_at_once_leaves_all_as_it_was(browser):
    page = browser.show(explained("text"))
    before = colours(page), words(page)
    page.evaluate(AT_ONCE, [0, 0])
    page.wait_for_timeout(100)
    assert browser.faults == []
    assert (colours(page), words(page)) == before


def test_of_two_heads_that_are_chosen_at_once_the_last_is_shown(browser):
    page = browser.show(explained("text"))
    page.locator(HEADS).nth(7).click()
    page.wait_for_selector(BACK)
    page.evaluate(AT_ONCE, [0, 6])  # the first has yet to be unpacked
    until(page, "document.querySelector('.headline').textContent.includes('layer 2, head 3')")
    page.wait_for_timeout(100)
    row = attention("text")[6, 7, :7]
    np.testing.assert_allclose(colours(page), row / row.max(), rtol=ROUNDED)


def test_heads_that_were_never_scrolled_to_are_printed(browser):
    page = browser.show(explained("text"), explained("image"), height=300)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    drawn = "[...document.querySelectorAll('.heads canvas')].every((one) => one.hasAttribute('width'))"
    until(page, drawn)
    assert all(np.ptp(one) > 0.2 for one in page.eval_on_selector_all(".heads canvas", PIXELS))


def test_the_matrix_of_a_pair_has_a_cell_for_each_two_words_of_the_last_layer_or_the_chosen_head(browser):
    page, maps = browser.show(explained("pair")), attention("pair")[:, :4, 4:12]
    expected = maps[-4:].mean(0)
    until(page, "examples[0].cells")
    np.testing.assert_allclose(page.eval_on_selector(".matrix", MATRIX), expected / expected.max(), ROUNDED, 0.01)
    page.locator(HEADS).nth(2).click()
    until(page, "examples[0].matrixName.textContent.includes('layer 1, head 3')")
    np.testing.assert_allclose(page.eval_on_selector(".matrix", MATRIX), maps[2] / maps[2].max(), ROUNDED, 0.01)


def test_a_chosen_word_has_links_to_the_other_text(browser):
    page = browser.show(explained("pair"))
    links, word = page.locator(".links path"), page.locator(PARTS).nth(1)
    assert links.count() == 0
    word.click()
    page.wait_for_selector(".links path", state="attached")
    starts = links.evaluate_all("all => all.map((one) => one.getPointAtLength(0).x)")
    box, stage = word.bounding_box(), page.locator(".stage").bounding_box()
    assert starts == pytest.approx([box["x"] + box["width"] / 2 - stage["x"]] * len(PAIR[1].split()), abs=0.5)


def test_two_long_texts_have_a_matrix(browser):
    model, tokenizer = larger_bert(max_position_embeddings=763, num_hidden_layers=1, num_attention_heads=1)
    one = explain(model, tokenizer, "my " * 380, "now " * 380, method="random", faithfulness=False)
    page = browser.show([one])
    until(page, "examples[0].cells")
    page.wait_for_timeout(50)
    assert browser.faults == [] and page.evaluate("examples[0].matrix.width * examples[0].matrix.height") == 380**2


@pytest.mark.parametrize("spread", [2.0, 6.0])
def test_the_weights_of_512_tokens_in_144_heads_are_small(spread):
    random, layers = np.random.default_rng(0), {}
    for number in range(12):
        layers[number] = np.exp(spread * random.standard_normal((12, 512, 512), dtype=np.float32))
        layers[number] /= layers[number].sum(-1, keepdims=True)
    found = packed(Weights(layers, ["[CLS]", "[SEP]"], 510))
    assert len(json.dumps(found)) < LARGEST and found["kept"] > 0.3


def test_a_page_of_512_tokens_and_144_heads_is_small_and_keeps_the_greatest_weights_of_a_row(browser):
    model, tokenizer = larger_bert(
        max_position_embeddings=512, hidden_size=96, num_hidden_layers=12, num_attention_heads=12
    )
    text = " ".join(np.random.default_rng(0).choice(WORDS, 510))
    html = html_of([[explain(model, tokenizer, text, method="random", faithfulness=False)]])
    assert len(html.encode()) < LARGEST
    maps = hf_attn.attention_map(model, tokenizer(text, return_tensors="pt"), layers=[11], heads=[7])[0, 0, 0]
    row = maps[301].double().numpy()[[*range(1, 511), 0, 511]]  # words, and then [CLS] and [SEP]
    found = np.array(browser.open(html).evaluate("async () => [...await examples[0].weights.row(11, 7, 300)]"))
    kept = found > 0
    np.testing.assert_allclose(found[kept], row[kept], rtol=0.025)
    assert kept.sum() >= AT_LEAST and row[kept].min() >= row[~kept].max(initial=0) and browser.faults == []
