"""What rationale supervision does on movie reviews: macro-F1, agreement of the attention with people, faithfulness.

    python benchmarks/rationales.py                              # the whole model, 5 seeds: for a GPU, or a night
    python benchmarks/rationales.py --layers 1 --epochs 2        # the last layer and the head: minutes a run
    python benchmarks/rationales.py --conditions none mass:sparsemax kl:sparsemax --layers 1 --epochs 2

A condition is a loss, or `none`, or `random_LOSS` (the same on spans of the same lengths at random places), and after a
colon an attention variant. Runs of one seed share their head and the order of the examples. With --layers N the
layers below the last N are frozen, without dropout, and run over the data once. The last layer is trained by the class
token alone, which is all that the head reads: the same numbers, and much faster. Each run is added to
results/rationales.json, and one that is there already is not run again; the table is of them all.
"""

import argparse
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from recipe_runs import Runs, half_interval
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import eager_attention_forward

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
RESULTS = Path(__file__).parent / "results" / "rationales.json"
COLUMN = "rationale_char_spans"
EXPLAINED = 50
"""Test reviews whose comprehensiveness is measured."""


class Given(nn.Module):
    """Stands for embeddings and frozen layers: what they gave is given again."""

    def forward(self, input_ids=None, inputs_embeds=None, **_):
        return inputs_embeds


class Frozen(nn.Module):
    """Stands for embeddings and frozen layers, the same in all runs: rows that come again are not run again."""

    def __init__(self, layers):
        super().__init__()
        self.layers = [layers]  # not its own modules: what is explained stands above
        self.known, self.uses, self.new = {}, Counter(), set()

    @property
    def word_embeddings(self):
        """The table of tokens, which tells a model's vocabulary."""
        return self.layers[0][0].word_embeddings

    @torch.no_grad()
    def forward(self, input_ids=None, **_):
        keys = [row.cpu().numpy().tobytes() for row in input_ids]
        fresh = [at for at, key in enumerate(keys) if key not in self.known]
        if fresh:
            embeddings, *layers = self.layers[0]
            states = embeddings(input_ids=input_ids[fresh])
            for layer in layers:
                states = layer(states)
            self.known.update(zip((keys[at] for at in fresh), states, strict=True))
            self.new.update(keys[at] for at in fresh)
        self.uses.update(keys)
        return torch.stack([self.known[key] for key in keys])

    def forget(self):
        """Forget the rows of an earlier run that did not come again."""
        for key in [key for key in self.known if key not in self.new and self.uses[key] < 2]:
            del self.known[key]
        self.new = set()


class OfClassToken(nn.Module):
    """A last layer whose output is the class token's alone."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states, attention_mask=None, *_, **__):
        inner, first = self.layer.attention.self, hidden_states[:, :1]

        def heads(projection, states):
            return projection(states).unflatten(-1, (-1, inner.attention_head_size)).transpose(1, 2)

        attend = ALL_ATTENTION_FUNCTIONS.get_interface(inner.config._attn_implementation, eager_attention_forward)
        given = [
            heads(one, of)
            for one, of in ((inner.query, first), (inner.key, hidden_states), (inner.value, hidden_states))
        ]
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        dropout = inner.dropout.p if inner.training else 0.0
        context, _ = attend(inner, *given, mask, dropout=dropout, scaling=inner.scaling)
        return self.layer.feed_forward_chunk(self.layer.attention.output(context.flatten(2), first))


class Rows:
    """Rows of tokens with what the frozen layers make of them."""

    def __init__(self, rows, states, marked):
        self.rows, self.states, self.marked = rows, states, marked
        self.features = {"length": [len(one) for one in states]}

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return {
            "states": self.states[row],
            "labels": self.rows["labels"][row],
            "ids": row,
            "rationale": self.marked[row],
        }


def collate(rows):
    width = max(len(row["states"]) for row in rows)
    batch = {
        "inputs_embeds": torch.zeros(len(rows), width, rows[0]["states"].shape[-1]),
        "attention_mask": torch.zeros(len(rows), width, dtype=torch.long),
        "rationale": torch.zeros(len(rows), width),
    }
    for at, row in enumerate(rows):
        size = len(row["states"])
        batch["inputs_embeds"][at, :size] = row["states"].float()
        batch["attention_mask"][at, :size] = 1
        batch["rationale"][at, :size] = torch.as_tensor(row["rationale"])
    labels = torch.tensor([row["labels"] for row in rows])
    return {**batch, "labels": labels, "ids": torch.tensor([row["ids"] for row in rows])}


@torch.no_grad()
def states_of(model, rows, layers):
    """What the model gives below its last ``layers`` layers, for each row, (tokens, channels) bfloat16."""
    model.eval()
    lower = len(model.bert.encoder.layer) - layers
    found = []
    for row in rows:
        ids = torch.tensor([row["input_ids"]], device=model.device)
        given = model.bert(input_ids=ids, output_hidden_states=True).hidden_states[lower]
        found.append(given[0].bfloat16().cpu())
    return found


def spans_of(split, column=COLUMN, seed=None):
    """The spans of each text; with a seed, spans of the same lengths at random places."""
    if seed is None:
        return split[column][:]
    random = np.random.default_rng(seed)
    moved = []
    for spans, text in zip(split[column], split["text"], strict=True):
        lengths = [end - start for start, end in spans]
        starts = [int(random.integers(0, max(1, len(text) - length))) for length in lengths]
        moved.append([[start, start + length] for start, length in zip(starts, lengths, strict=True)])
    return moved


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", nargs="+", default=["none", "mass", "kl", "random_kl"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--layers", type=int, default=6, help="layers that are trained, from the top (default: 6, all)")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--heads", default="auto")
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--share", type=float, default=0.8, help="of the attention that mass asks for (default: 0.8)")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--limit", type=int, help="reviews of train (default: all 1,600)")
    args = parser.parse_args()
    runs, lab = Runs(RESULTS), Laboratory(args)
    for seed in args.seeds:
        for condition in args.conditions:
            name = key(condition, args, seed)
            if name not in runs.found:
                runs.keep(name, lab.run(condition, seed))
    print(table(runs))


def key(condition, args, seed):
    """The name of a run among the results; what supervision alone has is not in the name of one without."""
    heads, weight = ("-", "-") if condition.startswith("none") else (args.heads, f"{args.weight:g}")
    name = f"{condition}/{heads}/layers {args.layers}/epochs {args.epochs:g}/weight {weight}/lr {args.lr:g}/{seed}"
    name += f"/limit {args.limit}" if args.limit else ""
    return name + (f"/share {args.share:g}" if "mass" in condition and args.share != 0.8 else "")


class Laboratory:
    """The data and the frozen part, which all runs share."""

    def __init__(self, args):
        from functools import partial

        from hf_attn.models.quickstart import checkpoint

        self.args, self.checkpoint, self.partial = args, str(checkpoint()), partial
        self.cache, self.frozen = {}, None

    def config(self, variant, loss, seed):
        from hf_attn.interface.arguments import parse
        from hf_attn.recipes.text_classification import Config

        lower = 6 - self.args.layers
        frozen = ["--freeze", rf"embeddings|encoder\.layer\.[0-{lower - 1}]\."] if lower else []
        limit = ["--limit", str(self.args.limit)] if self.args.limit else []
        trained = rf"encoder\.layer\.[{lower}-5]\."
        attention = ["--attention", variant, "--attention_include", trained] if variant else []
        argv = ["--model", self.checkpoint, "--dataset", f"{SHARED}/data/movie_rationales", "--label", "label_name"]
        argv += ["--max_length", "512", "--batch_size", "16", "--lr", str(self.args.lr), "--seed", str(seed)]
        argv += ["--epochs", str(self.args.epochs), "--rationale", COLUMN, "--rationale_loss", loss]
        argv += ["--rationale_heads", self.args.heads, "--rationale_weight", str(self.args.weight)]
        argv += ["--rationale_mass", str(self.args.share), "--overwrite", "true"]
        argv += ["--output_dir", f"runs/rationales/{os.getpid()}", *frozen, *limit, *attention]
        return parse(Config, argv, recipe="text_classification")

    def run(self, condition, seed):
        from accelerate.utils import set_seed

        from hf_attn import models, training
        from hf_attn.tasks.inputs import text
        from hf_attn.tasks.inputs.text.rationales import share_of_tokens
        from hf_attn.tasks.targets import labels

        loss, _, variant = condition.partition(":")
        moved = seed if loss.startswith("random_") else None
        config = self.config(variant, "mass" if loss == "none" else loss.removeprefix("random_"), seed)
        accelerator = training.start(config)
        set_seed(seed)
        splits, target = labels.encode(text.load_splits(config, config.label), config)
        tokenizer = text.load_processor(config.model)
        agree = self.partial(text.bring_together, tokenizer=tokenizer, max_length=512)
        model = models.load_for("text-classification", config, target, adapt=agree)
        rows, inner = {}, model.bert
        for name, split in splits.items():
            if name not in self.cache:
                made = text.rows(splits, tokenizer, config, accelerator)
                plain = models.load_for("text-classification", self.config("", "mass", 0), target, adapt=agree)
                self.cache |= {
                    one: (made[one], states_of(plain.to(accelerator.device), made[one], self.args.layers))
                    for one in made
                }
            marked = [
                share_of_tokens(tokenizer, one, None, [spans] if spans else [], 512)
                for one, spans in zip(split["text"], spans_of(split, seed=moved), strict=True)
            ]
            rows[name] = Rows(*self.cache[name], marked)
        whole = inner.embeddings, inner.encoder.layer
        *upper, last = whole[1][6 - self.args.layers :]
        inner.embeddings, inner.encoder.layer = Given(), nn.ModuleList([*upper, OfClassToken(last)])
        train = training.train_loader(rows["train"], collate, accelerator, config)
        valid, test = (
            training.eval_loader(rows[name], collate, accelerator, config) for name in ("validation", "test")
        )
        agreement_before = training.supervised(target.loss, model, valid, accelerator, config)
        start = time.perf_counter()
        model, _ = training.fit(
            model,
            train,
            config,
            accelerator,
            loss_fn=target.loss if loss == "none" else agreement_before,
            count=target.count,
            evaluate=lambda model: target.scores(
                training.predict(model, valid, accelerator, target.outputs), ["f1_macro"]
            ),
            default_metric="f1_macro",
            data=str(seed),
        )
        seconds = time.perf_counter() - start
        model = accelerator.unwrap_model(model)
        scores = target.scores(training.predict(model, test, accelerator, target.outputs))
        self.frozen = self.frozen or Frozen([module.eval() for module in (whole[0], *whole[1][: 6 - self.args.layers])])
        inner.embeddings, inner.encoder.layer = self.frozen, whole[1][6 - self.args.layers :]
        measured = explained(model.eval(), tokenizer, splits["test"])
        self.frozen.forget()
        kept = {name: scores[name] for name in ("accuracy", "f1_macro", "auroc")}
        return {**kept, **measured, "seconds": round(seconds)}


def explained(model, tokenizer, split):
    """Agreement with people of the classifier's own attention over all of test, and comprehensiveness of some of it."""
    from hf_attn.explain.agreement import agreement, marked_parts
    from hf_attn.explain.attentions import attention
    from hf_attn.explain.case import Case
    from hf_attn.explain.faithfulness import SHARES

    cases, truth = [], []
    for one, spans in zip(split["text"], split[COLUMN], strict=True):
        case = Case(model, tokenizer, one, batch_size=8)
        cases.append((case, attention(case).weights))
        truth.append(marked_parts(case.parted.parts, spans))
    share = float(np.mean([marked.mean() for marked in truth]))
    agreed = [
        agreement(weights, marked, share) for (_, weights), marked in zip(cases, truth, strict=True) if marked.any()
    ]
    lost = {"comprehensiveness": [], "comprehensiveness_random": []}
    random = np.random.default_rng(0)
    for case, weights in cases[:EXPLAINED]:
        for name, order in (("", np.argsort(-weights)), ("_random", random.permutation(len(weights)))):
            rank = np.argsort(order)
            gone = np.array([rank >= max(1, round(one * len(weights))) for one in SHARES])
            lost[f"comprehensiveness{name}"].append(case.score - case.scores(gone).mean())
    means = {name: float(np.mean([one[name] for one in agreed])) for name in agreed[0]}
    return {**means, **{name: float(np.mean(values)) for name, values in lost.items()}}


def table(runs):
    """Means over seeds, and the paired difference to `none` of the same settings with its 95 % interval."""
    groups = {}
    for key, scores in runs.found.items():
        condition, *setting = key.split("/")
        seed = setting.pop(5)
        above = scores["comprehensiveness"] - scores["comprehensiveness_random"]
        groups.setdefault((condition, *setting), {})[seed] = {**scores, "above_random": above}
    names = ("f1_macro", "auroc", "auprc", "token_f1", "iou_f1", "comprehensiveness", "above_random")
    lines = ["| condition | seeds | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for (condition, *setting), of_seeds in groups.items():
        variant = condition.partition(":")[2]
        alone = "-", *setting[1:3], "weight -", *(one for one in setting[4:] if not one.startswith("share"))
        base = groups.get((f"none:{variant}" if variant else "none", *alone), {})
        cells = []
        for name in names:
            cell = f"{np.mean([one[name] for one in of_seeds.values()]):.3f}"
            paired = [of_seeds[seed][name] - base[seed][name] for seed in of_seeds if seed in base]
            if len(paired) > 1 and not condition.startswith("none"):
                cell += f" ({np.mean(paired):+.3f} ± {half_interval(paired):.3f})"
            cells.append(cell)
        told = [one for one in (condition, f"heads {setting[0]}", *setting[1:]) if not one.endswith(" -")]
        lines.append(f"| {', '.join(told)} | {len(of_seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
