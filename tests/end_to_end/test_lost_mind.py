"""The mind killed, and frozen for three seconds, while it is heard through JACK.

It is lost in the middle of one long answer, and before a handover. A mind drafts far ahead of the
music. So that most of the answer is still to come when it is lost, it is stopped as soon as it has
drafted something, and then killed, or left to be given up.

The player plays on meanwhile. The stand-in knows no rests but those that it has heard, and so it
has none to take over that is longer than a beat.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import pytest
from stage import (
    NS_PER_S,
    Event,
    Grid,
    Musician,
    Segue,
    between,
    command_line,
    eventually,
    faults,
    ons,
    sounding,
    tune,
)

from daemon.interface.events import MidiIn, MindIn
from daemon.interface.messages import NOTE_ON
from daemon.session.answer import PATIENCE_BEATS
from daemon.take.journal import Journal, Sent
from engine.protocol import Drafted, Lost, Ready

BPM = 160
BAR = 4.0  # beats
BAR_S = BAR * 60 / BPM
BEAT_S = 60 / BPM
FROZEN_S = 3.0
#: A turn of two bars, and what the player has to say in his.
TURN = 2 * BAR
QUARTERS = "C4 E4 G4 C5 " * 12
EIGHTHS = "C4 D4 E4 F4 G4 A4 B4 C5 B4 A4 G4 F4 E4 D4 C4 G4"
#: What a busy machine may add to a rest, or to the period of JACK.
MARGIN_S = 0.06
NEVER_NS = 1 << 62


@dataclass
class Loss:
    """What the journal and the musician know of an answer whose mind was lost."""

    journal: Journal
    heard: tuple[Event, ...] = ()
    minds: tuple[str, ...] = ()  # what the state said of the mind, in order
    answering_ns: int = 0  # the answer certainly went on until then

    @property
    def said(self) -> list[MindIn]:
        """What came from the minds."""
        return [entry for entry in self.journal.entries if isinstance(entry, MindIn)]

    @property
    def lost_ns(self) -> int:
        """When the first mind was given up."""
        return next(entry.t_ns for entry in self.said if isinstance(entry.value, Lost))

    @property
    def back_ns(self) -> int:
        """When the second one was there; far in the future while it is not."""
        ready = [entry.t_ns for entry in self.said if isinstance(entry.value, Ready)]
        return ready[1] if len(ready) > 1 else NEVER_NS

    @property
    def alone_ns(self) -> int:
        """From when on the stand-in plays alone: the mind is lost, and its last note is over long
        enough for no more to be on its way.
        """
        before = [entry.value for entry in self.said if entry.t_ns < self.lost_ns]
        last = max(value.note.onset for value in before if isinstance(value, Drafted))
        return max(self.lost_ns, self.due_ns(last + PATIENCE_BEATS))

    def due_ns(self, beat: float) -> int:
        """When a beat is due: the first key is the first."""
        keys = [entry for entry in self.journal.entries if isinstance(entry, MidiIn)]
        return keys[0].t_ns + round(beat * BEAT_S * NS_PER_S)

    def drafted(self, begin_ns: int, end_ns: int) -> set[bytes]:
        """The notes that came from a mind in a time, as the messages that strike them."""
        said = [entry.value for entry in self.said if begin_ns < entry.t_ns < end_ns]
        notes = [value.note for value in said if isinstance(value, Drafted)]
        return {bytes((NOTE_ON, note.pitch, note.velocity)) for note in notes}

    def struck(self, begin_ns: int, end_ns: int) -> list[Sent]:
        """The notes that were struck in a time."""
        sent = [item for item in self.journal.sent if begin_ns < item.due_ns < end_ns]
        return [item for item in sent if item.message[0] == NOTE_ON]

    def stand_in_sounds(self) -> bool:
        """Whether a note has been struck that no mind has drafted."""
        struck = {item.message for item in self.struck(0, self.back_ns)}
        return bool(struck - self.drafted(0, self.back_ns))

    def new_mind_sounds(self) -> bool:
        """Whether a note of the second mind has been struck."""
        drafts = self.drafted(self.back_ns, NEVER_NS)
        return any(item.message in drafts for item in self.struck(self.back_ns, NEVER_NS))


@pytest.fixture(scope="module", params=[signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def loss(request, segue, musician, slow, tmp_path_factory) -> Loss:
    """The mind is lost as its answer begins; the music ends when the next one has been heard."""
    takes = tmp_path_factory.mktemp("takes")
    options = ("--bars", "8", "--bpm", str(BPM), "--checkpoint", str(slow))
    daemon: Segue = segue(*options, takes=takes)
    player: Musician = musician(request.param.name, daemon)
    daemon.await_mind()
    pid = daemon.mind_pid()
    stopper = threading.Thread(target=stop_when_it_drafts, args=(daemon, pid))
    stopper.start()
    player.play(tune(QUARTERS), bpm=BPM)
    eventually(lambda: len(player.played) >= 8, "his phrase")
    daemon.command("takeover")
    player.await_heard(1, "the answer begins")
    stopper.join()
    minds = [daemon.state()["mind"]]
    if request.param == signal.SIGSTOP:  # that it is
        threading.Timer(FROZEN_S, thaw, [pid]).start()
    else:
        os.kill(pid, request.param)
    daemon.await_state(mind="lost")
    minds.append(daemon.state()["mind"])
    eventually(lambda: not command_line(pid), "the lost one is gone for good")
    next_pid = daemon.mind_pid()
    os.kill(next_pid, signal.SIGSTOP)  # however fast it loads, the drafts run out before
    eventually(lambda: Loss(daemon.journal).stand_in_sounds(), "a note of the stand-in's")
    os.kill(next_pid, signal.SIGCONT)
    daemon.await_mind(count=2)
    minds.append(daemon.state()["mind"])
    eventually(lambda: new_mind_sounds(daemon) or not answers(daemon), "it plays, or is too late")
    if not new_mind_sounds(daemon):  # on a slow machine it took longer than the answer
        daemon.command("takeover")
    eventually(lambda: new_mind_sounds(daemon), "a note of the new mind's")
    assert daemon.stop() == 0
    answering_ns = player.heard[0].t_ns + int(8 * BAR_S * NS_PER_S)
    return Loss(daemon.journal, tuple(player.heard), tuple(minds), answering_ns)


def new_mind_sounds(daemon: Segue) -> bool:
    return Loss(daemon.journal).new_mind_sounds()


def answers(daemon: Segue) -> bool:
    return daemon.state().get("phase", "answering") == "answering"


def stop_when_it_drafts(daemon: Segue, pid: int) -> None:
    """Stop the mind at the first note that it drafts."""
    next(daemon.follow("planned"))
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let a stopped mind go on, if nobody has given it up."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@dataclass
class Handover:
    """The mind was frozen in the player's turn, and over its end."""

    loss: Loss
    grid: Grid

    @property
    def answer(self) -> list[Event]:
        """The strikes of Segue's turn; the first may be heard a little early."""
        begin = TURN - MARGIN_S / BEAT_S
        return ons(between(self.loss.heard, self.grid, begin, begin + TURN))


@pytest.fixture(scope="module")
def handover(segue, musician, tmp_path_factory) -> Handover:
    """The mind is frozen for three seconds before it can draft; Segue is called when it is back."""
    takes = tmp_path_factory.mktemp("takes")
    daemon: Segue = segue("--bars", "2", "--bpm", str(BPM), takes=takes)
    player: Musician = musician("trader", daemon)
    daemon.await_mind()
    pid = daemon.mind_pid()
    player.play(tune(EIGHTHS, step=0.5), bpm=BPM)
    grid = Grid(player, bpm=BPM)
    grid.await_beat(TURN / 2)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(FROZEN_S)
    thaw(pid)
    daemon.await_mind(count=2)
    grid.await_beat(2 * TURN)
    daemon.command("takeover")
    eventually(lambda: new_mind_sounds(daemon), "a note of the new mind's")
    assert daemon.stop() == 0
    return Handover(Loss(daemon.journal, tuple(player.heard)), grid)


def longest_silence_s(heard: Sequence[Event], begin_ns: int, end_ns: int) -> float:
    """The longest time in which nothing sounds."""
    silent_ns, longest_ns = begin_ns, 0
    for index, event in enumerate(heard):
        if not begin_ns <= event.t_ns <= end_ns:
            continue
        if not sounding(heard[:index]):
            longest_ns = max(longest_ns, event.t_ns - silent_ns)
        silent_ns = event.t_ns
    if not sounding(event for event in heard if event.t_ns <= end_ns):
        longest_ns = max(longest_ns, end_ns - silent_ns)
    return longest_ns / NS_PER_S


def test_the_state_says_that_it_is_lost_and_back(loss):
    assert loss.minds == ("ready", "lost", "ready")


def test_most_of_the_answer_was_still_to_come(loss):
    before = [entry.value for entry in loss.said if entry.t_ns < loss.lost_ns]
    onsets = [value.note.onset for value in before if isinstance(value, Drafted)]
    assert 0 <= onsets[-1] - onsets[0] < 4 * BAR


def test_no_note_hangs(loss):
    assert faults(loss.heard) == []


def test_the_stand_in_goes_on_where_the_mind_broke_off(loss):
    end_ns = min(loss.back_ns, loss.answering_ns)
    struck = loss.struck(loss.alone_ns, end_ns)
    assert loss.stand_in_sounds()
    moments = [loss.alone_ns, *(item.due_ns for item in struck), end_ns]
    assert max(b - a for a, b in pairwise(moments)) < BAR_S * NS_PER_S


def test_no_hole_in_the_answer_is_longer_than_a_beat(loss):
    end_ns = min(loss.back_ns, loss.answering_ns)
    assert longest_silence_s(loss.heard, loss.alone_ns, end_ns) <= BEAT_S + MARGIN_S


def test_the_new_mind_is_heard(loss):
    assert loss.new_mind_sounds()


def test_at_the_handover_the_stand_in_enters_on_the_line(handover):
    loss, line_ns = handover.loss, handover.loss.due_ns(TURN)
    first = loss.struck(line_ns - NS_PER_S, NEVER_NS)[0]
    assert abs(first.due_ns - line_ns) < NS_PER_S / 1e6
    assert first.due_ns < loss.back_ns
    assert first.message not in loss.drafted(0, loss.back_ns)
    assert first.message == handover.answer[0].message


def test_no_hole_after_the_handover_is_longer_than_a_beat(handover):
    begin_ns = handover.answer[0].t_ns
    end_ns = min(handover.loss.back_ns, begin_ns + int(TURN * BEAT_S * NS_PER_S))
    assert longest_silence_s(handover.loss.heard, begin_ns, end_ns) <= BEAT_S + MARGIN_S


def test_afterwards_the_mind_plays_again(handover):
    assert handover.loss.new_mind_sounds()


def test_no_note_hangs_after_the_handover(handover):
    assert faults(handover.loss.heard) == []
