package synthetic

import (
	"encoding/json"

	"peregrine/model/quant"
)

// config returns what the model's config.json holds.
func (s Shape) config(o Options) ([]byte, error) {
	c := map[string]any{
		"vocab_size": s.Vocab, "hidden_size": s.Hidden, "num_hidden_layers": s.Layers, "num_attention_heads": s.Heads,
		"max_position_embeddings": s.Context, "tie_word_embeddings": s.Tied, "bos_token_id": s.BOS, "eos_token_id": s.EOS,
		"torch_dtype": map[quant.Format]string{quant.BF16: "bfloat16", quant.F32: "float32"}[o.Embedding], "use_cache": true,
	}
	if c["torch_dtype"] == "" {
		c["torch_dtype"] = "float16"
	}
	if s.Rope > 0 {
		c["rope_theta"], c["rope_scaling"] = s.Rope, nil
	}
	if f := s.Falcon; f != nil {
		c["model_type"], c["architectures"] = "falcon", []string{"FalconForCausalLM"}
		c["activation"], c["layer_norm_epsilon"], c["ffn_hidden_size"] = "gelu", s.Eps, s.FFN
		c["alibi"], c["bias"], c["parallel_attn"] = s.Rope == 0, f.Bias, !f.Sequential
		c["new_decoder_architecture"], c["multi_query"] = f.Grouped, f.Grouped || s.KVHeads == 1
		c["num_kv_heads"] = s.Heads // as 7B's configuration has it, where it means nothing
		if f.Grouped {
			c["num_kv_heads"], c["num_ln_in_parallel_attn"] = s.KVHeads, f.Norms
		}
	} else {
		c["model_type"], c["architectures"] = "llama", []string{"LlamaForCausalLM"}
		c["hidden_act"], c["rms_norm_eps"], c["intermediate_size"] = "silu", s.Eps, s.FFN
		c["num_key_value_heads"], c["head_dim"] = s.KVHeads, s.HeadDim
		c["attention_bias"], c["mlp_bias"] = false, false
	}
	if o.Format == quant.GPTQFormat {
		c["quantization_config"] = o.quantizeConfig()
	}
	return json.MarshalIndent(c, "", "  ")
}

// quantizeConfig returns what AutoGPTQ writes into quantize_config.json.
func (o Options) quantizeConfig() map[string]any {
	return map[string]any{
		"bits": o.Bits, "group_size": o.GroupSize, "damp_percent": 0.01, "desc_act": o.ActOrder, "static_groups": false,
		"sym": true, "true_sequential": true, "model_name_or_path": nil, "model_file_base_name": nil,
		"quant_method": "gptq", "checkpoint_format": "gptq",
	}
}
