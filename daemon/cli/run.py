"""`segue run`: the daemon in the world, with MIDI ports and remote control.

The order in which things open stands in `world`: control first, ports last, so that nothing is
played before everything is there; they close the other way round.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType

from bridges.control import BridgeError, Reply, Value
from bridges.link import LinkBridge, Report, require_link
from bridges.midi import IN_NAME, OUT_NAME, Api, InputPort, OutputPort, choose_api
from bridges.osc import OscBridge
from bridges.zeromq import ZmqBridge
from daemon.cli.settings_flags import add_setting_flags, settings_of
from daemon.interface.commands import CommandError
from daemon.interface.config import (
    CLOCKS,
    Config,
    ConfigError,
    PortsConfig,
    parse_address,
    parse_latency_ms,
    parse_meter,
    parse_port,
)
from daemon.interface.events import Effect, Noticed, TakeMarked
from daemon.interface.messages import CONTROL_CHANGE, NOTE_OFF, SUSTAIN
from daemon.interface.stream import message_of
from daemon.runtime.housekeeping import Housekeeping
from daemon.runtime.live import Live, World
from daemon.runtime.real_time import favour_this_process
from daemon.runtime.runtime import Runtime
from daemon.take.takes import default_folder, new_journal_path, unfinished, write_midi
from daemon.take.whole_file import folder_trouble
from engine.keys import KeysError
from engine.protocol import Meter

LOOPBACK = "127.0.0.1"
ALL_NOTES_OFF = 123  # controller number
#: What closes in order takes a few tenths of a second.
GRACE_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; each overrides the configuration file."""
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="flags win over it")
    parser.add_argument(
        "--api", help="coremidi, alsa, jack or winmm (default: the one that answers)"
    )
    parser.add_argument("--in", dest="input", metavar="PORT", help="default: a virtual port")
    parser.add_argument("--out", dest="output", metavar="PORT", help="default: a virtual port")
    for way in ("input", "output"):
        parser.add_argument(
            f"--{way}-latency",
            type=float,
            metavar="MS",
            help=f"of the {way} in milliseconds, as segue calibrate finds it (default 0)",
        )
    add_setting_flags(parser)
    parser.add_argument("--meter", help="bars of the internal clock: 4/4, 3/4, 6/8 (default 4/4)")
    parser.add_argument("--clock", choices=CLOCKS, help="who leads (default auto)")
    parser.add_argument(
        "--send-clock", action="store_true", help="send MIDI clock to those who follow Segue"
    )
    parser.add_argument(
        "--link", action="store_true", help="join the Ableton Link session of this network"
    )
    parser.add_argument("--seed", type=int, help="same seed and same playing, same answers")
    parser.add_argument("--checkpoint", help="a checkpoint to use instead of the one that ships")
    parser.add_argument("--mind", metavar="ADDRESS", help="use the mind that runs at this address")
    parser.add_argument("--keys", metavar="DIR", help="CURVE keys for a mind on another machine")
    parser.add_argument(
        "--takes", metavar="DIR", help="folder for takes (default: your data folder)"
    )
    parser.add_argument("--osc-port", type=int, help="0 for no OSC (default 9100)")
    parser.add_argument(
        "--control-port", type=int, help="ZeroMQ commands (default 9101), 0 for none"
    )
    parser.add_argument("--stream-port", type=int, help="ZeroMQ stream (default 9102), 0 for none")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or SIGTERM; a second one forces. 2 for a configuration that cannot work."""
    try:
        config = config_of(args)
        if config.joins_link:
            require_link()
        api = choose_api(config.ports.api)
    except (BridgeError, CommandError, ConfigError) as error:
        say(f"segue run: {error}")
        return 2
    folder = Path(config.takes) if config.takes else default_folder()
    was_cut_off = recover(folder)
    path = new_journal_path(folder, datetime.now())
    live = Live(config, journal=path, say=say)
    open_world = partial(world, config, api, path, was_cut_off=was_cut_off)
    with stopping_on_signals(live.runtime.stop, partial(force, live.runtime, path)):
        try:
            live.run(open_world, started=partial(say_ready, config))
        except (BridgeError, KeysError) as error:
            say(f"segue run: {error}")
            return 1
        except OSError as error:
            say(f"segue run: {folder_trouble(error, flag='--takes')}")
            return 1
        write_midi(path, done=say, close=False).join()
    return 0


def config_of(args: argparse.Namespace) -> Config:
    """The configuration file, then the flags. Raises ConfigError or CommandError."""
    config = Config.from_file(args.config) if args.config else Config()
    session = replace(config.session, settings=settings_of(args, config.session.settings))
    if args.meter is not None:
        session = replace(session, meter=parse_meter(args.meter))
    if args.clock is not None:
        session = replace(session, clock=args.clock)
    if args.send_clock:
        session = replace(session, send_clock=True)
    if args.seed is not None:
        session = replace(session, seed=args.seed)
    link = replace(config.link, join=config.link.join or args.link)
    address = args.mind and parse_address("--mind", args.mind)
    given = {"checkpoint": args.checkpoint, "address": address, "keys": args.keys}
    mind = replace(config.mind, **{key: value for key, value in given.items() if value})
    numbers = {
        "osc_port": args.osc_port,
        "control_port": args.control_port,
        "stream_port": args.stream_port,
    }
    given_ports = {
        name: parse_port(f"--{name.replace('_', '-')}", number)
        for name, number in numbers.items()
        if number is not None
    }
    control = replace(config.control, **given_ports)
    takes = args.takes or config.takes
    ports = ports_of(args, config.ports)
    return Config(session=session, ports=ports, control=control, link=link, mind=mind, takes=takes)


def ports_of(args: argparse.Namespace, ports: PortsConfig) -> PortsConfig:
    """The ports as configured, then the flags. Raises ConfigError."""
    given = {"api": args.api, "input": args.input, "output": args.output}
    ports = replace(ports, **{key: value for key, value in given.items() if value})
    if args.input_latency is not None:
        ms = parse_latency_ms("--input-latency", args.input_latency)
        ports = replace(ports, input_latency_ms=ms)
    if args.output_latency is not None:
        ms = parse_latency_ms("--output-latency", args.output_latency)
        ports = replace(ports, output_latency_ms=ms)
    return ports


def recover(folder: Path) -> bool:
    """Finish the takes that were cut off, beside the music; return whether there were any."""
    cut_off = list(unfinished(folder))
    for path in cut_off:
        say(f"found a take that was cut off: {path.name}")
    write_midi(*cut_off, done=say, close=True)
    return bool(cut_off)


@contextmanager
def world(
    config: Config, api: Api, journal: Path, runtime: Runtime, *, was_cut_off: bool
) -> Iterator[World]:
    """Remote control and MIDI ports around a runtime. Raises BridgeError.

    After a take that was cut off, what it left sounding is released.
    """
    link = link_of(config, runtime.receive_link) if config.joins_link else None
    handle = partial(handle_command, runtime, link)
    streams: list[Callable[[str, tuple[Value, ...]], None]] = []
    control = config.control
    with ExitStack() as stack:
        if control.osc_port:
            osc = OscBridge(host=LOOPBACK, port=control.osc_port, handle=handle)
            streams.append(stack.enter_context(osc).publish)
        if control.control_port and control.stream_port:
            zmq = ZmqBridge(
                control_address=f"tcp://{LOOPBACK}:{control.control_port}",
                stream_address=f"tcp://{LOOPBACK}:{control.stream_port}",
                handle=handle,
            )
            streams.append(stack.enter_context(zmq).publish)
        if link is not None:
            stack.enter_context(link)
            say("Ableton Link: joined; peers of this network lead where nobody above them does")
        out = OutputPort(api=api, wanted=config.ports.output, lost=say, back=say)
        in_ = InputPort(
            api=api, wanted=config.ports.input, receive=runtime.receive_midi, lost=say, back=say
        )
        stack.enter_context(out)
        stack.enter_context(in_)
        stack.enter_context(Housekeeping([in_.refresh, out.refresh]))
        say(f"MIDI through {api.name}: in '{in_.name}', out '{out.name}'")

        def publish(effect: Effect) -> None:
            if isinstance(effect, Noticed):
                effect = named(effect, config.ports)
            message = message_of(effect)
            if message is not None:
                for stream in streams:
                    stream(*message)
            if isinstance(effect, Noticed):
                say(effect.text)
            elif isinstance(effect, TakeMarked) and not effect.recording:
                write_midi(journal, done=say, close=False)

        send = release_first(out.send, config.session.channel) if was_cut_off else out.send
        favour_this_process()
        yield World(send=send, publish=publish)
        say("stopping; once more to force")


def named(notice: Noticed, ports: PortsConfig) -> Noticed:
    """The notice with the ports that were asked for in place of our virtual ones."""
    text = notice.text.replace(IN_NAME, ports.input or IN_NAME)
    return Noticed(text.replace(OUT_NAME, ports.output or OUT_NAME))


def release_first(send: Callable[[bytes], object], channel: int) -> Callable[[bytes], object]:
    """Release every note now, and again before the first message; return what sends from then on.

    A process that was killed could not release what sounded. A named port is reached now; a virtual
    one only when somebody has connected it again, and they have by the time of the first note. Not
    every instrument obeys All Notes Off, so each note gets its own note-off as well.
    """
    control = CONTROL_CHANGE | channel
    releases = [bytes((control, SUSTAIN, 0)), bytes((control, ALL_NOTES_OFF, 0))]
    releases += [bytes((NOTE_OFF | channel, pitch, 0)) for pitch in range(128)]
    first = True

    def send_on(message: bytes) -> object:
        nonlocal first
        if first:
            first = False
            for release in releases:
                send(release)
        return send(message)

    for release in releases:
        send(release)
    return send_on


def link_of(config: Config, report: Report) -> LinkBridge:
    """A peer of the Link session, in our tempo as long as it has no other, and in our bars."""
    numerator, denominator = config.session.meter
    return LinkBridge(
        bpm=config.session.settings.bpm,
        bar_beats=Meter(0.0, numerator, denominator).bar_beats,
        start_stop=config.link.start_stop,
        report=report,
    )


def handle_command(
    runtime: Runtime, link: LinkBridge | None, name: str, arguments: tuple[object, ...]
) -> Reply:
    """Give a command that came over a bridge to the runtime; a tempo to Link, where it leads."""
    try:
        values = runtime.command(name, arguments)
    except CommandError as error:
        return Reply.refused(str(error))
    if link is not None and name == "bpm" and runtime.session.leader in ("internal", "link"):
        link.set_bpm(float(values[0]))
    return Reply.done(*values)


@contextmanager
def stopping_on_signals(*steps: Callable[[], object]) -> Iterator[None]:
    """Ctrl-C or SIGTERM takes the next of `steps`; after the last, it ends the process at once.

    Nothing is raised in the main thread: whatever it is closing is closed whole.
    """
    left = list(steps)

    def take_next(_signal: int, _frame: FrameType | None) -> None:
        if not left:
            os._exit(1)
        left.pop(0)()

    before = [
        (number, signal.signal(number, take_next)) for number in (signal.SIGINT, signal.SIGTERM)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def force(runtime: Runtime, journal: Path) -> None:
    """Release what sounds now, and end the process soon, whatever the main thread waits for.

    It gets GRACE_S to close the ports: JACK stands still for a while when a client just vanishes.
    """

    def end() -> None:
        runtime.silence()
        threading.main_thread().join(GRACE_S)
        say(f"forced; if the take is missing, segue replay makes it from {journal}")
        os._exit(1)

    threading.Thread(target=end, name="force", daemon=True).start()


def say_ready(config: Config) -> None:
    """The ready line: ports are open, and what is played now is answered."""
    session = config.session
    say(
        f"ready: {session.settings.mode}, {session.settings.bars} bars, "
        f"{session.meter[0]}/{session.meter[1]}, {session.settings.bpm:g} bpm, "
        f"clock {session.clock}; Ctrl-C stops"
    )


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)
