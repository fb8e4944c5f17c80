"""Segue as the clock of others, and what ends it. Beats at 120 bpm."""

from dataclasses import replace

from musicians import START_NS, PaperMind, Table

from daemon.session.session import Session

TICK_NS = 500_000_000 / 24


def master(**settings: object) -> Table:
    table = Table(mind=PaperMind("C5"), **settings)
    table.config = replace(table.config, send_clock=True)
    table.session = Session(table.config)
    return table


def clock_of(table: Table) -> list[tuple[int, float]]:
    """(status, ticks since the music began) of each message of the clock."""
    return [
        (sent.message[0], round((sent.sent_ns - START_NS) / TICK_NS, 3))
        for sent in table.sent
        if sent.message[0] >= 0xF0
    ]


def test_it_starts_with_the_first_note_and_ticks_on() -> None:
    table = master()
    table.play("C4", beat=0)
    table.until_ns(table.at.ns_at(2))
    ticks = [place for status, place in clock_of(table) if status == 0xF8]
    assert clock_of(table)[0] == (0xFA, 0.0)
    assert ticks == [float(number) for number in range(48)]


def test_a_panic_does_not_stop_it_and_the_end_does() -> None:
    table = master()
    table.play("C4", beat=0)
    table.command("panic", beat=1.01)
    table.until_ns(table.at.ns_at(2))
    table.finish()
    statuses = [status for status, _ in clock_of(table)]
    assert statuses == [0xFA, *[0xF8] * 48, 0xFC]


def test_a_clock_that_comes_back_is_not_followed() -> None:
    table = master()
    table.play("C4", beat=0)
    start_ns = table.at.ns_at(1)
    ticks = [(start_ns + round(number * TICK_NS), b"\xf8") for number in range(48)]
    table.host((start_ns, b"\xfa"), *ticks)
    table.until_ns(table.at.ns_at(3))
    assert table.session.leader == "internal"
    assert [status for status, _ in clock_of(table)] == [0xFA, *[0xF8] * 72]
