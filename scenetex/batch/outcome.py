"""What became of a scene, and how that is told: a line for one, a table for many."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import plain

_LONG = 100  # rows; longer tables list failures only


@dataclass(frozen=True)
class Outcome:
    """What became of a scene.

    Attributes:
        name, path: of the result, and of the scene.
        state: "done"; "kept": the result was there already; "failed"; "busy": another run works on it; "full": no room
            on the disk; "partly": the part that was asked for is done.
        says: the result, or what went wrong, in one line.
        seconds: how long it took.
        stage: where it failed.
        notes: what the user should know beside that.
        warnings: what does not look right about the scene.
    """

    name: str
    path: Path
    state: str
    says: str = ""
    seconds: float = 0.0
    stage: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def line(outcome: Outcome, output: Path) -> str:
    """What is said of a scene that went well; results lie in `output`."""
    return f"{output / outcome.name}: {outcome.says}, {outcome.seconds:.1f} s"


def table(outcomes: list[Outcome], count: int) -> list[str]:
    """What became of the scenes, row by row, and how many of each there are."""
    bad = [outcome for outcome in outcomes if outcome.state in ("failed", "full")]
    rows = sorted(bad if len(outcomes) > _LONG else outcomes, key=lambda outcome: outcome.name)
    names = [plain(row.name) for row in rows]
    width = max(map(len, names), default=0)
    lines = [
        f"{name:{width}}  {row.state:6}  {row.seconds:8.1f} s  {row.stage + ': ' if row.stage else ''}{row.says}"
        for name, row in zip(names, rows, strict=True)
    ]
    amount = {state: sum(outcome.state == state for outcome in outcomes) for state in ("done", "kept", "failed")}
    parts = [f"{amount['done']} done", f"{amount['kept']} already there", f"{amount['failed']} failed"]
    missing = count - sum(amount.values())
    if missing:
        parts.append(f"{missing} not done; the same command goes on from here")
    return ["", *lines, f"{count} scenes: {', '.join(parts)}"]
