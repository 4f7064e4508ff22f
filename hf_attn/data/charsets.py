"""Which encoding a file that is not UTF-8 seems to have, and what its text is like then."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

SAMPLE = 1 << 20
Judge = Callable[[bytes, str], float | None]
"""Says from 0 to 1 how much bytes read like text in an encoding; None where they are not of it."""
CYRILLIC = "cp1251 koi8_r cp866".split()
LATIN = "cp1252 mac_roman cp850 cp1250 cp1254".split()
SCRIPTS = {
    "cp1253": ("\u0370-\u03ff", 0.85),
    "cp1255": ("\u05d0-\u05ea", 0.95),
    "cp1256": ("\u0600-\u06ff", 0.85),
    "cp874": ("\u0e00-\u0e7f", 0.8),
}
"""Letters of other alphabets, and how much their encoding is to be believed beside those of the same bytes."""
COMMON = "\u043e\u0435\u0430\u0438\u043d\u0442\u0441\u0440\u0432\u043b\u043a\u043c\u0434\u043f\u0443"
"""The letters that make most of a Cyrillic text; in another's encoding others come out, or these as capitals."""
FINAL = "\u05da\u05dd\u05df\u05e3\u05e5"
"""Hebrew letters that stand at the end of a word only."""
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
QUOTES = (
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u2022\u20ac\u2122"
    "\xa0\xa1\xa3\xa7\xa9\xaa\xab\xae\xb0\xb7\xba\xbb\xbf"
)
"""Signs that texts have around and between words."""
SEEN_WRONG = re.compile("[\x80-\x84\x86-\x9f]|\xe2\u20ac[\x80-\uffff]|\xc3[\u0192\x80-\xbf\u20ac-\u2122][\x80-\xbf]?")


def advice(data: bytes, error: UnicodeDecodeError) -> str:
    """What to do about bytes that are not UTF-8: an encoding that restores the text, with a piece of it as proof."""
    valid = len(re.findall("[^\x00-\x7f\ufffd]", text := data[:SAMPLE].decode("utf-8", "replace")))
    line = data.count(b"\n", 0, error.start) + 1
    if valid > 4 * text.count("\ufffd") and not data.startswith(tuple(MARKS)):
        return f"the rest of it is: mend line {line}, or the file was cut short"
    name = guess(data)
    if name is None:
        return "its encoding is not plain: name it, such as --encoding cp1252, or save it as UTF-8"
    shown = _shown(data.decode(name, "replace"), name)
    return (
        f"it looks like {name}{shown}: say --encoding {name}, or convert it, for instance with "
        f"`iconv -f {name.upper().replace('UTF-16-', 'UTF-16')} -t UTF-8`"
    )


def guess(data: bytes) -> str | None:
    """The encoding under which the bytes read most like text; None where none is plausible.

    Bytes from 0x80 to 0x9f are control characters in ISO-8859-1, which no text has: it is never the answer, and cp1252
    reads all else as it does.
    """
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    sample = data[:SAMPLE]
    if wide := _without_mark(sample):
        return wide
    scores = {name: score for name, judge in JUDGES.items() if (score := judge(sample, name)) is not None}
    if not scores:
        return None
    best = max(scores, key=lambda name: scores[name])
    return _strict(best, data) if scores[best] >= 0.4 else None


def seen_wrong(text: str) -> re.Match[str] | None:
    """What an encoding that was taken for another leaves behind: control characters, or ``â€™`` for an apostrophe."""
    return SEEN_WRONG.search(text)


def _without_mark(data: bytes) -> str | None:
    """UTF-16 by its zero bytes, every second one."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if max(even, odd) * 20 < len(data) or min(even, odd) * 10 > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _strict(name: str, data: bytes) -> str:
    """The narrower or the wider form of an encoding, whichever reads all bytes."""
    forms = {"cp932": ("shift_jis", "cp932"), "gb18030": ("gbk", "gb18030"), "cp949": ("euc_kr", "cp949")}
    for form in forms.get(name, ()):
        try:
            data.decode(form)
            return form
        except UnicodeDecodeError:
            continue
    return name


def _decoded(data: bytes, name: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(name)().decode(data, final=len(data) < SAMPLE)
    except UnicodeDecodeError:
        return None


def _judged(data: bytes, name: str, mark: Callable[[str, int], float]) -> float | None:
    """The mean mark of the characters that are not ASCII, each given by its text and place; None where none is read."""
    text = _decoded(data, name)
    if text is None:
        return None
    marks = [mark(text, place) for place, character in enumerate(text) if character > "\x7f"]
    return sum(marks) / len(marks) if marks else None


def _double(share: Callable[[int, int], float]) -> Judge:
    """Judge of an encoding of two bytes a character, by what its characters' bytes say of how common they are."""

    def judge(data: bytes, name: str) -> float | None:
        def mark(text: str, place: int) -> float:
            pair = text[place].encode(name, "replace")
            alone = max(text[place - 1 : place], text[place + 1 : place + 2]) <= "\x7f"
            return 0.1 if alone or len(pair) != 2 else share(pair[0], pair[1])

        return _judged(data, name, mark)

    return judge


def _japanese(lead: int, trail: int) -> float:
    if lead == 0x82 and trail >= 0x9F or lead == 0x83:
        return 1.0
    return 0.9 if lead in (0x81, 0x82) else 0.8 if lead <= 0x97 else 0.3


def _chinese(lead: int, trail: int) -> float:
    if trail < 0xA1 or lead < 0xA1:
        return 0.1
    return 0.98 if 0xB0 <= lead <= 0xD7 else 0.9 if lead in (0xA1, 0xA3) else 0.3


def _traditional(lead: int, trail: int) -> float:
    return 0.97 if 0xA4 <= lead <= 0xC6 else 0.9 if 0xA1 <= lead <= 0xA3 else 0.3


def _korean(lead: int, trail: int) -> float:
    return 1.0 if 0xB0 <= lead <= 0xC8 and trail >= 0xA1 else 0.4 if lead == 0xA1 else 0.2


def _kana(lead: int, trail: int) -> float:
    return 1.0 if lead in (0xA4, 0xA5) else 0.9 if lead == 0xA1 else 0.8 if 0xB0 <= lead <= 0xCF else 0.3


def _of_letters(letters: str, weight: float) -> Judge:
    """Judge of an alphabet: its letters stand together in words, no capital after a small one, no last one within."""
    inside = re.compile(f"[{letters}]")

    def mark(text: str, place: int) -> float:
        character, before = text[place], text[place - 1 : place]
        near = before + text[place + 1 : place + 2]
        last = character in FINAL and inside.match(text[place + 1 : place + 2])
        odd = last or character.isupper() and before.islower() or re.search("[A-Za-z]", near)
        good = bool(inside.match(character)) and bool(inside.search(near)) and not odd
        rare = "\u0400" <= character <= "\u04ff" and character not in COMMON
        return weight - 0.03 * rare if good else 0.4 if character in QUOTES else 0.0

    return lambda data, name: _judged(data, name, mark)


def _latin(data: bytes, name: str) -> float | None:
    """Letters within words of ASCII letters, and the quotes and dashes that word processors set."""
    score = _judged(data, name, _latin_mark)
    return None if score is None else score - 0.001 * LATIN.index(name)


def _latin_mark(text: str, place: int) -> float:
    character, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if character.isalpha() and character not in "\xba\xaa":
        odd = character.isupper() and before.islower() or min(before, after) > "\x7f"
        return 0.1 if odd else 0.35 if character in "ðþýÐÞÝ" else 0.7
    within = before.isalpha() and after.isalpha() and character not in "\u2019\u2013\u2014\u2026\xb7\xa0"
    return 0.7 if character in QUOTES and not within else 0.05


JUDGES: dict[str, Judge] = {
    "cp932": _double(_japanese),
    "gb18030": _double(_chinese),
    "big5": _double(_traditional),
    "cp949": _double(_korean),
    "euc_jp": _double(_kana),
    **{name: _of_letters("\u0400-\u04ff", 0.9 - 0.01 * i) for i, name in enumerate(CYRILLIC)},
    **{name: _of_letters(letters, weight) for name, (letters, weight) in SCRIPTS.items()},
    **dict.fromkeys(LATIN, _latin),
}


def _shown(text: str, name: str) -> str:
    """A piece of the text around the first character that is not ASCII."""
    found = re.search("[^\x00-\x7f]", text.lstrip("\ufeff")) if not name.startswith("utf") else None
    if found is None:
        return ""
    text = text.lstrip("\ufeff")
    line = text.count("\n", 0, found.start()) + 1
    start = max(text.rfind("\n", 0, found.start()) + 1, found.start() - 12)
    piece = text[start : start + 30].split("\n")[0].strip()
    return f" (line {line} then reads {piece!r})"
