"""Arguments of histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ....data.options import DataOptions


@dataclass(kw_only=True)
class Options(DataOptions):
    """Histories: a file of interactions and one of items; or rows that hold their history"""

    items: str | None = None
    """File with the id and the text of each item; then --dataset has a row for each time that a user met an item. null:
    each row of --dataset holds a history and a candidate itself."""
    interactions: str | None = None
    """File of the interactions in the folder --dataset, with --items; null reads train, validation and test there."""
    user: str = "user_id"
    """Column of the user."""
    item: str = "item_id"
    """Column of the item, in interactions and in --items."""
    item_text: str = "text"
    """Column of an item's text in --items."""
    time: str | None = "timestamp"
    """Column of the time: a number, or a date as 2024-12-31. null: rows stand in their order. A history holds what came
    before a row's time, never at it."""
    split: str | None = None
    """Column that says train, validation or test; null cuts by time."""
    split_by_time: Literal["user", "global"] = "user"
    """Where there are no splits: the last rows of each user are the test split, or the last ones of all users."""
    history_until: Literal["row", "split"] = "row"
    """Until when the histories of validation and test go, with --items: to the time of each row, or to the user's first
    row of the split, as where one list is shown at once."""
    history: str = "history"
    """Column of the history in rows that hold it, oldest first: a list of texts, or one text with --separator."""
    history_ratings: str | None = None
    """Column of the ratings of such a history, as many as it has texts; null is without."""
    candidate: str = "candidate"
    """Column of the candidate's text in such rows."""
    separator: str | None = None
    """Between the texts of a history that is one text, such as '; '; null expects lists."""
    rating_scale: list[float] | None = None
    """Lowest and highest rating, as '[0.5, 5]': others are refused. null takes any number."""
    history_length: int = 50
    """Items of a history that are read, the last ones."""
    max_length: int | None = 64
    """Tokens of an item's text, special ones included; the rest is cut. null is the model's own limit."""

    def problems(self) -> list[str]:
        """What is wrong with the values, one line each."""
        found = []
        if self.history_length < 1:
            found.append(f"history_length is {self.history_length}: it must be at least 1")
        if self.max_length is not None and self.max_length < 1:
            found.append(f"max_length is {self.max_length}: it must be above 0, or null")
        scale = self.rating_scale
        if scale is not None and not (len(scale) == 2 and scale[0] < scale[1]):
            found.append(f"rating_scale is {scale}: expected the lowest and the highest rating, such as '[1, 5]'")
        if self.interactions is not None and self.items is None:
            found.append("interactions needs --items, the file with the texts of the items")
        if self.items is None and self.history_until != "row":
            found.append(f"history_until {self.history_until} is of interactions: give --items, or leave it out")
        if self.items is not None:
            given = {"history_ratings": self.history_ratings, "separator": self.separator}
            idle = [name for name, value in given.items() if value is not None]
            if idle:
                found.append(
                    f"{' and '.join(idle)} {'are' if idle[1:] else 'is'} of rows that hold their history, and "
                    "--items is of interactions: leave one out"
                )
        return found
