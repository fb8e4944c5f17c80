"""What the mind is told of what was played."""

from hypothesis import given
from hypothesis import strategies as st
from musicians import tune

from daemon.listening.memory import KEPT_BEATS, Memory
from engine.protocol import Meter, Note, Prompt

METERS = (Meter(0.0, 4, 4),)
C, D = tune("C4 D4")
LONGER = Note(C.onset, C.pitch, 3.0, C.velocity)


class Listener:
    """A mind's own list of notes; it must never be told to drop what it does not know."""

    def __init__(self) -> None:
        self.notes: dict[int, Note] = {}

    def hears(self, prompt: Prompt) -> None:
        if prompt.reset:
            self.notes = {}
        for number in prompt.dropped:
            del self.notes[number]
        self.notes.update(prompt.put)


def test_news_are_told_once() -> None:
    memory = Memory(METERS)
    assert not memory.has_news
    memory.put(1, C)
    memory.put(2, D)
    assert memory.has_news
    assert memory.news() == Prompt(((1, C), (2, D)), (), METERS)
    assert not memory.has_news
    memory.put(1, C)
    assert not memory.has_news, "nothing changed"
    memory.put(1, LONGER)
    assert memory.news() == Prompt(((1, LONGER),), (), METERS)


def test_a_note_that_was_not_played_is_dropped() -> None:
    memory = Memory(METERS)
    memory.put(1, C)
    memory.news()
    memory.drop(1)
    memory.drop(1)
    assert memory.news() == Prompt((), (1,), METERS)
    assert memory.notes() == []


def test_what_was_never_told_need_not_be_taken_back() -> None:
    memory = Memory(METERS)
    memory.put(1, C)
    memory.drop(1)
    assert not memory.has_news


def test_a_new_mind_is_told_everything() -> None:
    memory = Memory(METERS)
    memory.put(1, C)
    memory.news()
    memory.put(2, D)
    assert memory.everything() == Prompt(((1, C), (2, D)), (), METERS, reset=True)
    assert not memory.has_news


actions = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "drop", "tell", "lose the mind"]),
        st.integers(1, 8),
        st.sampled_from([0.25, 0.5, 1.0]),
    ),
    max_size=60,
)


@given(actions)
def test_who_hears_all_the_news_knows_everything(actions: list[tuple[str, int, float]]) -> None:
    memory, mind = Memory(METERS), Listener()
    gone: set[int] = set()  # a number is never used twice
    for index, (what, number, duration) in enumerate(actions):
        match what:
            case "put" if number not in gone:
                memory.put(number, Note(float(number), 60, duration, 1 + index))
            case "drop":
                memory.drop(number)
                gone.add(number)
            case "tell":
                mind.hears(memory.news())
            case "lose the mind":
                mind = Listener()
                mind.hears(memory.everything())
    mind.hears(memory.news())
    assert sorted(mind.notes.values()) == memory.notes()


def test_hours_of_music_do_not_grow_it_even_if_nobody_listens() -> None:
    memory = Memory(METERS)
    for number in range(100_000):
        memory.put(number, Note(number / 4, 60, 0.2, 80))
        if number % 10 == 0:
            memory.drop(number)
    most = 4 * KEPT_BEATS * 2
    assert len(memory.notes()) < most
    news = memory.news()
    assert len(news.put) < most
    assert news.dropped == ()
    assert len(memory.everything().put) < most
