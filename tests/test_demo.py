"""The app of ``hf-attn demo``: its fields, what it says, and itself in a browser."""

import base64
import html
import io
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from explained_models import explain
from test_startup import HEAVY, bare_python
from tiny_bert import save_tiny_bert
from tiny_vit import picture, save_tiny_vit

import hf_attn
from hf_attn.cli import demo as command
from hf_attn.cli.main import dispatch
from hf_attn.explain.demo import PREDICTED, Trial, build
from hf_attn.explain.page import snippet
from hf_attn.explain.verdict import verdict
from hf_attn.tasks.predict import load

TEXT = "my card was swallowed by the machine"
gradio_needed = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio: pip install 'hf_attn[demo]'")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def bert(place):
    return save_tiny_bert(place / "cards")


@pytest.fixture(scope="module")
def vit(place):
    return save_tiny_vit(place / "colours")


def trial(folder, pairs=None):
    return Trial(*load(folder), pairs)


def line(shown):
    """The one line in place of an explanation."""
    return html.unescape(re.fullmatch(r'<p role="alert">([^<]*)</p>', shown)[1])


def weights(shown):
    return re.findall(r'class="part (plus|minus)" style="--a:([\d.]+)', shown)


class TestWhatIsSaid:
    def test_the_answer_is_that_of_predict_and_comes_before_the_explanation(self, bert):
        (first, waiting), (second, shown) = trial(bert).run("occlusion", PREDICTED, TEXT)
        assert first == second == pytest.approx(hf_attn.predict(bert, [TEXT])[0]["probabilities"])
        assert "role" in waiting and shown == snippet(explain(*load(bert), TEXT, method="occlusion"))

    def test_another_output_is_explained(self, bert):
        *_, (_, shown) = trial(bert).run("occlusion", 1, TEXT)
        assert shown == snippet(explain(*load(bert), TEXT, method="occlusion", target="payment"))

    def test_a_pair_is_read_as_one(self, bert):
        *_, (said, shown) = trial(bert, pairs=True).run("occlusion", PREDICTED, TEXT, "please now")
        assert said == pytest.approx(hf_attn.predict(bert, [TEXT], text_pair=["please now"])[0]["probabilities"])
        assert shown == snippet(explain(*load(bert), TEXT, "please now", method="occlusion"))

    @pytest.mark.parametrize("second", ["", "  ", None])
    def test_a_second_text_may_be_missing_unless_the_run_was_trained_on_pairs(self, bert, second):
        [(said, shown)] = trial(bert, pairs=True).run("occlusion", PREDICTED, TEXT, second)
        assert said is None and line(shown) == "the model was trained on pairs: give the second text too"
        *_, (said, _) = trial(bert).run("occlusion", PREDICTED, TEXT, second and "")
        assert said == pytest.approx(hf_attn.predict(bert, [TEXT])[0]["probabilities"])

    @pytest.mark.parametrize(("given", "message"), [("", "is empty"), (" \n", "is empty"), (None, "no text was given")])
    def test_no_text_is_one_line(self, bert, given, message):
        [(said, shown)] = trial(bert).run("occlusion", PREDICTED, given)
        assert said is None and message in line(shown)

    def test_a_method_that_does_not_fit_is_one_line_beside_the_answer(self, bert):
        *_, (said, shown) = trial(bert).run("grad_cam", PREDICTED, TEXT)
        assert said and "grad_cam" in line(shown)

    def test_no_image_and_what_is_none_is_one_line(self, vit, place):
        bad = place / "<b>bad.png"
        bad.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
        for given, message in ((None, "no image was given"), (str(bad), "<b>bad.png")):
            [(said, shown)] = trial(vit).run("occlusion", PREDICTED, given)
            assert said is None and message in line(shown)

    def test_a_regression_says_its_number_and_has_no_outputs_to_choose(self, place):
        folder = save_tiny_bert(place / "stars", names=())
        *_, (said, shown) = trial(folder).run("occlusion", PREDICTED, TEXT)
        assert said == str(hf_attn.predict(folder, [TEXT])[0]["value"]) and "verdict" in shown
        assert trial(folder).names == ()

    def test_where_there_may_be_several_labels_none_is_the_heading(self, place, bert):
        folder = save_tiny_bert(place / "labels", problem_type="multi_label_classification")
        *_, (said, shown) = trial(folder).run("occlusion", PREDICTED, TEXT)
        assert said == pytest.approx(hf_attn.predict(folder, [TEXT])[0]["probabilities"]) and "verdict" in shown
        assert trial(bert).has_one_answer and not trial(folder).has_one_answer


def fields(app):
    """Kind, label and value of what the app asks for."""
    found = [one["props"] | {"type": one["type"]} for one in app.config["components"]]
    return {one["label"]: one for one in found if one["type"] in ("textbox", "image", "dropdown")}


@gradio_needed
class TestFields:
    @pytest.mark.parametrize(("asked", "second"), [("null", False), ('"second"', True), (None, True)])
    def test_a_second_text_is_asked_for_as_the_run_was_trained(self, place, asked, second):
        folder = save_tiny_bert(place / f"pairs of {asked}")
        if asked is not None:
            (folder / "run.json").write_text(f'{{"arguments": {{"text_pair": {asked}}}}}')
        assert ("Second text, of a pair" in fields(command.app_of(str(folder), None))) == second

    def test_the_method_that_was_found_best_is_chosen(self, place):
        folder = save_tiny_bert(place / "measured")
        assert fields(command.app_of(str(folder), None))["Method"]["value"] == "integrated_gradients"
        (folder / "faithfulness.json").write_text('{"best": "occlusion"}')
        assert fields(command.app_of(str(folder), None))["Method"]["value"] == "occlusion"
        assert fields(command.app_of(str(folder), "lime"))["Method"]["value"] == "lime"

    def test_an_image_model_asks_for_an_image_alone(self, vit):
        assert [one["type"] for one in fields(command.app_of(str(vit), None)).values()] == [
            "image",
            "dropdown",
            "dropdown",
        ]

    def test_gradio_is_told_to_report_nothing(self, bert):
        import gradio.analytics

        assert not build(*load(bert)).analytics_enabled and not gradio.analytics.analytics_enabled()


class TestCommand:
    def test_without_gradio_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(hf_attn.InputError, match=r"^hf-attn demo needs gradio: pip install 'hf_attn\[demo\]'$"):
            dispatch(["demo", "nowhere"])

    @gradio_needed
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere/at/all"], "nowhere/at/all"),
            (["RUN", "--method", "magic"], "method 'magic': expected one of attention"),
            (["RUN", "--port", "0"], "--port 0: expected 1 to 65535"),
            (["RUN", "--port", "seven"], "--port"),
            (["RUN", "--share"], "unrecognized arguments: --share"),
            ([], "required: run"),
        ],
    )
    def test_what_cannot_be_served_is_one_line(self, bert, arguments, message):
        with pytest.raises(hf_attn.InputError) as refused:
            dispatch(["demo", *(str(bert) if one == "RUN" else one for one in arguments)])
        assert message in str(refused.value) and "\n" not in str(refused.value)

    def test_the_next_free_port_is_taken(self):
        with socket.socket() as taken:
            taken.bind((command.HOST, 0))
            taken.listen()
            first = taken.getsockname()[1]
            assert first < command.free_port(first) <= first + command.TRIED

    def test_its_help_imports_nothing_heavy(self):
        heavy = (*HEAVY, "gradio")
        code = (
            "import sys\nfrom hf_attn.cli.main import dispatch\n"
            f"try: dispatch(['demo', '--help'])\nexcept SystemExit: print(sorted(set({heavy}) & set(sys.modules)))"
        )
        assert bare_python(code).splitlines()[-1] == "[]"


SERVED = """
import sys
from hf_attn.cli.main import main
def told(event, given):
    away = {"socket.connect": lambda: given[1][0], "socket.getaddrinfo": lambda: given[0]}.get(event, lambda: None)()
    if away not in (None, "127.0.0.1", "localhost"):
        print("asked for", away, file=sys.stderr, flush=True)
sys.addaudithook(told)
main()
"""
"""The command, which says whom its process asks for."""
DROP = """(where, [data, name]) => {
  const transfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  for (const kind of ["dragenter", "dragover", "drop"])
    where.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


class Served:
    """The command in a process of its own, and its page."""

    def __init__(self, browser, folder):
        port = command.free_port(18_000)
        words = [sys.executable, "-c", SERVED, "demo", str(folder), "--method", "occlusion", "--port", str(port)]
        self.log = (folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.said = self.process.stdout.readline()
        served = re.match(r"http://127\.0\.0\.1:(\d+)/ ", self.said)
        assert served, f"no address but {self.said!r}, and {Path(self.log.name).read_text()!r}"
        self.port = int(served[1])
        self.page = browser.new_page(viewport={"width": 1100, "height": 1000})
        self.page.set_default_timeout(20_000)
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        own = (f"http://127.0.0.1:{self.port}/", "data:", "blob:")
        self.page.on("request", lambda asked: asked.url.startswith(own) or self.faults.append(asked.url))
        self.page.goto(f"http://127.0.0.1:{self.port}/")
        for _ in range(60):  # it shows its fields before it listens
            self.explain()
            self.page.wait_for_timeout(250)
            if self.page.get_by_role("alert").count():
                break

    def explain(self):
        self.page.get_by_role("button", name="Explain").click()

    def choose(self, label, name):
        self.page.get_by_role("listbox", name=label).or_(self.page.get_by_label(label)).first.click()
        self.page.get_by_role("option", name=name, exact=True).click()

    def drop(self, content, name="photo.png"):
        self.page.locator("[aria-dropeffect=copy]").evaluate(DROP, [base64.b64encode(content).decode(), name])

    def verdict(self):
        return self.page.locator(".hf-attn .verdict").inner_text()

    def headline(self):
        return self.page.locator(".hf-attn .headline").inner_text()

    def shares(self):
        """Name and percentage of each class."""
        found = self.page.locator("[data-testid$='-confidence-set']").all_inner_texts()
        return dict(re.fullmatch(r"(\w+)\s+(\d+%)", one.strip()).groups() for one in found)

    def line(self):
        return self.page.get_by_role("alert").inner_text()

    def close(self):
        self.page.close()
        self.process.terminate()
        self.process.wait()
        self.log.seek(0)
        return self.log.read()


def percent(probabilities):
    return {name: f"{round(100 * share)}%" for name, share in probabilities.items()}


@pytest.fixture(scope="module")
def browser(place):
    if find_spec("gradio") is None:
        pytest.skip("needs gradio: pip install 'hf_attn[demo]'")
    with chromium(place) as found:
        yield found.browser


@pytest.fixture(scope="module")
def texts(browser, bert):
    served = Served(browser, bert)
    yield served
    assert served.close() == "", "something was said, or asked for outside of this machine"
    assert served.faults == []


@pytest.fixture(scope="module")
def images(browser, vit):
    served = Served(browser, vit)
    yield served
    assert served.close() == "", "something was said, or asked for outside of this machine"
    assert served.faults == []


class TestTextsInABrowser:
    def test_a_text_gets_its_answer_its_explanation_and_the_verdict(self, texts, bert):
        texts.page.get_by_label("Text", exact=True).fill(TEXT)
        texts.page.keyboard.press("Enter")
        found = explain(*load(bert), TEXT, method="occlusion")
        assert texts.verdict() == verdict(found)
        assert texts.headline() == f"{found.target} (probability {found.score:.3f}), by occlusion"
        assert texts.shares() == percent(hf_attn.predict(bert, [TEXT])[0]["probabilities"])
        assert weights(texts.page.locator(".hf-attn").inner_html()) == weights(snippet(found))

    def test_method_and_output_can_be_chosen(self, texts):
        texts.page.get_by_label("Text", exact=True).fill(TEXT)
        texts.choose("Method", "saliency")
        texts.choose("Explained output", "payment")
        texts.explain()
        texts.page.get_by_text(re.compile("^payment .*, by saliency$")).wait_for()

    def test_an_empty_text_is_one_line_and_nothing_of_the_last_one_remains(self, texts):
        texts.page.get_by_label("Text", exact=True).fill("")
        texts.explain()
        assert texts.line() == "the text to explain is empty: give one with words"
        assert texts.page.locator(".hf-attn").count() == 0 and texts.shares() == {}

    @pytest.mark.parametrize(
        "text", ["<img src=x onerror=alert(1)>", "${1+1} {{value}}", "<script>alert(1)</script> no"]
    )
    def test_a_text_is_shown_and_never_obeyed(self, texts, text):
        texts.page.once("dialog", lambda dialog: texts.faults.append(dialog.message) or dialog.dismiss())
        texts.page.get_by_label("Text", exact=True).fill(text)
        texts.explain()
        texts.page.locator(".hf-attn .text").filter(has_text=text).wait_for()

    def test_only_this_machine_is_served(self, texts):
        with socket.create_connection(("127.0.0.1", texts.port)), pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", texts.port))


class TestImagesInABrowser:
    def test_an_image_that_is_dropped_gets_its_answer_its_explanation_and_the_verdict(self, images, vit):
        photo, file = picture(0, np.random.default_rng(0), 60), io.BytesIO()
        photo.save(file, "PNG")
        images.drop(file.getvalue())
        found = explain(*load(vit), photo, method="occlusion")
        assert images.verdict() == verdict(found)
        assert images.shares() == percent(hf_attn.predict(vit, [photo])[0]["probabilities"])
        assert weights(images.page.locator(".hf-attn").inner_html()) == weights(snippet(found))

    def test_no_image_and_what_is_none_is_one_line(self, images):
        if images.page.get_by_label("Remove Image").count():
            images.page.get_by_label("Remove Image").click()
        images.explain()
        assert images.line() == "no image was given: expected one"
        images.drop(b"no image at all")
        images.page.get_by_text("what was given cannot be read").wait_for()
        assert images.page.locator(".hf-attn").count() == 0 and images.shares() == {}
