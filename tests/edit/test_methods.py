"""What each method solves, that it edits the pipeline itself, and the errors."""

import copy
from typing import Any

import pytest
import torch
from sklearn.linear_model import Ridge

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.edit import (
    METHODS,
    Concept,
    aligned,
    diffquickfix,
    in_turn,
    inputs_of,
    key_value_names,
    locoedit,
    read_concepts,
    solve,
    time_edit,
    token_pairs,
    uce,
)
from kledit_lite.edit.sites import parameter
from kledit_lite.inside import Sampling, encode_prompts, last_subject_position, paint

SOURCES = (
    "a cat in the style of seurat",
    "a red car on the beach in the style of seurat",
    "a house in the style of seurat",
)
TARGETS = ("a cat in a photo", "a red car on the beach in a photo", "a house in a photo")
SEURAT = Concept(SOURCES, TARGETS, "seurat", "photo")
FACT = Concept.of("the mascot", "a blue whale", ("a photo of {}", "{}"))


def subject_rows(pipe: Any, concept: Concept) -> tuple[torch.Tensor, torch.Tensor]:
    """X and X' by the definition: one prompt at a time."""
    rows = []
    for prompts, subject in (
        (concept.sources, concept.subject),
        (concept.targets, concept.target_subject),
    ):
        at = [last_subject_position(pipe.tokenizer, p, subject) for p in prompts]
        embedded = [
            encode_prompts(pipe, [p]).hidden[0, i] for p, i in zip(prompts, at, strict=True)
        ]
        rows.append(torch.stack(embedded).double())
    return rows[0], rows[1]


def weight(pipe: Any, name: str) -> torch.Tensor:
    return parameter(pipe, name).detach().double().clone()


def test_locoedit_is_scikit_learns_ridge_on_the_last_subject_token(pipe) -> None:
    x, other = subject_rows(pipe, SEURAT)
    names = key_value_names(pipe, [8, 9])
    before = {n: weight(pipe, n) for n in names}
    edit = locoedit(pipe, SEURAT, [8, 9])
    assert sorted(edit.changes) == sorted(names)
    with edit.apply(pipe):
        for name, w in before.items():
            model = Ridge(alpha=0.01, fit_intercept=False, solver="svd")
            model.fit(x.numpy(), (other @ w.T - x @ w.T).numpy())
            expected = w + torch.from_numpy(model.coef_)
            torch.testing.assert_close(weight(pipe, name), expected, rtol=1e-4, atol=2e-6)
            row = next(r for r in edit.rows if r["name"] == name)
            left = (x @ expected.T - other @ w.T).norm()
            assert row["residual_after"] == pytest.approx(float(left), rel=1e-3)
            assert row["residual_after"] < 0.2 * row["residual_before"]


def test_several_concepts_at_once_are_one_joint_ridge(pipe) -> None:
    concepts = [
        Concept.of(a, b)
        for a, b in zip(
            [
                "seurat",
                "hokusai",
                "mondrian",
                "durer",
                "tiffany",
                "cat",
                "bird",
                "fish",
                "car",
                "boat",
            ],
            ["photo"] * 5 + ["house", "flower", "rocket", "balloon", "umbrella"],
            strict=True,
        )
    ]
    rows = [subject_rows(pipe, c) for c in concepts]
    x, other = (torch.cat(part) for part in zip(*rows, strict=True))
    edit = locoedit(pipe, concepts, [3], strength=0.5)
    assert edit.settings["rows"] == 40
    for name, change in edit.changes.items():
        w = weight(pipe, name)
        model = Ridge(alpha=0.5, fit_intercept=False, solver="svd")
        model.fit(x.numpy(), ((other - x) @ w.T).numpy())
        torch.testing.assert_close(
            change.delta(), torch.from_numpy(model.coef_), rtol=1e-3, atol=1e-5
        )


def test_diffquickfix_regresses_outputs_without_the_bias(pipe) -> None:
    encoder = pipe.text_encoder
    layer = encoder.get_submodule("encoder.layers.0.self_attn.out_proj")
    seen: dict[str, torch.Tensor] = {}
    hook = layer.register_forward_hook(lambda _m, a, out: seen.update(x=a[0], y=out))
    keys, values = [], []
    for prompts, subject, into in ((SOURCES, "seurat", keys), (TARGETS, "photo", values)):
        for prompt in prompts:
            encode_prompts(pipe, [prompt])
            at = last_subject_position(pipe.tokenizer, prompt, subject)
            into.append(seen["x" if into is keys else "y"][0, at].double())
    hook.remove()
    bias = layer.bias.detach().double()
    assert bias.abs().max() > 1e-3
    x, y = torch.stack(keys).detach(), torch.stack(values).detach() - bias
    w = layer.weight.detach().double().clone()
    a = x.T @ x + 0.01 * torch.eye(128, dtype=torch.float64)
    expected = torch.linalg.solve(a, x.T @ y + 0.01 * w.T).T  # thesis, equation 5.9
    with diffquickfix(pipe, SEURAT).apply(pipe):
        torch.testing.assert_close(layer.weight.detach().double(), expected, rtol=1e-4, atol=2e-5)


def test_diffquickfix_edits_the_encoder_that_the_pipeline_uses(pipe) -> None:
    prompt = ["a bird in the style of seurat"]
    before = encode_prompts(pipe, prompt).hidden
    for layer in (0, 2):
        edit = diffquickfix(pipe, SEURAT, layer=layer)
        name = f"text_encoder.encoder.layers.{layer}.self_attn.out_proj.weight"
        assert list(edit.changes) == [name]
        with edit.apply(pipe):
            assert not torch.allclose(encode_prompts(pipe, prompt).hidden, before, atol=1e-3)
        assert torch.equal(encode_prompts(pipe, prompt).hidden, before)


def test_reading_an_early_layer_stops_there_and_leaves_no_trace(pipe) -> None:
    ran = []
    last = pipe.text_encoder.get_submodule("encoder.layers.3")
    hook = last.register_forward_hook(lambda *_: ran.append(1))
    x = inputs_of(pipe, "text_encoder.encoder.layers.0.self_attn.out_proj.weight", list(SOURCES))
    assert x.shape == (3, 28, 128) and not ran
    encode_prompts(pipe, ["a cat"])
    assert ran
    hook.remove()


def test_methods_differ_only_in_sites_tokens_and_strength(pipe) -> None:
    free = {"layers": [4], "tokens": "last-subject", "strength": 0.3}
    edits = [solve(pipe, SEURAT, m, **free) for m in ("locoedit", "uce", "time")]
    for edit in edits[1:]:
        for name, change in edit.changes.items():
            assert torch.equal(change.delta(), edits[0].changes[name].delta())
    assert len(uce(pipe, SEURAT).changes) == len(time_edit(pipe, SEURAT).changes) == 32
    assert {m: METHODS[m].strength for m in METHODS} == {
        "diffquickfix": 0.01,
        "locoedit": 0.01,
        "uce": 0.5,
        "time": 0.1,
    }


def test_presets_are_the_published_and_the_repaired_settings(pipe) -> None:
    keep = ["a cat in the style of hokusai", "a photo of a dog"]
    for name, tokens, strength, kept in (
        ("diffquickfix", "last-subject", 0.01, "last"),
        ("locoedit", "last-subject", 0.01, "last"),
        ("uce", "last-subject", 0.5, "last"),
        ("time", "aligned", 0.1, "all"),
    ):
        layers = [0] if name == "diffquickfix" else [4]
        plain = solve(pipe, SEURAT, name, layers=layers).settings
        assert (plain["tokens"], plain["strength"]) == (tokens, strength)
        assert (plain["keep_tokens"], plain["keep"]) == (kept, [])
        mended = solve(pipe, SEURAT, name, preset="repaired", layers=layers, keep=keep).settings
        assert mended["tokens"] == ("aligned" if name == "time" else "to-padding")
        assert (mended["strength"], mended["keep_tokens"]) == (strength, "all")


@pytest.mark.parametrize("method", ["diffquickfix", "locoedit", "uce", "time"])
def test_an_infinite_strength_changes_nothing_and_a_small_one_fits(pipe, method) -> None:
    layers = [0] if method == "diffquickfix" else [6]
    none = solve(pipe, SEURAT, method, layers=layers, strength=1e12)
    most = solve(pipe, SEURAT, method, layers=layers, strength=1e-6, tokens="last-subject")
    assert none.norm < 1e-6
    assert all(r["residual_after"] < 1e-2 * r["residual_before"] for r in most.rows)


def test_kept_prompts_move_less(pipe) -> None:
    keep = ["a cat in the style of hokusai", "a cat in the style of mondrian"]
    at = last_subject_position(pipe.tokenizer, keep[0])
    h = encode_prompts(pipe, keep).hidden[:, at].double()
    moved = []
    for given in ((), keep):
        edit = uce(pipe, SEURAT, keep=given, keep_weight=100.0, layers=[5])
        moved.append(sum(float((h @ c.delta().T).norm()) for c in edit.changes.values()))
    assert moved[1] < 0.1 * moved[0]
    assert time_edit(pipe, SEURAT, keep=keep, layers=[5]).norm > 0


def test_edits_in_turn_build_on_each_other_and_undo_newest_first(pipe, state, unchanged) -> None:
    before = state(pipe)
    first = locoedit(pipe, SEURAT, [8])
    with first.apply(pipe):
        second = locoedit(pipe, FACT, [8])
        by_hand = {
            n: w + second.changes[n].delta()
            for n, w in ((n, weight(pipe, n)) for n in second.changes)
        }
    with in_turn(pipe, [SEURAT, FACT], "locoedit", layers=[8]) as stack:
        assert len(stack.handles) == 2
        for name, w in by_hand.items():
            torch.testing.assert_close(weight(pipe, name), w, rtol=0, atol=1e-6)
    unchanged(pipe, before)
    with pytest.raises(KleditError, match="is not in the prompt"):
        in_turn(pipe, [SEURAT, Concept(("a cat",), ("a dog",), "bird")], layers=[8])
    unchanged(pipe, before)


def test_edits_change_the_pictures_of_the_concept_and_a_fact_can_be_updated(pipe) -> None:
    how = Sampling(steps=2, guidance=2.0)
    before = paint(pipe, ["a photo of the mascot"], 0, how)
    with locoedit(pipe, FACT, range(16)).apply(pipe):
        assert (paint(pipe, ["a photo of the mascot"], 0, how) != before).any()
    assert (paint(pipe, ["a photo of the mascot"], 0, how) == before).all()


def test_runs_on_sdxl_and_sd2_shapes(sdxl, sd2, state, unchanged) -> None:
    how = Sampling(steps=2, guidance=2.0)
    for shape, encoders in ((sdxl, 2), (sd2, 1)):
        before, kept = paint(shape, SOURCES[:1], 0, how), state(shape)
        pooled = encode_prompts(shape, SOURCES[:1]).pooled
        for edit in (locoedit(shape, SEURAT, [1, 2]), uce(shape, SEURAT), time_edit(shape, SEURAT)):
            with edit.apply(shape):
                assert paint(shape, SOURCES[:1], 0, how).shape == before.shape
                if pooled is not None:  # it does not pass through the edited layers
                    assert torch.equal(encode_prompts(shape, SOURCES[:1]).pooled, pooled)
        edit = diffquickfix(shape, SEURAT)
        assert len(edit.changes) == encoders
        with edit.apply(shape):
            if pooled is not None:
                assert not torch.equal(encode_prompts(shape, SOURCES[:1]).pooled, pooled)
        unchanged(shape, kept)
    one = diffquickfix(sdxl, SEURAT, encoder="text_encoder_2")
    assert [n.split(".")[0] for n in one.changes] == ["text_encoder_2"]
    with pytest.raises(UnknownNameError, match="choose one of: text_encoder"):
        diffquickfix(sd2, SEURAT, encoder="text_encoder_2")


def test_which_tokens_pair_up(pipe) -> None:
    t = pipe.tokenizer
    one = [Concept(("a cat in the style of van gogh",), ("a cat in a photo",), "van gogh")]

    def at(tokens: str, weight: float = 1.0) -> list[tuple[int, int]]:
        return [(p.source, p.target) for p in token_pairs(t, one, tokens, 20, weight)]

    assert at("last-subject") == [(8, 5)]
    assert at("to-end") == [(8, 5), (9, 6)]
    assert at("to-padding") == [(8 + k, 5 + k) for k in range(12)]
    assert at("to-padding", 0.0) == [(8, 5)]
    weights = [p.weight for p in token_pairs(t, one, "to-padding", 20, 0.1)]
    assert weights[0] == 1 and set(weights[1:]) == {0.1}
    # start a cat in [the style of van gogh -> a photo] end, padding
    pairs = aligned(t, *one[0].sources, *one[0].targets, 20)
    assert pairs[:4] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert pairs[4:9] == [(4, 4), (5, 4), (6, 4), (7, 4), (8, 5)]
    assert pairs[9:] == [(9 + k, 6 + k) for k in range(11)]
    # what the target adds has no source; what it lacks has no counterpart
    assert (1, 1) in aligned(t, "a car", "a blue car", 20)
    assert (2, 3) in aligned(t, "a car", "a blue car", 20)
    assert [i for i, _ in aligned(t, "a blue car", "a car", 5)] == [0, 1, 3, 4]
    several = Concept(SOURCES[:2], TARGETS[:2], ("cat", "car"), ("cat", "car"))
    assert [(p.prompt, p.source) for p in token_pairs(t, [several], "last-subject", 20)] == [
        (0, 2),
        (1, 3),
    ]


def test_bad_input_is_one_clear_sentence_and_changes_nothing(pipe) -> None:
    for call, words in [
        (lambda: locoedit(pipe, SEURAT, [16]), r"Layers \[16\] do not exist: the model has 16"),
        (lambda: solve(pipe, SEURAT, "locoedit"), "name them, e.g. layers="),
        (lambda: solve(pipe, SEURAT, "rome"), "Unknown method 'rome'; choose one of: diffquickfix"),
        (lambda: solve(pipe, SEURAT, "uce", tokens="all"), "choose one of: last-subject, to-end"),
        (lambda: solve(pipe, SEURAT, "uce", projections=["to_q"]), "choose one of: to_k, to_v"),
        (lambda: diffquickfix(pipe, SEURAT, layer=9), r"has 4, numbered 0 to 3"),
        (lambda: locoedit(pipe, [], [8]), "Expected one Concept or a list"),
        (lambda: locoedit(pipe, SEURAT, [8], strength=-1.0), "strength is -1.0, expected"),
        (lambda: locoedit(pipe, SEURAT, [8], strength=float("inf")), "inf, expected a finite"),
        (lambda: solve(pipe, SEURAT, "uce", preset="best"), "choose one of: published, repaired"),
        (lambda: solve(pipe, SEURAT, "uce", preset="repaired"), "pass some as keep"),
        (lambda: uce(pipe, SEURAT, keep_tokens="first"), "choose one of: last, all"),
        (lambda: uce(pipe, SEURAT, keep="a cat"), "Expected a list of prompts to keep"),
        (lambda: Concept(("a",), ("b", "c")), "got 1 source and 2 target prompts"),
        (lambda: Concept((), ()), "got 0 source and 0 target"),
        (lambda: Concept("a cat", ("b",)), "list of source prompts, got one string"),
        (lambda: Concept(("a", "b"), ("c", "d"), ("a",)), "names 1 subjects for 2 prompts"),
        (lambda: Concept.of("a", "b", ("no place",)), "exactly one {}"),
        (
            lambda: locoedit(pipe, Concept(("a red cat",), ("a red car",), "dog"), [8]),
            r"'dog' is not in the prompt 'a red cat'; its tokens are \['a', 'red', 'cat'\]",
        ),
        (
            lambda: locoedit(pipe, Concept(("cat " * 30,), ("a car",)), [8]),
            "32 tokens with start and end, the text encoder takes 28",
        ),
        (
            lambda: diffquickfix(pipe, Concept(("a cat",), ("car " * 30,))),
            "32 tokens with start and end, the text encoder takes 28",
        ),
    ]:
        with pytest.raises(KleditError, match=words) as raised:
            call()
        assert "\n" not in str(raised.value)


@pytest.fixture
def spoiled(sd2) -> Any:
    """Stable Diffusion 2 with a UNet that may be spoiled."""
    whole, sd2.unet = sd2.unet, copy.deepcopy(sd2.unet)
    yield sd2
    sd2.unet = whole


def test_a_pipeline_that_hides_its_layers_is_refused(spoiled) -> None:
    sd2 = spoiled
    sd2.fuse_qkv_projections(vae=False)
    with pytest.raises(KleditError, match="fused query-key-value"):
        locoedit(sd2, SEURAT, [0])
    sd2.unfuse_qkv_projections(vae=False)
    edit = locoedit(sd2, SEURAT, [0])
    sd2.unet._compiled_call_impl = lambda *_: None
    for call in (lambda: edit.apply(sd2), lambda: locoedit(sd2, SEURAT, [0])):
        with pytest.raises(KleditError, match="unet is compiled, so an edit could go unnoticed"):
            call()
    sd2.unet._compiled_call_impl = None
    site = sd2.unet.get_submodule(edit.rows[0]["name"].removeprefix("unet.").rsplit(".", 2)[0])
    kept, site.to_k = site.to_k, torch.nn.Sequential(site.to_k)
    with pytest.raises(KleditError, match="no parameter|plain torch.nn.Linear"):
        locoedit(sd2, SEURAT, [0])
    site.to_k = kept
    before, sd2.text_encoder = sd2.text_encoder, torch.nn.Linear(2, 2)
    with pytest.raises(KleditError, match="has no CLIP text encoder"):
        diffquickfix(sd2, SEURAT)
    sd2.text_encoder = before


def test_reading_concepts_from_files(tmp_path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        "source,target,subject,concept\n"
        "a cat by seurat,a cat,seurat,painters\na car by durer,a car,durer,painters\n"
        "the mascot,a whale,mascot,facts\n"
    )
    painters, facts = read_concepts(path)
    assert painters.subject == ("seurat", "durer") and painters.target_subject is None
    assert facts == Concept(("the mascot",), ("a whale",), ("mascot",))
    (tmp_path / "one.json").write_text('[{"source": "a", "target": "b"}]')
    assert read_concepts(tmp_path / "one.json") == [Concept(("a",), ("b",))]
    for text, words in [
        ("source,target\na,\n", "row 1: expected a source and a target"),
        ("source,target\n", "holds no prompts"),
        ("source,target,subject\na,b,a\nc,d,\n", "fill in all or none"),
    ]:
        path.write_text(text)
        with pytest.raises(KleditError, match=words):
            read_concepts(path)
    with pytest.raises(KleditError, match="Cannot read prompts"):
        read_concepts(tmp_path / "none.csv")
