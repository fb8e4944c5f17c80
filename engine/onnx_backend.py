"""The live backend: an exported graph, its cache and its buffers, run by ONNX Runtime.

Knows token numbers, places in the cache and ONNX Runtime; knows no music, no sampling and no torch.
What the graph looks like is said in models/export.py. Everything that a run reads or writes is
allocated once and bound to the graph, so that a token costs one call.

A token alone is fed with a second one beside it, which is not kept: its place is written again by
the next. ONNX Runtime attends for one row by another kernel than for several, whose sums differ in
the seventh digit; where the next layer rounds to 8 bits that becomes a hundredth of a logit, and
what an answer is would depend on how the prompt came to be in the cache. Rows among others are
summed in one order however many there are, so that what is fed token by token, in chunks or again
after a rewind gives the same logits, bit for bit where this was measured (DECISIONS.md).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from engine.cache import Logits
from models.description import METADATA_KEY, ONNX_FORMAT, CheckpointError

#: Rows in one run at most. With more, what lies between two layers no longer fits the nearest
#: cache: 64 rows take 48 us each, 256 take 104 (one thread of a Zen 5 EPYC).
MOST_ROWS = 64


class OnnxBackend:
    """A graph and the keys and values of the tokens that it has taken."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        shapes = {value.name: value.shape for value in session.get_inputs()}
        (logits,) = (value for value in session.get_outputs() if value.name == "logits")
        self.length = 0
        self.capacity: int = shapes["past_key0"][2] - 1  # and one for the token that is not kept
        self._session = session
        self._binding = session.io_binding()
        self._tokens = np.zeros((1, MOST_ROWS), dtype=np.int64)
        self._row = np.zeros((), dtype=np.int64)
        self._last_place = np.zeros(1, dtype=np.int32)
        self._places = np.zeros(1, dtype=np.int32)
        self._all_logits = np.zeros(logits.shape, dtype=np.float32)  # (1, V)
        self._logits: Logits = self._all_logits[0]
        self._rows = {rows: _value(self._tokens[:, :rows]) for rows in range(2, MOST_ROWS + 1)}
        self._bound_rows = 0
        self._bind_input("row", self._row)
        self._bind_input("last_place", self._last_place)
        self._bind_input("places", self._places)
        self._binding.bind_ortvalue_output("logits", _value(self._all_logits))
        names = [name for name in shapes if name.startswith("past_")]
        self._cache = {name: np.zeros(shapes[name], dtype=np.float32) for name in names}
        for name, past in self._cache.items():
            self._bind_input(name, past)
            self._binding.bind_ortvalue_output(name.replace("past_", "present_"), _value(past))

    def append(self, tokens: Sequence[int]) -> Logits:
        """Take one or more tokens; logits after the last. ValueError beyond the capacity."""
        if not tokens or self.length + len(tokens) > self.capacity:
            raise ValueError(
                f"{len(tokens)} tokens cannot be added to {self.length}; "
                f"the cache holds {self.capacity}"
            )
        for first in range(0, len(tokens), MOST_ROWS):
            rows = tokens[first : first + MOST_ROWS]
            self._tokens[0, : len(rows)] = rows
            self._run(len(rows))
        return self._logits

    def next(self, token: int) -> Logits:
        """Take one token: what `append` does, by the shortest way."""
        if self.length >= self.capacity:
            raise ValueError(f"the cache holds {self.capacity} tokens and is full")
        self._tokens[0, 0] = token
        self._run(1)
        return self._logits

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first `length`; ValueError for more than there are."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot rewind {self.length} tokens to {length}")
        self.length = length

    def _run(self, count: int) -> None:
        """Take the first `count` of the tokens in the buffer."""
        rows = max(2, count)
        if rows != self._bound_rows:
            self._binding.bind_ortvalue_input("tokens", self._rows[rows])
            self._bound_rows = rows
        self._row[...] = count - 1
        self._last_place[0] = self.length + rows - 1
        self._places[0] = self.length + rows
        self._session.run_with_iobinding(self._binding)
        self.length += count

    def _bind_input(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self._binding.bind_ortvalue_input(name, _value(array))


def open_graph(path: Path, *, threads: int = 1) -> tuple[OnnxBackend, dict[str, Any]]:
    """The graph that lies there, and its description; raises CheckpointError with the remedy."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised as well
    # A thread that waits for work would take the time that the player needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors have no class of their own in common
        raise CheckpointError(
            f"{path} is damaged or not for this version of ONNX Runtime; "
            f"make it again with `segue export` ({str(error).splitlines()[0]})"
        ) from error
    return OnnxBackend(session), _description(session, path)


def _description(session: onnxruntime.InferenceSession, path: Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
    description: dict[str, Any] = json.loads(text)
    if description.get("format") != ONNX_FORMAT:
        raise CheckpointError(
            f"{path} is no graph of this version of Segue; make it again with `segue export`"
        )
    return description


def _value(array: np.ndarray[Any, Any]) -> onnxruntime.OrtValue:
    """The array itself for ONNX Runtime, which copies nothing and does not keep it alive."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
