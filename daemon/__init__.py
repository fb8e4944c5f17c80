"""The live side: a pure core that decides, a shell that keeps time, ports and disk."""

__version__ = "0.1.0"
