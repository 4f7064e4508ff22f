"""Good rows, ways to spoil them, and the message that spoiled ones end in."""

import json

import pytest

from hf_attn.errors import InputError
from hf_attn.tasks.inputs.text import check_text
from hf_attn.tasks.targets.labels import encode_labels, load_splits

CSV = "text,label\n" + "one,a\ntwo,b\n" * 20
GOOD = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(40)]
READING = ("subset", "delimiter", "encoding", "data_dir", "skip_bad_rows")


def changed(row=None, rows=GOOD, **values):
    """GOOD with other values: in one row, or as a new column (from a function of the row's number)."""
    if row is None:
        return [{**old, **{name: value(i) for name, value in values.items()}} for i, old in enumerate(rows)]
    return [{**old, **values} if i == row else old for i, old in enumerate(rows)]


def use(source, text="text", text_pair=None, label="label", **kwargs):
    how = {name: kwargs.pop(name) for name in READING if name in kwargs}
    splits = load_splits(str(source), label=label, kind=kwargs.get("kind"), text=(text, text_pair), **how)
    check_text(splits, text, text_pair, label)
    return encode_labels(splits, label, **kwargs)


def told(source, **kwargs):
    with pytest.raises(InputError) as caught:
        use(source, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000
    return message


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
