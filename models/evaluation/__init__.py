"""Measures of music and of models. Knows quantized pieces and numpy; no tokens, no networks."""
