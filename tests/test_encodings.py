"""Files that are not UTF-8: the advice restores the text, and following it reads the file."""

import gzip
import re

import pyarrow
import pyarrow.parquet
import pytest
from bad_data import put, told, use
from cases import case

from hf_attn.tasks.targets.labels import load_splits

SENTENCES = {
    "cp1252": ["it’s “good” – really", "le café était très bon", "größer als die Übung", "¿el niño está aquí?"],
    "cp1250": ["zażółć gęślą jaźń", "příliš žluťoučký kůň úpěl"],
    "cp1251": ["отличный фильм, мне очень понравилось", "Не стоит своих денег. Совсем плохо"],
    "koi8_r": ["отличный фильм, мне очень понравилось", "Не стоит своих денег. Совсем плохо"],
    "cp866": ["привет мир", "новости дня"],
    "cp1255": ["הסרט היה מצוין ומאוד נהניתי", "לא שווה את הכסף"],
    "cp1253": ["η ταινία ήταν πολύ καλή", "δεν αξίζει τα λεφτά της"],
    "cp1256": ["الفيلم كان جميلا جدا", "لا يستحق المال"],
    "shift_jis": ["この映画はとても良かったです。", "商品が届きませんでした"],
    "euc_jp": ["この映画はとても良かったです。", "商品が届きませんでした"],
    "gbk": ["这个电影很好看", "我不喜欢它,质量太差了"],
    "big5": ["這個電影很好看", "我不喜歡它,品質太差了"],
    "euc_kr": ["이 영화는 정말 재미있어요", "별로였다 그리고 지루했다"],
    "mac_roman": ["it’s “good” – really, a café"],
    "utf-16": ["it’s “good” – really", "この映画はとても良かったです。"],
    "utf-16-le": ["it’s a good one", "plain text"],
    "utf-16-be": ["it’s a good one", "plain text"],
}


def table(texts):
    rows = [f'"{text} {i}",{"ab"[i % 2]}\n' for i in range(10) for text in texts]
    return "text,label\n" + "".join(rows)


@pytest.mark.parametrize("encoding", SENTENCES)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_following_the_advice_restores_the_text(tmp_path, encoding, form):
    texts = SENTENCES[encoding]
    if form == "csv":
        content = table(texts)
    else:
        content = "".join(f'{{"text": "{text}", "label": "{"ab"[i % 2]}"}}\n' for i in range(20) for text in texts)
    path = put(tmp_path, f"d.{form}", content.encode(encoding))
    advised = re.search(r"--encoding ([\w-]+), or convert it, for instance with `iconv -f ", told(path))[1]
    found = {text for split in load_splits(str(path), encoding=advised).values() for text in split["text"]}
    assert all(any(text in one for one in found) for text in texts)


@pytest.mark.parametrize("byte", [b"\x80", b"\x85", b"\x91", b"\x96", b"\x9f"])
def test_bytes_without_a_character_in_latin_1_are_never_called_so(tmp_path, byte):
    message = told(put(tmp_path, "d.csv", table(["one x two"]).encode().replace(b" x ", b" " + byte + b" ")))
    assert "ISO-8859-1" not in message.upper() and "LATIN" not in message.upper() and "--encoding cp1252" in message


@pytest.mark.parametrize("name, words", [("a.csv", "it’s bad movie"), ("sjis.csv", "この映画 bad movie")])
def test_the_advice_shows_what_the_line_reads_like_then(name, words):
    message = told(case("text/03_cp1252") / name)
    assert "line 2 then reads" in message and words in message


@pytest.mark.parametrize(
    "name, encoding", [("a.csv", "cp1252"), ("sjis.csv", "shift_jis"), ("u16.csv", "utf-16"), ("u16n.csv", "utf-16-le")]
)
def test_each_case_is_read_in_its_encoding(name, encoding):
    path = case("text/03_cp1252") / name
    assert f"--encoding {encoding}" in told(path)
    assert any("bad movie" in text for text in load_splits(str(path), encoding=encoding)["train"]["text"])


@pytest.mark.parametrize("name", ["fixed.csv", "fixed_sjis.csv"])
def test_what_a_wrong_encoding_left_behind_is_told(name, caplog):
    use(case("text/03_cp1252") / name)
    assert "read in a wrong encoding and saved again: look at line 2" in caplog.text


def test_utf8_taken_for_cp1252_is_told(tmp_path, caplog):
    use(put(tmp_path, "d.csv", table(["it’s fine".encode().decode("cp1252")])))
    assert "read in a wrong encoding" in caplog.text


def test_one_bad_byte_in_utf8_is_no_other_encoding(tmp_path):
    data = table(["größer als die Übung"]).encode()
    message = told(put(tmp_path, "d.csv", data.replace(b'4",a', b'4\xff",a', 1)))
    assert "the rest of it is: mend line 6" in message and "--encoding" not in message


@pytest.mark.parametrize("encoding, expected", [("utf-9", "unknown encoding 'utf-9'"), ("ascii", "d.csv is not ascii")])
def test_a_wrong_encoding_is_refused(tmp_path, encoding, expected):
    assert expected in told(put(tmp_path, "d.csv", table(["größer"])), encoding=encoding)


def test_a_text_in_utf8_is_never_taken_for_something_else(tmp_path, caplog):
    texts = [text for many in SENTENCES.values() for text in many]
    path = put(tmp_path, "d.csv", table(texts))
    assert set(texts) <= {text.rsplit(" ", 1)[0] for split in load_splits(str(path)).values() for text in split["text"]}
    assert "wrong encoding" not in caplog.text


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r"])
@pytest.mark.parametrize("text", ["привет мир", "новости дня", "доставка опоздала на два дня", "плохо", "Вы молодцы"])
def test_small_cyrillic_letters_are_no_hebrew_and_no_capitals(tmp_path, encoding, text):
    path = put(tmp_path, "d.csv", table([text]).encode(encoding))
    assert f"--encoding {encoding}," in (message := told(path)) and text[:5] in message


@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.json", "d.jsonl", "d.parquet", "d.arrow"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(40), "a zip archive or a sheet (.xlsx)"),
        (gzip.compress(b"text,label\nx,a\n"), "packed by gzip: add .gz to its name"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "fetch that by `git lfs pull`"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page and not the data"),
    ],
    ids=["zip", "gzip", "pointer", "page"],
)
def test_a_file_of_another_kind_is_named(tmp_path, name, data, words):
    message = told(put(tmp_path, name, data))
    assert words in message
    assert "--encoding" not in message and "cut short" not in message


def test_a_parquet_file_of_another_name_is_named(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["é"], "label": ["a"]}), tmp_path / "d.csv")
    assert "d.csv is a parquet file: name it .parquet" in told(tmp_path / "d.csv")
