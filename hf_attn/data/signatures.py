"""What a file is by its first bytes, where its name says something else."""

from __future__ import annotations

import re

BEGINNINGS = {
    b"PK\x03\x04": "a zip archive or a sheet (.xlsx): unpack it, or save the sheet as csv in UTF-8",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old sheet or document (.xls, .doc): save it as csv in UTF-8",
    b"\x1f\x8b\x08": "packed by gzip: add .gz to its name",
    b"\xfd7zXZ\x00": "packed by xz: add .xz to its name",
    b"\x28\xb5\x2f\xfd": "packed by zstd: add .zst to its name",
    b"PAR1": "a parquet file: name it .parquet",
    b"ARROW1": "an arrow file: name it .arrow",
    b"%PDF-": "a PDF: export the data as csv or parquet",
    b"SQLite format 3\x00": "a database of SQLite: export a table as csv or parquet",
    b"version https://git-lfs.github.com/spec": "a pointer of Git LFS and not the data: fetch that by `git lfs pull`",
}
PAGE = re.compile(rb"\s*<(!doctype html|html)[\s>]", re.IGNORECASE)


def disguised(data: bytes) -> str | None:
    """What bytes are that are no text, and what to do about it; None where their beginning does not say."""
    for beginning, told in BEGINNINGS.items():
        if data.startswith(beginning):
            return told
    if re.match(rb"BZh[1-9]1AY&SY", data):
        return "packed by bzip2: add .bz2 to its name"
    return "a web page and not the data: download that" if PAGE.match(data) else None
