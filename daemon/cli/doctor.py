"""`segue doctor`: what this machine has for Segue, what is broken, and the command that mends it.

Each check is a function that returns findings; none of them changes anything.
"""

import argparse
import json
import queue
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bridges.midi import MidiUnavailable, available_apis, choose_api, list_ports
from daemon.interface.config import Config, ConfigError, ControlConfig, MindConfig
from daemon.runtime.mind import in_short, mind_of
from daemon.runtime.output import NS_PER_S
from daemon.runtime.real_time import ask_for_real_time
from daemon.take.takes import default_folder, unfinished
from engine.keys import KeysError
from engine.protocol import FromMind, Lost, Ready

#: A mind on a slow machine with a cold disk has loaded by then.
MIND_PATIENCE_S = 60.0
#: A sleep that ends later than this makes notes late.
WORST_SLEEP_MS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: a subject, what was found, and if it is a problem what mends it."""

    subject: str
    found: str
    mend: str | None = None

    @property
    def line(self) -> str:
        """The finding for people."""
        if self.mend is None:
            return f"ok  {self.subject}: {self.found}"
        return f"!!  {self.subject}: {self.found}; {self.mend}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--config", type=Path, metavar="FILE.toml")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check everything; 1 if anything is broken, 2 if the configuration cannot be read."""
    try:
        config = Config.from_file(args.config) if args.config else Config()
    except ConfigError as error:
        print(f"segue doctor: {error}", file=sys.stderr)
        return 2
    findings: list[Finding] = []
    for check in CHECKS:
        for finding in check(config):
            findings.append(finding)
            if not args.json:
                print(finding.line, flush=True)
    broken = sum(finding.mend is not None for finding in findings)
    if args.json:
        listed = [asdict(finding) for finding in findings]
        print(json.dumps({"findings": listed, "broken": broken}))
    return 1 if broken else 0


def check_midi(config: Config) -> Iterable[Finding]:
    """Which MIDI systems answer, and whether the ports that are asked for are there."""
    for api in available_apis():
        inputs, outputs = list_ports(api)
        virtual = "virtual ports" if api.supports_virtual else "no virtual ports"
        yield Finding("midi", f"{api.name}: {virtual}, {len(inputs)} in, {len(outputs)} out")
    try:
        api = choose_api(config.ports.api)
    except MidiUnavailable as error:
        found, _, mend = str(error).partition("; ")
        yield Finding("midi", found, mend)
        return
    yield Finding("midi", f"segue run uses {api.name}")
    inputs, outputs = list_ports(api)
    asked = (("--in", config.ports.input, inputs), ("--out", config.ports.output, outputs))
    for flag, name, there in asked:
        if name is not None and not any(name.lower() in port.lower() for port in there):
            listed = ", ".join(there) or "none"
            yield Finding("ports", f"no port {name!r}", f"give {flag} one of: {listed}")
        elif name is None and not api.supports_virtual:
            mend = "install loopMIDI, make a port in it, and name it with --in and --out"
            yield Finding("ports", f"{api.name} has no virtual ports", mend)
            return


def check_mind(config: Config) -> Iterable[Finding]:
    """Start the mind as `segue run` does, and wait until it is ready."""
    said: queue.SimpleQueue[FromMind] = queue.SimpleQueue()
    began_s = time.monotonic()
    try:
        with mind_of(config.mind, said.put):
            yield heard_of_mind(said, config.mind, began_s=began_s)
    except KeysError as error:
        yield Finding("mind", "out of reach", str(error))


def heard_of_mind(
    said: "queue.SimpleQueue[FromMind]", config: MindConfig, *, began_s: float
) -> Finding:
    """Wait until the mind has said that it is ready, or why it is not."""
    while True:
        try:
            value = said.get(timeout=MIND_PATIENCE_S)
        except queue.Empty:
            return Finding("mind", f"silent for {MIND_PATIENCE_S:.0f} s", mend_of_mind(config))
        if isinstance(value, Lost):
            return refused_by_mind(value.reason, config)
        if isinstance(value, Ready):
            took_s = time.monotonic() - began_s
            size = f"{value.parameters / 1e6:.1f}M parameters"
            return Finding("mind", f"{value.model}, {size}, ready in {took_s:.1f} s")


def refused_by_mind(reason: str, config: MindConfig) -> Finding:
    """What a mind said as it went; mostly it names what mends it, behind a semicolon."""
    found, _, mend = in_short(reason).partition("; ")
    return Finding("mind", f"does not start: {found}", mend or mend_of_mind(config))


def mend_of_mind(config: MindConfig) -> str:
    """What mends a mind that names nothing itself."""
    if config.address:
        return f"stop the mind at {config.address} and start it again with `segue engine`"
    if config.checkpoint:
        return "name another checkpoint in [mind], or with --checkpoint"
    return "install Segue again"


def check_clock(config: Config) -> Iterable[Finding]:
    """Who leads, and how late a sleep of a millisecond ends on this machine."""
    leads = {
        "auto": "internal, until a host starts its MIDI clock",
        "internal": "internal",
        "midi": "MIDI clock at the input port",
        "link": "Ableton Link",
        "host": "the host's transport, over OSC",
    }
    yield Finding("clock", leads[config.session.clock])
    ask_for_real_time()
    late_ms = sorted(_sleep_lateness_ms() for _ in range(200))
    p50, p99 = statistics.median(late_ms), late_ms[-3]
    found = f"a sleep ends {p50:.2f} ms late (p50), {p99:.2f} ms (p99)"
    mend = "close what keeps the machine busy, or permit real-time scheduling (ulimit -r 70)"
    yield Finding("timer", found, mend if p99 > WORST_SLEEP_MS else None)


def check_control(config: Config) -> Iterable[Finding]:
    """Whether the control ports are free."""
    control = config.control
    kinds = (
        ("osc_port", control.osc_port, socket.SOCK_DGRAM),
        ("control_port", control.control_port, socket.SOCK_STREAM),
        ("stream_port", control.stream_port, socket.SOCK_STREAM),
    )
    for name, port, kind in kinds:
        if port and not _is_free(port, kind):
            flag = f"--{name.replace('_', '-')}"
            mend = f"stop the other program (or the other Segue), or give another {flag}"
            yield Finding("control", f"port {port} is in use", mend)
    if control == ControlConfig():
        yield Finding("control", f"OSC {control.osc_port}, ZeroMQ {control.control_port}")


def check_takes(config: Config) -> Iterable[Finding]:
    """Whether takes can be written, and whether one was cut off."""
    folder = Path(config.takes) if config.takes else default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        mend = "give a folder that you may write to with --takes"
        yield Finding("takes", f"cannot write to {folder}: {error.strerror}", mend)
        return
    cut_off = len(list(unfinished(folder)))
    note = f"; {cut_off} cut off, finished on the next start" if cut_off else ""
    yield Finding("takes", f"{folder}{note}")


CHECKS: tuple[Callable[[Config], Iterable[Finding]], ...] = (
    check_midi,
    check_mind,
    check_clock,
    check_control,
    check_takes,
)


def _sleep_lateness_ms() -> float:
    due_ns = time.monotonic_ns() + NS_PER_S // 1000
    time.sleep(0.001)
    return (time.monotonic_ns() - due_ns) / 1e6


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
