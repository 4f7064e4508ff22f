"""What a model answers: over windows, of any tokenizer and architecture, none too; predicted, saved and explained."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tiny_bert import save_tiny_bert
from tiny_tokenizers import byte_bpe, unigram, wordpiece
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import hf_attn
from hf_attn.errors import InputError
from hf_attn.explain import explain
from hf_attn.explain.case import Case
from hf_attn.explain.demo import Trial
from hf_attn.tasks.inputs import passage
from hf_attn.tasks.inputs.text.pieces import in_windows
from hf_attn.tasks.inputs.text.windowed import windows_for
from hf_attn.tasks.targets import spans
from hf_attn.tasks.targets.spans.found import Found, outputs, tokens_of
from hf_attn.tasks.targets.spans.spans import NO_LABEL, Spans
from hf_attn.training.evaluation import in_order, run

QUESTION = "the card"
CONTEXT = "my card was swallowed by the machine at station yesterday evening"
LONG = " ".join(["i want to pay with it please now no", "the machine at station was it"] * 8 + ["swallowed yesterday"])


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = save_tiny_bert(tmp_path_factory.mktemp("answers") / "model")
    torch.manual_seed(1)
    model = hf_attn.load(folder, task="question-answering", labels=Spans()).eval()
    with torch.no_grad():
        model.qa_outputs.weight.normal_(std=0.5)
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.fixture(autouse=True)
def _the_model_always_answers(loaded):
    spans.keep(loaded[0], Spans(), 12)


def plain_answer(model, tokenizer, question, context, longest=30):
    """By transformers alone: the most probable part of a context that the model reads at once."""
    inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    places = inputs.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        found = model(**inputs)
    begins, ends = found.start_logits[0].softmax(-1), found.end_logits[0].softmax(-1)
    inside = [at for at, source in enumerate(inputs.sequence_ids(0)) if source == 1]
    pairs = [(float(begins[i] * ends[j]), i, j) for i in inside for j in inside if i <= j < i + longest]
    score, first, last = max(pairs)
    return score, context[places[first][0] : places[last][1]], float(begins[0] * ends[0])


def test_an_answer_is_the_most_probable_part_as_a_plain_loop_finds_it(loaded):
    model, tokenizer = loaded
    for question in ("the card", "please", "my machine was swallowed"):
        found = hf_attn.predict(model, {"question": question, "context": CONTEXT}, processor=tokenizer)[0]
        score, text, _ = plain_answer(model, tokenizer, question, CONTEXT)
        assert found["answer"] == text == CONTEXT[found["start"] : found["end"]]
        assert found["score"] == pytest.approx(score, abs=1e-6) and "no_answer" not in found


def test_the_best_answers_are_those_of_a_loop_over_all_parts(loaded):
    model, tokenizer = loaded
    found = hf_attn.predict(model, {"question": QUESTION, "context": CONTEXT}, processor=tokenizer, top_k=12)[0]
    words = [match.span() for match in re.finditer(r"\w+", CONTEXT)]
    texts = {CONTEXT[a:b] for a, _ in words for _, b in words if a < b}
    scores = [one["score"] for one in found["answers"]]
    assert len(found["answers"]) == 12 and scores == sorted(scores, reverse=True)
    assert {one["answer"] for one in found["answers"]} <= texts and found["answers"][0]["answer"] == found["answer"]
    assert len({(one["start"], one["end"]) for one in found["answers"]}) == 12


@pytest.mark.parametrize("longest", [1, 2, 5])
def test_no_answer_has_more_tokens_than_asked(loaded, longest):
    model, tokenizer = loaded
    spans.keep(model, Spans(options=spans.Options(max_answer_length=longest)), 8)
    found = hf_attn.predict(model, {"question": QUESTION, "context": CONTEXT}, processor=tokenizer, top_k=50)[0]
    assert max(len(one["answer"].split()) for one in found["answers"]) == longest
    assert found["answer"] == plain_answer(model, tokenizer, QUESTION, CONTEXT, longest)[1]


def test_a_long_context_is_answered_in_the_window_that_is_surest(loaded):
    model, tokenizer = loaded
    spans.keep(model, Spans(), 12)
    pieces = in_windows(tokenizer, [LONG], [QUESTION], 48, overlap=12)[0]
    assert len(pieces) > 3
    best = []
    for inputs, places in pieces:
        with torch.no_grad():
            found = model(**{name: torch.tensor([ids]) for name, ids in inputs.items()})
        begins, ends = found.start_logits[0].softmax(-1), found.end_logits[0].softmax(-1)
        inside = [at for at, place in enumerate(places) if place and place[0] == 1]
        best += [
            (float(begins[i] * ends[j]), places[i][1], places[j][2]) for i in inside for j in inside if i <= j < i + 30
        ]
    score, start, end = max(best)
    found = hf_attn.predict(model, {"question": QUESTION, "context": LONG}, processor=tokenizer)[0]
    assert found["score"] == pytest.approx(score, abs=1e-6) and (found["start"], found["end"]) == (start, end)


@pytest.mark.parametrize("make", [wordpiece, byte_bpe, unigram])
def test_what_a_window_learns_is_the_answer_or_the_token_that_stands_for_it(make):
    tokenizer = make(model_max_length=24)
    start = LONG.index("swallowed")
    row = {"text": LONG, "before": QUESTION, "labels": [{"text": "swallowed", "start": start, "end": start + 9}]}
    pieces = in_windows(tokenizer, [LONG], [QUESTION], overlap=6)[0]
    held = 0
    for (_, places), window in zip(pieces, windows_for(row, pieces, tokenizer.cls_token_id), strict=True):
        count, first, last = Spans().align(row, window)
        if not count:
            assert first == last == window.whole
            continue
        held += 1
        covered = LONG[places[first][1] : places[last][2]].strip()
        assert covered == "swallowed" and places[first][0] == places[last][0] == 1
    assert held and held < len(pieces)


def test_the_class_token_stands_for_a_window_where_the_tokenizer_puts_it():
    tokenizer = transformers.XLNetTokenizer(
        [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<cls>", 0.0), ("<sep>", 0.0), ("<pad>", 0.0), ("▁a", -1.0)]
    )
    pieces = in_windows(tokenizer, ["a a a"], ["a"], 32)[0]
    ids = pieces[0][0]["input_ids"]
    (window,) = windows_for({"text": "a a a", "before": "a"}, pieces, tokenizer.cls_token_id)
    assert ids[window.whole] == tokenizer.cls_token_id and window.whole == len(ids) - 1


def test_answers_learnt_are_several_and_of_equal_length_in_a_batch():
    tokenizer = wordpiece(model_max_length=32)
    row = {"text": "my card was it", "before": "no", "labels": []}
    labels = [{"text": "card", "start": 3, "end": 7}, {"text": "was it", "start": 8, "end": 14}]
    (window,) = windows_for(row, in_windows(tokenizer, [row["text"]], ["no"])[0])
    target = Spans(most=3)
    assert len(target.align(row, window)) == 7
    learnt = target.align({**row, "labels": labels}, window)
    assert learnt[0] == 2 and learnt[5:] == [NO_LABEL] * 2
    only = Spans(most=3, options=spans.Options(learn_from="first")).align({**row, "labels": labels}, window)
    assert only[0] == 1 and only[1:3] == learnt[1:3]


class Fixed(torch.nn.Module):
    """Gives the logits that it holds."""

    def __init__(self, begins, ends):
        super().__init__()
        self.found = transformers.modeling_outputs.QuestionAnsweringModelOutput(start_logits=begins, end_logits=ends)

    def forward(self, **_):
        return self.found


@pytest.mark.parametrize("left", [False, True])
def test_the_loss_is_that_of_transformers_without_padding_and_a_mean_over_answers(left):
    torch.manual_seed(0)
    begins, ends = torch.randn(2, 2, 6)
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[1, :2] = 0 if left else 1
    mask[1, 4:] = 1 if left else 0
    batch = {
        "input_ids": mask,
        "attention_mask": mask,
        "labels": torch.tensor([[2, 1, 2, 3, 3], [0, 0, 0, -100, -100]]),
    }
    own = slice(2, 6) if left else slice(0, 4)
    cross = torch.nn.functional.cross_entropy
    first = [cross(one[:1], torch.tensor([at])) for one, at in ((begins, 1), (ends, 2), (begins, 3), (ends, 3))]
    second = [cross(one[1:, own], torch.tensor([0])) for one in (begins, ends)]
    expected = sum(first) / 4 + sum(second) / 2
    assert Spans(most=2).loss(Fixed(begins, ends), batch) == pytest.approx(float(expected), abs=1e-6)
    assert Spans().count(batch) == 2


def test_the_loss_of_rows_is_that_of_training(loaded):
    model, tokenizer = loaded
    start = LONG.index("swallowed")
    row = {"text": LONG, "before": QUESTION, "labels": [{"text": "swallowed", "start": start, "end": start + 9}]}
    pieces = in_windows(tokenizer, [LONG], [QUESTION], 48, overlap=12)[0]
    windows = windows_for(row, pieces, tokenizer.cls_token_id)
    collate = passage.collate(tokenizer, 4)
    labels = [Spans().align(row, window) for window in windows]
    rows = [{**inputs, "labels": one} for (inputs, _), one in zip(pieces, labels, strict=True)]
    with torch.no_grad():
        trained = Spans().loss(model, collate(rows))
        batch = collate([{**inputs, "window": one.column()} for (inputs, _), one in zip(pieces, windows, strict=True)])
        found = Found.joined(outputs(model, batch))
    assert found.losses([(start, start + 9)]).sum() == pytest.approx(float(trained), abs=1e-4)


def test_windows_come_together_in_any_order(loaded):
    model, tokenizer = loaded
    spans.keep(model, Spans(), 12)
    given = passage.read([{"question": QUESTION, "context": text} for text in (LONG, CONTEXT, LONG[:200])])
    whole = in_order(run(model, passage.batches(given, tokenizer, model, 8), model.device, outputs))
    parts = run(model, passage.batches(given, tokenizer, model, 1), model.device, outputs)
    mixed = in_order([parts[at] for at in np.random.default_rng(0).permutation(len(parts))])
    for one, other in zip(whole.outputs, mixed.outputs, strict=True):
        best, again = one.best(30), other.best(30)
        assert one.context == other.context and (best.start, best.end) == (again.start, again.end)
        assert best.score == pytest.approx(again.score, abs=1e-4) and one.none == pytest.approx(other.none, abs=1e-4)


def test_a_part_never_reaches_over_two_windows_nor_over_blanks_alone():
    context = "ab  cd"
    places = np.array([(0, 2), (2, 4), (4, 6), (4, 6)])
    begins, ends = np.array([-1, -0.1, -9, -9], np.float32), np.array([-9, -0.1, -9, -0.2], np.float32)
    window, nones = np.array([0, 0, 0, 1]), np.full((2, 2), -5, np.float32)
    found = Found(begins, ends, places, np.arange(4), window, nones, context=context, question="q")
    best = found.best(30)
    assert (best.start, best.end) != (2, 4) and best.of(context) == best.of(context).strip() != ""
    assert best.score == pytest.approx(-9.2) or best.score == pytest.approx(-10.0)
    assert [one.of(context) for one in found.ranked(30, 9)] == ["cd", "ab", "ab  cd"]


def test_a_context_of_which_the_tokenizer_leaves_no_token_has_no_answer(loaded):
    model, tokenizer = loaded
    found = hf_attn.predict(model, {"question": QUESTION, "context": "\u200b"}, processor=tokenizer, top_k=3)[0]
    assert found["answer"] == "" and found["start"] is None and np.isfinite(found["score"])


@pytest.mark.parametrize("stride", [0, 5, 40, 4000])
def test_as_many_answers_as_asked_of_a_long_context_each_once_whatever_the_stride(loaded, stride):
    model, tokenizer = loaded
    spans.keep(model, Spans(), stride)
    found = hf_attn.predict(model, {"question": QUESTION, "context": LONG}, processor=tokenizer, top_k=40)[0]["answers"]
    assert len({(one["start"], one["end"]) for one in found}) == 40
    assert all(one["answer"] == LONG[one["start"] : one["end"]] for one in found)


def test_places_of_characters_that_a_window_does_not_hold_are_none():
    places = np.array([(-1, -1), (5, 8), (8, 12), (-1, -1)])
    assert tokens_of(places, 5, 8) == (1, 1) and tokens_of(places, 6, 12) == (1, 2)
    assert tokens_of(places, 4, 8) is None and tokens_of(places, 8, 13) is None
    assert tokens_of(np.full((2, 2), -1), 0, 1) is None


def test_no_answer_is_said_above_the_threshold_that_the_model_notes(loaded):
    model, tokenizer = loaded
    given = {"question": QUESTION, "context": CONTEXT}
    score, _, none = plain_answer(model, tokenizer, QUESTION, CONTEXT)
    odds = float(np.log(none / score))
    for threshold, says in ((odds - 0.1, True), (odds + 0.1, False)):
        spans.keep(model, Spans(True, threshold), 12)
        found = hf_attn.predict(model, given, processor=tokenizer, top_k=3)[0]
        assert found["no_answer"] == pytest.approx(none, abs=1e-6)
        assert (found["answer"] == "") == says == (found["start"] is None)
        assert found["answers"][0]["answer"] == found["answer"] and len(found["answers"]) == 3
        assert [one["answer"] for one in found["answers"]].count("") <= 1
    spans.keep(model, Spans(), 12)


GIVEN = {
    "a dict": {"question": QUESTION, "context": CONTEXT},
    "a list": [{"question": QUESTION, "context": CONTEXT}],
    "lists": {"question": [QUESTION], "context": [CONTEXT]},
    "a table": pd.DataFrame({"question": [QUESTION], "context": [CONTEXT]}),
    "with an id": [{"id": 5, "question": QUESTION, "context": CONTEXT}],
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_questions_are_given_in_any_of_these_ways(loaded, given):
    model, tokenizer = loaded
    expected = hf_attn.predict(model, [QUESTION], text_pair=[CONTEXT], processor=tokenizer)
    assert hf_attn.predict(model, given, processor=tokenizer) == expected and len(expected) == 1
    assert hf_attn.predict(model, [], processor=tokenizer) == []


@pytest.mark.parametrize(
    ("given", "pair", "message"),
    [
        (["who"], None, "input 0 is a text alone: expected a question with its context"),
        ("who", None, "one string"),
        ([{"question": "who"}], None, "input 0 has no context"),
        ([{"context": "me"}, {"question": "who", "context": "me"}], None, "input 0 has no question"),
        ([{"question": "who", "context": " "}], None, "its context is empty"),
        ([{"question": None, "context": "me"}], None, "its question is NoneType"),
        ([("who", "me")], None, "is tuple: expected a dict of question and context"),
        (["who"], ["me", "you"], "1 questions but 2 in text_pair"),
        ({"question": ["who"], "context": ["me", "you"]}, None, "1 questions but 2 contexts"),
        ([{"question": "card " * 60, "context": "me"}], None, "leaves too few of 48 tokens .* shorten it$"),
    ],
)
def test_questions_that_cannot_be_answered_are_one_line(loaded, given, pair, message):
    model, tokenizer = loaded
    with pytest.raises(InputError, match=message) as error:
        hf_attn.predict(model, given, text_pair=pair, processor=tokenizer)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def saved(loaded, tmp_path_factory):
    model, tokenizer = loaded
    folder = tmp_path_factory.mktemp("saved") / "model"
    spans.keep(model, Spans(True, 0.5, options=spans.Options(max_answer_length=4)), 9)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_what_prediction_needs_is_saved_and_read_again(saved, loaded):
    model = AutoModelForQuestionAnswering.from_pretrained(saved)
    target = spans.of_model(model, 0)
    assert (target.unanswerable, target.threshold, target.options.max_answer_length) == (True, 0.5, 4)
    given = [{"question": QUESTION, "context": text} for text in (LONG, CONTEXT)]
    assert hf_attn.predict(saved, given) == hf_attn.predict(model, given, processor=loaded[1])


def test_a_checkpoint_of_others_always_answers(loaded, tmp_path):
    model, tokenizer = loaded
    before, model.config.task_specific_params = model.config.task_specific_params, None
    try:
        found = hf_attn.predict(model, {"question": QUESTION, "context": LONG}, processor=tokenizer)[0]
    finally:
        model.config.task_specific_params = before
    assert found["answer"] and "no_answer" not in found


def test_the_command_takes_files_json_and_questions_of_one_context(saved, tmp_path, capsys):
    from hf_attn.cli.prediction_files import predict_to

    pairs = [{"question": QUESTION, "context": CONTEXT}, {"question": "please", "context": CONTEXT}]
    expected = [row["answer"] for row in hf_attn.predict(saved, pairs)]
    article = {"title": "t", "paragraphs": [{"context": CONTEXT, "qas": [{"id": n, **p} for n, p in enumerate(pairs)]}]}
    for one in article["paragraphs"][0]["qas"]:
        del one["context"]
    (tmp_path / "nested.json").write_text(json.dumps({"version": "2.0", "data": [article]}))
    pd.DataFrame(pairs).to_csv(tmp_path / "flat.csv", index=False)
    for given, options in (
        ([str(tmp_path / "nested.json")], {}),
        ([str(tmp_path / "flat.csv")], {}),
        ([json.dumps(one) for one in pairs], {}),
        ([one["question"] for one in pairs], {"context": CONTEXT}),
    ):
        predict_to(str(saved), given, output=str(tmp_path / "out.jsonl"), overwrite=True, **options)
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [row["answer"] for row in rows] == expected and "context" not in rows[0]
        assert rows[0]["question"] == QUESTION
    predict_to(str(saved), [QUESTION], context=CONTEXT, top_k=2)
    printed = capsys.readouterr().out.strip().splitlines()
    assert (
        printed[-3] == QUESTION
        and len(printed[-2:]) == 2
        and all(re.match(r"  0\.\d{4}  ", one) for one in printed[-2:])
    )


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["who"], {}, "is a question without a context: expected QUESTION --context TEXT"),
        (["questions.txt"], {}, "without a context"),
        (["rows.csv"], {"context": "text"}, "no column 'text'"),
        (["blank.csv"], {}, "'context' is blank in 1 rows"),
        (['{"question": "who"}'], {}, "input 0 has no context"),
        (['{"question": '], {}, "is no JSON"),
        (["who"], {"question": "who", "context": "me"}, "--question names a column"),
        (["rows.csv"], {"text": "question"}, "--text and --text_pair are for texts"),
    ],
)
def test_files_that_cannot_be_answered_are_one_line(saved, tmp_path, monkeypatch, given, options, message):
    from hf_attn.cli.prediction_files import predict_to

    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.txt").write_text("who\n")
    (tmp_path / "rows.csv").write_text("question,context\nwho,me\n")
    (tmp_path / "blank.csv").write_text('question,context\nwho,me\nwho," "\n')
    with pytest.raises(InputError, match=message) as error:
        predict_to(str(saved), given, **options)
    assert "\n" not in str(error.value)


def test_the_snippet_of_the_card_runs_and_says_as_we_do(loaded, tmp_path, capsys):
    model, tokenizer = loaded
    spans.keep(model, Spans(), 12)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    code = passage.USAGE.format(auto="AutoModelForQuestionAnswering", trust="").replace(
        "Ada came first", "the card was it"
    )
    scope = {"hf_attn": hf_attn, "model_id": str(tmp_path)}
    exec(code, scope)
    assert scope["answer"]["answer"] == scope["context"][scope["answer"]["start"] : scope["answer"]["end"]]
    assert capsys.readouterr().out.strip() or scope["first"] > scope["last"]


ARCHITECTURES = {
    "BertConfig": {"num_hidden_layers": 1, "intermediate_size": 32},
    "RobertaConfig": {"num_hidden_layers": 1, "intermediate_size": 32, "pad_token_id": 0},
    "DistilBertConfig": {"n_layers": 1, "dim": 32, "hidden_dim": 32, "n_heads": 2},
    "ModernBertConfig": {"num_hidden_layers": 1, "intermediate_size": 32, "pad_token_id": 0},
    "XLNetConfig": {"n_layer": 1, "d_model": 32, "n_head": 2, "d_inner": 32, "pad_token_id": 0},
    "GPT2Config": {"n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 64},
    "BartConfig": {
        **{"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 32},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "pad_token_id": 0, "eos_token_id": 3},
        **{"bos_token_id": 2, "decoder_start_token_id": 3, "max_position_embeddings": 64},
    },
    "T5Config": {"num_layers": 1, "d_model": 32, "d_kv": 16, "d_ff": 32, "num_heads": 2, "decoder_start_token_id": 0},
    "ElectraConfig": {"num_hidden_layers": 1, "intermediate_size": 32, "embedding_size": 32},
    "LlamaConfig": {"num_hidden_layers": 1, "intermediate_size": 32, "num_key_value_heads": 2},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_kind_of_architecture_learns_and_answers(name, tmp_path):
    tokenizer = wordpiece(model_max_length=48)
    shared = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_attention_heads": 2, "num_labels": 2}
    config_class = getattr(transformers, name)
    known = set(config_class().to_dict()) | {"num_labels"}
    config = config_class(**{**{k: v for k, v in shared.items() if k in known}, **ARCHITECTURES[name]})
    torch.manual_seed(0)
    model = AutoModelForQuestionAnswering.from_config(config).eval()
    passage.bring_together(model, tokenizer, 48)
    row = {"text": CONTEXT, "before": QUESTION, "labels": [{"text": "card", "start": 3, "end": 7}]}
    pieces = in_windows(tokenizer, [CONTEXT, LONG], [QUESTION] * 2, 48, overlap=8)
    rows = []
    for some, text in zip(pieces, (CONTEXT, LONG), strict=True):
        for (inputs, _), window in zip(
            some, windows_for({**row, "text": text}, some, tokenizer.cls_token_id), strict=True
        ):
            rows.append({**inputs, "labels": Spans().align({**row, "text": text}, window)})
    loss = Spans().loss(model, passage.collate(tokenizer, 4)(rows))
    loss.backward()
    assert torch.isfinite(loss)
    given = [{"question": QUESTION, "context": text} for text in (CONTEXT, LONG)]
    together = hf_attn.predict(model, given, processor=tokenizer)
    alone = [hf_attn.predict(model, one, processor=tokenizer, batch_size=1)[0] for one in given]
    for one, other in zip(together, alone, strict=True):
        assert (one["start"], one["end"]) == (other["start"], other["end"])
        assert one["score"] == pytest.approx(other["score"], rel=1e-3)


# Explanation

ASKED = {"question": QUESTION, "context": CONTEXT}


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients", "attention", "relevance", "kernel_shap"])
def test_each_word_of_question_and_context_gets_a_weight(loaded, method):
    model, tokenizer = loaded
    found = explain(model, ASKED, processor=tokenizer, method=method)
    assert len(found.weights) == len(f"{QUESTION} {CONTEXT}".split()) and np.isfinite(found.weights).all()
    assert [part.source for part in found.parts] == [0] * 2 + [1] * len(CONTEXT.split())


def test_what_is_explained_is_the_probability_that_is_said(loaded):
    model, tokenizer = loaded
    said = hf_attn.predict(model, ASKED, processor=tokenizer)[0]
    case = Case(model, tokenizer, ASKED)
    assert case.score == pytest.approx(said["score"], abs=1e-5) and case.asked.name == f"answer {said['answer']!r}"
    pair = Case(model, tokenizer, QUESTION, CONTEXT)
    assert pair.score == pytest.approx(case.score) and pair.asked.name == case.asked.name


def test_a_long_context_is_explained_in_the_window_that_answers(loaded):
    model, tokenizer = loaded
    spans.keep(model, Spans(), 12)
    given = {"question": QUESTION, "context": LONG}
    said = hf_attn.predict(model, given, processor=tokenizer)[0]
    case = Case(model, tokenizer, given)
    inside = [part for part in case.parted.parts if part.source == 1]
    assert len(inside) < len(LONG.split()) and "are not read" in case.parted.left_out
    if inside[0].span[0] <= said["start"] and said["end"] <= inside[-1].span[1]:
        assert case.score == pytest.approx(said["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("target", "against", "name"),
    [
        ("swallowed", None, "answer 'swallowed'"),
        ("characters 3 to 7", None, "answer 'card'"),
        ("no answer", None, "no answer"),
        ("station yesterday", "evening", "answer 'station yesterday' − answer 'evening'"),
        ("card", "no answer", "answer 'card' − no answer"),
    ],
)
def test_a_part_no_answer_and_a_difference_can_be_asked_about(loaded, target, against, name):
    case = Case(*loaded, ASKED, target=target, against=against)
    assert case.asked.name == name and np.isfinite(case.score)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "Denver"}, "target 'Denver' does not stand in the context"),
        ({"target": "characters 60 to 900"}, "are no part of a context of"),
        ({"target": "card", "against": "card"}, "target and against are both answer 'card'"),
        ({"removal": "delete"}, "an answer stands at its words"),
    ],
)
def test_what_cannot_be_asked_is_one_line(loaded, given, message):
    with pytest.raises(InputError, match=message) as error:
        Case(*loaded, ASKED, **given)
    assert "\n" not in str(error.value)


def test_an_answer_in_another_window_is_refused(loaded):
    model, tokenizer = loaded
    context = "yesterday " + "i want to pay with it please now no " * 20 + "evening"
    with pytest.raises(InputError, match="lies in another window"):
        for target in ("yesterday", "evening"):
            Case(model, tokenizer, {"question": QUESTION, "context": context}, target=target)


def test_the_page_to_try_a_model_asks_for_both_and_says_the_answer(loaded):
    trial = Trial(*loaded, pairs=True)
    answers = list(trial.run("occlusion", -1, QUESTION, CONTEXT))
    assert len(trial.form) == 2 and len(answers) == 2 and answers[0][0] in CONTEXT
    assert "give the second" in list(trial.run("occlusion", -1, QUESTION, ""))[-1][1]
