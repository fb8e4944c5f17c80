"""The figures of `segue bench live`, from what was played. Pure.

- lateness: from when a note was due to when it was handed to the driver;
- clock phase: how far the session's beat is from the musician's at each entry of its inbox, past
  the first two beats; the delay of the way itself (the median of all messages, or of the host's
  reports) is taken off;
- on the line: handovers whose first note left within 5 ms of the line.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any, TypeAlias

from daemon.bench.band import HOST_COMMAND
from daemon.bench.score import Cue, Played
from daemon.interface.events import CommandIn, Entry, MidiIn
from daemon.interface.messages import STOP, is_on
from daemon.session.session import Session
from daemon.take.report import IN_TIME_MS, handover_lateness_ms, hanging_notes, percentiles
from daemon.take.take import lateness_ns, take_of

NS_PER_MS = 1_000_000
#: OSC carries beats as 32-bit floats.
SAME_BEAT = 1e-3
#: A clock may take so long to lock.
WARM_BEATS = 2
Figures: TypeAlias = dict[str, Any]


def figures_of(played: Played, *, bpm: float) -> Figures:
    """The figures of one take; the lists are in milliseconds."""
    journal = played.journal
    take = take_of(journal)
    late_ms = [late / NS_PER_MS for late in lateness_ns(journal.sent)]
    handovers_ms = handover_lateness_ms(take, journal)
    port_ms = port_delay_ms(played)
    by_link = journal.session.clock == "link"  # which both share: its beats are on no way
    return {
        "ports": played.ports,
        "late_ms": late_ms,
        "due": len(late_ms) + take.cut,
        "handover_late_ms": handovers_ms,
        "phase_ms": phase_errors_ms(played, bpm=bpm, port_ms=0.0 if by_link else port_ms),
        "port_ms": port_ms,
        "silent_after_stop_ms": silent_after_stop_ms(played),
        "hanging_notes": max(hanging_notes(journal), _hanging(played)),
        "mind_restarts": take.mind_restarts,
    }


def port_delay_ms(played: Played) -> float:
    """From when a message was meant to be sent to when the daemon stamped it: the median.

    Where a host reports its beat, that of its reports, for they carry the time.
    """
    reports = any(cue.report is not None for cue in played.cues)
    cues = [cue for cue in played.cues if (cue.report is not None) is reports]
    kind = CommandIn if reports else MidiIn
    came = [entry for entry in played.journal.entries if isinstance(entry, kind)]
    delays: list[float] = []
    at = 0
    for cue in cues:  # in the order in which they were sent; one may have got lost
        for index in range(at, min(at + 8, len(came))):
            if _is(came[index], cue):
                left_ns = played.beat0_ns + cue.at_ns + cue.jitter_ns
                delays.append((came[index].t_ns - left_ns) / NS_PER_MS)
                at = index + 1
                break
    return median(delays) if delays else 0.0


def _is(entry: Entry, cue: Cue) -> bool:
    match entry:
        case MidiIn(_, message):
            return message == cue.message
        case CommandIn(_, _, (_, float(beat), _)):
            return cue.report is not None and abs(cue.report[1] - beat) < SAME_BEAT
    return False


def phase_errors_ms(played: Played, *, bpm: float, port_ms: float) -> list[float]:
    """How far the session's beat was from the musician's, while the music went."""
    session = Session(played.journal.session)
    ms_per_beat = 60_000 / bpm
    errors: list[float] = []
    for entry in played.journal.entries:
        session.handle(entry)
        if _stops(entry):
            break
        beat = ((entry.t_ns - played.beat0_ns) / NS_PER_MS - port_ms) / ms_per_beat
        if beat >= WARM_BEATS:
            error = session.beat_at(entry.t_ns) - beat
            errors.append(abs(error - round(error)) * ms_per_beat)
    return errors


def silent_after_stop_ms(played: Played) -> float | None:
    """From the host's stop to the last message that was sent after it; None where none stopped."""
    stop_ns = next((entry.t_ns for entry in played.journal.entries if _stops(entry)), None)
    if stop_ns is None:
        return None
    after = [sent.sent_ns - stop_ns for sent in played.journal.sent if sent.sent_ns > stop_ns]
    return max(after, default=0) / NS_PER_MS


def _stops(entry: Entry) -> bool:
    match entry:
        case MidiIn(_, message):
            return message[0] == STOP
        case CommandIn(_, name, (playing, *_)):
            return name == HOST_COMMAND and not int(playing)
    return False


def _hanging(played: Played) -> int:
    sounding: set[int] = set()
    for _, message in played.heard:
        if is_on(message):
            sounding.add(message[1])
        elif message[0] & 0xE0 == 0x80:  # note-off, or a note-on without velocity
            sounding.discard(message[1])
    return len(sounding)


def report_of(takes: Sequence[Figures], *, command: str) -> Figures:
    """All takes in one object, and each beside it."""
    late_ms = pooled(takes, "late_ms")
    handovers = pooled(takes, "handover_late_ms")
    stops = [take["silent_after_stop_ms"] for take in takes if take["silent_after_stop_ms"]]
    sources = sorted({take["source"] for take in takes})
    return {
        "late_ms": percentiles(late_ms, 50, 95, 99, 99.9),
        "clock_phase_ms_p95": {
            source: percentiles(
                pooled([take for take in takes if take["source"] == source], "phase_ms"), 95
            )["p95"]
            for source in sources
        },
        "in_time_rate": _in_time(takes),
        "handover_on_line_rate": _on_line(handovers),
        "hanging_notes": sum(take["hanging_notes"] for take in takes),
        "ports": takes[0]["ports"],
        "notes_out": len(late_ms),
        "handovers": len(handovers),
        "silent_after_stop_ms": max(stops, default=None),
        "takes": [_summary(take) for take in takes],
        "command": command,
    }


def _summary(take: Figures) -> Figures:
    return {
        "source": take["source"],
        "bpm": take["bpm"],
        "notes_out": len(take["late_ms"]),
        "late_ms": percentiles(take["late_ms"], 50, 95, 99, 99.9),
        "in_time_rate": _in_time([take]),
        "handovers": len(take["handover_late_ms"]),
        "handover_on_line_rate": _on_line(take["handover_late_ms"]),
        "handover_late_ms": percentiles(take["handover_late_ms"], 50, 99),
        "clock_phase_ms": percentiles(take["phase_ms"], 50, 95, 99),
        "port_ms": take["port_ms"],
        "silent_after_stop_ms": take["silent_after_stop_ms"],
        "hanging_notes": take["hanging_notes"],
        "mind_restarts": take["mind_restarts"],
    }


def pooled(takes: Sequence[Figures], key: str) -> list[float]:
    """The values of all takes together."""
    return [value for take in takes for value in take[key]]


def _in_time(takes: Sequence[Figures]) -> float | None:
    """The share of the notes that were due which left within what the ear takes for together."""
    due = sum(take["due"] for take in takes)
    in_time = sum(late <= IN_TIME_MS for late in pooled(takes, "late_ms"))
    return in_time / due if due else None


def _on_line(handovers_ms: Sequence[float]) -> float | None:
    on_line = sum(late <= IN_TIME_MS for late in handovers_ms)
    return on_line / len(handovers_ms) if handovers_ms else None


def table(report: Figures) -> str:
    """The report for people."""
    head = ("clock", "bpm", "notes", "late p50", "p99", "p99.9", "in time", "handovers", "on line")
    rows = [(*head, "phase p95", "after stop")]
    for take in report["takes"]:
        late = take["late_ms"]
        rows.append(
            (
                take["source"],
                f"{take['bpm']:g}",
                str(take["notes_out"]),
                *(_cell(late[point]) for point in ("p50", "p99", "p999")),
                _share(take["in_time_rate"]),
                str(take["handovers"]),
                _share(take["handover_on_line_rate"]),
                _cell(take["clock_phase_ms"]["p95"]),
                _cell(take["silent_after_stop_ms"]),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    late = report["late_ms"]
    lines.append(
        f"in ms, through {report['ports']}; all together: late p50 {_cell(late['p50'])}, "
        f"p99 {_cell(late['p99'])}, p99.9 {_cell(late['p999'])}; "
        f"in time {_share(report['in_time_rate'])}, on the line "
        f"{_share(report['handover_on_line_rate'])}, hanging notes {report['hanging_notes']}"
    )
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
