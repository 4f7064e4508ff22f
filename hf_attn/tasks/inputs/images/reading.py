"""Images for ``hf-attn predict``: files, folders of them, or a table of images or their paths."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....data.reading import without_surrogates
from ....errors import InputError
from ..given import UNKNOWN, GivenFiles, column_of, for_tables


def read_files(
    given: Sequence[str],
    *,
    image: str | None = None,
    trained: Mapping[str, str] = UNKNOWN,
    delimiter: str | None = None,
    encoding: str | None = None,
    table: Any = None,
) -> GivenFiles:
    """Return what a command was given as images, and the table that they are from, where there is one.

    Args:
        given: image files and folders of them, or one table of them; see :func:`data.files.read_files`.
        image: column of the images, or of their paths, in that file; ``image`` by default.
        trained: columns of training; see :func:`.text.reading.read_files`.
        delimiter: between the fields of a csv or tsv file.
        encoding: of a file of text; UTF-8 by default.
        table: the rows of that file, or some of them, where they are read already.

    Raises:
        InputError: nothing there, or a column that holds no images.
    """
    from ....data.contents import extension
    from ....data.files import READERS

    path = Path(given[0])
    if len(given) == 1 and (extension(path) in READERS or (delimiter is not None and path.is_file())):
        return _from_table(path, image, trained, delimiter, encoding, table)
    for_tables(image=image, delimiter=delimiter, encoding=encoding)
    files = _files(given)
    return _found([str(file) for file in files], files)


def _files(given: Sequence[str]) -> list[Path]:
    """The image files, and those in the folders."""
    from ....data.decoding import EXTENSIONS

    files: list[Path] = []
    for name in given:
        found = Path(name)
        if found.is_dir():
            inside = sorted(file for file in found.rglob("*") if file.suffix.lower() in EXTENSIONS)
            if not inside:
                raise InputError(f"{name} holds no image ({', '.join(sorted(EXTENSIONS))})")
            files += inside
        else:
            files.append(found)
    return files


def _from_table(
    path: Path,
    asked: str | None,
    trained: Mapping[str, str],
    delimiter: str | None,
    encoding: str | None,
    table: Any,
) -> GivenFiles:
    from datasets import DatasetDict

    from ....data.files import read
    from ....data.image_files import located, source_of
    from ....data.images import check_images, image_column

    if not path.exists():
        raise InputError(f"no such file: {path}")
    if table is None:
        texts = (asked or "image", *trained.values())
        table = read(path, delimiter=delimiter, encoding=encoding, texts=texts)
    column = column_of(table, "image", asked, trained, "image")
    table = located(table, column, path)
    check_images(DatasetDict({str(path): table}), column)
    values = [value for batch in image_column(table, column) for value in batch]
    sources = [source_of(value) for value in values]
    names = [str(v["path"]) if isinstance(v, dict) and v.get("path") else str(row) for row, v in enumerate(values)]
    return _found(names, [source if isinstance(source, bytes) else Path(source) for source in sources], table, column)


def _found(names: Sequence[str], sources: list[Any], table: Any = None, column: str = "image") -> GivenFiles:
    return GivenFiles(sources, [{"image": without_surrogates(name)} for name in names], table, (column,))
