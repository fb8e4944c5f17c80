"""The live side: a pure core that decides, and a shell that keeps time, ports, disk and command line."""
