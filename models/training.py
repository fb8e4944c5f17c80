"""`segue train`: a checkpoint from a folder of MIDI files.

Knows the loop: schedule, steps, validation, what is saved when, what is printed. Knows no music.

The run's folder holds best.safetensors + best.json (the running average of the weights where its
validation loss was lowest, ready to be played), state.safetensors (everything needed to go on
with --resume) and, if no other place is named, the cache of what was read. SIGTERM and Ctrl-C
finish the step, save and leave.

The budget is planned ahead, in minutes or in steps, and the learning rate falls along it; minutes
count work only, so that an interrupted run keeps its schedule. Each step's windows and dropout
depend on the seed and the step alone: with a budget in steps a resumed run ends as an unbroken
one would.

    python -m models.training --data DIR --out RUN --minutes 90
    python -m models.training --data DIR --out RUN --architecture flat --schedule stable
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from models.architectures import AnyNetwork, Config, DataView, Losses, architecture_of
from models.averaging import Average
from models.checkpoint import Checkpoint, load_any, save_checkpoint
from models.corpus import CorpusError
from models.description import CheckpointError
from models.feeding import SIGNALS, Feed, FeedError, Steps
from models.note_cache import open_shelves
from models.precision import AUTO, BF16, faster
from models.processes import Processes, joined
from models.training_options import Settings, add_arguments, resumed, settings_of, shape_of
from models.training_state import STATE_NAME, Progress, load_state, save_state
from models.vocabulary import standard_vocabulary

WARM_UP_STEPS = 200
FINAL_RATE = 0.05  # of the peak learning rate, at the end of the cosine
WEIGHT_DECAY = 0.1  # of matrices; norms are left alone
DECAY_SHARE = 0.2  # of the budget, at the end of the stable schedule
VALIDATION_WINDOWS = 64
LINE_EVERY_S = 20.0


def run(args: argparse.Namespace) -> int:
    """Train as the options say; returns the exit code."""
    try:
        settings, config = settings_of(args), shape_of(args)
    except ValueError as error:
        print(f"segue train: {error}", file=sys.stderr)
        return 2
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        begin = load_any(args.begin).network if args.begin else None
        if begin:
            config = begin.config
        if args.resume:
            config, settings = resumed(args, settings)
        elif (args.out / STATE_NAME).exists():
            say(f"segue train: {args.out} holds a run already; add --resume or name another --out")
            return 2
        with joined(settings.device) as processes:
            if settings.batch % processes.size:
                raise CheckpointError(
                    f"--batch {settings.batch} cannot be shared by {processes.size} processes"
                )
            view = _opened(args, config, settings, processes)
            trainer = Trainer(view, config, settings, out=args.out, processes=processes)
            if begin:
                trainer.begin_from(begin)
            if args.resume:
                trainer.resume()
            return trainer.train()
    except (CorpusError, CheckpointError, FeedError) as error:
        say(f"segue train: {error}")
    except OSError as error:
        say(f"segue train: cannot write to {args.out}: {error}")
    return 1


def _opened(
    args: argparse.Namespace, config: Config, settings: Settings, processes: Processes
) -> DataView:
    """The data, read by the first process; the others find its cache."""
    if not processes.first:
        processes.wait()
    cache = args.cache or args.out / "cache"
    shelves = open_shelves(args.data, cache, copyleft=args.copyleft)
    view = architecture_of(config).view(shelves, most_rounds=settings.most_rounds)
    if processes.first:
        say(view.report())
        processes.wait()
    return view


class Trainer:
    """One run: owns the network, the optimizer and the counters."""

    def __init__(
        self,
        view: DataView,
        config: Config,
        settings: Settings,
        *,
        out: Path,
        processes: Processes | None = None,
    ) -> None:
        self.view = view
        self.out = out
        self.processes = processes or Processes()
        if settings.precision == AUTO:
            settings = replace(settings, precision=faster(settings.device, self.processes))
        self.settings = settings
        self.vocabulary = standard_vocabulary()
        self.progress = Progress()
        torch.manual_seed(settings.seed)
        network = architecture_of(config).network
        self.network = network(config, dropout=settings.dropout).to(settings.device)
        self.averaged = network(config).to(settings.device)
        self.average = Average(self.network, self.averaged)
        self.optimizer = _optimizer(self.network, rate=settings.rate)
        self.losses = torch.compile(view.losses, dynamic=False) if settings.compile else view.losses
        if not view.held_out:
            self._say("no piece falls to the validation split; training windows stand in for it")
        self.validation = view.validation(count=VALIDATION_WINDOWS, length=config.context)
        steps = Steps(
            view,
            seed=settings.seed,
            batch=settings.batch,
            context=config.context,
            processes=self.processes,
        )
        self.feed = Feed(steps, workers=settings.workers, pinned=settings.device == "cuda")
        self.stopping = False

    def begin_from(self, network: AnyNetwork) -> None:
        """Start with the weights of a network of the same shape."""
        self.network.load_state_dict(network.state_dict())
        self.averaged.load_state_dict(network.state_dict())

    def resume(self) -> None:
        """Take up the run that the folder holds."""
        self.progress = load_state(
            self.out, network=self.network, averaged=self.averaged, optimizer=self.optimizer
        )
        self._say(
            f"resumed at step {self.progress.step}, {self.progress.elapsed_s / 60:.1f} minutes in"
        )

    def train(self) -> int:
        """Work until the budget is spent or a signal comes; returns the exit code."""
        self._say(
            f"{self.network.parameter_count() / 1e6:.2f}M parameters, "
            f"{torch.get_num_threads()} threads on {self.settings.device}, "
            f"{self.settings.precision}, {self.processes.size} processes, "
            f"{self.settings.workers} workers"
        )
        with _signals(self._stop), self.feed.ahead(self.progress.step):
            self._loop()
        p, unit = self.progress, self.view.unit
        if self.fraction() < 1 and not self.has_converged():
            self._say(f"stopped at step {p.step}, all is saved; --resume goes on from there")
            return 0
        self._say(
            f"done: {p.step} steps, {p.seen / 1e6:.1f}M {unit}s, {p.elapsed_s / 60:.1f} minutes; "
            f"best validation {p.best_bits:.3f} bits a {unit} at step {p.best_step}: "
            f"{self.out / 'best.safetensors'}\n"
            f"to ship it: python -m models.checkpoint {self.out / 'best'} "
            f"--name segue-{architecture_of(self.network.config).name}"
        )
        return 0

    def fraction(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        s, p = self.settings, self.progress
        spent = p.step / s.steps if s.steps else p.elapsed_s / (60 * (s.minutes or 60))
        return min(1.0, spent)

    def has_converged(self) -> bool:
        """Whether the last `patience` validations brought nothing."""
        p, patience = self.progress, self.settings.patience
        after = [step for step, _ in p.validations if step > p.best_step]
        return bool(patience) and len(after) >= patience

    def step(self) -> tuple[Tensor, Tensor]:
        """One update; returns nats by field and the count of units, still on the device."""
        fed = self.feed.take(self.progress.step)
        torch.manual_seed(fed.dropout)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * self._rate_share()
        nats, units = self._cost(self.losses, self.network, fed.windows)
        self.optimizer.zero_grad(set_to_none=True)
        (nats.sum() / units.sum().clamp(min=1)).backward()  # type: ignore[no-untyped-call]
        self.processes.average(p.grad for p in self.network.parameters() if p.grad is not None)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.follow(self.progress.step)
        self.progress.step += 1
        self.progress.seen += fed.seen
        return nats.detach(), units

    @torch.no_grad()
    def validate(self) -> float:
        """Bits a unit on the validation windows; keeps the checkpoint if it is the best.

        What is validated and kept is the running average of the weights.
        """
        self.averaged.eval()
        size = self.settings.batch
        nats = torch.zeros(len(self.view.fields))
        units = 0.0
        for start in range(0, len(self.validation), size):
            windows = self.validation[start : start + size]
            part, count = self._cost(self.view.losses, self.averaged, windows)
            nats, units = nats + part.cpu(), units + count.sum().item()
        by_field = nats / units / math.log(2)
        bits = by_field.sum().item()
        p, unit = self.progress, self.view.unit
        p.validations.append((p.step, round(bits, 4)))
        if bits < p.best_bits:
            p.best_bits, p.best_step = bits, p.step
            save_checkpoint(self.out / "best", self._checkpoint())
        line = f"validation at step {p.step}: {bits:.3f} bits a {unit}, best {p.best_bits:.3f}"
        say(line + self._split(by_field))
        return bits

    def save(self) -> None:
        """Write everything that --resume needs."""
        save_state(
            self.out,
            network=self.network,
            averaged=self.averaged,
            optimizer=self.optimizer,
            progress=self.progress,
            settings=asdict(self.settings),
        )

    def _loop(self) -> None:
        s, p = self.settings, self.progress
        last = line_s = save_s = validate_s = time.monotonic()
        costs: list[tuple[Tensor, Tensor]] = []
        self.network.train()
        while self._goes_on():
            costs.append(self.step())
            now_s = time.monotonic()
            if now_s - line_s >= LINE_EVERY_S:
                self._line(costs, now_s - line_s)
                costs, line_s = [], now_s
            if now_s - validate_s >= 60 * s.validate_minutes:
                self._try(self.validate)
                validate_s = line_s = time.monotonic()
                costs = []
            if now_s - save_s >= 60 * s.save_minutes:
                self._try(self.save)
                save_s = now_s
            now_s = time.monotonic()
            p.elapsed_s += now_s - last
            last = now_s
        if self.processes.first:
            if self.fraction() >= 1:
                self._try(self.validate)
            self.save()

    def _goes_on(self) -> bool:
        """Whether there is another step; all processes hear the same, and the same time."""
        over = self.fraction() >= 1 or self.stopping or self.has_converged()
        said = self.processes.as_first([float(over), self.progress.elapsed_s], self.settings.device)
        self.progress.elapsed_s = said[1]
        return not said[0]

    def _try(self, work: Callable[[], object]) -> None:
        """Validate or save, in the first process; a full disk may have room the next time."""
        if self.processes.first:
            try:
                work()
            except CheckpointError as error:
                say(f"segue train: {error}; training goes on and tries again")

    def _cost(self, losses: Losses, network: AnyNetwork, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Nats by field and the count of units, in the precision that was asked for."""
        half = self.settings.precision == BF16
        with torch.autocast(self.settings.device, dtype=torch.bfloat16, enabled=half):
            return losses(network, windows.to(self.settings.device, non_blocking=True))

    def _rate_share(self) -> float:
        warm = min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
        if self.settings.schedule == "stable":
            falling = max(0.0, 1 - (1 - self.fraction()) / DECAY_SHARE)
            return warm * (1 - (1 - FINAL_RATE) * falling)
        cosine = 0.5 * (1 + math.cos(math.pi * self.fraction()))
        return warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)

    def _line(self, costs: list[tuple[Tensor, Tensor]], seconds: float) -> None:
        p, fraction, unit = self.progress, self.fraction(), self.view.unit
        left_s = p.elapsed_s / fraction - p.elapsed_s if fraction else math.inf
        units = sum(count.sum().item() for _, count in costs)
        heard = units * self.processes.size
        by_field = torch.stack([nats for nats, _ in costs]).sum(0).cpu() / units / math.log(2)
        bits = by_field.sum().item()
        self._say(
            f"step {p.step}: loss {bits * math.log(2):.3f}, {bits:.3f} bits a {unit}, "
            f"{heard / seconds:.0f} {unit}s/s, {p.seen / 1e6:.1f}M {unit}s, "
            f"{left_s / 60:.0f} min left{self._split(by_field)}"
        )

    def _split(self, by_field: Tensor) -> str:
        """The same by field, where there are several."""
        if len(self.view.fields) == 1:
            return ""
        named = zip(self.view.fields, by_field.tolist(), strict=True)
        return " (" + ", ".join(f"{name} {bits:.2f}" for name, bits in named) + ")"

    def _checkpoint(self) -> Checkpoint[AnyNetwork]:
        p, unit = self.progress, self.view.unit
        provenance = {
            "steps": p.step,
            f"{unit}s": p.seen,
            "minutes": round(p.elapsed_s / 60, 1),
            f"validation_bits_per_{unit}": round(p.best_bits, 4),
            "settings": asdict(self.settings),
            "data_mix": {name: round(share, 4) for name, share in self.view.weights.items()},
        }
        return Checkpoint(network=self.averaged, vocabulary=self.vocabulary, provenance=provenance)

    def _say(self, line: str) -> None:
        if self.processes.first:
            say(line)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def say(line: str) -> None:
    """A line of progress; stdout is kept for results."""
    print(line, file=sys.stderr, flush=True)


def _optimizer(network: AnyNetwork, *, rate: float) -> torch.optim.AdamW:
    matrices = [p for p in network.parameters() if p.dim() >= 2]
    norms = [p for p in network.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call the handler inside the block."""
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from `python -m models.training`."""
    parser = argparse.ArgumentParser(prog="segue train", description="Train a checkpoint.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
