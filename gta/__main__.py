"""`python -m gta COMMAND`."""

import sys

from gta.cli import main

sys.exit(main(sys.argv[1:]))
