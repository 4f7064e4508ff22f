"""How this project's pictures look: colours, sizes, and saving without a window."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .printable import printable
from .whole_files import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK, PALE = "#2b6a99", "#d4602a", "#8a8f98", "#22262b", "#e3e6ea"
FOR, AGAINST = "#6fb1e4", "#f2a35e"
"""What counts for an answer and against it: of like lightness, and told apart by all kinds of sight."""
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": PALE,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
DPI = 150


@dataclass(frozen=True)
class Picture:
    """A picture of a run.

    Attributes:
        name: of its file, ``….png``.
        caption: what it shows, in a line.
        draw: makes it.
    """

    name: str
    caption: str
    draw: Callable[[], "Figure"]


def styled(picture: Callable[..., "Figure"]) -> Callable[..., "Figure"]:
    """Draw with this project's style and leave matplotlib's settings as they were."""

    @wraps(picture)
    def draw_styled(*arguments: Any, **options: Any) -> "Figure":
        import matplotlib

        with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
            return picture(*arguments, **options)

    return draw_styled


def canvas(width: float, height: float, **options: Any) -> tuple["Figure", Any]:
    """Return a figure of this size in inches, with its axes; it needs no window and no backend."""
    import io

    from matplotlib.figure import Figure

    class Drawn(Figure):
        """A figure that a notebook shows, whether pyplot is imported or not."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=DPI, facecolor="white")
            return file.getvalue()

    figure = Drawn(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**options)


def save(figure: "Figure", path: Path, dpi: int = DPI) -> None:
    """Write a PNG, or an SVG; letters that no installed font has become boxes without a warning each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        with whole(path) as place:
            figure.savefig(place, format=path.suffix[1:].lower(), dpi=dpi, facecolor="white")


def mixed(share: float) -> tuple[float, float, float]:
    """Return the colour of a share: from white at 0 to pale blue at 1, or pale orange at -1, on which ink is read."""
    from matplotlib.colors import to_rgb

    full, size = to_rgb(FOR if share > 0 else AGAINST), min(1.0, abs(share))
    red, green, blue = (1 - size * (1 - part) for part in full)
    return red, green, blue


def shorten(name: str, length: int = 32) -> str:
    """Return ``name`` on one line, at most ``length`` letters, without what no font draws."""
    name = printable(" ".join(str(name)[:10_000].split()))
    return name if len(name) <= length else name[: length - 1] + "…"
