"""What nested mappings and lists hold, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def named(state: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, tensor or plain value) of everything in them, in their order; a text is a plain value."""
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(state, Mapping):
        pairs = state.items()
    elif isinstance(state, Sequence) and not isinstance(state, (str, bytes)):
        pairs = enumerate(state)
    else:
        yield prefix, state
        return
    for key, value in pairs:
        yield from named(value, f"{prefix}.{key}" if prefix else str(key))
