"""Edits of whole pipelines against sums of outer products and an inverse, prompt by prompt."""

from typing import Any

import numpy as np
import pytest
import torch
from oracles import ridge_by_inverse

from kledit_lite.edit import Concept, solve

SOURCES = ("a cat in the style of seurat", "a red car on the beach in the style of seurat")
TARGETS = ("a photo of a cat", "a photo of a red car on the beach")
KEEP = ("a blue boat in the style of hokusai", "a photo of a bird")


def hidden(pipe: Any, prompt: str) -> torch.Tensor:
    """What the cross-attention reads, by the pipeline's own words: (T, d)."""
    ids = pipe.tokenizer(
        prompt,
        padding="max_length",
        max_length=pipe.tokenizer.model_max_length,
        return_tensors="pt",
    ).input_ids
    return pipe.text_encoder(ids)[0][0].detach()


def position(pipe: Any, prompt: str, word: str) -> int:
    """Of a word of one token."""
    (token,) = pipe.tokenizer(word, add_special_tokens=False).input_ids
    return pipe.tokenizer(prompt).input_ids.index(token)


def layers_in_order(pipe: Any) -> list[str]:
    """Names of the cross-attention layers, in the order in which one forward calls them."""
    called: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, module in pipe.unet.named_modules()
        if name.endswith("attn2")
    ]
    width = pipe.unet.config.cross_attention_dim
    pipe.unet(torch.zeros(1, 4, 8, 8), 1, torch.zeros(1, 20, width))
    for handle in handles:
        handle.remove()
    return called


@pytest.mark.parametrize("layer", [0, 5, 15])
@pytest.mark.parametrize("preset", ["published", "repaired"])
def test_locoedit_is_the_published_inverse_at_the_layer_that_runs_there(
    sd2: Any, preset: str, layer: int
) -> None:
    concept = Concept(SOURCES, TARGETS, "seurat", "photo")
    keep = KEEP if preset == "repaired" else ()
    edit = solve(sd2, concept, "locoedit", preset=preset, layers=[layer], keep=keep)
    keys, inputs = [], []
    for source, target in zip(SOURCES, TARGETS, strict=True):
        x, y = hidden(sd2, source), hidden(sd2, target)
        keys.append(x[position(sd2, source, "seurat")])
        inputs.append(y[position(sd2, target, "photo")])
        if preset == "repaired":  # the end token with the end token, padding with padding
            a, b = (len(sd2.tokenizer(p).input_ids) - 1 for p in (source, target))
            for k in range(len(x) - max(a, b)):
                keys.append(x[a + k])
                inputs.append(y[b + k])
    kept = torch.cat([hidden(sd2, p) for p in keep]).numpy() if keep else None
    name = layers_in_order(sd2)[layer]
    assert list(edit.changes) == [f"unet.{name}.to_k.weight", f"unet.{name}.to_v.weight"]
    for full, change in edit.changes.items():
        w = sd2.unet.get_parameter(full.removeprefix("unet.")).detach().numpy()
        expected = ridge_by_inverse(
            w, torch.stack(keys).numpy(), torch.stack(inputs).numpy(), 0.01, kept
        )
        np.testing.assert_allclose(w + change.delta().numpy(), expected, rtol=2e-3, atol=2e-5)


def test_diffquickfix_is_the_published_inverse_of_the_first_attention(sdxl: Any) -> None:
    concept = Concept(SOURCES, TARGETS, "seurat", "photo")
    edit = solve(sdxl, concept, "diffquickfix", encoder="text_encoder_2")
    layer = sdxl.text_encoder_2.get_submodule("text_model.encoder.layers.0.self_attn.out_proj")
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _m, args: seen.append(args[0][0].detach()))
    rows = []
    for prompts, word in ((SOURCES, "seurat"), (TARGETS, "photo")):
        for prompt in prompts:
            ids = sdxl.tokenizer_2(prompt, return_tensors="pt").input_ids
            sdxl.text_encoder_2(ids)
            rows.append(
                seen[-1][
                    sdxl.tokenizer_2(prompt).input_ids.index(
                        sdxl.tokenizer_2(word, add_special_tokens=False).input_ids[0]
                    )
                ].numpy()
            )
    hook.remove()
    expected = ridge_by_inverse(
        layer.weight.detach().numpy(), np.array(rows[:2]), np.array(rows[2:]), 0.01
    )
    (change,) = edit.changes.values()
    got = layer.weight.detach().numpy() + change.delta().numpy()
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-5)
