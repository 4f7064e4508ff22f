"""Methods of explanation against other libraries, and against the papers' equations as plain float64 loops."""

import itertools
import math

import numpy as np
import pytest
import torch
from explained_models import case_of
from transformers import AutoModelForSequenceClassification

from hf_attn.explain.methods import METHODS
from hf_attn.explain.relevance import Relevance

GRADIENT = ("text", "pair", "several labels", "number", "image", "CNN with a head", "plain CNN")


@pytest.fixture(scope="module")
def case():
    return case_of("text")


@pytest.fixture(scope="module")
def eager(case, tmp_path_factory):
    """The same model with transformers' own attention that returns its weights."""
    folder = tmp_path_factory.mktemp("eager")
    case.model.save_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()


def run(name, case, **options):
    return METHODS[name].run(case, **options).weights


def by_word(case, tokens):
    """Sum numbers of tokens over the words that they belong to."""
    sums = [0.0] * len(case)
    for number, part in zip(tokens, case.parted.part_of, strict=True):
        if part >= 0:
            sums[part] += float(number)
    return np.array(sums)


# Attention


def seen_maps(eager, case):
    """Weights of each layer, (heads, tokens, tokens), as transformers returns them."""
    with torch.no_grad():
        return [layer[0].double().numpy() for layer in eager(**case.parted.batch, output_attentions=True).attentions]


def test_attention_is_the_class_tokens_row_of_the_last_layer(case, eager):
    maps = seen_maps(eager, case)
    heads, tokens, _ = maps[-1].shape
    row = [sum(maps[-1][head][0][token] for head in range(heads)) / heads for token in range(tokens)]
    np.testing.assert_allclose(run("attention", case), by_word(case, row), atol=1e-6)
    np.testing.assert_allclose(run("attention", case, layer=0, head=2), by_word(case, maps[0][2][0]), atol=1e-6)


def mean_map(layer):
    heads, tokens, _ = layer.shape
    return [[sum(layer[h][i][j] for h in range(heads)) / heads for j in range(tokens)] for i in range(tokens)]


def product(one, other):
    return [
        [sum(one[i][k] * other[k][j] for k in range(len(other))) for j in range(len(other[0]))] for i in range(len(one))
    ]


def test_rollout_is_the_product_of_the_layers_with_half_an_identity(case, eager):
    total = None
    for layer in seen_maps(eager, case):
        mean = mean_map(layer)
        mixed = [[(mean[i][j] + (i == j)) / 2 for j in range(len(mean))] for i in range(len(mean))]
        total = mixed if total is None else product(mixed, total)
    np.testing.assert_allclose(run("rollout", case), by_word(case, total[0]), atol=1e-6)


def test_flow_is_the_greatest_flow_through_the_layers(case, eager):
    networkx = pytest.importorskip("networkx")
    maps = [mean_map(layer) for layer in seen_maps(eager, case)]
    count = len(maps[0])
    graph = networkx.DiGraph()
    for level, mean in enumerate(maps, start=1):
        for i, j in itertools.product(range(count), range(count)):
            graph.add_edge((level, i), (level - 1, j), capacity=(mean[i][j] + (i == j)) / 2)
    flows = [networkx.maximum_flow_value(graph, (len(maps), 0), (0, token)) for token in range(count)]
    np.testing.assert_allclose(run("flow", case), by_word(case, flows), atol=1e-4)


def test_value_norms_are_those_of_what_each_value_adds(case, eager):
    layer = eager.bert.encoder.layer[-1].attention
    with torch.no_grad():
        states = eager(**case.parted.batch, output_hidden_states=True).hidden_states[-2]
        value = layer.self.value(states)[0].double()
        weight = layer.output.dense.weight.double()
    maps = seen_maps(eager, case)[-1]
    heads, tokens, _ = maps.shape
    size = value.shape[-1] // heads
    norms = []
    for token in range(tokens):
        added = torch.zeros(weight.shape[0], dtype=torch.float64)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            added += maps[head][0][token] * (weight[:, part] @ value[token, part])
        norms.append(float(added.norm()))
    np.testing.assert_allclose(run("value_norms", case), by_word(case, norms), rtol=1e-5)


def test_value_zeroing_is_what_each_layer_loses_without_a_value(case, eager):
    total = None
    with torch.no_grad():
        states = eager(**case.parted.batch, output_hidden_states=True).hidden_states
        for number, layer in enumerate(eager.bert.encoder.layer):
            whole = layer(states[number])[0]
            whole = whole if whole.dim() == 2 else whole[0]
            changes = np.zeros((len(whole), len(whole)))
            for token in range(len(whole)):

                def zero(module, args, output, token=token):
                    output = output.clone()
                    output[:, token] = 0
                    return output

                handle = layer.attention.self.value.register_forward_hook(zero)
                without = layer(states[number])[0]
                handle.remove()
                without = without if without.dim() == 2 else without[0]
                for i in range(len(whole)):
                    one, other = whole[i].double(), without[i].double()
                    changes[i][token] = 1 - float(one @ other / (one.norm() * other.norm()))
            changes = [[value / sum(row) for value in row] for row in changes]
            total = changes if total is None else product(changes, total)
    np.testing.assert_allclose(run("value_zeroing", case), by_word(case, total[0]), rtol=2e-3, atol=1e-5)


def weighed_maps(eager, case):
    """``mean_h (A ⊙ ∂y/∂A)⁺`` of each layer, (tokens, tokens), by transformers' own weights."""
    out = eager(**case.parted.batch, output_attentions=True)
    grads = torch.autograd.grad(case.asked.logit(out.logits)[0], out.attentions)
    found = []
    for weights, grad in zip(out.attentions, grads, strict=True):
        one, other = weights[0].detach().double().numpy(), grad[0].double().numpy()
        heads, tokens, _ = one.shape
        found.append(
            [
                [sum(max(0.0, one[h][i][j] * other[h][i][j]) for h in range(heads)) / heads for j in range(tokens)]
                for i in range(tokens)
            ]
        )
    return found


def test_gradient_times_attention_is_that_of_the_last_layer(case, eager):
    np.testing.assert_allclose(run("grad_attention", case), by_word(case, weighed_maps(eager, case)[-1][0]), atol=1e-6)


def test_relevance_is_carried_by_the_rule_of_self_attention(case, eager):
    maps = weighed_maps(eager, case)
    tokens = range(len(maps[0]))
    total = [[float(i == j) for j in tokens] for i in tokens]
    for weights in maps:
        added = product(weights, total)
        total = [[total[i][j] + added[i][j] for j in tokens] for i in tokens]
    np.testing.assert_allclose(run("relevance", case), by_word(case, total[0]), rtol=1e-4, atol=1e-6)


def test_relevance_of_two_sequences_follows_the_bi_modal_rules():
    random = np.random.default_rng(0)
    own, other, across, back = (random.random(shape) for shape in ((3, 3), (4, 4), (3, 4), (4, 3)))
    found = Relevance.of(3, 4).self_attended(own).swapped().self_attended(other).swapped()
    qq, ss = np.eye(3) + own, np.eye(4) + other
    np.testing.assert_allclose(found.qq, qq)

    def bar(relevance):
        size = len(relevance)
        sums = [sum(relevance[i][j] - (i == j) for j in range(size)) for i in range(size)]
        return [[(relevance[i][j] - (i == j)) / sums[i] + (i == j) for j in range(size)] for i in range(size)]

    def turned(matrix):
        return [list(column) for column in zip(*matrix, strict=True)]

    found = found.cross_attended(across)
    qs = np.array(product(product(turned(bar(qq)), across.tolist()), bar(ss)))  # eq. 10, R_qs being 0 before
    np.testing.assert_allclose(found.qs, qs)
    np.testing.assert_allclose(found.qq, qq)  # eq. 11, R_sq being 0 before
    found = found.swapped().cross_attended(back).swapped()
    np.testing.assert_allclose(found.sq, product(product(turned(bar(ss)), back.tolist()), bar(qq)))
    np.testing.assert_allclose(found.ss, ss + product(back.tolist(), qs.tolist()))


# Gradients


def captums(case, kind, **how):
    """What a class of Captum gives for the case, by part."""
    attr = pytest.importorskip("captum.attr")
    leaf = case.leaf()

    def answer(values):
        return case.asked.logit(leaf.forward(values))

    value = leaf.value.clone().requires_grad_()
    given = {name: leaf.baseline if name == "baselines" else option for name, option in how.items()}
    return leaf, getattr(attr, kind)(answer).attribute(value, **given).detach()


@pytest.mark.parametrize("kind", GRADIENT)
def test_saliency_and_input_times_gradient_are_captums(kind):
    case = case_of(kind)
    leaf, found = captums(case, "Saliency")
    np.testing.assert_allclose(run("saliency", case), leaf.by_part(found)[0], rtol=1e-4, atol=1e-7)
    leaf, found = captums(case, "InputXGradient")
    np.testing.assert_allclose(run("input_x_gradient", case), leaf.by_part(found)[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", GRADIENT)
def test_integrated_gradients_are_captums_with_as_many_points_and_with_many(kind):
    case = case_of(kind)
    leaf, found = captums(case, "IntegratedGradients", baselines=None, n_steps=20, method="gausslegendre")
    top = float(leaf.by_part(found).abs().max())
    np.testing.assert_allclose(
        run("integrated_gradients", case, steps=20), leaf.by_part(found)[0], rtol=0, atol=1e-4 * top
    )
    leaf, found = captums(case, "IntegratedGradients", baselines=None, n_steps=300, method="gausslegendre")
    np.testing.assert_allclose(run("integrated_gradients", case), leaf.by_part(found)[0], rtol=0, atol=0.05 * top)


def test_grad_cam_is_captums_of_the_last_feature_map():
    attr = pytest.importorskip("captum.attr")
    case = case_of("plain CNN")
    layers = [module for name, module in case.model.named_modules() if name.endswith("stages.1.layers.0.activation")]
    grad_cam = attr.LayerGradCam(lambda pixels: case.asked.logit(case.model(pixels).logits), layers[0])
    found = grad_cam.attribute(case.parted.batch["pixel_values"], relu_attributions=True)
    rows, columns = found.shape[-2:]
    np.testing.assert_allclose(
        run("grad_cam", case), case.parted.of_map(found[0, 0].detach().double().numpy()), rtol=1e-4, atol=1e-8
    )
    assert (rows, columns) == (8, 8)


# Perturbations


def test_occlusion_is_what_the_probability_loses_without_a_word(case):
    tokenizer_mask = 4
    with torch.no_grad():
        whole = case.model(**case.parted.batch).logits.softmax(-1)[0]
        label = int(whole.argmax())
        lost = []
        for word in range(len(case)):
            ids = case.parted.batch["input_ids"].clone()
            for token, part in enumerate(case.parted.part_of):
                if part == word:
                    ids[0, token] = tokenizer_mask
            without = case.model(**{**case.parted.batch, "input_ids": ids}).logits.softmax(-1)[0]
            lost.append(float(whole[label] - without[label]))
    np.testing.assert_allclose(run("occlusion", case), lost, atol=1e-6)


@pytest.mark.parametrize("kind", ["text", "image", "number"])
def test_kernel_shap_of_all_subsets_is_shapleys_value(kind):
    case = case_of(kind, **({"segments": "2x3"} if kind == "image" else {}))
    parts = len(case)

    def score(members):
        keep = np.zeros((1, parts), bool)
        keep[0, list(members)] = True
        return float(case.scores(keep)[0])

    values = []
    for part in range(parts):
        others = [other for other in range(parts) if other != part]
        value = 0.0
        for size in range(parts):
            share = math.factorial(size) * math.factorial(parts - size - 1) / math.factorial(parts)
            value += share * sum(score((*some, part)) - score(some) for some in itertools.combinations(others, size))
        values.append(value)
    np.testing.assert_allclose(run("kernel_shap", case, samples=2**parts), values, atol=1e-5)


def test_lime_solves_the_papers_regression(case):
    from hf_attn.explain.perturbations import removed_at_random

    keep = removed_at_random(len(case), 200, 0)
    truth = case.scores(keep)
    weights = [
        math.sqrt(math.exp(-((100 * (1 - math.sqrt(sum(row) / len(row)))) ** 2) / 25**2)) for row in keep.tolist()
    ]
    features = np.hstack([keep, np.ones((len(keep), 1))]).astype(float)
    penalty = np.diag([1.0] * len(case) + [0.0])
    normal = features.T @ (features * np.array(weights)[:, None]) + penalty
    wanted = np.linalg.solve(normal, features.T @ (truth * np.array(weights)))
    np.testing.assert_allclose(run("lime", case, samples=200), wanted[:-1], atol=1e-8)


def test_partition_shap_is_owens_value_of_the_tree(case):
    from hf_attn.explain.perturbations import split

    parts = len(case)

    def score(members):
        keep = np.zeros((1, parts), bool)
        keep[0, list(members)] = True
        return float(case.scores(keep)[0])

    values = np.zeros(parts)

    def share_out(context, members, weight):
        halves = split(np.array(members), case.parted.parts)
        if len(halves) == 1:
            values[members[0]] += weight * (score((*context, *members)) - score(context))
            return
        one, other = ([int(member) for member in half] for half in halves)
        for half, rest in ((one, other), (other, one)):
            share_out(context, half, weight / 2)
            share_out((*context, *rest), half, weight / 2)

    share_out((), list(range(parts)), 1.0)
    np.testing.assert_allclose(run("partition_shap", case, samples=10_000), values, atol=1e-6)
