"""How results look in a terminal: one line a stage, a progress bar on long work, and tables. All of it on stderr or stdout
as the verb decides; plain lines where the output is not a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from tswork.wording import decimals

if TYPE_CHECKING:
    from tswork.pipeline.outcome import Outcome
    from tswork.pipeline.plan import Plan, PlannedStage
    from tswork.pipeline.spec import Member

STYLES = {"cached": "green", "resume": "yellow", "resumed": "yellow", "run": "cyan"}
KEY_DIGITS = 8


def console(*, stderr: bool = False) -> Console:
    """The terminal; a wide page where there is none, so that tables are not folded in files."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=140)


class Bar:
    """A progress bar that is there from the first step that is shown until it is closed."""

    def __init__(self, screen: Console, *, indent: int = 0) -> None:
        self._screen, self._indent = screen, " " * indent
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def show(self, text: str, done: int, total: int) -> None:
        """How far the work is."""
        if self._bar is None:
            label = TextColumn(f"{self._indent}{{task.description}}")
            columns = (label, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._screen, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(text, total=total)
        self._bar.update(self._task, completed=done, total=total, description=text)

    def close(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class ConsoleObserver:
    """Shows a run as it goes."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._bar = Bar(screen, indent=4)

    def member_started(self, member: Member, number: int, count: int) -> None:
        if count > 1:
            self._screen.print(f"[bold]{escape(member.name)}[/bold]  ({number} of {count})")

    def stage_started(self, stage: PlannedStage) -> None:
        style = STYLES[stage.status]
        self._screen.print(
            f"  {stage.spec.name:<16} [{style}]{stage.status:<7}[/{style}] {escape(stage.reason)}  [dim]{stage.key[:KEY_DIGITS]}[/dim]"
        )

    def stage_progress(self, stage: PlannedStage, done: int, total: int, values: Mapping[str, float]) -> None:
        if self._screen.is_terminal:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            self._bar.show(f"{stage.spec.name} {shown}".rstrip(), done, total)

    def stage_finished(self, stage: PlannedStage, seconds: float) -> None:
        self.close()
        if stage.status != "cached":
            self._screen.print(f"  {'':<16} [dim]done in {seconds:.1f} s[/dim]")

    def warning(self, text: str) -> None:
        self._screen.print(f"  [yellow]note[/yellow] {escape(text)}")

    def close(self) -> None:
        """Take the progress bar away."""
        self._bar.close()


def plan_table(plan: Plan) -> Table:
    """One line a stage: status, reason, key."""
    several = len(plan.members) > 1
    table = Table(
        *(["member"] if several else []),
        "stage",
        "uses",
        "status",
        "why",
        "key",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for member in plan.members:
        for stage in member.stages:
            style = STYLES[stage.status]
            cells = [
                stage.spec.name,
                stage.spec.component.name,
                f"[{style}]{stage.status}[/{style}]",
                escape(stage.reason),
                stage.key[:KEY_DIGITS],
            ]
            table.add_row(*([escape(member.member.name)] if several else []), *cells)
    return table


def result_table(found: Outcome) -> Table:
    """Rows of a protocol's result: candidates and controls against the metrics of the whole, the best headline in bold."""
    table = Table(escape(found.title), *map(str, found.figures.columns), box=None, header_style="bold", pad_edge=False)
    for row, line in found.figures.iterrows():
        name = f"[dim]{row}[/dim]" if found.roles[str(row)] == "control" else str(row)
        table.add_row(name, *map(decimals, line), style="bold" if row == found.best else "")
    return table


def readable_bytes(count: int) -> str:
    """`1.5 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
