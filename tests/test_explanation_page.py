"""The page of an explanation in a browser: what it shows is the model's, it is usable by all, and asks for nothing."""

import re

import numpy as np
import pytest
import torch
from browser import chromium
from tiny_bert import save_tiny_bert
from tiny_tokenizers import save_tiny, wordpiece
from tiny_vit import picture, save_tiny_vit
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ResNetConfig,
    ResNetForImageClassification,
)

import hf_attn
from hf_attn.explain.methods import explain
from hf_attn.explain.page import page as html_of
from hf_attn.explain.page.packed import AT_LEAST

TEXT = "my cards was swallowed, now."
PAIR = ("my cards was swallowed", "i want to pay with it now please")
KINDS = ("text", "pair", "image", "slic", "cnn", "unseen")
SEEN = ("text", "pair", "image", "slic")
"""Kinds of inputs whose attention is on the page."""
PARTS, HEADS = "[data-part]", ".heads button"
WEIGHTS = """async () => {
  const weights = examples[0].weights, found = [];
  for (const [at, layer] of weights.packed.layers.entries())
    for (let head = 0; head < layer.heads; head++) found.push((await weights.matrix(at, head)).map((row) => [...row]));
  return found;
}"""
PIXELS = """canvases => canvases.map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: canvas.height }, (_, row) => Array.from({ length: canvas.width },
    (_, column) => (255 - data[4 * (row * canvas.width + column)]) / (255 - 0x6f)));
})"""
"""Shares that canvases show, in light colours."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("pages")) as started:
        yield started


@pytest.fixture(autouse=True)
def _pages_are_closed(browser):
    yield
    browser.close_pages()


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = save_tiny_bert(tmp_path_factory.mktemp("bert"))
    return AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def models(bert, tmp_path_factory):
    """A model and its processor for each kind of input."""
    vit, unseen = save_tiny_vit(tmp_path_factory.mktemp("vit")), tmp_path_factory.mktemp("deberta")
    save_tiny(unseen, "deberta-v2", wordpiece())
    processor = AutoImageProcessor.from_pretrained(vit)
    image = AutoModelForImageClassification.from_pretrained(vit), processor
    torch.manual_seed(0)
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3)
    deberta = AutoModelForSequenceClassification.from_pretrained(unseen), AutoTokenizer.from_pretrained(unseen)
    cnn = ResNetForImageClassification(resnet).eval(), processor
    return {"text": bert, "pair": bert, "image": image, "slic": image, "cnn": cnn, "unseen": deberta}


@pytest.fixture(scope="module")
def explained(models):
    """An input of each kind, by two methods, the first of them signed."""
    image = picture(0, np.random.default_rng(0))
    inputs = {"text": (TEXT,), "unseen": (TEXT,), "pair": PAIR}
    found = {}
    for kind in KINDS:
        options = {"segments": {"slic": "slic", "cnn": "4x4"}.get(kind)}
        methods = ("occlusion", "attention") if kind in SEEN else ("occlusion", "saliency")
        given = (*models[kind], *inputs.get(kind, (image,)))
        found[kind] = [explain(*given, method=method, **options) for method in methods]
    return found


@pytest.fixture
def shown(browser, explained):
    """What opens the page of an input of a kind."""
    return lambda kind, **options: browser.open(html_of([explained[kind]]), **options)


def share(page, at: int = 0) -> list[float]:
    """Sizes of the colours of all parts of an input."""
    find = f'[...document.querySelectorAll(".example")[{at}].querySelectorAll("{PARTS}")]'
    return page.evaluate(f'{find}.map((one) => Number(one.style.getPropertyValue("--a")))')


def shares_of(weights) -> np.ndarray:
    return np.abs(weights) / np.abs(weights).max()


def said(page) -> list[str]:
    """What the label beside a part and the line for screen readers say."""
    return [page.locator(".tip").inner_text(), page.locator("[role=status]").first.inner_text()]


def signed(attribution, at: int) -> list[str]:
    return [f"{attribution.parts[at].name}: {attribution.weights[at]:+.3f}"] * 2


def reference(model, processor, kind: str) -> np.ndarray:
    """Return (layers · heads, places, places) attention: words and patches first, then the model's own tokens."""
    if kind == "image":
        inputs = processor(picture(0, np.random.default_rng(0)), return_tensors="pt")
        groups = [[at] for at in (*range(1, 10), 0)]
    else:
        inputs = processor(*(PAIR if kind == "pair" else (TEXT,)), return_tensors="pt")
        words = list(zip(inputs.sequence_ids(), inputs.word_ids(), strict=True))
        groups = [[at for at, word in enumerate(words) if word == one] for one in dict.fromkeys(words) if one[0] is not None]
        groups += [[at] for at, word in enumerate(words) if word[0] is None]
    maps = hf_attn.attention_map(model, inputs).double().flatten(0, 2).numpy()
    columns = np.stack([maps[:, :, group].sum(-1) for group in groups], -1)
    return np.stack([columns[:, group].mean(1) for group in groups], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_done_with_a_page_it_fails_at_nothing_and_asks_for_nothing(browser, shown, kind):
    page = shown(kind)
    for element in page.locator("[role=button], .heads button, .back, summary").all():
        element.dispatch_event("mouseenter")
        element.dispatch_event("click")
        element.dispatch_event("mouseleave")
    page.select_option(".method", "1")
    for change in ({"color_scheme": "dark"}, {"media": "print"}):
        page.emulate_media(**change)
    page.set_viewport_size({"width": 320, "height": 600})
    page.wait_for_timeout(50)
    assert browser.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["text", "pair", "image"])
def test_axe_finds_nothing_to_object_to(shown, kind, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = shown(kind, color_scheme=scheme)
    assert axe.run(page).generate_snapshot() == ""
    page.locator(PARTS).first.click()
    page.locator(HEADS).first.click()
    page.locator("summary").click()
    assert axe.run(page).generate_snapshot() == ""


def test_axe_finds_nothing_on_a_page_of_several_inputs(browser, explained):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = browser.open(html_of([explained["text"], explained["image"], explained["pair"], explained["cnn"]]))
    assert axe.run(page).generate_snapshot() == ""


@pytest.mark.parametrize("kind", ["text", "pair", "image", "cnn", "unseen"])
def test_a_part_says_its_name_and_signed_number_under_the_pointer(shown, explained, kind):
    page = shown(kind)
    for at in range(3):
        page.locator(PARTS).nth(at).hover()
        assert said(page) == signed(explained[kind][0], at)


def test_a_part_says_its_name_and_signed_number_under_the_keyboard(shown, explained):
    page = shown("text")
    page.focus(".method")
    page.keyboard.press("Tab")
    assert said(page) == ["[CLS]: no part of the input"] * 2
    for at, key in ((0, "ArrowRight"), (1, "ArrowDown"), (0, "ArrowLeft"), (6, "End")):
        page.keyboard.press(key)
        if key == "End":
            page.keyboard.press("ArrowUp")
        assert said(page) == signed(explained["text"][0], at)


def test_arrow_keys_move_over_an_image_as_over_a_grid(shown):
    page = shown("image")
    page.locator(PARTS).first.focus()
    for key, at in (("ArrowDown", "3"), ("ArrowRight", "4"), ("ArrowUp", "1"), ("ArrowUp", "1"), ("ArrowLeft", "0")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.part") == at


def test_enter_chooses_a_part_and_lets_it_go(shown):
    page = shown("text")
    part = page.locator(PARTS).nth(2)
    part.focus()
    for pressed in ("true", "false"):
        page.keyboard.press("Enter")
        assert part.get_attribute("aria-pressed") == pressed


@pytest.mark.parametrize("kind", ["text", "pair", "image"])
def test_the_weights_in_a_page_are_the_models_and_words_have_the_sum_of_their_pieces(shown, models, kind):
    expected, found = reference(*models[kind], kind), np.array(shown(kind).evaluate(WEIGHTS))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0.025, atol=2e-5)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("variant", ["sigmoid", "talking_heads"])
def test_weights_that_are_no_probabilities_are_shown_as_they_are(browser, bert, variant):
    model = hf_attn.swap_attention(bert[0], variant)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    page = browser.open(html_of([[explain(model, bert[1], TEXT, method="random", faithfulness=False)]]))
    np.testing.assert_allclose(page.evaluate(WEIGHTS), reference(model, bert[1], "text"), rtol=0.025, atol=2e-5)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_chosen_part_draws_its_row_in_every_head(shown, models, kind):
    page, parts = shown(kind), 9 if kind == "image" else 7
    page.locator(PARTS).nth(4).click()
    page.wait_for_function("[...document.querySelectorAll('.heads canvas')].every((one) => one.width != one.height || one.width == 3)")
    rows = reference(*models[kind], kind)[:, 4, :parts]
    found = np.array(page.eval_on_selector_all(".heads canvas", PIXELS))
    assert found.shape[1:] == ((3, 3) if kind == "image" else (1, parts))
    np.testing.assert_allclose(found.reshape(len(rows), -1), rows / rows.max(1, keepdims=True), atol=0.03)
