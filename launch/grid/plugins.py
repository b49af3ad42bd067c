"""Makes the launcher and the sweeper known to Hydra, however the project was installed."""

from __future__ import annotations

from pathlib import Path


def install() -> None:
    """Put `launch/hydra_plugins` on the path of Hydra's plugin package; to be called before Hydra starts."""
    import hydra_plugins

    folder = str(Path(__file__).parents[1] / "hydra_plugins")
    if folder not in list(hydra_plugins.__path__):
        hydra_plugins.__path__.append(folder)  # a namespace package: Hydra scans every folder on it
