"""The commands ``hf-attn explain`` and ``hf-attn faithfulness``: what they take."""

import argparse
from collections.abc import Callable
from typing import Any

from .parser import Parser, columns_of_files

METHODS = (
    "attention, rollout, flow, value_norms, value_zeroing, grad_attention, relevance, saliency, input_x_gradient, "
    "integrated_gradients, smooth_grad, deep_lift, grad_cam, occlusion, lime, kernel_shap, partition_shap, random"
)


def explain_command(argv: list[str]) -> None:
    """Show which parts of a text or image an answer comes from, and whether to believe it."""
    parser = Parser(
        prog="hf-attn explain",
        description=explain_command.__doc__,
        epilog="examples:\n  hf-attn explain runs/banking 'my card was swallowed'\n"
        "  hf-attn explain runs/banking 'my card was swallowed' --method lime relevance --output page.html\n"
        "  hf-attn explain runs/flowers photo.jpg --segments slic --target daisy --output daisy.svg\n"
        "  hf-attn explain runs/banking mails.csv --text body --limit 50 --output mails.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("run", help="run folder, other model folder, or Hub id")
    option("inputs", nargs="+", metavar="TEXT|IMAGE|FILE", help="what to explain, as `hf-attn predict` reads it")
    columns_of_files(parser)
    option(
        "--method",
        nargs="+",
        metavar="NAME",
        default=[],
        help=f"one of {METHODS}; a page takes several to choose from (default: what `hf-attn faithfulness` found best "
        "for the run, else integrated_gradients)",
    )
    option(
        "--target",
        metavar="NAME|NUMBER",
        help="class, label, number or written words (default: what is predicted)",
    )
    option("--against", metavar="NAME|NUMBER", help="another class or other words: their difference (default: none)")
    _how_parts_are_made(option)
    option("--layer", type=int, metavar="N", help="of attention, value_norms: layer, from 0 (default: the last)")
    option("--head", type=int, metavar="N", help="of attention: head, from 0 (default: the mean of all)")
    option(
        "--samples", type=int, metavar="N", help="of lime, kernel_shap, partition_shap, smooth_grad (default: its own)"
    )
    option("--steps", type=int, metavar="N", help="of integrated_gradients (default: until it is complete to 1 %%)")
    option("--seed", type=int, metavar="N", help="of what is drawn at random (default: 0)")
    option("--limit", type=int, metavar="N", help="explain only the first N inputs (default: all)")
    option("--batch_size", type=int, default=32, metavar="N", help="inputs a forward pass (default: 32)")
    option(
        "--output",
        metavar="FILE",
        help="write a page (.html), a picture (.png, .svg), or rows in ERASER's format (.jsonl) (default: print)",
    )
    option("--overwrite", action="store_true", help="replace --output if it exists (default: refuse)")
    given = parser.parse_args(argv)
    from .explanation_files import explain_to

    explain_to(given)


def faithfulness_command(argv: list[str]) -> None:
    """Rank methods of explanation for a model: how far each names what its answers hang on, beside random weights."""
    parser = Parser(
        prog="hf-attn faithfulness",
        description=faithfulness_command.__doc__,
        epilog="It writes faithfulness.json and figures/faithfulness.png into the run and a section into its card.\n"
        "example:\n  hf-attn faithfulness runs/banking --data test.csv --methods all",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("run", help="run folder, other model folder, or Hub id")
    option("--data", required=True, nargs="+", metavar="FILE", help="inputs, as `hf-attn predict` reads them")
    columns_of_files(parser)
    option("--methods", nargs="+", default=["all"], metavar="NAME", help=f"all, or some of {METHODS} (default: all)")
    _how_parts_are_made(option)
    option(
        "--rationale",
        metavar="COLUMN",
        help="column of the characters that people mark as the reason, [[start, end], …]: measure agreement with them "
        "(default: none)",
    )
    option("--limit", type=int, default=50, metavar="N", help="inputs, evenly spread over the data (default: 50)")
    option("--seed", type=int, default=0, metavar="N", help="of the random weights (default: 0)")
    option("--batch_size", type=int, default=32, metavar="N", help="inputs a forward pass (default: 32)")
    option("--output", metavar="FOLDER", help="where to write (default: the run folder)")
    option("--overwrite", action="store_true", help="replace an earlier faithfulness.json (default: refuse)")
    given = parser.parse_args(argv)
    from .faithfulness_files import rank_to

    rank_to(given)


def _how_parts_are_made(option: Callable[..., Any]) -> None:
    option(
        "--segments",
        metavar="KIND",
        help="parts: of a text words or tokens (default: words); of an image patches, slic, or squares such as 7x7 "
        "(default: patches)",
    )
    option(
        "--removal",
        metavar="KIND",
        help="what stands for a part that is removed: in a text mask or delete (default: mask), in an image mean or "
        "blur (default: mean)",
    )
