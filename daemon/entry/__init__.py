"""Console entry: put our four folders first on the path, then run the command line.

The wheel nests the folders inside `segue`, so that no `daemon` or `engine` lands at the top of
anyone's site-packages; in a checkout they stand beside each other. Either way imports are plain.
"""

import sys


def main() -> None:
    """Run the `segue` command line and exit with its code."""
    try:
        from pathlib import Path

        here = Path(__file__).resolve().parent
        root = here if (here / "engine").is_dir() else here.parents[1]  # wheel | checkout
        sys.path.insert(0, str(root))
        from daemon.cli.main import main as run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # this early there is nothing to say yet
        code = 130
    sys.exit(code)
