"""`segue train`: a checkpoint from a folder of MIDI files.

Knows the loop: schedule, steps, validation, what is saved when, what is printed. Knows no music.

The run's folder holds best.safetensors + best.json (the checkpoint with the lowest validation loss
so far, ready to be played), state.safetensors (everything needed to go on with --resume) and, if
no other place is named, the token cache. SIGTERM and Ctrl-C finish the step, save and leave.

The budget is planned ahead, in minutes or in steps, and the learning rate falls along it; minutes
count work only, so that an interrupted run keeps its schedule. Each step's windows and dropout
depend on the seed and the step alone: with a budget in steps a resumed run ends as an unbroken
one would.

    python -m models.training --data DIR --out RUN --minutes 90
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.checkpoint import Checkpoint, save_checkpoint
from models.corpus import Corpora, CorpusError, open_corpora
from models.description import CheckpointError
from models.network import Network, NetworkConfig
from models.training_state import STATE_NAME, Progress, load_state, read_settings, save_state
from models.vocabulary import standard_vocabulary
from models.windows import Windows

SHORT_SHARE = 0.6  # of the steps take windows of half the context, which are cheaper a token
WARM_UP_STEPS = 200
FINAL_RATE = 0.05  # of the peak learning rate, at the end of the cosine
WEIGHT_DECAY = 0.1  # of matrices; norms are left alone
VALIDATION_WINDOWS = 64
VALIDATION_SEED = 20_001  # the same windows in every run, so that runs compare
LINE_EVERY_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was asked for, apart from the network's shape."""

    minutes: float | None
    steps: int | None
    batch: int  # windows of a whole context in a step
    rate: float
    dropout: float
    seed: int
    precision: str
    device: str
    validate_minutes: float
    save_minutes: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `segue train`."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a folder or zip of MIDI files")
    add("--out", type=Path, required=True, help="the run's folder")
    add("--cache", type=Path, help="where tokens are kept (default: OUT/tokens)")
    add("--copyleft", action="store_true", help="read a curated folder's copyleft corpora too")
    add("--minutes", type=float, help="budget in minutes of work (default: 60)")
    add("--steps", type=int, help="budget in steps instead")
    add(
        "--resume",
        action="store_true",
        help="go on where OUT stopped, with its own settings; a budget given anew replaces its own",
    )
    add("--layers", type=int, default=4)
    add("--width", type=int, default=256)
    add("--heads", type=int, default=4)
    add("--ffn", type=int, help="hidden width of SwiGLU (default: 3 x width)")
    add("--context", type=int, default=1024, help="longest window, in tokens")
    add("--batch", type=int, default=4, help="windows of a whole context in a step")
    add("--rate", type=float, default=1.5e-3, help="peak learning rate")
    add("--dropout", type=float, default=0.1)
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="CPU threads (default: torch's choice)")
    add("--precision", choices=("bf16", "float32"), default="bf16")
    add("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    add("--validate-minutes", type=float, default=5.0, help="time between validations")
    add("--save-minutes", type=float, default=5.0, help="time between saves of the whole state")


def run(args: argparse.Namespace) -> int:
    """Train as the options say; returns the exit code."""
    try:
        settings = _settings(args)
        config = _network_config(args)
    except ValueError as error:
        print(f"segue train: {error}", file=sys.stderr)
        return 2
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if args.resume:
            config, settings = _resumed(args, settings)
        elif (args.out / STATE_NAME).exists():
            say(f"segue train: {args.out} holds a run already; add --resume or name another --out")
            return 2
        cache = args.cache or args.out / "tokens"
        corpora = open_corpora(args.data, cache, copyleft=args.copyleft)
        say(corpora.report())
        trainer = Trainer(corpora, config, settings, out=args.out)
        if args.resume:
            trainer.resume()
        return trainer.train()
    except (CorpusError, CheckpointError) as error:
        say(f"segue train: {error}")
    except OSError as error:
        say(f"segue train: cannot write to {args.out}: {error}")
    return 1


class Trainer:
    """One run: owns the network, the optimizer and the counters."""

    def __init__(
        self, corpora: Corpora, config: NetworkConfig, settings: Settings, *, out: Path
    ) -> None:
        self.corpora = corpora
        self.settings = settings
        self.out = out
        self.vocabulary = standard_vocabulary()
        self.progress = Progress()
        torch.manual_seed(settings.seed)
        self.network = Network(config, dropout=settings.dropout).to(settings.device)
        self.optimizer = _optimizer(self.network, rate=settings.rate)
        self.windows = Windows(corpora, self.vocabulary, split="train")
        held_out = Windows(corpora, self.vocabulary, split="valid")
        if not held_out.sources:
            say("no piece falls to the validation split; training windows stand in for it")
            held_out = self.windows
        self.validation = _validation_windows(held_out, config.context)
        self.stopping = False

    def resume(self) -> None:
        """Take up the run that the folder holds."""
        self.progress = load_state(self.out, network=self.network, optimizer=self.optimizer)
        say(f"resumed at step {self.progress.step}, {self.progress.elapsed_s / 60:.1f} minutes in")

    def train(self) -> int:
        """Work until the budget is spent or a signal comes; returns the exit code."""
        say(
            f"{self.network.parameter_count() / 1e6:.2f}M parameters, "
            f"{torch.get_num_threads()} threads on {self.settings.device}, "
            f"{self.settings.precision}"
        )
        with _signals(self._stop):
            self._loop()
        p = self.progress
        if self.fraction() < 1:
            say(f"stopped at step {p.step}, all is saved; --resume goes on from there")
            return 0
        say(
            f"done: {p.step} steps, {p.tokens / 1e6:.1f}M tokens, {p.elapsed_s / 60:.1f} minutes; "
            f"best validation {p.best_bits:.3f} bits a token at step {p.best_step}: "
            f"{self.out / 'best.safetensors'}\n"
            f"to ship it: python -m models.checkpoint {self.out / 'best'} --name segue-small"
        )
        return 0

    def fraction(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        s, p = self.settings, self.progress
        spent = p.step / s.steps if s.steps else p.elapsed_s / (60 * (s.minutes or 60))
        return min(1.0, spent)

    def step(self) -> tuple[Tensor, int]:
        """One update; returns its loss (nats a token, still on the device) and its tokens."""
        s, context = self.settings, self.network.config.context
        generator = np.random.default_rng([s.seed, self.progress.step])
        torch.manual_seed(int(generator.integers(2**62)))  # dropout
        short = generator.random() < SHORT_SHARE
        length, count = (context // 2, 2 * s.batch) if short else (context, s.batch)
        drawn = self.windows.draw(generator, count=count, length=length + 1, transpose=True)
        for group in self.optimizer.param_groups:
            group["lr"] = s.rate * self._rate_share()
        loss = self._loss(torch.from_numpy(drawn))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.progress.step += 1
        self.progress.tokens += count * length
        return loss.detach(), count * length

    @torch.no_grad()
    def validate(self) -> float:
        """Bits per token on the validation windows; keeps the checkpoint if it is the best."""
        self.network.eval()
        size = self.settings.batch
        parts = [self.validation[i : i + size] for i in range(0, len(self.validation), size)]
        losses = [self._loss(part).item() for part in parts]
        self.network.train()
        bits = sum(losses) / len(losses) / math.log(2)
        p = self.progress
        p.validations.append((p.step, round(bits, 4)))
        if bits < p.best_bits:
            p.best_bits, p.best_step = bits, p.step
            save_checkpoint(self.out / "best", self._checkpoint())
        say(f"validation at step {p.step}: {bits:.3f} bits a token, best {p.best_bits:.3f}")
        return bits

    def save(self) -> None:
        """Write everything that --resume needs."""
        save_state(
            self.out,
            network=self.network,
            optimizer=self.optimizer,
            progress=self.progress,
            settings=asdict(self.settings),
        )

    def _loop(self) -> None:
        s, p = self.settings, self.progress
        last = line_s = save_s = validate_s = time.monotonic()
        losses: list[Tensor] = []
        tokens = 0
        self.network.train()
        while self.fraction() < 1 and not self.stopping:
            loss, seen = self.step()
            losses.append(loss)
            tokens += seen
            now_s = time.monotonic()
            if now_s - line_s >= LINE_EVERY_S:
                self._line(torch.stack(losses).mean().item(), tokens / (now_s - line_s))
                losses, tokens, line_s = [], 0, now_s
            if now_s - validate_s >= 60 * s.validate_minutes:
                self.validate()
                validate_s = line_s = time.monotonic()
                losses, tokens = [], 0
            if now_s - save_s >= 60 * s.save_minutes:
                self.save()
                save_s = now_s
            now_s = time.monotonic()
            p.elapsed_s += now_s - last
            last = now_s
        if self.fraction() >= 1:
            self.validate()
        self.save()

    def _loss(self, windows: Tensor) -> Tensor:
        """Mean nats a token over (count, length + 1)."""
        windows = windows.to(self.settings.device)
        half = self.settings.precision == "bf16"
        with torch.autocast(self.settings.device, dtype=torch.bfloat16, enabled=half):
            logits = self.network(windows[:, :-1])
        return F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())

    def _rate_share(self) -> float:
        warm = min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * self.fraction()))
        return warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)

    def _line(self, loss: float, tokens_a_s: float) -> None:
        p, fraction = self.progress, self.fraction()
        left_s = p.elapsed_s / fraction - p.elapsed_s if fraction else math.inf
        say(
            f"step {p.step}: loss {loss:.3f}, {loss / math.log(2):.3f} bits a token, "
            f"{tokens_a_s:.0f} tokens/s, {p.tokens / 1e6:.1f}M tokens, {left_s / 60:.0f} min left"
        )

    def _checkpoint(self) -> Checkpoint:
        p = self.progress
        provenance = {
            "steps": p.step,
            "tokens": p.tokens,
            "minutes": round(p.elapsed_s / 60, 1),
            "validation_bits_per_token": round(p.best_bits, 4),
            "settings": asdict(self.settings),
            "data_mix": {name: round(share, 4) for name, share in self.corpora.weights.items()},
        }
        return Checkpoint(network=self.network, vocabulary=self.vocabulary, provenance=provenance)

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def say(line: str) -> None:
    """A line of progress; stdout is kept for results."""
    print(line, file=sys.stderr, flush=True)


def _settings(args: argparse.Namespace) -> Settings:
    if args.minutes and args.steps:
        raise ValueError("give the budget in --minutes or in --steps, not in both")
    for name in ("minutes", "steps", "batch", "rate"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise ValueError(f"--{name} is {value}; it must be above 0")
    if not 0 <= args.dropout < 1:
        raise ValueError(f"--dropout is {args.dropout}; it must be from 0 to below 1")
    return Settings(
        minutes=None if args.steps else args.minutes or 60.0,
        steps=args.steps,
        batch=args.batch,
        rate=args.rate,
        dropout=args.dropout,
        seed=args.seed,
        precision=args.precision,
        device=args.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        validate_minutes=args.validate_minutes,
        save_minutes=args.save_minutes,
    )


def _resumed(args: argparse.Namespace, asked: Settings) -> tuple[NetworkConfig, Settings]:
    """Shape and settings of the saved run, on this machine's device and with a new budget."""
    config, _, saved = read_settings(args.out)
    if config.vocabulary != len(standard_vocabulary()):
        raise CheckpointError(f"{args.out} was trained with another vocabulary; start a new run")
    settings = replace(Settings(**saved), device=asked.device)
    if args.minutes or args.steps:
        settings = replace(settings, minutes=asked.minutes, steps=asked.steps)
    return config, settings


def _network_config(args: argparse.Namespace) -> NetworkConfig:
    return NetworkConfig(
        vocabulary=len(standard_vocabulary()),
        layers=args.layers,
        width=args.width,
        heads=args.heads,
        ffn=args.ffn or 3 * args.width,
        context=args.context,
    )


def _optimizer(network: Network, *, rate: float) -> torch.optim.AdamW:
    matrices = [p for p in network.parameters() if p.dim() >= 2]
    norms = [p for p in network.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def _validation_windows(windows: Windows, context: int) -> Tensor:
    generator = np.random.default_rng(VALIDATION_SEED)
    drawn = windows.draw(generator, count=VALIDATION_WINDOWS, length=context + 1, transpose=False)
    return torch.from_numpy(drawn)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call the handler inside the block."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
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
