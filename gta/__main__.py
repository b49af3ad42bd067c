"""`python -m gta COMMAND`."""

import sys

from gta.cli.main import main

sys.exit(main(sys.argv[1:]))
