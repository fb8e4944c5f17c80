"""What the person at the terminal is told of the mind."""

from daemon.runtime.mind import MindNews, in_short
from engine.protocol import Lost, Pong, Ready, Refused

NO_CHECKPOINT = "there is no checkpoint mine.json; name one that exists"


def test_a_mind_that_was_started_wrongly_says_why_in_its_own_words() -> None:
    assert in_short(f"the mind ended with code 2: segue engine: {NO_CHECKPOINT}") == NO_CHECKPOINT
    assert in_short("the mind was killed by signal 9") == "the mind was killed by signal 9"


def test_a_mind_that_cannot_start_is_lost_again_and_again_and_told_once() -> None:
    news = MindNews()
    assert news.of(Lost(NO_CHECKPOINT)) == (
        f"the mind was lost ({NO_CHECKPOINT}); the stand-in plays until it is back"
    )
    assert [news.of(Lost(NO_CHECKPOINT)) for _ in range(3)] == [None] * 3
    assert news.of(Lost("the mind was killed by signal 9")) is not None


def test_one_that_was_back_in_between_is_told_anew() -> None:
    news = MindNews()
    lost = [news.of(Lost("killed"))]
    assert news.of(Ready("paper", 6_200_000, 1)) == "the mind is ready: paper, 6.2M parameters"
    lost.append(news.of(Lost("killed")))
    assert lost[0] == lost[1] is not None


def test_what_it_refuses_is_told_and_a_pong_is_not() -> None:
    news = MindNews()
    assert news.of(Refused("no")) == "the mind refused a message: no"
    assert news.of(Pong(1)) is None
