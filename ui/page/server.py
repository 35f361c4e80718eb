"""The process that serves the page: Streamlit behind the guard, with the settings of `ui.launch` and no others."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from ui import launch
from ui.page.guard import Guard

HERE = Path(__file__).parent


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", required=True, type=int)
    asked = parser.parse_args()
    # A theme or a font in the user's own file can name an address, which Streamlit or the browser would fetch.
    config.get_config_files = lambda file_name: [str(HERE / ".streamlit" / file_name)]
    allowed = launch.hosts(asked.address)
    app = st.App(HERE / "app.py", middleware=[Middleware(Guard, hosts=allowed)])
    for number in (signal.SIGTERM, signal.SIGINT):  # the HTTP server ends first and hands the signal on
        signal.signal(number, _end)
    app.run(config=launch.settings(asked.port, asked.address, allowed))


def _end(signal_number: int, frame: FrameType | None) -> None:
    """An ordinary end, so that what was registered for it closes the library."""
    sys.exit(0)


if __name__ == "__main__":
    main()
