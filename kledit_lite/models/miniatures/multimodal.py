"""LLaVA 1.5 and SmolVLM in miniature: every published layer and image token, a small width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kledit_lite.models.miniatures import seeded, sizes
from kledit_lite.models.miniatures.tokenizers import byte_tokenizer, numbers_of

if TYPE_CHECKING:
    from kledit_lite.models.seers import FolderSeer

SHRINK = 32
"""LLaVA's published widths are divided by this; SmolVLM's, which are small, by twelve. Pictures are
smaller as well: their towers' attention is most of the cost."""
IMAGE = "<image>"


def build(name: str) -> FolderSeer:
    """A miniature by its name, on the CPU, in float32; the same weights each time.

    Example:
        >>> config = build("smolvlm-256m").model.config.text_config
        >>> config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads
        (30, 9, 3)
    """
    from kledit_lite.models.seers import FolderSeer

    tokenizer = byte_tokenizer()
    make = {"llava-1.5-7b": _llava, "smolvlm-256m": _smolvlm}[name]
    with seeded(name):
        model, processor = make(tokenizer)
    return FolderSeer(model.eval(), processor, f"miniature:{name}")


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    """Llama's 32 layers of 32 heads behind CLIP ViT-L/14 at 154 pixels: 121 image tokens."""
    import transformers as t

    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    side, numbers = 154, numbers_of(tokenizer)
    eye, mind = sizes(24, 16, 32, 128), sizes(32, 32, 4096 // SHRINK, 11008 // SHRINK)
    vision = t.CLIPVisionConfig(**eye, image_size=side, patch_size=14, projection_dim=24)
    text = t.LlamaConfig(**mind, num_key_value_heads=32, max_position_embeddings=4096, **numbers)
    token = tokenizer.convert_tokens_to_ids(IMAGE)
    config = t.LlavaConfig(vision_config=vision, text_config=text, image_token_index=token)
    crop = {"height": side, "width": side}
    reading = t.CLIPImageProcessor(size={"shortest_edge": side}, crop_size=crop)
    processor = t.LlavaProcessor(
        reading,
        tokenizer,
        patch_size=14,
        image_token=IMAGE,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
    )
    return t.LlavaForConditionalGeneration(config), processor


def _smolvlm(tokenizer: Any) -> tuple[Any, Any]:
    """SmolLM2's 30 layers of 9 query and 3 value heads behind SigLIP at 320 pixels: 25 tokens."""
    import transformers as t

    marks = [IMAGE, "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    side, numbers = {"longest_edge": 320}, numbers_of(tokenizer)
    eye, mind = sizes(12, 12, 24, 96), sizes(30, 9, 72, 192)
    vision = t.models.smolvlm.SmolVLMVisionConfig(**eye, image_size=320, patch_size=16)
    text = t.LlamaConfig(**mind, num_key_value_heads=3, max_position_embeddings=8192, **numbers)
    config = t.SmolVLMConfig(
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_config=vision,
        text_config=text,
        scale_factor=4,
        pad_token_id=tokenizer.pad_token_id,
    )
    reading = t.Idefics3ImageProcessor(size=side, max_image_size=side, do_image_splitting=False)
    template = (
        "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}:"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}Assistant:{% endif %}"
    )
    processor = t.Idefics3Processor(  # SmolVLM's own for pictures; its name asks for num2words
        reading, tokenizer, image_seq_len=25, chat_template=template
    )
    return t.SmolVLMForConditionalGeneration(config), processor
