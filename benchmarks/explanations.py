"""What an explanation costs, in turns with what else would be run: medians of ratios, on the real MiniLM and ViT.

    python benchmarks/explanations.py --save

Printed: attention seen of one row, one layer and all, against the plain forward pass; methods of attention, in forward
passes; a step of training with a rationale loss; integrated gradients against Captum called for one input, a step at a
time and all at once; LIME against the `lime` package on the same texts with the same model and as many samples.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "explanations.json"
TEXT = (
    "The film starts slowly , but its second half is one of the most moving hours that I have seen in a cinema this "
    "year , and the two leads are wonderful together ."
)


def in_turns(rounds, **commands):
    """Median of each command's time over that of the first one in the same round; the first round is not counted."""
    ratios = {name: [] for name in commands}
    for number in range(rounds + 1):
        took = {}
        for name, command in commands.items():
            started = time.perf_counter()
            command()
            took[name] = time.perf_counter() - started
        first = next(iter(took.values()))
        if number:
            for name, seconds in took.items():
                ratios[name].append(seconds / first)
    return {name: statistics.median(values) for name, values in ratios.items()}


def text_model():
    from hf_attn import models
    from hf_attn.models.quickstart import checkpoint

    folder = checkpoint()
    torch.manual_seed(0)
    return models.load(folder, labels=["negative", "positive"]).eval(), models.load_tokenizer(folder)


def capture(rounds):
    """The forward pass with one attention layer seen, and with all, as shares of the plain one."""
    from hf_attn.explain.case import Case
    from hf_attn.explain.seen_layers import last_number, see_layers

    model, tokenizer = text_model()
    found = {}
    for words in (30, 120, 360):
        case = Case(model, tokenizer, " ".join((TEXT.split() * 20)[:words]))
        number = last_number(case)
        batch = case.parted.batch

        @torch.no_grad()
        def plain(batch=batch):
            model(**batch)

        tokens = batch["input_ids"].shape[1]
        found[f"{tokens} tokens"] = in_turns(
            rounds,
            plain=plain,
            one_row=lambda case=case, number=number: see_layers(case, {number}, row=0),
            one_layer=lambda case=case, number=number: see_layers(case, {number}),
            all_layers=lambda case=case: see_layers(case),
        )
    return found


def methods(rounds):
    """Methods of attention, in plain forward passes of the same input."""
    from hf_attn.explain.case import Case
    from hf_attn.explain.methods import METHODS

    model, tokenizer = text_model()
    found = {}
    for words in (30, 120):
        case = Case(model, tokenizer, " ".join((TEXT.split() * 20)[:words]))

        @torch.no_grad()
        def plain(case=case):
            model(**case.parted.batch)

        names = ("attention", "rollout", "value_norms", "grad_attention", "relevance", "saliency")
        runs = {name: lambda case=case, name=name: METHODS[name].function(case) for name in names}
        found[f"{case.parted.batch['input_ids'].shape[1]} tokens"] = in_turns(rounds, forward_pass=plain, **runs)
    return found


def supervision(rounds):
    """A step of training with a rationale loss, over one without."""
    from hf_attn.training.around.rationale import with_rationales

    model, _ = text_model()
    model.train()
    found = {}
    for tokens in (128, 512):
        ids = torch.randint(1000, 20000, (4, tokens))
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        marked = torch.zeros(4, tokens)
        marked[:, 10:40] = 1
        labels = torch.tensor([0, 1, 0, 1])

        def task(model, batch, labels=labels):
            return torch.nn.functional.cross_entropy(model(**batch).logits, labels, reduction="sum")

        def step(loss_fn, batch):
            loss_fn(model, batch).backward()
            model.zero_grad()

        with_ = {loss: with_rationales(task, 1.0, loss=loss) for loss in ("mass", "kl", "sparsemax")}
        found[f"{tokens} tokens"] = in_turns(
            rounds,
            plain=lambda batch=batch, task=task: step(task, batch),
            **{
                loss: lambda one=one, batch=batch, marked=marked: step(one, {**batch, "rationale": marked})
                for loss, one in with_.items()
            },
        )
    return found


def against_captum(rounds):
    """Integrated gradients against Captum with its default 50 steps, and how far apart they are."""
    from captum.attr import LayerIntegratedGradients

    from hf_attn.explain.case import Case
    from hf_attn.explain.gradients import integrated_gradients

    model, tokenizer = text_model()
    case = Case(model, tokenizer, TEXT)
    ids, mask = case.parted.batch["input_ids"], case.parted.batch["attention_mask"]
    kinds = case.parted.batch.get("token_type_ids")
    place = int(case.predictions.outputs[0].argmax())
    here = torch.from_numpy(case.parted.part_of < 0)[None]
    baseline = ids.masked_fill(~here, tokenizer.mask_token_id)

    def forward(given):
        rows = len(given)
        more = {} if kinds is None else {"token_type_ids": kinds.expand(rows, -1)}
        return model(input_ids=given, attention_mask=mask.expand(rows, -1), **more).logits[:, place]

    naive = LayerIntegratedGradients(forward, model.get_input_embeddings())

    def captum(steps=50, internal=1):
        return naive.attribute(ids, baseline, n_steps=steps, internal_batch_size=internal)

    exact = captum(400, 32).sum(-1)[0].detach().numpy()
    by_word = np.zeros(len(case))
    np.add.at(by_word, case.parted.part_of[case.parted.part_of >= 0], exact[case.parted.part_of >= 0])
    own = integrated_gradients(case)
    close = float(np.abs(own.weights - by_word).max() / np.abs(by_word).max())
    ratios = in_turns(
        rounds,
        own=lambda: integrated_gradients(case),
        captum_one_step_at_a_time=captum,
        captum_all_steps_at_once=lambda: captum(50, None),
    )
    return {**ratios, "steps": own.notes["steps"], "completeness_error": own.notes["completeness_error"],
            "largest_difference_to_captum_with_400_steps": close}  # fmt: skip


def against_lime(texts):
    """LIME of many texts against the package: seconds, with as many samples and with the package's default."""
    import pandas as pd
    from lime.lime_text import LimeTextExplainer

    from hf_attn.explain.case import Case
    from hf_attn.explain.perturbations import lime

    model, tokenizer = text_model()
    read = pd.read_csv(SHARED / "data/sst2/validation.csv")["text"].tolist()
    chosen = read[:: max(1, len(read) // texts)][:texts]
    explainer = LimeTextExplainer(class_names=["negative", "positive"], random_state=0)

    @torch.no_grad()
    def one_by_one(some):
        return np.concatenate([model(**tokenizer([t], return_tensors="pt")).logits.softmax(-1).numpy() for t in some])

    @torch.no_grad()
    def padded(some):
        return model(**tokenizer(list(some), return_tensors="pt", padding=True)).logits.softmax(-1).numpy()

    def timed(run):
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    took = {
        "own": 0.0,
        "package, texts one by one": 0.0,
        "package, all texts in a batch": 0.0,
        "package, its 5000": 0.0,
    }
    for number, text in enumerate(chosen):
        took["own"] += timed(lambda text=text: lime(Case(model, tokenizer, text, removal="delete"), samples=1000))
        took["package, texts one by one"] += timed(
            lambda text=text: explainer.explain_instance(text, one_by_one, num_samples=1000, labels=(0,))
        )
        took["package, all texts in a batch"] += timed(
            lambda text=text: explainer.explain_instance(text, padded, num_samples=1000, labels=(0,))
        )
        if number % 10 == 0:
            took["package, its 5000"] += 10 * timed(
                lambda text=text: explainer.explain_instance(text, padded, labels=(0,))
            )
    return {"texts": len(chosen), **{name: seconds / took["own"] for name, seconds in took.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each comparison (default: 15)")
    parser.add_argument("--texts", type=int, default=100, help="texts for LIME (default: 100)")
    parser.add_argument(
        "--only", choices=("capture", "methods", "supervision", "captum", "lime"), help="one comparison"
    )
    parser.add_argument("--save", action="store_true", help="write results/explanations.json")
    args = parser.parse_args()
    runs = {
        "capture": lambda: capture(args.rounds),
        "methods": lambda: methods(args.rounds),
        "supervision": lambda: supervision(args.rounds),
        "captum": lambda: against_captum(max(3, args.rounds // 3)),
        "lime": lambda: against_lime(args.texts),
    }
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, run in runs.items():
        if args.only in (None, name):
            found[name] = run()
            print(name, json.dumps(found[name], indent=1), flush=True)
            if args.save:
                RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
