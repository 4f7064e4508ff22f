"""What an explanation is, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .weighed import Weighed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Attribution(Weighed):
    """How much each part of an input counts for one output, by one method: see :class:`Weighed`.

    A notebook shows it in colours, ``print`` as a terminal does.
    """

    def plot(self) -> Figure:
        """Draw the input in colours of the weights, with what was measured of them below.

        Raises:
            InputError: nothing was measured.
        """
        from .figures import attribution_figure

        return attribution_figure(self)

    def to_html(self) -> str:
        """Return a page of its own: the input, what was measured, and the attention behind it."""
        from .page import page

        return page([[self]])

    def _repr_html_(self) -> str:
        from .page import snippet

        return snippet(self)

    def __str__(self) -> str:
        from .printed import printed

        return printed(self)
