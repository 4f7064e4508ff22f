"""Evaluation while training: it changes no weight, it ends the run early, and the best model comes back."""

import math

import pytest
import torch
from training_job import distance, evaluator, job_arguments, loss_fn, run, same, sentences, tiny_model, weights

from hf_attn.errors import InputError


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


def test_evaluating_more_often_changes_no_weight(config):
    seldom, _ = run(config(eval_every=1.0, metric="step"), evaluate=counting())
    often, _ = run(config(eval_every=0.25, metric="step", save_every=3), evaluate=counting())
    never, _ = run(config(eval_every=100.0, metric="step", compile=False), evaluate=counting())
    assert same(weights(seldom), weights(often))
    assert same(weights(seldom), weights(never))


def counting():
    """An evaluation that draws random numbers and scores later models higher."""
    calls = []

    def evaluate(model):
        model.eval()
        calls.append(float(torch.rand(3).sum()))
        return {"step": float(len(calls))}

    return evaluate


def falling(*scores):
    left = list(scores)
    return lambda model: {"accuracy": left.pop(0), "loss": 1.0}


def test_stops_after_patience_and_returns_the_best(config):
    kept = {}
    arguments = config(epochs=5.0, patience=2, metric="accuracy", keep=1)
    model, history = run(
        arguments,
        evaluate=falling(0.5, 0.7, 0.6, 0.6, 0.9),
        after_step=[lambda model, step: kept.update({step: weights(model)})],
    )
    assert (history.step, history.best_step, history.stopped_early) == (32, 16, True)
    assert history.scores == {"accuracy": 0.7, "loss": 1.0}
    assert same(weights(model), kept[16])
    assert not same(weights(model), kept[32])


@pytest.mark.parametrize("metric", ["loss", "-loss", "-accuracy"])
def test_less_is_better_for_losses_and_after_a_minus(metric, config):
    scores = iter([3.0, 1.0, 2.0])

    def evaluate(model):
        value = next(scores)
        return {"loss": value, "accuracy": value}

    _, history = run(config(epochs=3.0, metric=metric), evaluate=evaluate)
    assert history.best_step == 16


def test_a_score_that_is_no_number_is_never_the_best(config):
    _, history = run(config(epochs=3.0, metric="accuracy"), evaluate=falling(math.nan, 0.1, math.nan))
    assert (history.best_step, history.scores["accuracy"]) == (16, 0.1)


def test_an_unknown_metric_names_those_there_are(config):
    with pytest.raises(InputError, match="metric 'f1' .* accuracy, loss"):
        run(config(metric="f1"))


def test_the_average_of_the_weights_is_scored_and_returned(config):
    from hf_attn.training.ema import EMA

    averages, scored = {}, []

    def follow(model, step):
        if step == 1:
            averages["ema"] = EMA(start, 0.9)
        averages["ema"].update(model, step)

    start = tiny_model()
    initial = tiny_model()

    def evaluate(model):
        scored.append(weights(model))
        return {"loss": 1.0}

    model, _ = run(config(ema=0.9), evaluate=evaluate, after_step=[follow], model=initial)
    expected = weights(model) | {name: value for name, value in averages["ema"].averages.items()}
    assert distance(weights(model), expected) < 1e-7
    assert same(scored[-1], weights(model))


def test_evaluation_leaves_the_loss_of_later_steps_alone(config):
    """Scores come from a model in whatever mode; training goes on in training mode."""
    modes = []

    def watch(model, batch):
        modes.append(model.training)
        return loss_fn(model, batch)

    run(config(eval_every=0.25), loss_fn=watch, evaluate=evaluator(sentences(5)))
    assert all(modes)
