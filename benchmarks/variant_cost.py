"""What each attention variant costs: a training step and a forward pass against the stock model, interleaved.

    python benchmarks/variant_cost.py --tokens 64 --save
    python benchmarks/variant_cost.py --image_size 160 --save     # of a ViT-Ti/16
    python benchmarks/variant_cost.py --model google-bert/bert-base-uncased --tokens 128 --batch_size 64    # for a GPU

All models share MiniLM's weights, the ViT's, or those of ``--model``. Round after round, each takes one step in turn;
printed are medians of the ratio to the stock model's step of the same round. ``dot_product`` is what the seam itself
costs; ``watched`` is the stock model's forward pass with the first row ([CLS]) of the last layer taken.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

import hf_attn
from hf_attn.attention import VARIANTS, watch_attention
from hf_attn.models.quickstart import checkpoint
from hf_attn.models.vision import resolution

VIT = Path(os.environ.get("HF_ATTN_SHARED", "../shared"), "checkpoints/vit-tiny-patch16-224-in1k")
RESULTS = Path(__file__).parent / "results" / "variant_cost.json"


def train(model, inputs):
    model.train()
    with torch.autocast(model.device.type, torch.bfloat16):
        loss = model(**inputs).logits.float().square().sum()
    loss.backward()
    model.zero_grad()


def forward(model, inputs):
    model.eval()
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16):
        model(**inputs)


def watched(model, inputs):
    with watch_attention(model, layers=[-1], rows=[0]):
        forward(model, inputs)


def seconds(step, model, inputs):
    started = time.perf_counter()
    step(model, inputs)
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def texts(args, device):
    model = AutoModelForSequenceClassification.from_pretrained(args.model or checkpoint(), num_labels=2)
    model = model.to(device)
    ids = torch.randint(1000, 20000, (args.batch_size, args.tokens), device=device)
    mask = torch.ones_like(ids)
    mask[1::2, -args.tokens // 8 :] = 0
    return model, {"input_ids": ids, "attention_mask": mask}


def images(args, device):
    model = AutoModelForImageClassification.from_pretrained(args.model or VIT).to(device)
    resolution.set_image_size(model, args.image_size)
    return model, {"pixel_values": torch.randn(args.batch_size, 3, args.image_size, args.image_size, device=device)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="Hub id or folder (default: the quickstart's MiniLM, or the ViT-Ti)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each text (default: 64)")
    parser.add_argument("--image_size", type=int, help="pixels a side: images and a ViT in place of texts")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--save", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stock, inputs = (images if args.image_size else texts)(args, device)
    names = [name for name in hf_attn.list_variants() if args.image_size or not VARIANTS[name].needs_patches]
    models = {"stock": stock} | {name: hf_attn.swap_attention(stock, name) for name in names}
    contests = {(name, step): [] for name in models for step in (train, forward)} | {("stock", watched): []}
    for round_ in tqdm(range(args.rounds + 2)):
        for (name, step), times in contests.items():
            taken = seconds(step, models[name], inputs)
            if round_ > 1:
                times.append(taken)

    def ratio(name, step, against):
        pairs = zip(contests[name, step], contests["stock", against], strict=True)
        return statistics.median(mine / other for mine, other in pairs)

    rows = {name: [ratio(name, train, train), ratio(name, forward, forward)] for name in models}
    rows["watched"] = [None, ratio("stock", watched, forward)]
    print("| attention | training step ÷ stock | forward ÷ stock |\n|---|---|---|")
    for name, (training, inference) in rows.items():
        print(f"| {name} | {'' if training is None else f'{training:.2f}'} | {inference:.2f} |")
    if args.save:
        size = f"--image_size {args.image_size}" if args.image_size else f"--tokens {args.tokens}"
        size = f"--model {args.model} {size}" if args.model else size
        command = f"python benchmarks/variant_cost.py {size} --batch_size {args.batch_size} --save"
        found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found["images" if args.image_size else "texts"] = {"command": command, "device": device, "rows": rows}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
