"""The program: `gta COMMAND`, where it is installed, or `python -m gta COMMAND`."""

from __future__ import annotations

import sys
from pathlib import Path

from gta import garbage


def main() -> int:
    """Run the command that the program was started with; its exit code."""
    garbage.spare()
    from gta.cli import main as command_line

    program = "python -m gta" if Path(sys.argv[0]).name == "__main__.py" else Path(sys.argv[0]).name
    return command_line.main(sys.argv[1:], program)


if __name__ == "__main__":
    sys.exit(main())
