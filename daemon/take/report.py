"""A take in figures: the report of the demo. Pure.

In-time rate: of all the notes that were to be played, the share that left within `IN_TIME_MS` of
the moment they were due. A note that was cut because it came too late counts as not in time.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from daemon.interface.messages import NOTE_OFF, NOTE_ON, is_on
from daemon.take.journal import Journal
from daemon.take.take import Take, lateness_ns

#: The ear takes two onsets closer than this for one, well within what is heard as together.
IN_TIME_MS = 5.0
NS_PER_MS = 1_000_000


def percentiles(values: Sequence[float], *points: float) -> dict[str, float | None]:
    """Return {"p50": …} by the nearest rank; None where there are no values."""
    ordered = sorted(values)
    return {_name(point): _nearest(ordered, point) for point in points}


def report_of(take: Take, journal: Journal) -> dict[str, Any]:
    """Return the report as one JSON object."""
    late_ms = [late / NS_PER_MS for late in lateness_ns(journal.sent)]
    in_time = sum(late <= IN_TIME_MS for late in late_ms)
    due = len(late_ms) + take.cut
    handover_ms = handover_lateness_ms(take, journal)
    tokens = [ms for cost in take.costs for ms in cost.token_ms]
    notes = [ms for cost in take.costs for ms in cost.note_ms]
    prompt_tokens = sum(cost.prompt_tokens for cost in take.costs)
    cached_tokens = sum(cost.cached_tokens for cost in take.costs)
    return {
        "notes_in": len(take.player),
        "notes_out": len(take.segue),
        "handovers": sum(1 for _ in _turns(take)),
        "handover_late_ms": percentiles(handover_ms, 50, 99),
        "in_time_rate": in_time / due if due else None,
        "late_ms": percentiles(late_ms, 50, 95, 99),
        "cut_notes": take.cut,
        "token_ms": percentiles(tokens, 50, 95, 99),
        "note_ms": percentiles(notes, 50, 95, 99),
        "prompt_tokens": prompt_tokens,
        "cached_tokens": cached_tokens,
        "cache_hit_rate": cached_tokens / prompt_tokens if prompt_tokens else None,
        "hanging_notes": hanging_notes(journal),
        "mind_restarts": take.mind_restarts,
        "seed": journal.session.seed,
    }


def handover_lateness_ms(take: Take, journal: Journal) -> list[float]:
    """For each of Segue's entries: when its first note left, less the time of its line.

    A turn in which Segue sent nothing counts as late by its whole length.
    """
    ons = sorted(
        (sent for sent in journal.sent if is_on(sent.message)), key=lambda sent: sent.due_ns
    )
    late: list[float] = []
    for line_ns, end_ns in _turns(take):
        index = bisect_left(ons, line_ns - NS_PER_MS, key=lambda sent: sent.due_ns)
        if index < len(ons) and (end_ns is None or ons[index].due_ns < end_ns):
            late.append((ons[index].sent_ns - line_ns) / NS_PER_MS)
        elif end_ns is not None:
            late.append((end_ns - line_ns) / NS_PER_MS)
    return late


def hanging_notes(journal: Journal) -> int:
    """How many notes that were sent had had no note-off when the journal ended."""
    sounding: set[tuple[int, int]] = set()
    for sent in journal.sent:
        if len(sent.message) != 3:
            continue
        status, pitch, _ = sent.message
        key = (status & 0x0F, pitch)
        if is_on(sent.message):
            sounding.add(key)
        elif status & 0xF0 in (NOTE_ON, NOTE_OFF):
            sounding.discard(key)
    return len(sounding)


def _turns(take: Take) -> Iterator[tuple[int, int | None]]:
    """When each of Segue's turns was due to begin, and when it ended, if it did.

    A turn that was withdrawn before its line, while its first notes were on their way, is none.
    """
    for handover, after in zip_longest(take.handovers, take.handovers[1:]):
        if handover.voice == "segue" and (after is None or after.due_ns > handover.due_ns):
            yield handover.due_ns, after.due_ns if after else None


def summary(report: dict[str, Any]) -> str:
    """The report in a few lines, for people."""
    handover, token = report["handover_late_ms"], report["token_ms"]

    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f} ms"

    in_time = report["in_time_rate"]
    return "\n".join(
        [
            f"you played {report['notes_in']} notes, Segue answered with {report['notes_out']} "
            f"in {report['handovers']} turns",
            f"first note after its bar line: p50 {ms(handover['p50'])}, p99 {ms(handover['p99'])}; "
            f"in time {'-' if in_time is None else f'{in_time:.1%}'}",
            f"a token: p50 {ms(token['p50'])}, p99 {ms(token['p99'])}; "
            f"hanging notes {report['hanging_notes']}, mind restarts {report['mind_restarts']}",
        ]
    )


def _nearest(ordered: Sequence[float], point: float) -> float | None:
    if not ordered:
        return None
    return ordered[max(1, math.ceil(point * len(ordered) / 100)) - 1]


def _name(point: float) -> str:
    return f"p{point:g}".replace(".", "")
