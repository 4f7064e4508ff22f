"""What a folder holds that has neither a train file nor class folders: named, with what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .class_folders import visible
from .columns import listing
from .contents import extension
from .decoding import EXTENSIONS, is_image
from .files import NAMES, READERS

MOST = 20_000
"""Files that are looked at."""
DEEPEST = 5
CURES = {
    **dict.fromkeys((".heic", ".heif"), "is not read: convert to JPEG, for instance by ImageMagick"),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5"), "holds arrays and no images: save each as PNG, or all in parquet"),
    **dict.fromkeys((".dcm", ".nii"), "is not read: export as PNG"),
    **dict.fromkeys(
        (".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"),
        "is a camera's raw image and not read: develop it to JPEG",
    ),
    **dict.fromkeys((".svg", ".eps", ".pdf"), "is a drawing and not read: render it to PNG"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".rar", ".7z"), "is packed: unpack it"),
    **dict.fromkeys((".xlsx", ".xls"), "is a sheet: save it as csv"),
}


def holdings(path: Path) -> str:
    """A clause on what lies in a folder and how to go on, for a message."""
    names = listing([child.name for child in visible(path)], 8) or "nothing"
    return "; ".join([f"it holds {names}", *(_advice(path) or ["rename one, or give a file itself"])])


def _advice(path: Path) -> list[str]:
    files = list(_files(path, 0))
    told = []
    kinds = Counter(extension(file) or file.suffix.lower() for file, _ in files)
    data = [file for file, depth in files if depth and extension(file) in READERS]
    images = [(file, depth) for file, depth in files if file.suffix.lower() in EXTENSIONS]
    texts = [(file, depth) for file, depth in files if file.suffix.lower() == ".txt" and depth > 1]
    in_split = [file for file in data if file.parent.name.lower() in NAMES]
    if images or (texts and not data):
        told.append(_deeper(path, images or texts, "images" if images else "texts"))
    elif data and (trains := [file for file in data if file.name.split(".")[0].lower() in NAMES]):
        told.append(f"{trains[0].relative_to(path)} lies deeper: give the folder {trains[0].parent}")
    elif in_split:
        name, ending = in_split[0].parent.name, extension(in_split[0])
        told.append(
            f"{in_split[0].relative_to(path)} lies in a folder of its split: put it beside that as {name}{ending}, "
            f"several as {name}-00000-of-00002{ending} and so on"
        )
    for kind, count in kinds.most_common(6):
        if kind in CURES:
            told.append(f"{count} files end in {kind}, which {CURES[kind]}")
    bare = [file for file, depth in files if depth and not file.suffix]
    if bare and not images:
        what = "images by their content" if is_image(bare[0]) else "files"
        told.append(
            f"{len(bare)} {what} have no extension (such as {bare[0].relative_to(path)}): rename them, to .png or .jpg "
            "for images and .txt for texts"
        )
    return told


def _deeper(path: Path, found: list[tuple[Path, int]], what: str) -> str:
    """Images or texts that lie too deep: below a folder of the set, or in groups above the classes."""
    depth = Counter(depth for _, depth in found).most_common(1)[0][0]
    file = next(file for file, deep in found if deep == depth)
    parts = file.relative_to(path).parts
    such = "/".join(parts)
    for level, part in enumerate(parts[:-1]):
        if part.lower() in NAMES:
            if level:
                return f"its {what} lie a folder deeper ({such}): give {path.joinpath(*parts[:level])}"
            return f"its {what} lie in groups above their classes ({such}): put the class folders directly into {part}"
    above = path.joinpath(*parts[: max(1, depth - 1)])
    return f"its {what} lie {depth} folders deep ({such}): give {above} if the last folders are the classes"


def _files(folder: Path, depth: int, left: list[int] | None = None) -> Iterator[tuple[Path, int]]:
    """Files beneath, and how many folders above each there are."""
    left = [MOST] if left is None else left
    for child in visible(folder):
        if left[0] <= 0:
            return
        left[0] -= 1
        if child.is_dir() and not child.is_symlink():
            if depth < DEEPEST:
                yield from _files(child, depth + 1, left)
        else:
            yield child, depth
