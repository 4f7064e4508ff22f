"""Scores of texts: sacreBLEU's and rouge-score's own numbers, for any draw of rows; what they cannot see is told."""

import math
import os

import interpreter
import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from tiny_translators import tiny_tokenizer, tiny_translator

from hf_attn.errors import InputError
from hf_attn.tasks.targets.texts.kinds import KINDS, check
from hf_attn.tasks.targets.texts.making import encode
from hf_attn.tasks.targets.texts.metrics import SCORES, Compared
from hf_attn.tasks.targets.texts.options import Options
from hf_attn.tasks.targets.texts.words import sentences, words

sacrebleu = pytest.importorskip("sacrebleu")
SOURCES = ["A man in a blue shirt.", "Two dogs run on grass.", "She sleeps.", "The old boat is at the pier now."]
REFERENCES = ["Ein Mann im blauen Hemd.", "Zwei Hunde laufen im Gras.", "Sie schläft.", "Das alte Boot liegt am Pier."]
WRITTEN = ["Ein Mann in einem blauen Hemd.", "Zwei Hunde rennen im Gras.", "She sleeps.", "Das alte Boot ist am Pier."]
ALL = np.arange(4)


def texts(written=WRITTEN, references=REFERENCES, sources=SOURCES, **more):
    return Compared(sources, references, written, **more)


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2], [3, 3, 0], [1, 1, 1, 1, 2]])
def test_scores_of_any_draw_of_rows_are_sacrebleus(name, rows):
    from sacrebleu.metrics import BLEU, CHRF, TER

    metric = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name]()
    own = metric.corpus_score([WRITTEN[row] for row in rows], [[REFERENCES[row] for row in rows]]).score
    assert SCORES[name](texts())(np.array(rows)) == pytest.approx(own, abs=1e-9)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_of_ascii_texts_is_rouge_scores(name):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer([name], use_stemmer=True)
    given = ["The cats were running quickly!", "A boat_house is here", "Nothing alike", "one two"]
    wanted = ["A cat runs quick.", "The boat house was here.", "Completely different words", "two one"]
    own = [scorer.score(b, a)[name].fmeasure for a, b in zip(given, wanted, strict=True)]
    assert texts(given, wanted).rouge[name] == pytest.approx(own, abs=1e-12)


def test_rouge_counts_letters_of_all_scripts_where_rouge_score_sees_nothing():
    from rouge_score.rouge_scorer import RougeScorer

    wanted = given = ["größere Bäume", "мир и труд", "他喜欢苹果", "ένα σπίτι"]
    assert texts(given, wanted).rouge["rouge1"] == pytest.approx(np.ones(4))
    blind = RougeScorer(["rouge1"], use_stemmer=True)
    assert [blind.score(a, a)["rouge1"].fmeasure for a in wanted[1:]] == [0, 0, 0]


def test_rouge_closes_no_stream_of_its_user():
    program = "import contextlib, io, logging.config, sys; stream = io.StringIO()\n"
    program += "from hf_attn.tasks.targets.texts.metrics import Compared\n"
    program += "with contextlib.redirect_stderr(stream): Compared(['a'], ['b c'], ['b']).rouge\n"
    program += "logging.config.dictConfig({'version': 1}); print(stream.closed)"
    done = interpreter.run(["-c", program], dict(os.environ))
    assert done.stdout.strip() == "False", done.stderr


def test_rouge_of_sentences_is_not_that_of_one_long_line():
    wanted = ["Dogs bark at night. Cats sleep all day."] * 4
    given = ["Cats sleep all day. Dogs bark at night."] * 4
    found = texts(given, wanted).rouge
    assert found["rougeLsum"] == pytest.approx(np.ones(4)) and found["rougeL"].max() < 0.6


def test_copies_lengths_sentences_and_new_pairs_of_words_are_counted():
    compared = texts()
    assert compared.copied.tolist() == [False, False, True, False]
    assert SCORES["copied"](compared)(ALL) == 0.25
    written, wanted = sum(len(words(text)) for text in WRITTEN), sum(len(words(text)) for text in REFERENCES)
    assert SCORES["length_ratio"](compared)(ALL) == pytest.approx(written / wanted)
    assert SCORES["new_bigrams"](texts(written=["A man in red.", *WRITTEN[1:]]))(np.array([0])) == pytest.approx(1 / 3)
    assert SCORES["as_many_sentences"](texts(written=["One. Two.", *WRITTEN[1:]]))(ALL) == 0.75


@pytest.mark.parametrize(
    ("text", "count"),
    [("One. Two!", 2), ("One", 1), ("", 0), ("a\nb\n\nc", 3), ('He said "no." Then left.', 2), ("他来了。她走了。", 2)],
)
def test_sentences_are_counted(text, count):
    assert len(sentences(text)) == count


def test_nothing_written_is_scored_and_not_left_out():
    empty = texts(written=["", "", "", ""])
    assert SCORES["bleu"](empty)(ALL) == 0 and SCORES["chrf"](empty)(ALL) == 0
    assert SCORES["length_ratio"](empty)(ALL) == 0 and empty.rouge["rougeLsum"].tolist() == [0] * 4
    assert math.isnan(SCORES["new_bigrams"](empty)(ALL))


def test_chinese_is_divided_by_characters_when_the_target_says_so():
    given = {"written": ["他喜欢吃苹果和梨"] * 4, "references": ["他喜欢吃苹果和桃"] * 4}
    assert SCORES["bleu"](texts(**given, tokenize="zh"))(ALL) > 50 > SCORES["bleu"](texts(**given))(ALL)


@pytest.mark.parametrize(
    ("target", "asked", "way"),
    [
        ("彼はりんごが好きです。", None, "char"),
        ("เขาชอบกินแอปเปิล", None, "char"),
        ("彼はりんごが好きです。", "intl", "intl"),
        ("그는 사과를 좋아한다.", None, "13a"),
        ("Er mag 林檎.", None, "13a"),
        ("12 + 30", None, "13a"),
    ],
)
def test_targets_without_blanks_are_divided_by_characters(target, asked, way):
    splits = DatasetDict(train=Dataset.from_dict({"target": [target] * 3}))
    tokenizer = tiny_tokenizer()
    model = tiny_translator("mbart", tokenizer)
    options = Options(bleu_tokenize=asked)
    options.seed = 0
    assert encode(splits, options, tokenizer, model)[1].tokenize == way


def test_ter_sees_the_characters_that_bleu_does():
    given = {"written": ["他喜欢吃苹果和梨"] * 4, "references": ["他喜欢吃苹果和桃"] * 4}
    assert SCORES["ter"](texts(**given))(ALL) == 100 and SCORES["ter"](texts(**given, tokenize="zh"))(ALL) == 12.5


def test_capitals_are_left_out_of_bleu_where_that_is_asked_and_its_signature_says_so():
    given = {"written": ["a dog runs over the green grass"] * 4, "references": ["A Dog runs over the Green grass"] * 4}
    assert SCORES["bleu"](texts(**given))(ALL) < 60
    lowered = texts(**given, lowercase=True)
    assert SCORES["bleu"](lowered)(ALL) == pytest.approx(100)
    assert "case:lc" in str(lowered.sacre("bleu")[0].get_signature())


@pytest.mark.parametrize("task", KINDS)
def test_unknown_scores_and_scores_of_texts_that_are_not_written_are_refused(task):
    check(Options(), task, None)
    check(Options(eval_generated=0), task, "-loss")
    with pytest.raises(InputError, match="metric 'accuracy': expected one of loss, perplexity"):
        check(Options(), task, "accuracy")
    with pytest.raises(InputError, match="writes none"):
        check(Options(eval_generated=0), task, KINDS[task].scores[0])


def test_a_missing_library_is_told_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("hf_attn.tasks.targets.texts.metrics.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"need sacrebleu and rouge-score: pip install 'hf_attn\[texts\]'"):
        check(Options(), "summarization", None)
