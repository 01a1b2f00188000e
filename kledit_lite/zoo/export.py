"""clip-tiny's text tower as a transformers `CLIPTextModel`, for diffusion pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import CLIPTextModel


def text_model(clip: Any, tokenizer: Any) -> CLIPTextModel:
    """Copy an open_clip text tower into a transformers `CLIPTextModel` with identical outputs.

    ``last_hidden_state`` equals open_clip's token features after the final layer norm, and
    ``pooler_output`` the one at the end token, before the text projection.

    Args:
        clip: An `open_clip.CLIP`.
        tokenizer: Its transformers tokenizer (for the special tokens' ids).

    Returns:
        The model in evaluation mode. O(parameters).
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    blocks = clip.transformer.resblocks
    width = clip.token_embedding.embedding_dim
    config = CLIPTextConfig(
        vocab_size=clip.vocab_size,
        hidden_size=width,
        intermediate_size=blocks[0].mlp.c_fc.out_features,
        projection_dim=clip.text_projection.shape[1],
        num_hidden_layers=len(blocks),
        num_attention_heads=blocks[0].attn.num_heads,
        max_position_embeddings=clip.context_length,
        hidden_act="gelu",
        layer_norm_eps=blocks[0].ln_1.eps,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    model = CLIPTextModel(config).eval()
    own = model.state_dict()
    prefix = "text_model." if any(k.startswith("text_model.") for k in own) else ""
    renamed = {prefix + k: v for k, v in _renamed(clip).items()}
    missing = [k for k in own if k not in renamed and not k.endswith("position_ids")]
    if missing:
        raise RuntimeError(f"transformers' CLIPTextModel has tensors we do not fill: {missing}")
    model.load_state_dict(renamed, strict=False)
    return model


def _renamed(clip: Any) -> dict[str, torch.Tensor]:
    state = {
        "embeddings.token_embedding.weight": clip.token_embedding.weight,
        "embeddings.position_embedding.weight": clip.positional_embedding,
        "final_layer_norm.weight": clip.ln_final.weight,
        "final_layer_norm.bias": clip.ln_final.bias,
    }
    for i, block in enumerate(clip.transformer.resblocks):
        at = f"encoder.layers.{i}."
        parts = {
            "self_attn.out_proj": block.attn.out_proj,
            "layer_norm1": block.ln_1,
            "layer_norm2": block.ln_2,
            "mlp.fc1": block.mlp.c_fc,
            "mlp.fc2": block.mlp.c_proj,
        }
        for kind in ("weight", "bias"):
            state |= {f"{at}{theirs}.{kind}": getattr(ours, kind) for theirs, ours in parts.items()}
            chunks = getattr(block.attn, f"in_proj_{kind}").chunk(3)
            state |= {
                f"{at}self_attn.{n}_proj.{kind}": c for n, c in zip("qkv", chunks, strict=True)
            }
    return {k: v.detach().clone() for k, v in state.items()}
