"""Segue Out wired to Segue In, by way of an armed track: nothing of it counts as playing."""

from musicians import START_NS, PaperMind, Table

from daemon.interface.events import Handover, MidiIn, NoteStarted, Noticed

LAG_NS = 23_000_000


def comes_back(table: Table, *, until_beat: float, channel: int = 0) -> None:
    """Go on to `until_beat`, and send back all that leaves, a track's way later."""
    returned, step_ns = 0, 5_000_000
    while table.now_ns < table.at.ns_at(until_beat):
        table.until_ns(max(table.now_ns, START_NS) + step_ns)
        for sent in table.sent[returned:]:
            back_ns = sent.sent_ns + LAG_NS
            message = bytes((sent.message[0] | channel, *sent.message[1:]))
            table.comes(back_ns, MidiIn(back_ns, message))
        returned = len(table.sent)


def players_notes(table: Table) -> int:
    return sum(note.voice == "player" for note in table.told(NoteStarted))


def test_its_own_notes_do_not_stop_an_answer_or_begin_another() -> None:
    table = Table(mind=PaperMind("C5 D5 E5", step=0.5), mode="answer", bars=1)
    table.play("C4 D4", beat=0)
    comes_back(table, until_beat=30, channel=3)
    assert [turn.beat for turn in table.told(Handover)] == [4.0, 8.0]
    assert players_notes(table) == 2
    assert not table.sounding


def test_the_loop_is_told_once() -> None:
    table = Table(mind=PaperMind("C5 D5 E5", step=0.5), bars=1)
    table.play("C4 D4 E4 F4", beat=0)
    comes_back(table, until_beat=17)
    notices = table.told(Noticed)
    assert len(notices) == 1
    assert "Segue In after 23 ms" in notices[0].text


def test_the_player_still_counts() -> None:
    table = Table(mind=PaperMind("C5 D5 E5", step=0.5), mode="answer", bars=4)
    table.play("C4 D4", beat=0)
    table.press("G4", beat=6.3)
    comes_back(table, until_beat=7)
    assert table.told(Handover)[-1].voice == "player"
    assert players_notes(table) == 3
