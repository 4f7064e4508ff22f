"""Convert CIFAR-10 ResNets of github.com/akamaster/pytorch_resnet_cifar10 to a model folder of transformers.

``python -m hf_attn.models.vision.cifar_resnet_conversion resnet20.safetensors FOLDER`` writes configuration, weights,
code and image processor, for ``from_pretrained``.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...attention.modeling_cifar_resnet import CifarResNetForImageClassification, HfAttnCifarResNetConfig
from ...errors import InputError
from ..checkpoint import quietly

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RENAMES = (
    (r"^conv1\.", "resnet.convolution."),
    (r"^bn1\.", "resnet.normalization."),
    (r"^layer(\d)\.(\d+)\.conv(\d)\.", lambda m: f"resnet.stages.{int(m[1]) - 1}.{m[2]}.convolution{m[3]}."),
    (r"^layer(\d)\.(\d+)\.bn(\d)\.", lambda m: f"resnet.stages.{int(m[1]) - 1}.{m[2]}.normalization{m[3]}."),
    (r"^linear\.", "classifier."),
)


def convert(source: str | Path, target: str | Path) -> CifarResNetForImageClassification:
    """Write a model folder from a weight file of the source repository, as safetensors, and return the model.

    Raises:
        InputError: the file is missing, damaged or of another network, or ``target`` exists.
    """
    from transformers import ViTImageProcessorPil

    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{str(target)!r} exists: nothing is overwritten; name a new folder")
    model = from_state(read_weights(Path(source)), str(source))
    with quietly():
        model.save_pretrained(target)
    processor = ViTImageProcessorPil(
        do_resize=True, size={"height": 32, "width": 32}, image_mean=list(MEAN), image_std=list(STD)
    )
    processor.save_pretrained(target)
    return model


def read_weights(source: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: there is none, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not source.is_file():
        raise InputError(f"{str(source)!r} does not exist: expected a safetensors file such as resnet20.safetensors")
    try:
        return load_file(source)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{str(source)!r} is no readable safetensors file ({error}): copy it again") from None


def from_state(state: Mapping[str, Tensor], name: str) -> CifarResNetForImageClassification:
    """Build the model of a state dictionary in the names of the source.

    Args:
        state: names to tensors, as ``resnet.py`` of the source repository has them.
        name: of the file, for messages.

    Raises:
        InputError: tensors are missing, unknown, or of another shape.
    """
    blocks = len({key.split(".")[1] for key in state if re.match(r"layer1\.\d+\.", key)})
    config = HfAttnCifarResNetConfig(
        num_blocks=max(blocks, 1),
        id2label=dict(enumerate(CLASSES)),
        label2id={label: i for i, label in enumerate(CLASSES)},
    )
    model = CifarResNetForImageClassification(config).eval()
    renamed = {rename(key): tensor for key, tensor in state.items()}
    expected = {key: t for key, t in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    renamed = {key: t for key, t in renamed.items() if not key.endswith("num_batches_tracked")}
    wrong = [f"{key} is missing" for key in sorted(expected.keys() - renamed.keys())]
    wrong += [f"{key} is unknown" for key in sorted(renamed.keys() - expected.keys())]
    wrong += [
        f"{key} has shape {tuple(renamed[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & renamed.keys())
        if renamed[key].shape != expected[key].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(
            f"{name!r} holds no CIFAR-10 ResNet of github.com/akamaster/pytorch_resnet_cifar10: "
            f"{'; '.join(wrong[:3])}{more}"
        )
    model.load_state_dict(renamed, strict=False)
    return model


def rename(key: str) -> str:
    """Return the name here of a tensor of the source."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)  # type: ignore[arg-type]
    return key


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if len(arguments) != 2:
            raise InputError(
                f"{len(arguments)} arguments: expected two, a safetensors file and a new folder: "
                "python -m hf_attn.models.vision.cifar_resnet_conversion resnet20.safetensors FOLDER"
            )
        model = convert(*arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{arguments[1]}: ResNet-{6 * model.config.num_blocks + 2}, {parameters:,} parameters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
