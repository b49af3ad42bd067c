"""Seeded faults over small grids: `make drill`. What is promised, and what came of it: docs/reliability.md."""
