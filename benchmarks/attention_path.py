"""Forward and backward of torch's fused attention against matrix products and a softmax, on this machine.

    python benchmarks/attention_path.py --save

What ``hf_attn.attention.softmax_path.plain_is_faster`` rests on. Printed are medians of the ratio, round by round.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from hf_attn.attention.softmax_path import product_context

RESULTS = Path(__file__).parent / "results" / "attention_path.json"
SHAPES = (
    (32, 3, 37, 64),
    (32, 12, 32, 32),
    (32, 12, 128, 32),
    (16, 3, 197, 64),
    (8, 12, 256, 64),
    (8, 12, 512, 64),
    (2, 12, 1024, 64),
)


def fused(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


def plain(query, key, value):
    return product_context(query * query.shape[-1] ** -0.5, key, value, None, None, 0.0)


def seconds(attend, tensors, gradient):
    started = time.perf_counter()
    attend(*tensors).backward(gradient)
    if gradient.is_cuda:
        torch.cuda.synchronize()
    for tensor in tensors:
        tensor.grad = None
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    print("| batch, heads, tokens, head size | fused ÷ plain, bf16 | fused ÷ plain, fp32 |\n|---|---|---|")
    for shape in SHAPES:
        row = {"shape": shape}
        for dtype in (torch.bfloat16, torch.float32):
            tensors = [torch.randn(shape, dtype=dtype, device=device, requires_grad=True) for _ in range(3)]
            gradient = torch.randn(shape, dtype=dtype, device=device)
            times = [[seconds(path, tensors, gradient) for path in (fused, plain)] for _ in range(args.rounds + 3)]
            row[str(dtype).removeprefix("torch.")] = statistics.median(a / b for a, b in times[3:])
        rows.append(row)
        print(f"| {', '.join(map(str, shape))} | {row['bfloat16']:.2f} | {row['float32']:.2f} |", flush=True)
    if args.save:
        command = "python benchmarks/attention_path.py --save"
        RESULTS.write_text(json.dumps({"command": command, "device": device, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
