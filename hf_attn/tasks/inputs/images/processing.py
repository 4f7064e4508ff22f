"""What a checkpoint's image processor does, in two parts: resize and crop once, rescale and normalise on the batch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ....errors import InputError
from ....interface.printable import one_line

if TYPE_CHECKING:
    from PIL.Image import Image

WHITE = "white_of_deep_images"
LATER = ("do_rescale", "do_normalize", "do_flip_channel_order", "include_top")
"""Steps of processors that are left to the batch; ``include_top`` is a second normalisation, of EfficientNet."""


class Processing:
    """A transformers image processor, split where the pixels are still bytes.

    ``normalize(stack(pixels(images)))`` are the processor's ``pixel_values``, to 1e-6.

    Args:
        processor: of ``AutoImageProcessor.from_pretrained(name, backend="pil")``; it is not changed, but
            for ``white``.

    Attributes:
        size: (height, width) of what it makes.
        scale: (3,) float32, and
        offset: (3,) float32: ``pixel_values = pixels · scale + offset``; ``-offset / scale`` is the mean, in bytes.

    Raises:
        InputError: the processor makes images of different sizes, patches, or anything but a linear function of bytes.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.flips_channels = bool(getattr(processor, "do_flip_channel_order", False))
        self.size = self._fixed_size()
        self.scale, self.offset = self._linear()
        self._constants: dict[torch.device, list[torch.Tensor]] = {}
        self._check()

    @property
    def white(self) -> int | None:
        """Value of white in images of 16 or 32 bits, once some were seen; it is saved with the processor."""
        return getattr(self.processor, WHITE, None)

    @white.setter
    def white(self, value: int | None) -> None:
        if value is not None:
            setattr(self.processor, WHITE, value)
        elif hasattr(self.processor, WHITE):
            delattr(self.processor, WHITE)

    @property
    def settings(self) -> str:
        """All that the pixels depend on, as a line of JSON."""
        given = self.processor.to_dict()
        kept = {name: value for name, value in given.items() if name not in ("image_mean", "image_std", *LATER)}
        return json.dumps({"class": type(self.processor).__name__, **kept}, sort_keys=True, default=str)

    def pixels(self, images: Sequence[Image]) -> list[np.ndarray]:
        """Each RGB image resized and cropped, (3, height, width) uint8."""
        later = {step: False for step in LATER if hasattr(self.processor, step)}
        return list(self.processor(images=list(images), **later)["pixel_values"])

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """(rows, 3, height, width) uint8, or float on the scale of bytes, to float32 as the model expects it."""
        if pixels.device not in self._constants:
            self._constants[pixels.device] = [x.to(pixels.device)[:, None, None] for x in (self.offset, self.scale)]
        offset, scale = self._constants[pixels.device]
        values = pixels.flip(1) if self.flips_channels else pixels
        return torch.addcmul(offset, values.to(torch.float32), scale)

    def largest(self, width: int, height: int) -> int:
        """Pixels of the image between resizing and cropping: a long strip becomes far larger than what is kept."""
        edge = _sides(self.processor.size).get("shortest_edge")
        if not edge or not getattr(self.processor, "do_resize", True):
            return width * height
        return int(edge * edge * 1.5 * max(width, height) / min(width, height))

    def _fixed_size(self) -> tuple[int, int]:
        from PIL import Image

        what = type(self.processor).__name__
        made = []
        for shape in ((48, 32), (32, 48), (300, 500)):
            probe = Image.fromarray(np.full((*shape, 3), 128, np.uint8))
            try:
                made.append(np.asarray(self.pixels([probe])[0]))
                self.processor(images=[probe])
            except Exception as error:
                raise InputError(
                    f"the image processor {what} does not run on an image in colour: {one_line(error)}"
                ) from None
        shapes = {array.shape for array in made}
        if len(shapes) > 1 or made[0].ndim != 3 or made[0].shape[0] != 3 or made[0].dtype != np.uint8:
            images = all(len(shape) == 3 and shape[0] == 3 for shape in shapes)
            raise InputError(
                f"the image processor {what} makes {' and '.join(str(shape) for shape in sorted(shapes))} of "
                f"{made[0].dtype}, not images (3, height, width) of one size"
                + (": give --image_size" if images and len(shapes) > 1 else ", which this recipe needs")
            )
        return made[0].shape[1], made[0].shape[2]

    def _linear(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and offset of each channel, from what the processor makes of the 256 values of a byte."""
        from PIL import Image

        values = np.arange(256, dtype=np.uint8)
        ramp = Image.fromarray(np.broadcast_to(values.reshape(16, 16, 1), (16, 16, 3)).copy())
        unchanged = {name: False for name in ("do_resize", "do_center_crop", "do_pad") if hasattr(self.processor, name)}
        made = np.asarray(self.processor(images=[ramp], **unchanged)["pixel_values"][0], dtype=np.float64)
        if made.shape != (3, 16, 16):
            self._refuse_order(f"it makes {made.shape} of an image of 16 × 16 that is not to be resized")
        scale, offset = np.polyfit(values.astype(np.float64), made.reshape(3, 256).T, 1)
        return torch.tensor(scale, dtype=torch.float32), torch.tensor(offset, dtype=torch.float32)

    def _check(self) -> None:
        from PIL import Image

        probe = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
        expected = np.asarray(self.processor(images=[probe])["pixel_values"][0])
        made = self.normalize(torch.from_numpy(np.stack(self.pixels([probe]))))[0].numpy()
        if (error := np.abs(expected - made).max()) > 1e-5 * max(1.0, np.abs(expected).max()):
            self._refuse_order(f"off by {error:.1e}")

    def _refuse_order(self, seen: str) -> None:
        raise InputError(
            f"the image processor {type(self.processor).__name__} does more than resize, crop, then rescale and "
            f"normalise ({seen}): such a model cannot be trained by this recipe"
        )


def set_image_size(processor: Any, size: int) -> Any:
    """A copy of an image processor for images of ``size`` × ``size``; the share that its crop keeps stays the same.

    Raises:
        InputError: a size below 1, or a processor that makes no such images.
    """
    if size < 1:
        raise InputError(f"image_size {size}: expected a number of pixels such as 224")
    made: list[Any] = []
    for sizes in _sizes_for(processor, size):
        changed = copy.deepcopy(processor)
        for name, value in sizes.items():
            setattr(changed, name, value)
        try:
            made.append(Processing(changed).size)
        except InputError as error:
            made.append(error)
        if made[-1] == (size, size):
            return changed
    what = type(processor).__name__
    raise InputError(f"image_size {size}: the image processor {what} makes no such images, but this: {made[0]}")


def _sizes_for(processor: Any, size: int) -> Iterator[dict[str, Any]]:
    """Settings that may give images of a size: resized then cropped, cropped then resized, or with a crop added."""
    square = {"height": size, "width": size}
    before, crop = _sides(processor.size), _sides(getattr(processor, "crop_size", None))
    if not getattr(processor, "do_center_crop", False) or "height" not in crop:
        sides = {"shortest_edge": size} if set(before) == {"shortest_edge"} else square
        yield {"size": _like(processor.size, sides)}
        if "height" in crop:
            cut = {"do_center_crop": True, "crop_size": _like(processor.crop_size, square)}
            yield {"size": _like(processor.size, sides), **cut}
        return
    scaled = {side: round(value * size / crop["height"]) for side, value in before.items()}
    yield {"size": _like(processor.size, scaled), "crop_size": _like(processor.crop_size, square)}
    if "height" in before:
        scaled = {side: round(value * size / before["height"]) for side, value in crop.items()}
        yield {"size": _like(processor.size, square), "crop_size": _like(processor.crop_size, scaled)}


def check_image_size(size: int, patch_size: int | Sequence[int]) -> None:
    """Refuse a size that patches do not fill.

    Raises:
        InputError: with the nearest sizes that fit.
    """
    sides = [patch_size] if isinstance(patch_size, int) else list(patch_size)
    multiple = int(np.lcm.reduce(sides))
    if size >= 1 and size % multiple == 0:
        return
    below = max(0, size // multiple * multiple)
    fitting = [fit for fit in (below, below + multiple) if fit > 0]
    patch = " × ".join(map(str, dict.fromkeys(sides)))
    raise InputError(
        f"image_size {size} is not divisible by the patch size {patch}: the nearest that fit are "
        f"{' and '.join(map(str, fitting))}"
        if len(fitting) > 1
        else f"image_size {size} is not divisible by the patch size {patch}: the least that fits is {fitting[0]}"
    )


def _sides(size: Any) -> dict[str, int]:
    """A size as a plain dictionary, whatever a processor holds it in."""
    if size is None:
        return {}
    if isinstance(size, int):
        return {"height": size, "width": size}
    return {name: value for name, value in dict(size).items() if value is not None}


def _like(before: Any, sides: dict[str, int]) -> Any:
    """Sides as a processor holds them: transformers' ``SizeDict``, or a plain dictionary."""
    return sides if before is None or isinstance(before, int) else type(before)(**sides)
