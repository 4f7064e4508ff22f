"""The head that a checkpoint has: its rows follow the names of its classes, not their places."""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, initialization

from ..data.near_names import key as spelling

logger = logging.getLogger(__name__)

FIELDS = ("id2label", "label2id", "problem_type")
"""What a configuration says of the outputs of a head."""
UNNAMED = "names no classes: its rows are taken for"


@dataclass(frozen=True)
class OwnHead:
    """What a checkpoint says of the outputs of its own head.

    Attributes:
        fields: of its configuration, by name.
        same_class: whether it was saved as the class that it is loaded as, so that the head is of the same kind.
        follow: whether names of classes are given, or a number is asked for, which its rows must follow.
    """

    fields: Mapping[str, Any]
    same_class: bool = True
    follow: bool = False

    @classmethod
    def of(cls, config: PreTrainedConfig) -> "OwnHead":
        """Return what a configuration says, which may be changed afterwards."""
        return cls({name: copy.copy(getattr(config, name, None)) for name in FIELDS})

    @property
    def names(self) -> tuple[str, ...]:
        """Of its classes, one an output."""
        known = {int(index): str(name) for index, name in (self.fields["id2label"] or {}).items()}
        return tuple(known.get(index, f"LABEL_{index}") for index in range(len(known)))

    @property
    def unnamed(self) -> bool:
        """Whether its classes have no names but their numbers."""
        return self.names == tuple(f"LABEL_{index}" for index in range(len(self.names)))

    @property
    def is_number(self) -> bool:
        """Whether it gives numbers, not classes."""
        kind = self.fields["problem_type"]
        return kind == "regression" or (kind is None and len(self.names) == 1)

    def rows(self, wanted: Sequence[str]) -> tuple[list[int | None], str]:
        """Return the row of each output that is wanted, None where it is new, and a clause that says which.

        Args:
            wanted: names of classes; none are for a number.
        """
        own, count = self.names, len(wanted) or 1
        if not self.same_class:
            return [None] * count, "the rows of its head are new: it was saved with one of another kind"
        if self.is_number or not wanted:
            if self.is_number and not wanted and len(own) == 1:
                return [0], "its head is kept: it gives one number"
            gives = ("a number" if len(own) == 1 else f"{len(own)} numbers") if self.is_number else "classes"
            return [None] * count, f"the rows of its head are new: the checkpoint's gives {gives}"
        if own == tuple(wanted):
            return list(range(count)), f"its head is kept: its {count} classes have these names"
        if self.unnamed and count == len(own):
            numbers = {str(index): index for index in range(count)}
            if set(wanted) == set(numbers):
                return [numbers[name] for name in wanted], "its head is kept: its classes are these numbers"
            return list(range(count)), f"a head that {UNNAMED} {listed(wanted)} in this order"
        found = matched(own, wanted)
        kept = [name for name, row in zip(wanted, found, strict=True) if row is not None]
        if not kept:
            return found, f"the rows of its head are new: it has {listed(own)}, none of {listed(wanted)}"
        if len(kept) < count:
            new = [name for name in wanted if name not in kept]
            return found, f"its head keeps the rows of {listed(kept)} by their names; those of {listed(new)} are new"
        rest = f", out of {len(own)}" if len(own) > count else ""
        return found, f"its head is kept: its rows follow the names of the {count} classes{rest}"


def matched(own: Sequence[str], wanted: Sequence[str]) -> list[int | None]:
    """Return where each name that is wanted stands, spelled the same or else nearly; None where it is not told."""
    found: list[int | None] = [None] * len(wanted)
    for spelled in (str, spelling):
        theirs, ours = [spelled(name) for name in own], [spelled(name) for name in wanted]
        for index, name in enumerate(ours):
            if found[index] is None and theirs.count(name) == ours.count(name) == 1:
                row = theirs.index(name)
                found[index] = None if row in found else row
    return found


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[: 4 if more else 5])) + more


def output_dimensions(cls: type[PreTrainedModel], config: PreTrainedConfig) -> dict[str, int]:
    """Return the parameters that have a row for each output, and in which dimension: they grow with the labels."""
    shapes: list[dict[str, torch.Size]] = []
    for more in (0, 1):
        sized = copy.deepcopy(config)
        sized.num_labels = (config.num_labels or 0) + more
        with torch.device("meta"):
            shapes.append({name: parameter.shape for name, parameter in cls(sized).named_parameters()})
    grown = {name: [a != b for a, b in zip(shape, shapes[1][name], strict=True)] for name, shape in shapes[0].items()}
    found = {name: grows.index(True) for name, grows in grown.items() if any(grows)}
    return {name: dim for name, dim in found.items() if shapes[0][name][dim] == config.num_labels}


def follow_names(
    model: PreTrainedModel,
    own: OwnHead,
    new: set[str],
    load: Callable[[PreTrainedConfig], PreTrainedModel],
) -> str:
    """Put the rows of a checkpoint's head where the names of the model's classes want them, and return what was done.

    Args:
        model: loaded with a configuration that has the new names, so that rows stand as in the checkpoint, or are new
            where the number of classes changed.
        own: what the checkpoint says of its head.
        new: parameters that the checkpoint has not, or has in another shape; here it is made to say which are all new.
        load: of the checkpoint with another configuration.
    """
    wanted = () if model.config.problem_type == "regression" else OwnHead.of(model.config).names
    rows, said = own.rows(wanted)
    if rows == list(range(len(own.names))):
        return said
    dimensions = output_dimensions(type(model), model.config)
    resized = len(own.names) != model.config.num_labels
    if set(dimensions) <= new and not (resized and own.same_class):  # the checkpoint has no such head
        return ""
    kept = [index for index, row in enumerate(rows) if row is not None]
    saved: Any = model
    if resized and kept:
        config = copy.deepcopy(model.config)
        for name, value in own.fields.items():
            setattr(config, name, copy.copy(value))
        saved = load(config)
    values = {name: saved.get_parameter(name).detach().clone() for name in dimensions} if kept else {}
    if len(kept) < len(rows) and not resized:
        renew(model, [name for name in dimensions if name not in new])
    if kept:
        new.difference_update(dimensions)
    else:
        new.update(dimensions)
    _put(model, rows, values, dimensions)
    return said


def order_as_named(model: PreTrainedModel, own: OwnHead) -> str:
    """Put the rows of an adapter's head in the order of the model's classes, and return what was done.

    An adapter does not say which classes it has; they are its base's where those have the names that are wanted.

    Args:
        model: with the adapter's head, and a configuration that has the new names.
        own: what the adapter's base says of its head.
    """
    wanted = OwnHead.of(model.config).names
    if sorted(own.names) != sorted(wanted):
        return f"an adapter {UNNAMED} {listed(wanted)} in this order"
    rows, said = own.rows(wanted)
    dimensions = output_dimensions(type(model), model.config)
    _put(model, rows, {name: model.get_parameter(name).detach().clone() for name in dimensions}, dimensions)
    return said


@torch.no_grad()
def _put(
    model: PreTrainedModel,
    rows: Sequence[int | None],
    values: Mapping[str, torch.Tensor],
    dimensions: Mapping[str, int],
) -> None:
    """Copy rows of saved values into a model's parameters: ``rows`` has the one of each output, None stays."""
    place = torch.tensor([index for index, row in enumerate(rows) if row is not None])
    source = torch.tensor([row for row in rows if row is not None])
    for name, value in values.items():
        parameter, dim = model.get_parameter(name), dimensions[name]
        moved = value.to(parameter).index_select(dim, source.to(parameter.device))
        parameter.index_copy_(dim, place.to(parameter.device), moved)


@torch.no_grad()
def renew(model: PreTrainedModel, names: Sequence[str]) -> None:
    """Give parameters of a loaded model the start values that its architecture gives to what a checkpoint lacks."""
    tensor: Any
    for tensor in (*model.parameters(), *model.buffers()):
        tensor._is_hf_initialized = True
    for name in names:
        path, _, leaf = name.rpartition(".")
        old = model.get_parameter(name)
        setattr(model.get_submodule(path), leaf, nn.Parameter(torch.zeros_like(old), old.requires_grad))
        parts = path.split(".") if path else []
        for end in range(len(parts) + 1):  # the start values may be given by any module around
            model.get_submodule(".".join(parts[:end]))._is_hf_initialized = False  # type: ignore[assignment]
    with initialization.guard_torch_init_functions():
        model.initialize_weights()
