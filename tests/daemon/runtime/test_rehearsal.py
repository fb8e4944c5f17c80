"""A rehearsal: virtual time, a mind of paper, nothing waits for anything."""

from collections.abc import Callable
from pathlib import Path

import pytest
from musicians import PaperMind, is_on, tune

from daemon.interface.config import SessionConfig, Settings
from daemon.interface.events import Effect, MidiIn, MindIn, Tick
from daemon.runtime import rehearsal as rehearsal_module
from daemon.runtime.rehearsal import MindIsSilent, Rehearsal
from daemon.take.journal import Journal, JournalWriter, read_journal
from daemon.take.report import hanging_notes, report_of
from daemon.take.take import differences, take_of
from engine.protocol import Lost, Ready, ToMind

BEAT_NS = 500_000_000
CONFIG = SessionConfig(settings=Settings(bars=4), clock="internal")


def performed(*, rounds: int) -> list[tuple[int, bytes]]:
    """Four bars of a tune, four bars of rest, and so on."""
    messages = []
    for round_ in range(rounds):
        for note in tune("C4 D4 E4 F4 " * 4, beat=32 * round_):
            messages.append((round(note.onset * BEAT_NS), bytes((0x90, note.pitch, 80))))
            messages.append((round(note.end * BEAT_NS), bytes((0x80, note.pitch, 64))))
    return messages


def rehearse(
    path: Path,
    *,
    rounds: int = 4,
    mind: PaperMind | None = None,
    watch: Callable[[Effect], None] = lambda _: None,
) -> Journal:
    mind = mind or PaperMind("C5 D5", step=0.5)
    with JournalWriter(path, session=CONFIG, started="now", trouble=pytest.fail) as journal:
        rehearsal = Rehearsal(CONFIG, journal=journal, publish=watch)

        def tell(value: ToMind) -> None:
            for _, reply in mind.hears(value) or []:
                rehearsal.heard_mind(reply)

        rehearsal.heard_mind(Ready("paper", 1, 1))
        rehearsal.run(performed(rounds=rounds), until_ns=round(32 * rounds * BEAT_NS), tell=tell)
    return read_journal(path)


def test_thirty_two_bars_of_trading(tmp_path: Path) -> None:
    seen: list[Effect] = []
    journal = rehearse(tmp_path / "take.journal", watch=seen.append)
    take = take_of(journal)
    assert len(take.player) == 4 * 16
    assert [note.onset for note in take.segue] == [
        32 * round_ + 16 + step / 2 for round_ in range(4) for step in range(32)
    ]
    report = report_of(take, journal)
    assert report["handovers"] == 4
    assert report["handover_late_ms"] == {"p50": 0.0, "p99": 0.0}
    assert report["in_time_rate"] == 1.0
    assert hanging_notes(journal) == 0
    assert differences(journal) == []
    assert seen


def test_time_never_runs_back(tmp_path: Path) -> None:
    journal = rehearse(tmp_path / "take.journal")
    times = [entry.t_ns for entry in journal.entries]
    assert times == sorted(times)
    left = [sent.sent_ns for sent in journal.sent]
    assert left == sorted(left)
    assert all(sent.sent_ns >= sent.due_ns for sent in journal.sent)
    assert {type(entry) for entry in journal.entries} == {MidiIn, MindIn, Tick}


def test_the_same_rehearsal_is_the_same_take(tmp_path: Path) -> None:
    first = rehearse(tmp_path / "first.journal")
    second = rehearse(tmp_path / "second.journal")
    assert first.entries == second.entries
    assert first.sent == second.sent


def test_an_end_in_the_middle_of_an_answer_leaves_nothing_sounding(tmp_path: Path) -> None:
    path = tmp_path / "take.journal"
    with JournalWriter(path, session=CONFIG, started="now", trouble=pytest.fail) as journal:
        rehearsal = Rehearsal(CONFIG, journal=journal, publish=lambda _: None)
        mind = PaperMind("C5", hold=8.0)

        def tell(value: ToMind) -> None:
            for _, reply in mind.hears(value) or []:
                rehearsal.heard_mind(reply)

        rehearsal.heard_mind(Ready("paper", 1, 1))
        rehearsal.run(performed(rounds=1), until_ns=round(18.25 * BEAT_NS), tell=tell)
    sent = read_journal(path).sent
    assert sum(is_on(one.message) for one in sent) == 3
    assert hanging_notes(read_journal(path)) == 0
    assert sent[-1].sent_ns == round(18.25 * BEAT_NS)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ([Lost("killed")], "the mind was lost: killed"),
        ([], "the mind said nothing for"),
        ([Ready("paper", 1, 1)], "the mind said nothing for"),
    ],
)
def test_a_mind_that_does_not_answer_ends_the_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: list[Ready | Lost], why: str
) -> None:
    monkeypatch.setattr(rehearsal_module, "PATIENCE_S", 0.01)
    with JournalWriter(
        tmp_path / "take.journal", session=CONFIG, started="now", trouble=pytest.fail
    ) as journal:
        rehearsal = Rehearsal(CONFIG, journal=journal, publish=lambda _: None)
        for value in says:
            rehearsal.heard_mind(value)
        with pytest.raises(MindIsSilent, match=why):
            rehearsal.run(performed(rounds=1), until_ns=64 * BEAT_NS, tell=lambda _: None)
