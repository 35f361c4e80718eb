"""Run the page: check first what would stop it, start Streamlit, say when it can be opened, end it cleanly."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from types import FrameType

from ui import launch
from ui.settings import Settings, SettingsError

READY_WITHIN_SECONDS = 120.0


def serve_page(
    settings: Settings, *, port: int, address: str, open_browser: bool, on_ready: Callable[[str], None]
) -> int:
    """Start the page and stay until it ends; its exit code, or 0 when a signal ended it.

    Raises SettingsError when the port is taken or the page does not answer in time.
    """
    _check_port(address, port)
    generator = settings.rag.generator
    environment = launch.environment(settings.library) | {
        name: value
        for name, value in {
            "LLAVERO_KIT": settings.kit,
            "LLAVERO_DEVICE": settings.device,
            "LLAVERO_GENERATOR_URL": generator.url if generator else "",
            "LLAVERO_GENERATOR_MODEL": generator.model if generator else "",
        }.items()
        if value
    }
    process = subprocess.Popen(launch.command(settings.library, port, address), env=environment)

    def stop(signal_number: int, frame: FrameType | None) -> None:
        process.terminate()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if _answers(process, launch.health_url(port, address)):
            shown = "127.0.0.1" if address in launch.ANY_ADDRESS else address
            on_ready(f"Llavero is ready: http://{shown}:{port}  (Ctrl-C ends it)")
            if open_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.name != "posix"):
                webbrowser.open(f"http://{shown}:{port}")
        code = process.wait()
        return code if code > 0 else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.kill()


def _check_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            fault = SettingsError(f"cannot listen on {address}:{port}: {error.strerror}")
            fault.add_note("Another page may be running there. Choose another port: llavero ui --port 8502")
            raise fault from error


def _answers(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until the page answers; False when its process ended first."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return True
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SettingsError(f"the page did not answer at {url} within {READY_WITHIN_SECONDS:.0f} s")
        time.sleep(0.2)
    return False
