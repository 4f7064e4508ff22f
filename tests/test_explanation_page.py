"""The page of an explanation in a browser: it says what was explained, can be used by all, and asks for nothing."""

from dataclasses import replace

import numpy as np
import pytest
from browser import chromium, until
from tiny_explained import SEEN, UNSEEN, explained

from hf_attn.explain.verdict import headline, verdict

PARTS, HEADS, BACK = "[data-part]", ".heads button", ".back:visible"
USED = """async () => {
  for (const element of document.querySelectorAll("[role=button], .heads button, .back, summary")) {
    for (const kind of ["mouseenter", "focus", "click", "blur", "mouseleave"])
      element.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
    await new Promise((done) => setTimeout(done));
  }
}"""
INSIDE = """(all, [height, width]) => all.map((one) => Array.from({ length: height * width },
  (_, at) => one.isPointInFill(new DOMPoint(at % width + 0.5, Math.floor(at / width) + 0.5))))"""
CONTRASTS = """all => all.flatMap((one) => ["plus", "minus"].map((sign) => {
  one.className = `part ${sign}`;
  one.style.setProperty("--a", 1);
  const [text, ground] = ["color", "backgroundColor"].map((kind) => {
    const found = getComputedStyle(one)[kind];
    const [r, g, b] = found.match(/[\\d.]+/g).map((band) => Number(band) / (found.startsWith("rgb") ? 255 : 1))
      .map((band) => (band <= 0.04045 ? band / 12.92 : ((band + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  });
  return Math.max(text / ground, ground / text);
}))"""
"""Contrast of text on the strongest colours, by WCAG 2.2."""


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("pages")) as browser:
        yield browser


@pytest.fixture
def browser(started):
    yield started
    started.forget()


@pytest.fixture(scope="module")
def axe():
    """What axe-core objects to in a page."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    return lambda page: module.Axe().run(page).generate_snapshot()


def colours(page) -> list[float]:
    """Sizes of the colours of all parts."""
    return page.eval_on_selector_all(PARTS, "all => all.map((one) => Number(one.style.getPropertyValue('--a')))")


def shares(weights) -> np.ndarray:
    return np.abs(weights) / np.abs(weights).max()


def said(page) -> list[str]:
    """What the label beside a part and the line for screen readers say."""
    return [page.locator(".tip").inner_text(), page.locator("[role=status]").inner_text()]


def signed(attribution, at: int) -> list[str]:
    return [f"{attribution.parts[at].name}: {attribution.weights[at]:+.3f}"] * 2


@pytest.mark.parametrize("kind", [*SEEN, *UNSEEN])
def test_whatever_is_done_with_a_page_it_fails_at_nothing_and_asks_for_nothing(browser, kind):
    page = browser.show(explained(kind))
    page.evaluate(USED)
    page.select_option(".method", "1")
    for change in ({"color_scheme": "dark"}, {"media": "print"}):
        page.emulate_media(**change)
    page.set_viewport_size({"width": 320, "height": 600})
    page.wait_for_timeout(50)
    assert browser.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["text", "pair", "image"])
def test_axe_finds_nothing_to_object_to(browser, axe, kind, scheme):
    page = browser.show(explained(kind), scheme=scheme)
    page.locator(PARTS).first.click()
    page.locator(HEADS).first.click()
    page.click("summary")
    assert axe(page) == ""


def test_axe_finds_nothing_on_a_page_of_several_inputs(browser, axe):
    several = [explained(kind) for kind in ("text", "image", "pair", "cnn")]
    assert axe(browser.show(*several, height=400)) == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_the_strongest_colours(browser, scheme):
    page = browser.show(explained("pair"), scheme=scheme)
    assert min(page.eval_on_selector_all(PARTS, CONTRASTS)) >= 4.5


@pytest.mark.parametrize("kind", ["text", "pair", "image", "cnn", "deberta"])
def test_a_part_says_its_name_and_signed_number_under_the_pointer(browser, kind):
    page = browser.show(explained(kind))
    for at in range(3):
        page.locator(PARTS).nth(at).hover()
        assert said(page) == signed(explained(kind)[0], at)


def test_a_part_says_its_name_and_signed_number_under_the_keyboard(browser):
    page = browser.show(explained("text"))
    page.focus(".method")
    page.keyboard.press("Tab")
    assert said(page) == ["[CLS]: no part of the input"] * 2
    for at, keys in ((0, "ArrowRight"), (1, "ArrowDown"), (0, "ArrowLeft"), (6, "End ArrowUp"), (0, "Home ArrowRight")):
        for key in keys.split():
            page.keyboard.press(key)
        assert said(page) == signed(explained("text")[0], at)


def test_arrow_keys_move_over_an_image_as_over_a_grid(browser):
    page = browser.show(explained("image"))
    page.locator(PARTS).first.focus()
    for key, at in (("ArrowDown", "3"), ("ArrowRight", "4"), ("ArrowUp", "1"), ("ArrowUp", "1"), ("ArrowLeft", "0")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.part") == at


def test_enter_chooses_a_part_and_lets_it_go(browser):
    page = browser.show(explained("text"))
    part = page.locator(PARTS).nth(2)
    part.focus()
    for pressed in ("true", "false"):
        page.keyboard.press("Enter")
        assert part.get_attribute("aria-pressed") == pressed


@pytest.mark.parametrize("kind", ["text", "image"])
def test_another_method_brings_its_colours_words_and_numbers(browser, kind):
    page = browser.show(explained(kind))
    page.click("summary")
    for at in (1, 0, 1):
        page.select_option(".method", str(at))
        one = explained(kind)[at]
        np.testing.assert_allclose(colours(page), shares(one.weights), rtol=0.01)
        assert page.locator(f"{PARTS}.minus").count() == (one.weights < 0).sum()
        assert [page.inner_text(".headline"), page.inner_text(".verdict")] == [headline(one), verdict(one)]
        page.locator(PARTS).nth(at).hover()
        assert said(page) == signed(one, at)
        (numbers,) = page.locator(".numbers:visible").all_inner_texts()
        assert all(f"{weight:+.4f}" in numbers for weight in one.weights)


def test_the_unit_of_weights_changes_no_colour(browser):
    one = explained("text")[0]
    page = browser.show([replace(one, weights=1e-6 * one.weights)])
    np.testing.assert_allclose(colours(page), shares(one.weights), rtol=0.01)


def test_a_page_that_is_come_back_to_shows_the_method_that_it_names(browser):
    page = browser.show(explained("text"))
    page.select_option(".method", "1")
    page.goto("about:blank")
    page.go_back()
    until(page, "document.documentElement.dataset.ready")
    at = int(page.input_value(".method"))
    assert page.inner_text(".headline") == headline(explained("text")[at])


@pytest.mark.parametrize("kind", ["image", "slic"])
def test_the_slider_says_how_strongly_colours_cover_an_image(browser, kind):
    page = browser.show(explained(kind))
    assert page.locator(".cover").count() == 1
    for cover in (0.75, 0.2):
        page.locator(".cover").fill(str(round(100 * cover)))
        opacity = page.eval_on_selector_all("path.part", "all => all.map((one) => getComputedStyle(one).fillOpacity)")
        assert max(map(float, opacity)) == pytest.approx(cover)
    assert page.eval_on_selector("path.part", "one => getComputedStyle(one).getPropertyValue('--cover')") == "0.2"


@pytest.mark.parametrize("kind", ["image", "slic"])
def test_each_pixel_of_an_image_is_in_the_shape_of_its_part_and_in_no_other(browser, kind):
    page, segments = browser.show(explained(kind)), explained(kind)[0].case.parted.segments
    found = np.array(page.eval_on_selector_all("path.part", INSIDE, segments.shape))
    assert (found == (np.arange(segments.max() + 1)[:, None] == segments.ravel())).all()


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_model_whose_attention_cannot_be_seen_has_a_page_without_it(browser, kind):
    page = browser.show(explained(kind))
    assert page.locator(".attention *").count() == 0
    np.testing.assert_allclose(colours(page), shares(explained(kind)[0].weights), rtol=0.01)


def test_without_scripts_the_text_its_colours_and_its_numbers_are_there(browser):
    page, one = browser.show(explained("text"), scripts=False), explained("text")[0]
    assert " ".join(page.inner_text("p.text").split()) == "[CLS]my cards was swallowed, now.[SEP]"
    assert [page.inner_text(".headline"), page.inner_text(".verdict")] == [headline(one), verdict(one)]
    found = page.eval_on_selector_all(PARTS, "all => all.map((one) => getComputedStyle(one).backgroundColor)")
    assert len(set(found)) == len(set(np.round(one.weights / np.abs(one.weights).max(), 3)))
    page.click("summary")
    assert f"{one.weights[0]:+.4f}" in page.inner_text(".numbers:visible")


@pytest.mark.parametrize("kind", ["text", "image"])
def test_print_leaves_the_controls_out_and_keeps_the_colours(browser, kind):
    page = browser.show(explained(kind))
    page.locator(HEADS).first.click()
    page.wait_for_selector(BACK)
    page.emulate_media(media="print")
    assert page.locator(".controls:visible, .method:visible, .cover:visible, .live:visible, .back:visible").count() == 0
    assert page.eval_on_selector(PARTS, "one => getComputedStyle(one).printColorAdjust") == "exact"
    assert page.locator(".verdict:visible, .stage:visible, .heads:visible").count() == 3
