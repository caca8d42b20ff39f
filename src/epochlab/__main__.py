"""`python -m epochlab` is the command `epochlab`."""

import sys

from epochlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
