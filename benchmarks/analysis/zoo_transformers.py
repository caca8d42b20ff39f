"""Networks of the package transformers: configuration class, changed options, inputs, task.

Where the published size is small the default configuration stands; else layers, widths or
vocabularies are cut. An option may be a function of the package: a configuration inside another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Spec = tuple[str, Mapping[str, Any], Mapping[str, tuple[int, ...]], str]

WORDS = {"input_ids": (1, 64)}
PAIR = {"input_ids": (1, 48), "decoder_input_ids": (1, 24)}
IMAGE = {"pixel_values": (1, 3, 224, 224)}
# Decoders whose published sizes are billions of weights.
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
         "num_attention_heads": 4, "vocab_size": 1000}  # fmt: skip
GROUPED = {**SMALL, "num_key_value_heads": 2}
BERT = {"num_hidden_layers": 4, "vocab_size": 1000}
SEQ2SEQ = {"d_model": 256, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
           "decoder_attention_heads": 4, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512,
           "vocab_size": 1000}  # fmt: skip


def _resnet(package: Any) -> Any:
    return package.ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512],
                                layer_type="basic", out_features=["stage4"])  # fmt: skip


def _texts(rows: Mapping[str, tuple[str, Mapping[str, Any]]], shapes: Mapping[str, tuple[int, ...]],
           task: str) -> dict[str, Spec]:  # fmt: skip
    return {name: (config, options, shapes, task) for name, (config, options) in rows.items()}


ENCODERS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "bert": ("BertConfig", {}),
    "distilbert": ("DistilBertConfig", {}),
    "roberta": ("RobertaConfig", BERT),
    "albert": ("AlbertConfig", {"hidden_size": 768, "num_attention_heads": 12,
                                "intermediate_size": 3072, "vocab_size": 1000}),
    "electra": ("ElectraConfig", {}),
    "deberta": ("DebertaConfig", {**BERT, "relative_attention": True,
                                  "pos_att_type": ["c2p", "p2c"]}),
    "deberta_v2": ("DebertaV2Config", {**SMALL, "relative_attention": True,
                                       "pos_att_type": ["c2p", "p2c"]}),
    "mobilebert": ("MobileBertConfig", {"num_hidden_layers": 6, "vocab_size": 1000}),
    "squeezebert": ("SqueezeBertConfig", BERT),
    "convbert": ("ConvBertConfig", BERT),
    "mpnet": ("MPNetConfig", BERT),
    "fnet": ("FNetConfig", BERT),
    "nystromformer": ("NystromformerConfig", {**BERT, "segment_means_seq_len": 64,
                                              "num_landmarks": 8}),
    "xlnet": ("XLNetConfig", {"d_model": 256, "n_layer": 2, "n_head": 4, "d_inner": 512,
                              "vocab_size": 1000}),
    "xlm": ("XLMConfig", {"emb_dim": 256, "n_layers": 2, "n_heads": 4, "n_words": 1000}),
    "funnel": ("FunnelConfig", {"block_sizes": [2, 2, 2], "vocab_size": 1000,
                                "architectures": ["FunnelModel"]}),
    "longformer": ("LongformerConfig", {**BERT, "attention_window": 32, "num_hidden_layers": 2}),
    "big_bird": ("BigBirdConfig", {**BERT, "num_hidden_layers": 2}),
    "roformer": ("RoFormerConfig", BERT),
    "canine": ("CanineConfig", {"num_hidden_layers": 2}),
    "modernbert": ("ModernBertConfig", {**SMALL, "pad_token_id": 0}),
    "esm": ("EsmConfig", {**SMALL, "pad_token_id": 1, "mask_token_id": 2}),
}  # fmt: skip

DECODERS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "gpt2": ("GPT2Config", {}),
    "openai_gpt": ("OpenAIGPTConfig", {"n_layer": 4, "vocab_size": 1000}),
    "gpt_neo": ("GPTNeoConfig", {"hidden_size": 256, "num_layers": 2, "num_heads": 4,
                                 "attention_types": [[["global", "local"], 1]],
                                 "vocab_size": 1000}),
    "gptj": ("GPTJConfig", {"n_embd": 256, "n_layer": 2, "n_head": 4, "rotary_dim": 32,
                            "vocab_size": 1000}),
    "gpt_neox": ("GPTNeoXConfig", SMALL),
    "opt": ("OPTConfig", {"vocab_size": 1000}),
    "bloom": ("BloomConfig", {"hidden_size": 256, "n_layer": 2, "n_head": 4, "vocab_size": 1000}),
    "falcon": ("FalconConfig", {"hidden_size": 256, "num_hidden_layers": 2,
                                "num_attention_heads": 4, "vocab_size": 1000}),
    "mpt": ("MptConfig", {"d_model": 256, "n_layers": 2, "n_heads": 4, "vocab_size": 1000}),
    "llama": ("LlamaConfig", GROUPED),
    "mistral": ("MistralConfig", GROUPED),
    "qwen2": ("Qwen2Config", GROUPED),
    "qwen3": ("Qwen3Config", {**GROUPED, "head_dim": 64}),
    "gemma2": ("Gemma2Config", {**GROUPED, "head_dim": 64}),
    "phi": ("PhiConfig", SMALL),
    "mixtral": ("MixtralConfig", {**GROUPED, "num_local_experts": 4}),
    "mamba": ("MambaConfig", {"hidden_size": 256, "num_hidden_layers": 2, "vocab_size": 1000}),
    "mamba2": ("Mamba2Config", {"hidden_size": 256, "num_hidden_layers": 2, "vocab_size": 1000,
                                "num_heads": 8, "head_dim": 64, "state_size": 32}),
    "rwkv": ("RwkvConfig", {"hidden_size": 256, "num_hidden_layers": 2, "vocab_size": 1000}),
    "ctrl": ("CTRLConfig", {"n_embd": 256, "n_layer": 2, "n_head": 4, "dff": 512,
                            "vocab_size": 1000}),
}  # fmt: skip

PAIRS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "t5": ("T5Config", {}),
    "bart": ("BartConfig", SEQ2SEQ),
    "pegasus": ("PegasusConfig", SEQ2SEQ),
    "marian": ("MarianConfig", {**SEQ2SEQ, "pad_token_id": 0, "decoder_start_token_id": 0}),
    "led": ("LEDConfig", {**SEQ2SEQ, "attention_window": 16}),
    "prophetnet": ("ProphetNetConfig", {
        "hidden_size": 256, "num_encoder_layers": 2, "num_decoder_layers": 2,
        "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4,
        "encoder_ffn_dim": 512, "decoder_ffn_dim": 512, "vocab_size": 1000}),
}  # fmt: skip

AUDIO = {"input_values": (1, 16000)}
SOUND = {"num_hidden_layers": 2}
CLIP_INPUT = {"input_ids": (1, 32), **IMAGE}
OTHERS: dict[str, Spec] = {
    "vit": ("ViTConfig", {"num_hidden_layers": 4}, IMAGE, "images"),
    "dinov2": ("Dinov2Config", {"num_hidden_layers": 4}, IMAGE, "images"),
    "segformer": ("SegformerConfig", {}, IMAGE, "segmentation"),
    "detr": ("DetrConfig", {
        "use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None,
        "backbone_config": _resnet, "encoder_layers": 3, "decoder_layers": 3,
        "num_queries": 50}, IMAGE, "detection"),
    "yolos": ("YolosConfig", {"num_hidden_layers": 4, "image_size": [224, 224]}, IMAGE,
              "detection"),
    "clip": ("CLIPConfig", {"vision_config": {"num_hidden_layers": 4},
                            "text_config": {"num_hidden_layers": 4, "vocab_size": 1000}},
             CLIP_INPUT, "images and text"),
    "videomae": ("VideoMAEConfig", {"num_hidden_layers": 2, "num_frames": 4},
                 {"pixel_values": (1, 4, 3, 224, 224)}, "video"),
    "timesformer": ("TimesformerConfig", {"num_hidden_layers": 2, "num_frames": 4},
                    {"pixel_values": (1, 4, 3, 224, 224)}, "video"),
    "whisper": ("WhisperConfig", {**SEQ2SEQ, "pad_token_id": 0, "decoder_start_token_id": 1},
                {"input_features": (1, 80, 3000), "decoder_input_ids": (1, 24)}, "audio"),
    "wav2vec2": ("Wav2Vec2Config", SOUND, AUDIO, "audio"),
    "wavlm": ("WavLMConfig", SOUND, AUDIO, "audio"),
    "audio_spectrogram": ("ASTConfig", {"num_hidden_layers": 2, "max_length": 256},
                          {"input_values": (1, 256, 128)}, "audio"),
    "encodec": ("EncodecConfig", {}, {"input_values": (1, 1, 4800)}, "audio"),
    "perceiver": ("PerceiverConfig", {"num_self_attends_per_block": 2, "num_latents": 64,
                                      "d_latents": 256, "d_model": 128},
                  {"inputs": (1, 96, 128)}, "any"),
}  # fmt: skip

MODELS: dict[str, Spec] = {
    **_texts(ENCODERS, WORDS, "text"),
    **_texts(DECODERS, WORDS, "text"),
    **_texts(PAIRS, PAIR, "text to text"),
    **OTHERS,
}
Option = Callable[[Any], Any]
