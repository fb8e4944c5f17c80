"""The soak hears the faults that it is there to hear, and the session makes none of them."""

import json

import pytest

from daemon.bench.soak import Listener, Soak
from daemon.cli.main import main
from daemon.interface.events import Effect, Send
from daemon.session.session import Session

C_ON, C_OFF, TICK = b"\x90\x3c\x50", b"\x80\x3c\x00", b"\xf8"


def test_a_listener_hears_what_hangs_what_is_struck_twice_and_what_is_late() -> None:
    listener = Listener()
    for message, late_ns in ((C_ON, 0), (TICK, 0), (C_ON, 6_000_000), (C_OFF, 0), (C_ON, 0)):
        listener.hear(message, late_ns)
    listener.expects_silence()
    listener.expects_silence()
    assert listener.heard == {
        "messages": 4,
        "notes": 3,
        "clock": 1,
        "late": 1,
        "struck twice": 1,
        "hanging": 1,
    }


def test_a_session_in_the_worst_of_company(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "soak", "--messages", "1500", "--seed", "5", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["messages_out"] >= 1500
    assert (report["hanging_notes"], report["struck_twice"], report["unlike"]) == (0, 0, 0)
    assert report["minds_killed"] > 0
    assert report["host_stretches"] > 0


def test_the_same_seed_is_the_same_soak() -> None:
    reports = [Soak(seed=2).run(300) for _ in range(2)]
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]


def test_a_session_that_forgets_its_releases_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Session.handle

    def forgetful(session: Session, entry: object) -> list[Effect]:
        effects = handle(session, entry)  # type: ignore[arg-type]
        return [
            effect
            for effect in effects
            if not isinstance(effect, Send) or effect.message[0] & 0xF0 != 0x80
        ]

    monkeypatch.setattr(Session, "handle", forgetful)
    monkeypatch.setattr("daemon.session.schedule.Schedule.release_all", lambda *_: [])
    assert Soak(seed=1).run(300)["hanging_notes"] > 0


def test_nothing_to_send_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "soak", "--messages", "0"]) == 2
    assert "--messages" in capsys.readouterr().err
