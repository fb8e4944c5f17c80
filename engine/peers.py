"""Other engines, asked to do what ours do: the same network in llama.cpp and in Hugging Face
transformers, and Notochord, which is another network altogether.

Knows their interfaces and our checkpoints; knows no processes and reads no clock but for
transformers, which tells of its tokens only while it generates. Each import is within the function
that needs it: `segue bench decode` measures what is installed.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.cache import Logits
from models.gguf import gguf

#: What our fused matrices are for transformers, and its names for the others.
SPLIT = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
WHOLE = {
    "attention.out": "self_attn.o_proj",
    "ffn.down": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


class LlamaCpp:
    """llama.cpp with the weights in Q8_0 and its own settings, as one of our backends."""

    def __init__(
        self, shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]], *, threads: int
    ) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._silent, None)
        llama_cpp.llama_backend_init()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            path.write_bytes(gguf(shape, weights))
            options = llama_cpp.llama_model_default_params()
            options.use_mmap = False  # the file is gone once it is read
            self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = shape["context"]
        settings.n_threads = settings.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, settings)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(shape["context"], 0, 1)
        self._vocabulary = shape["vocabulary"]
        self.capacity = shape["context"]
        self.length = 0

    def append(self, tokens: Sequence[int]) -> Logits:
        """Take one or more tokens; logits after the last. ValueError beyond the capacity."""
        if not tokens or self.length + len(tokens) > self.capacity:
            raise ValueError(f"{len(tokens)} tokens cannot be added to {self.length}")
        batch, last = self._batch, len(tokens) - 1
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, self.length + i, i == last
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if self._lib.llama_decode(self._context, batch):
            raise RuntimeError("llama.cpp cannot decode")
        self.length += len(tokens)
        said = self._lib.llama_get_logits_ith(self._context, last)
        return np.ctypeslib.as_array(said, shape=(self._vocabulary,))

    def next(self, token: int) -> Logits:
        """Take one token."""
        return self.append([token])

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first `length`."""
        self._lib.llama_memory_seq_rm(self._memory, 0, length, -1)
        self.length = length


class Transformers:
    """Hugging Face's `generate`, greedy, with the weights in float32."""

    def __init__(
        self, shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]], *, threads: int
    ) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.set_num_threads(threads)
        self._torch: Any = torch
        config = LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["width"],
            intermediate_size=shape["ffn"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            max_position_embeddings=shape["context"],
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
        )
        self._model = LlamaForCausalLM(config).eval()
        state = {name: torch.from_numpy(array) for name, array in _their_names(shape, weights)}
        missing, unexpected = self._model.load_state_dict(state, strict=False)
        if unexpected or set(missing) - {"lm_head.weight"}:
            raise RuntimeError(f"transformers names its weights otherwise: {missing}, {unexpected}")

    def generate(self, prompt: Sequence[int], count: int) -> list[float]:
        """Milliseconds of each of `count` tokens behind the prompt; the first has the prompt's."""
        stamps = _Stamps()
        with self._torch.inference_mode():
            self._model.generate(
                self._torch.tensor([prompt]),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=False,
                streamer=stamps,
            )
        return [1e3 * (b - a) for a, b in zip(stamps.at_s, stamps.at_s[1:], strict=False)]


class _Stamps:
    """A streamer of transformers: it is given the prompt, each token, and the end."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def put(self, _: object) -> None:
        self.at_s.append(perf_counter())

    def end(self) -> None:
        pass


def _their_names(
    shape: Mapping[str, int], weights: Mapping[str, NDArray[np.float32]]
) -> list[tuple[str, NDArray[np.float32]]]:
    named = [
        ("model.embed_tokens.weight", weights["embedding.weight"]),
        ("model.norm.weight", weights["norm.weight"]),
    ]
    for n in range(shape["layers"]):
        ours, theirs = f"blocks.{n}", f"model.layers.{n}"
        parts = np.split(weights[f"{ours}.attention.qkv.weight"], 3)
        parts += np.split(weights[f"{ours}.ffn.gate_up.weight"], 2)
        parts += [weights[f"{ours}.{name}.weight"] for name in WHOLE]
        names = (*SPLIT, *WHOLE.values())
        named += [
            (f"{theirs}.{name}.weight", part) for name, part in zip(names, parts, strict=True)
        ]
    return named


def notochord_event(*, threads: int) -> Callable[[], None]:
    """Notochord in its default size: a function that feeds one event and asks for the next.

    With its own weights if they lie where it keeps them, and drawn ones if not: that is as fast.
    Nothing is downloaded.
    """
    import torch
    from notochord import Notochord

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    kept = sorted(Path(Notochord.user_data_dir()).glob("*.ckpt"))
    model = Notochord.from_checkpoint(kept[-1]) if kept else Notochord()
    model.eval()
    model.reset()
    pitches = np.random.default_rng(0).integers(36, 84, 4096).tolist()
    played = 0

    def event() -> None:
        nonlocal played
        model.feed(1, pitches[played % len(pitches)], 0.1, 80.0 * (played % 2))
        model.query()
        played += 1

    return event
