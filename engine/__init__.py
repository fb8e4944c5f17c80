"""The mind: what crosses to it, how notes become tokens, and the decoder that answers."""
