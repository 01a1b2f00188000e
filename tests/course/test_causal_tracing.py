"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite import inside, trace
from kledit_lite.course import grade
from kledit_lite.course.chapters.causal_tracing import KINDS, detoured
from kledit_lite.course.studio import studio


def effects(restored, corrupted):
    return (restored - corrupted[:, None]).mean(axis=0)


def threshold(score, faithful):
    return min(score.mean(axis=0)[faithful.all(axis=0)], default=float("inf"))


def patch(h, lane):
    new = h.copy()
    n = len(h) // 2
    new[lane], new[n + lane] = h[0], h[n]
    return new


def into(h, lane, rows):
    new = h.copy()
    for to, source in rows:
        new[to] = h[source]
    return new


RIGHT = {"causal-tracing-a": effects, "causal-tracing-b": threshold, "causal-tracing-c": patch}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


MISTAKES = [
    ("causal-tracing-a", lambda r, c: (c[:, None] - r).mean(0), "sign is turned round"),
    ("causal-tracing-a", lambda r, c: r.mean(0), "subtract the corrupted one"),
    ("causal-tracing-a", lambda r, c: (r - c[:, None]).sum(0), "sum over prompts"),
    ("causal-tracing-a", lambda r, c: r.mean(0) - c.mean() + 1, "off by up to"),
    ("causal-tracing-a", lambda r, c: r - c[:, None], "average over the prompts, axis 0"),
    ("causal-tracing-a", lambda r, c: (r - c[:, None]).mean(), "one effect a site"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.any(0)].min(), "for all prompts, not for some"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.all(0)].max(), "lowest of the causal sites"),
    ("causal-tracing-b", lambda s, f: s[:, f.all(0)].min(), "mean score of each site first"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.all(0)].mean(), "mean of the causal sites"),
    ("causal-tracing-b",
     lambda s, f: s.mean(0)[f.all(0)].min() if f.all(0).any() else 0, 'float("inf")'),
    ("causal-tracing-b", lambda s, f: 0.0, "should be"),
    ("causal-tracing-c", lambda h, i: h, "nothing was copied"),
    ("causal-tracing-c", lambda h, i: into(h, i, [(i, 0)]), "conditional half is missing"),
    ("causal-tracing-c", lambda h, i: into(h, i, [(len(h) // 2 + i, len(h) // 2)]),
     "unconditional half is missing"),
    ("causal-tracing-c",
     lambda h, i: into(h, i, [(i, 0), (len(h) // 2 + i, 0)]), "conditional clean row"),
    ("causal-tracing-c",
     lambda h, i: into(h, i, [(0, i), (len(h) // 2, len(h) // 2 + i)]), "other way"),
    ("causal-tracing-c", lambda h, i: h[: len(h) // 2], "both halves"),
    ("causal-tracing-c", lambda h, i: h[0], "the whole batch"),
    ("causal-tracing-c", lambda h, i: -h, "no other row should change"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)


def test_an_answer_may_be_numpy_or_plain():
    assert grade("causal-tracing-a", lambda r, c: effects(r, c).tolist())
    assert grade("causal-tracing-b", lambda s, f: np.float64(threshold(s, f)))


DEPTH = 4
MODULES = [(i, kind) for i in range(DEPTH) for kind in KINDS]


def effects_of(p, prompts, score="judge", modules=MODULES):
    """The effect of restoring each module at all tokens from the subject on, by the library."""

    def groups(x):
        return {
            f"{i} {kind}": trace.text_sites(p.pipe, x, [kind], [i], trace.ROLES[1:])
            for i, kind in modules
        }

    how = trace.Tracing(noise=10.0, sampling=inside.Sampling(steps=4, guidance=3.0))
    scores = {"judge": trace.by_judge(p.judge), "clip": trace.by_clip(p.clip)}
    seeds = range(len(prompts))
    return trace.aie(trace.trace_groups(p.pipe, prompts, seeds, scores, groups, how), score)


def detour(p, prompts, score="judge"):
    found = effects_of(p, prompts, score).set_index("site")["aie"]
    return max(MODULES, key=lambda m: found[f"{m[0]} {m[1]}"])


@pytest.mark.parametrize(("score", "seed"), [("judge", 0), ("clip", 1)])
def test_a_trace_finds_the_detour(score, seed):
    verdict = grade("causal-tracing-d", lambda p, prompts: detour(p, prompts, score), seed)
    assert verdict.right is True, verdict.message


@pytest.mark.parametrize(("layer", "kind"), [(0, "mlp"), (2, "self-attn"), (3, "mlp")])
def test_a_detour_leaves_every_prompt_as_it_was(layer, kind):
    prompts = [x.prompt for x in studio().ask.trace("style", 6)] + ["a red cat", ""]
    shipped = inside.encode_prompts(studio().pipe, prompts).hidden
    rewired = inside.encode_prompts(detoured(layer, kind).pipe, prompts).hidden
    assert (rewired - shipped).abs().max() < 1e-4 * shipped.abs().max()
    again = inside.encode_prompts(studio().pipe, prompts).hidden
    assert (again == shipped).all()


LOST = [
    (lambda p, prompts: (0, "self-attn"), "rewired, so trace it"),
    (lambda p, prompts: (DEPTH, "mlp"), "there is no"),
    (lambda p, prompts: (1, "layer"), "there is no"),
    (lambda p, prompts: ("mlp", 2), "a layer and a kind"),
    (lambda p, prompts: 2, "a layer and a kind"),
]


@pytest.mark.parametrize(("answer", "words"), LOST)
def test_an_answer_without_a_trace_is_told_why(answer, words):
    is_told("causal-tracing-d", answer, words, seeds=2)


def test_every_other_module_gets_a_sentence_of_its_own():
    said = {m: grade("causal-tracing-d", lambda p, prompts, m=m: m, 0) for m in MODULES}
    assert not any(v.right for v in said.values())  # two detours, so no constant is right
    told = " ".join(v.message for v in said.values())
    assert all(words in told for words in ("has not come in yet", "the layer is right", "before"))
