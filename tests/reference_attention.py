"""Every attention variant as plain loops in float64: written from the equations, without torch.

Arrays are numpy's; shapes as in the package: query (batch, heads, queries, d), key and value (batch, heads, keys, d),
bias and keep (batch, heads, queries, keys). Parameters come by the names that the variants' modules have.
"""

import math

import numpy as np

BISECTIONS = 200


def attend(name, query, key, value, parameters, bias, keep, scaling, causal=False, crosses=False, **options):
    """Return context (batch, heads, queries, d) and weights (batch, heads, queries, keys)."""
    batch, heads, queries, size = query.shape
    keys = key.shape[2]
    scores = np.zeros((batch, heads, queries, keys))
    weights = np.zeros_like(scores)
    context = np.zeros((batch, heads, queries, size))
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                for j in range(keys):
                    scores[b, h, i, j] = score(name, query[b, h, i], key[b, h, j], h, parameters, scaling)
    if name == "talking_heads":
        scores = exchanged(scores, parameters["before"])
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                allowed = [j for j in range(keys) if keep[b, h, i, j]]
                row = {j: scores[b, h, i, j] + bias[b, h, i, j] for j in allowed}
                place = None if crosses else i + keys - queries if causal else i
                found = normalized(name, row, query[b, h, i], key[b, h], h, place, parameters, scaling, **options)
                for j, weight in found.items():
                    weights[b, h, i, j] = weight
    if name == "talking_heads":
        weights = exchanged(weights, parameters["after"])
    for b in range(batch):
        for h in range(heads):
            for i in range(queries):
                for j in range(keys):
                    for c in range(size):
                        context[b, h, i, c] += weights[b, h, i, j] * value[b, h, j, c]
                if name == "gated":
                    context[b, h, i] = gated(context[b, h, i], query[b, h, i], h, parameters)
    return context, weights


def dot(x, y):
    return sum(float(a) * float(b) for a, b in zip(x, y, strict=True))


def score(name, q, k, h, parameters, scaling):
    plain = dot(q, k) * scaling
    if name == "general":
        turned = [dot(q, parameters["delta"][h][:, c]) + q[c] for c in range(len(q))]
        return dot(turned, k) * scaling
    if name == "temperature":
        return plain * (1 + parameters["gain"][h].item())
    if name in ("additive", "cosine"):
        alpha = parameters["alpha"][h].item()
        if name == "cosine":
            temperature = min(math.exp(parameters["log_temperature"][h].item()), 100.0)
            other = temperature * dot(q, k) / math.sqrt(dot(q, q) * dot(k, k))
        else:
            other = sum(
                parameters["score"][h, r]
                * math.tanh(
                    dot(q, parameters["query_projection"][h][:, r]) + dot(k, parameters["key_projection"][h][:, r])
                )
                for r in range(parameters["score"].shape[1])
            )
        return (1 - alpha) * plain + alpha * other
    return plain


def normalized(name, row, q, keys, h, place, parameters, scaling, window=None, global_tokens=0, pool=2, grid=None):
    """Return the weights of one query over the keys that it may attend to."""
    if not row:
        return {}
    softmax = softmaxed(row)
    if name == "sparsemax":
        other = solved(row, lambda s, tau: max(s - tau, 0.0))
    elif name == "entmax15":
        other = solved(row, lambda s, tau: max(s / 2 - tau, 0.0) ** 2)
    elif name == "sigmoid":
        other = {j: 1 / (1 + math.exp(-(s - math.log(len(row))))) for j, s in row.items()}
    elif name == "local":
        first = sorted(row)[:global_tokens]
        distance = {j: 0 if place is None else abs(place - j) for j in row}  # none between two sequences
        near = {j: s for j, s in row.items() if distance[j] <= window or j in first or place in first}
        other = {j: 0.0 for j in row} | (softmaxed(near) if near else {})
    elif name == "window":
        near = {j: s for j, s in row.items() if near_patches(place, j, len(keys), grid, window)}
        other = {j: 0.0 for j in row} | (softmaxed(near) if near else {})
    elif name == "focal":
        pool = [pool] if isinstance(pool, int) else pool
        other = focal(row, place, len(keys), grid, window, pool, parameters["pooling"][h])
    elif name == "linear":
        pairs = {j: dot(feature(q, scaling), feature(keys[j], scaling)) for j in row}
        other = {j: pair / sum(pairs.values()) for j, pair in pairs.items()}
    else:
        return softmax
    if "beta" not in parameters:
        return other
    beta = parameters["beta"][h].item()
    return {j: softmax[j] + beta * (other[j] - softmax[j]) for j in row}


def patch(token, tokens, grid):
    """Return row and column of a token, or None if it stands before the patches."""
    rows, columns = grid or (math.isqrt(tokens), math.isqrt(tokens))
    number = token - (tokens - rows * columns)
    return None if number < 0 else divmod(number, columns)


def near_patches(i, j, tokens, grid, window):
    first, second = patch(i, tokens, grid), patch(j, tokens, grid)
    if first is None or second is None:
        return True
    return all(abs(a - b) <= window for a, b in zip(first, second, strict=True))


def focal(row, place, tokens, grid, window, pool, logits):
    """Return the weights of one query: softmax over near tokens and cells, a cell's weight shared by its patches."""
    if patch(place, tokens, grid) is None:
        return softmaxed(row)
    cells, first = {}, 0
    for size in pool:
        for j in row:
            if patch(j, tokens, grid) is not None:
                y, x = patch(j, tokens, grid)
                members = cells.setdefault((size, y // size, x // size), {})
                members[j] = math.exp(logits[first + (y % size) * size + x % size])
        first += size * size
    shares = {c: {j: e / sum(members.values()) for j, e in members.items()} for c, members in cells.items()}
    candidates = {j: s for j, s in row.items() if near_patches(place, j, tokens, grid, window)}
    candidates |= {c: sum(share * row[j] for j, share in members.items()) for c, members in shares.items()}
    chosen = softmaxed(candidates)
    weights = {j: chosen.get(j, 0.0) for j in row}
    for c, members in shares.items():
        for j, share in members.items():
            weights[j] += chosen[c] * share
    return weights


def softmaxed(row):
    top = max(row.values())
    total = sum(math.exp(s - top) for s in row.values())
    return {j: math.exp(s - top) / total for j, s in row.items()}


def solved(row, weight):
    """Find the threshold at which the weights sum to 1, by bisection."""
    low, high = min(row.values()) / 2 - 2 - abs(min(row.values())), max(row.values()) + abs(max(row.values()))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if sum(weight(s, middle) for s in row.values()) > 1:
            low = middle
        else:
            high = middle
    return {j: weight(s, low) for j, s in row.items()}


def feature(x, scaling):
    return [c + 1 if c > 0 else math.exp(c) for c in (float(c) * math.sqrt(scaling) for c in x)]


def exchanged(array, matrix):
    """Return ``x_g + Σ_h matrix[g, h] x_h`` over the heads."""
    result = array.copy()
    for g in range(array.shape[1]):
        for h in range(array.shape[1]):
            result[:, g] += matrix[g, h] * array[:, h]
    return result


def gated(context, q, h, parameters):
    gates = [dot(q, parameters["weight"][h][:, c]) + parameters["bias"][h][0, c] for c in range(len(q))]
    return [c * 2 / (1 + math.exp(-gate)) for c, gate in zip(context, gates, strict=True)]
