"""Names beside the ends of lines: where they fit, in order, and none over another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from matplotlib.axes import Axes

POINTS_PER_LINE = 12  # what a label at a line's end needs
Tags = Callable[[str], str]  # row -> the id of one more thing of it


def name_lines(axes: Axes, ends: Iterable[tuple[str, float, float]], style: dict[str, dict], gid: Tags) -> None:
    """Write each method's name beside the end of its line, spread so that no two overlap; `gid` as of its line."""
    low, high = axes.get_ylim()
    inches = axes.get_figure().get_size_inches()[1] * axes.get_position().height  # type: ignore[union-attr]
    step = (high - low) * POINTS_PER_LINE / (inches * 72)
    ends = sorted(ends, key=lambda end: end[2])
    places = spread([y for _, _, y in ends], step, low, high)
    right = axes.get_xlim()[1]
    for (row, _, y), place in zip(ends, places, strict=True):
        axes.annotate(
            short(row, 17), (right, y), (9, (place - y) / step * POINTS_PER_LINE), textcoords="offset points",
            color=style[row]["color"], va="center", fontsize=8.5, annotation_clip=False, weight="bold", gid=gid(row),
        )  # fmt: skip
    axes.set_ylim(low, high)


def spread(values: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Places for labels of sorted `values`: in order, at least `step` apart, as near as that allows, and within low
    to high where there is room."""
    groups: list[list[float]] = []  # each is a run of labels that touch: [sum of wished centres, count]
    for value in values:
        groups.append([value, 1.0])
        while len(groups) > 1 and _top(groups[-2], step) + step > _bottom(groups[-1], step):
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + count]
    places = [
        _bottom(group, step) + i * step for group in groups for i in range(int(group[1]))
    ]  # fmt: skip
    if places:
        shift = max(0.0, low - places[0]) or min(0.0, high - places[-1])
        places = [place + shift for place in places]
    return places


def _bottom(group: list[float], step: float) -> float:
    return group[0] / group[1] - (group[1] - 1) * step / 2


def _top(group: list[float], step: float) -> float:
    return group[0] / group[1] + (group[1] - 1) * step / 2


def short(name: str, most: int) -> str:
    """At most so many characters; the end stays, since it is often what tells two names apart."""
    name = " ".join(name.split())
    if len(name) > most:
        name = name[: most - most // 2 - 1] + "…" + name[-(most // 2) :]
    return name.replace("$", r"\$")  # matplotlib reads $...$ as mathematics
