"""What ``accelerate launch`` and its configuration file ask for: taken, or refused where the loop cannot do it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import torch

from .config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.state import PartialState

log = logging.getLogger(__name__)

PRECISION = "ACCELERATE_MIXED_PRECISION"
ACCUMULATION = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"
SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism configuration",
}
"""Ways to share one model out over processes, by the variable that turns them on."""
HALF = {"bfloat16": "bf16", "float16": "fp16"}
"""What weights of a dtype are multiplied in."""
WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def problems(config: TrainConfig, state: PartialState) -> list[str]:
    """What the launcher asks for and the loop cannot do, one line each."""
    from accelerate.utils import is_bf16_available, parse_flag_from_env

    found = [
        f"the launcher asks for {name}, and this loop trains whole models, one a process (DDP): launch without it"
        for variable, name in SHARDING.items()
        if parse_flag_from_env(variable)
    ]
    asked, device = precision(config, state.device), state.device.type
    who, others = _asker(config), ", no or auto" if config.precision != "auto" else " or no"
    if asked not in ("no", "bf16", "fp16"):
        found.append(f"the launcher asks for mixed_precision {asked}: choose bf16, fp16 or no")
    elif asked == "fp16" and device == "cpu":
        found.append(f"{who}precision fp16 needs a GPU: choose bf16{others} on this processor")
    elif asked == "bf16" and device != "cpu" and not is_bf16_available():
        found.append(f"{who}precision bf16 is not what this {device} device computes in: choose fp16{others}")
    if HALF.get(config.dtype, asked) != asked:
        found.append(f"--dtype {config.dtype} computes in {HALF[config.dtype]} and the launcher asks for {asked}")
    steps = os.environ.get(ACCUMULATION, "1")
    if steps not in ("1", str(config.accumulation_steps)):
        found.append(
            f"the launcher asks for {steps} gradient accumulation steps and --accumulation_steps is "
            f"{config.accumulation_steps}: give --accumulation_steps {steps}"
        )
    if config.compile and os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no").lower() != "no":
        found.append("the launcher compiles the model with its dynamo backend and --compile once more: give one")
    alone = state.num_processes == 1 and not any(name in os.environ for name in WORLD_SIZES)
    if alone and PRECISION in os.environ and "MASTER_PORT" in os.environ:
        found.append(
            "accelerate launch was told several processes and starts one, as it does without GPUs: "
            "ACCELERATE_USE_CPU=true torchrun --nproc_per_node N starts N"
        )
    return found


def precision(config: TrainConfig, device: torch.device) -> str:
    """The precision to train in: of the arguments, else of the launcher, else what ``device`` multiplies fastest in."""
    if config.precision != "auto":
        return config.precision
    return os.environ.get(PRECISION, "").lower() or HALF.get(config.dtype) or choose_precision(device)


def _asker(config: TrainConfig) -> str:
    """Who asked for the precision, if it was not ``config.precision``."""
    if config.precision != "auto":
        return ""
    return "the launcher's mixed_" if os.environ.get(PRECISION) else f"of --dtype {config.dtype}, "


def say(config: TrainConfig, device: torch.device) -> None:
    """Log where arguments, launcher and device differ, and which of them holds."""
    asked, own = os.environ.get(PRECISION, "").lower(), choose_precision(device)
    if asked and config.precision not in ("auto", asked):
        log.info("precision %s, as --precision says; the launcher says %s", config.precision, asked)
    elif asked and config.precision == "auto" and asked != own:
        log.info("precision %s, as the launcher says; --precision auto alone would be %s here", asked, own)


def choose_precision(device: torch.device) -> str:
    """bf16 where ``device`` multiplies matrices in it, otherwise no."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    if device.type == "cpu":
        has = torch.cpu.get_capabilities()
        return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "no"
    return "no"


def wait(accelerator: Accelerator) -> None:
    """Wait until every process is here; on processors too where there is a GPU beside them, which Accelerate asks."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized() and distributed.get_backend() == "gloo":
        distributed.barrier()
    else:
        accelerator.wait_for_everyone()
