"""Every measure over one style, and over all of them.

Knows the measures, `Judged` and `Answerer`; knows no files, tokens or networks. What comes out is
flat: a path of names, such as ("bits_per_note", "pitch"), and a figure that was resampled over
pieces. Over all styles each figure is the plain mean, every style counting alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeAlias

import numpy as np

from models.evaluation import continuation, copying, distance, timing
from models.evaluation.bits import MOST_NOTES, piece_bits
from models.evaluation.bootstrap import (
    RESAMPLES,
    Figure,
    Floats,
    Statistic,
    figure,
    mean_of,
    ratio,
)
from models.evaluation.cases import Case, cases_of
from models.evaluation.discrimination import FOILS, foils_of, preferred
from models.evaluation.excerpts import first_beats, on_the_grid
from models.evaluation.hands import by_hands
from models.evaluation.markov import Markov
from models.judged import FIELDS, Answerer, Judged, Piece, Sounding

Figures: TypeAlias = dict[tuple[str, ...], Figure]
Counted: TypeAlias = list[tuple[int, float]]  # (piece, value)

ORDERS = (1, 2, 3, 4)
#: To choose the order on; more pieces change nothing.
MOST_VALIDATION_PIECES = 24
BASELINES = ("repeat", "markov", "random")


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """The pieces of one corpus: those to be judged, and those that baselines may know."""

    name: str
    judged: Sequence[Piece]
    train: Sequence[Piece]
    valid: Sequence[Piece]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A case, the answer as it came and on the grid, and what the baselines would say."""

    case: Case
    sounding: Sequence[Sounding]
    answer: Piece
    ms: float
    baselines: dict[str, Piece]


@dataclass(frozen=True, slots=True)
class Model:
    """What is evaluated."""

    judged: Judged
    answerer: Answerer


def evaluate_style(
    style: Style,
    model: Model,
    *,
    text: copying.Longs,
    places: int,
    seed: int,
    say: Callable[[str], None],
    hands: bool = False,
) -> Figures:
    """All figures of a style; `text` is the training set that may have been copied from.

    With `hands` the prompts that are answered have a player's dynamics.
    """
    markov = best_markov(style)
    cases = cases_of(style.judged, each=places, seed=seed)
    measure = _Measure(len(style.judged), seed)
    say(
        f"{style.name}: {len(style.judged)} pieces, {len(cases)} prompts; Markov of order "
        f"{markov.order}"
    )
    figures = bits_figures(style, model.judged, markov, measure)
    figures |= discrimination_figures(style, model.judged, cases, measure)
    if hands:
        cases = [by_hands(case, seed=seed) for case in cases]
    answered = answers(style, model.answerer, markov, cases, seed=seed)
    figures |= continuation_figures(answered, measure)
    figures |= distance_figures(answered, measure)
    figures |= copying_figures(answered, text, measure)
    figures |= timing_figures(answered, measure)
    return figures | {
        ("pieces",): plain(len(style.judged)),
        ("prompts",): plain(len(cases)),
        ("baselines", "markov", "order"): plain(markov.order),
    }


def overall(styles: Iterable[Figures]) -> Figures:
    """The mean of each figure over styles; counts are added up."""
    found: dict[tuple[str, ...], list[Figure]] = {}
    for figures in styles:
        for path, one in figures.items():
            found.setdefault(path, []).append(one)
    return {
        path: plain(sum(one.value for one in ones)) if path in COUNTS else mean_of(ones)
        for path, ones in found.items()
    }


COUNTS = {("pieces",), ("prompts",), ("notes",)}


def plain(value: float) -> Figure:
    """A number that has no interval."""
    return Figure(float(value), np.full(RESAMPLES, float(value)))


def best_markov(style: Style) -> Markov:
    """Of all orders the one to which the validation pieces cost least."""
    held_out = style.valid[:MOST_VALIDATION_PIECES]
    models = [Markov(style.train, order=order) for order in ORDERS]
    return min(models, key=lambda model: sum(model.note_bits(piece).sum() for piece in held_out))


class _Measure:
    """Turns what was counted by piece into figures; every figure is resampled alike."""

    def __init__(self, pieces: int, seed: int) -> None:
        self.pieces = pieces
        self._seed = seed

    def mean(self, counted: Counted) -> Figure:
        """The mean of values."""
        return self.share([(piece, value, 1.0) for piece, value in counted])

    def share(self, counted: Sequence[tuple[int, float, float]]) -> Figure:
        """The sum of the first numbers over that of the second ones."""
        above, below = np.zeros(self.pieces), np.zeros(self.pieces)
        for piece, one, all_of_them in counted:
            above[piece] += one
            below[piece] += all_of_them
        return figure(ratio(above, below), pieces=self.pieces, seed=self._seed)

    def of(self, statistic: Statistic) -> Figure:
        """Any other statistic."""
        return figure(statistic, pieces=self.pieces, seed=self._seed)


def bits_figures(style: Style, judged: Judged, markov: Markov, measure: _Measure) -> Figures:
    """Bits a note by field, those of the Markov model, and how far below it the model is."""
    bits = np.array([piece_bits(judged, piece).sum(axis=0) for piece in style.judged])
    notes = np.array([min(len(piece), MOST_NOTES) for piece in style.judged], dtype=np.float64)
    chance = np.array([markov.note_bits(piece)[:MOST_NOTES].sum() for piece in style.judged])
    model, baseline = ratio(bits.sum(axis=1), notes), ratio(chance, notes)
    figures: Figures = {("bits_per_note", "total"): measure.of(model)}
    for column, field in enumerate(FIELDS):
        figures["bits_per_note", field] = measure.of(ratio(bits[:, column], notes))
    figures["baselines", "markov", "bits_per_note"] = measure.of(baseline)
    figures["bits_below_markov",] = measure.of(lambda w: 1 - model(w) / baseline(w))
    figures["notes",] = plain(notes.sum())
    return figures


def discrimination_figures(
    style: Style, judged: Judged, cases: Sequence[Case], measure: _Measure
) -> Figures:
    """How often the truth is preferred, in all and by foil."""
    found: dict[str, Counted] = {name: [] for name in FOILS}
    for case in cases:
        foils = foils_of(case, pieces=style.judged, others=cases, seed=case.bar)
        for name, foil in foils.items():
            value = preferred(judged, case.prompt, case.truth, foil)
            found[name].append((case.piece, value))
    figures: Figures = {
        ("discrimination_by_foil", name): measure.mean(counted) for name, counted in found.items()
    }
    everything = [one for counted in found.values() for one in counted]
    return {("discrimination",): measure.mean(everything)} | figures


def answers(
    style: Style, answerer: Answerer, markov: Markov, cases: Sequence[Case], *, seed: int
) -> list[Answered]:
    """The model's answer to each case, and what the baselines give."""
    bars = continuation.Bars(style.train)
    found = []
    for number, case in enumerate(cases):
        begun_s = perf_counter()
        sounding = answerer.answer(
            case.prompt, from_beat=case.from_beat, until_beat=case.until_beat, seed=seed + number
        )
        ms = 1e3 * (perf_counter() - begun_s)
        drawn = markov.answer(
            case.prompt, from_beat=case.from_beat, until_beat=case.until_beat, seed=seed + number
        )
        metres = case.truth.metres
        random = np.random.default_rng([seed, number])
        baselines = {
            "repeat": continuation.repeated(case.prompt, len(metres)),
            "markov": on_the_grid(drawn, metres, from_beat=case.from_beat),
            "random": bars.draw(metres[0], len(metres), random),
        }
        answer = on_the_grid(sounding, metres, from_beat=case.from_beat)
        found.append(Answered(case, sounding, answer, ms, baselines))
    return found


def continuation_figures(answered: Sequence[Answered], measure: _Measure) -> Figures:
    """Match with the truth of the model and of the baselines, by span."""
    figures: Figures = {}
    for span in continuation.SPANS_BEATS:
        scores = {who: [] for who in ("model", *BASELINES)}  # type: dict[str, list[float]]
        overlaps = {who: [] for who in ("model", *BASELINES)}  # type: dict[str, list[float]]
        places: list[int] = []
        for one in answered:
            truth = first_beats(one.case.truth, span)
            if len(truth) < continuation.LEAST_NOTES:
                continue
            places.append(one.case.piece)
            for who, music in (("model", one.answer), *one.baselines.items()):
                heard = first_beats(music, span)
                scores[who].append(continuation.f1(heard, truth))
                overlaps[who].append(continuation.pitch_overlap(heard, truth))
        for name, values in (("continuation_f1", scores), ("pitch_overlap", overlaps)):
            for who, found in values.items():
                path = () if who == "model" else ("baselines", who)
                counted = list(zip(places, found, strict=True))
                figures[*path, name, str(span)] = measure.mean(counted)
        gains = [a - b for a, b in zip(scores["model"], scores["repeat"], strict=True)]
        counted = list(zip(places, gains, strict=True))
        figures["f1_above_repeat", str(span)] = measure.mean(counted)
    return figures


def distance_figures(answered: Sequence[Answered], measure: _Measure) -> Figures:
    """The distance of the answers and the floor, by property and their mean; bars and groove."""
    sides = ("answer", "human", "before")
    bars = {side: [] for side in sides}  # type: dict[str, list[tuple[int, float, float]]]
    grooves = {side: [] for side in sides}  # type: dict[str, list[tuple[int, float, float]]]
    sums = {
        (side, name): np.zeros((measure.pieces, distance.BINS[name]))
        for side in sides
        for name in distance.PROPERTIES
    }
    for one in answered:
        musics = (one.answer, one.case.truth, one.baselines["repeat"])
        for side, music in zip(sides, musics, strict=True):
            piece = one.case.piece
            for name in distance.PROPERTIES:
                sums[side, name][piece] += distance.histogram(name, music, prompt=one.case.prompt)
            counts = distance.notes_in_bars(music)
            bars[side].append((piece, float((counts == 0).sum()), float(len(counts))))
            grooves[side].append((piece, *distance.groove(music)))
    figures: Figures = {}
    means = []
    for path, side in (("distance", "answer"), ("distance_floor", "before")):
        parts = {
            name: distance.divergence_of(sums[side, name], sums["human", name])
            for name in distance.PROPERTIES
        }
        means.append(_mean_of_statistics(list(parts.values())))
        figures[path,] = measure.of(means[-1])
        for name, statistic in parts.items():
            figures[f"{path}_by", name] = measure.of(statistic)
    figures["distance_over_floor",] = measure.of(_quotient(*means))
    for side in sides[:2]:
        figures["empty_bars", side] = measure.share(bars[side])
        figures["groove", side] = measure.share(grooves[side])
    return figures


def _mean_of_statistics(parts: Sequence[Statistic]) -> Statistic:
    def statistic(weights: Floats) -> Floats:
        found: Floats = np.mean([part(weights) for part in parts], axis=0)
        return found

    return statistic


def _quotient(above: Statistic, below: Statistic) -> Statistic:
    def statistic(weights: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = above(weights) / below(weights)
        return found

    return statistic


def copying_figures(
    answered: Sequence[Answered], text: copying.Longs, measure: _Measure
) -> Figures:
    """Longest passages shared with the training set and the prompt, beside people's; bars that come
    again; answers that stand still."""
    sides = {
        "answer": [one.answer for one in answered],
        "human": [one.case.truth for one in answered],
    }
    pieces = [one.case.piece for one in answered]
    shared = {
        ("train", side): copying.longest_shared(music, text) for side, music in sides.items()
    } | {
        ("prompt", side): [
            copying.longest_shared([own], copying.text_of([one.case.prompt]))[0]
            for own, one in zip(music, answered, strict=True)
        ]
        for side, music in sides.items()
    }
    figures: Figures = {}
    for source in ("train", "prompt"):
        low, high = copying.band_of(shared[source, "human"])
        for side in sides:
            counted = [(p, float(n)) for p, n in zip(pieces, shared[source, side], strict=True)]
            figures["copying", source, side] = measure.mean(counted)
            above = [(piece, float(notes > high)) for piece, notes in counted]
            figures["copying", source, f"{side}_above_band"] = measure.mean(above)
        figures["copying", source, "band_low"] = plain(low)
        figures["copying", source, "band_high"] = plain(high)
    for side, music in sides.items():
        counts = [(p, *copying.loops(one)) for p, one in zip(pieces, music, strict=True)]
        figures["copying", "loop_rate", side] = measure.share(counts)
        still = [float(copying.stands_still(one)) for one in music]
        counted = list(zip(pieces, still, strict=True))
        figures["copying", "standing_still", side] = measure.mean(counted)
    return figures


def timing_figures(answered: Sequence[Answered], measure: _Measure) -> Figures:
    """Onsets on the grid, notes over a handover, and what a note takes."""
    on_grid, crossing, ms = [], [], []
    for one in answered:
        case, piece = one.case, one.case.piece
        notes = float(len(one.sounding))
        metre = case.truth.metres[0]
        good = timing.on_grid(one.sounding, metre, from_beat=case.from_beat)
        over = timing.crossing(one.sounding, from_beat=case.from_beat, until_beat=case.until_beat)
        on_grid.append((piece, float(good), notes))
        crossing.append((piece, float(over), notes))
        ms.append((piece, one.ms, notes))
    return {
        ("on_grid",): measure.share(on_grid),
        ("crossing",): measure.share(crossing),
        ("note_ms",): measure.share(ms),
    }
