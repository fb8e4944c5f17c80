"""How far a session's beat was from its host's: a journal against what the host itself says.

The journal is played again, entry by entry, and at each time at which the host's beat is known the
session is asked for its own. What came later is not known to it yet, as it was live.
"""

from collections.abc import Iterable

from daemon.session.session import Session
from daemon.take.journal import Journal


def phases_ms(
    journal: Journal, truth: Iterable[tuple[int, float, float]], *, bar_beats: float = 4.0
) -> list[float]:
    """For each (t_ns, beat, bpm) of the host's: how far ahead of its place in the bar we were."""
    session = Session(journal.session)
    entries = iter(journal.entries)
    entry = next(entries, None)
    off_ms = []
    for t_ns, beat, bpm in sorted(truth):
        while entry is not None and entry.t_ns <= t_ns:
            session.handle(entry)
            entry = next(entries, None)
        apart = session.beat_at(t_ns) - beat + bar_beats / 2
        off_ms.append((apart % bar_beats - bar_beats / 2) * 60_000 / bpm)
    return off_ms
