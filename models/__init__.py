"""Networks, checkpoints, data and training. Knows nothing of ports, clocks or sessions."""
