"""How likely a target is, under models whose probabilities are known."""

import math

import numpy as np
import pytest
from fake_model import FakeCodec, FakeDecoder

from lsp_server.evaluation.likelihood import target_likelihood
from model.prompt import PromptRequest, build_prompt

CODEC = FakeCodec([")\n", " sum", " sub", " su", "sum", " =", "m", "total"])
_SURE = 60.0


def nats_of(scores, prefix, target, codec=CODEC):
    prompt = build_prompt(codec, PromptRequest("shop", "app.py", prefix, "\n"))
    decoder = FakeDecoder(codec, scores)
    return target_likelihood(decoder, codec, prompt, prompt.concatenated(), target), decoder


def writes(*texts, codec=CODEC):
    """A model that after `<|fim_middle|>` writes one of the texts, each as likely, by its longest tokens."""

    def scores(ids):
        if codec.control.fim_middle not in ids:
            return {}
        done = codec.decode(ids[ids.index(codec.control.fim_middle) :])
        rests = [text.encode()[len(done) :] for text in texts if text.encode().startswith(done)]
        nexts = [max((t for t in codec.tokens if rest.startswith(t)), key=len) for rest in rests if rest]
        return {codec.id_of(token): _SURE for token in nexts}

    return scores


@pytest.mark.parametrize(
    ("texts", "prefix", "target", "probability"),
    [
        (["x = total"], "x = ", "total", 1.0),
        (["x = total", "x = other"], "x = ", "total", 0.5),
        (["f(x)\n"], "f(x", ")", 1.0),  # the model's token reaches past the target
        (["x = sum(a)", "x = sub(a)"], "x = su", "m(a)", 0.5),  # what is typed is known
        (["x = sum(a)", "y = sub(a)"], "x = su", "m(a)", 1.0),
        (["xé=1"], "x", "é=1", 1.0),
    ],
)
def test_a_target_costs_what_its_text_is_worth(texts, prefix, target, probability):
    likelihood, _ = nats_of(writes(*texts), prefix, target)
    assert likelihood.nats == pytest.approx(-math.log(probability), abs=1e-3)
    assert likelihood.n_bytes == len(target.encode())


def uniform(ids):
    return {}


@pytest.mark.parametrize("prefix", ["", "x", "x = ", "x = su", "    ", "é"])
@pytest.mark.parametrize("target", ["m", "m(a)", "\n", ")", "é = total"])
def test_nats_are_never_negative(prefix, target):
    likelihood, _ = nats_of(uniform, prefix, target)
    assert likelihood.nats >= 0
    assert math.isfinite(likelihood.nats)


def test_every_byte_is_paid_for_once():
    """Under a uniform model each further token costs the logarithm of the vocabulary, chunks or none."""
    costs = [nats_of(uniform, "x = ", "q" * n)[0].nats for n in (1, 33, 34, 70)]
    per_token = math.log(CODEC.vocab_size)
    assert np.diff(costs) == pytest.approx([32 * per_token, per_token, 36 * per_token], rel=1e-5)


def test_a_long_target_is_scored_by_its_beginning():
    likelihood, decoder = nats_of(uniform, "x = ", "q" * 1000)
    assert likelihood.n_bytes < 300
    assert len(decoder.ids) < 400


def test_few_rows_of_logits_are_held_at_a_time():
    _, decoder = nats_of(uniform, "x = ", "q" * 200)
    assert max(decoder.passes[1:]) <= 32
