"""``python -m minikws`` and the ``minikws`` command."""

import sys

from minikws.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
