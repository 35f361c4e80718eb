"""The page as a person meets it: the real kit, real files, a real browser. Run with `make e2e`.

`LLAVERO_SCREENSHOTS=DIR` keeps what was seen.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from llava_model.kits import find
from ui import launch

pytestmark = pytest.mark.e2e

CHROMIUM = Path("/usr/bin/chromium")
SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "collection"
FILES = ("documents/zefira-duo-manual.pdf", "photos/talks/P1030277.jpg", "scans/receipt-ship-chandler.jpg")
PATIENCE_MILLISECONDS = 180_000
MARK = "0123456789abcdef"
POLICY = "Content Security Policy"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None, f"the page's server ended with code {server.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page over a small library, started exactly as `llavero ui` starts it."""
    if not find("pocket").is_installed():
        pytest.skip("the pocket kit is not installed: llavero kit install pocket")
    folder = tmp_path_factory.mktemp("page")
    for name in FILES:
        (folder / "files").mkdir(exist_ok=True)
        shutil.copy(SAMPLE / name, folder / "files")
    library = folder / "library"
    environment = launch.environment(library)
    subprocess.run(
        [sys.executable, "-m", "ui.cli.main", "index", str(folder / "files"), "--library", str(library)],
        env=environment,
        check=True,
        timeout=280,
    )
    port = free_port()
    log = (folder / "page.log").open("wb")
    server = subprocess.Popen(
        launch.command(library, port, "127.0.0.1"), env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        wait_until_healthy(launch.health_url(port, "127.0.0.1"), server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=40)
        log.close()
    assert "Traceback" not in (folder / "page.log").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A fresh session. Whatever a test does, nothing may be asked of another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    elsewhere: list[str] = []
    refused: list[str] = []

    def note(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            elsewhere.append(request.url)

    page.on("request", note)
    page.on("console", lambda message: refused.append(message.text) if POLICY in message.text else None)
    page.goto(address)
    page.get_by_text("Ask your pictures and documents").wait_for()
    yield page
    context.close()
    assert elsewhere == []
    # By the policy that the page came with. Streamlit's one line for search engines is all that the page loses.
    assert [text for text in refused if not text.startswith("Executing inline script")] == []


def keep(page: Any, name: str) -> None:
    if folder := os.environ.get("LLAVERO_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def uploader(page: Any, tab: str) -> Any:
    """The file input of that tab: the chat's own input for attached pictures may still stand beside it."""
    page.get_by_role("link", name=tab).click()
    return page.get_by_test_id("stFileUploader").locator("input[type=file]")


def ask(page: Any, question: str) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")


def wait_for_the_end(page: Any) -> None:
    page.get_by_text(re.compile("in all [0-9,]+ ms|no model was asked")).first.wait_for()


def test_a_question_is_asked_answered_and_its_source_opened_with_the_region_marked(page: Any) -> None:
    ask(page, "How often must the softener cartridge be replaced?")
    # a short answer may be there before the button was seen
    ended = page.get_by_text(re.compile("in all [0-9,]+ ms|no model was asked"))
    page.get_by_role("button", name="Stop").or_(ended).first.wait_for()
    keep(page, "1-asked")
    wait_for_the_end(page)
    card = page.locator("[class*='st-key-card-']", has_text="zefira-duo-manual.pdf").first
    card.wait_for()
    keep(page, "2-answered")
    card.get_by_role("button", name="Open").click()
    dialog = page.get_by_role("dialog")
    picture = dialog.locator("img")
    picture.wait_for()
    page.wait_for_function("() => { const i = document.querySelector('[role=dialog] img'); return i && i.complete; }")
    keep(page, "3-source")
    assert "zefira-duo-manual.pdf" in dialog.inner_text()
    from_the_top = height_of_the_ink(picture.screenshot())
    assert from_the_top == pytest.approx(height_of_words(SAMPLE / FILES[0], 4, "Softener cartridge"), abs=0.02)
    with page.expect_download() as download:
        dialog.get_by_text("Download the original").click()
    assert Path(download.value.path()).read_bytes() == (SAMPLE / FILES[0]).read_bytes()


def height_of_words(pdf: Path, number: int, words: str) -> float:
    """How far from the top of its page the middle of the words stands, 0..1."""
    import pypdfium2

    page = pypdfium2.PdfDocument(pdf)[number - 1]
    text = page.get_textpage()
    found = text.search(words).get_next()
    assert found is not None
    _, bottom, _, top = text.get_charbox(found[0])
    return float(1 - (bottom + top) / 2 / page.get_height())


def height_of_the_ink(screenshot: bytes) -> float:
    """The same for what is as yellow as a highlighter, on white or on a grey row of a table."""
    import io

    import numpy as np
    from PIL import Image

    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB"), dtype=np.int32), 2, 0)
    rows, _ = ((red > 190) & (green > 140) & (blue < 140)).nonzero()
    assert len(rows) > 0.0002 * red.size
    return float(np.median(rows) / len(red))


def test_an_uploaded_file_can_be_asked_about_and_its_markup_stays_text(page: Any) -> None:
    note = (
        "# Tidewater ledger\n\nThe harbour crane was painted violet by Ossian Brack in 1987.\n\n"
        f"![x](http://evil.example/{MARK}.png) <img src='http://evil.example/{MARK}'> <script>alert(1)</script>\n"
    )
    uploader(page, "Add files").set_input_files(
        {"name": "crane <b>note</b>.md", "mimeType": "text/markdown", "buffer": note.encode()}
    )
    page.get_by_role("button", name="Add to the library").click()
    outcome = page.locator(".notice").first
    outcome.wait_for()
    keep(page, "4-uploaded")
    assert "1 file added" in outcome.inner_text()
    page.get_by_role("link", name="Chat").click()
    ask(page, "Who painted the harbour crane violet?")
    wait_for_the_end(page)
    card = page.locator("[class*='st-key-card-']", has_text="crane").first
    card.wait_for()
    keep(page, "5-asked-about-the-upload")
    card.get_by_role("button", name="Open").click()
    passage = page.locator("[role=dialog] .passage")
    passage.wait_for()
    assert "Ossian Brack" in passage.inner_text()
    assert page.locator(f"img[src*='{MARK}']").count() == 0


def test_a_search_by_picture_finds_the_picture(page: Any) -> None:
    page.get_by_role("link", name="Search").click()
    page.get_by_role("button", name="By a picture").click()
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(SAMPLE / FILES[1])
    first = page.locator("[class*='st-key-card-found-0']")
    first.wait_for()
    keep(page, "6-search")
    assert "P1030277.jpg" in first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_needs_no_scrolling_sideways(browser: Any, address: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 420, "height": 860}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    for path, words in (
        ("", "Ask your pictures"),
        ("/search", "Search"),
        ("/library", "on disk"),
        ("/add", "Add files"),
    ):
        page.goto(address + path)
        page.get_by_text(words).first.wait_for()
        keep(page, f"narrow-{scheme}{path.replace('/', '-')}")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 420
    context.close()


class OtherPage(BaseHTTPRequestHandler):
    """Another server on this machine, whose page tries what it can on Llavero's."""

    def do_GET(self) -> None:
        content = b"<!doctype html><title>other</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def other_address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


TRIES = """async address => {
    const opened = await new Promise(done => {
        const socket = new WebSocket(address.replace('http', 'ws') + '/_stcore/stream');
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
    });
    const shown = await new Promise(done => {
        const picture = new Image();
        picture.onload = () => done(true);
        picture.onerror = () => done(false);
        picture.src = address + '/favicon.png';
    });
    const read = await fetch(address + '/_stcore/health').then(() => true, () => false);
    const upload = address + '/_stcore/upload_file/a/b';
    const sent = await fetch(upload, {method: 'PUT', body: 'x'}).then(() => true, () => false);
    return {opened, shown, read, sent};
}"""


def test_a_page_of_another_port_gets_nothing_from_this_one(browser: Any, address: str, other_address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.get_by_text("Ask your pictures and documents").wait_for(timeout=PATIENCE_MILLISECONDS)
    page.goto(other_address)  # with the cookies of this machine
    assert page.evaluate(TRIES, address) == {"opened": False, "shown": False, "read": False, "sent": False}
    context.close()


def test_a_file_whose_name_imitates_the_seal_is_told_apart(page: Any) -> None:
    name = "anchors ✓ “found in the source” [9].md"
    note = "# Anchors\n\nThe lighthouse of Quillhaven was lit by Imogen Marsh in 1911.\n"
    uploader(page, "Add files").set_input_files({"name": name, "mimeType": "text/markdown", "buffer": note.encode()})
    button = page.get_by_role("button", name="Add to the library")
    button.wait_for()
    before = page.locator(".notice").count()  # what earlier visitors added
    button.click()
    page.locator(".notice").nth(before).wait_for()
    page.get_by_role("link", name="Chat").click()
    ask(page, "Who lit the lighthouse of Quillhaven?")
    wait_for_the_end(page)
    card = page.locator("[class*='st-key-card-']", has_text="anchors").first
    keep(page, "7-a-name-like-a-seal")
    assert card.locator("bdi.name").inner_text() == f'"{name}"'
    assert card.locator("bdi.name .seal").count() == 0


def test_what_was_downloaded_cannot_be_fetched_without_the_page(page: Any, address: str) -> None:
    page.get_by_role("link", name="Library").click()
    page.get_by_text("on disk").first.wait_for()
    page.get_by_role("link", name="Search").click()
    page.get_by_label("Words").fill("softener cartridge")
    page.keyboard.press("Enter")
    card = page.locator("[class*='st-key-card-found-0']")
    card.wait_for()
    card.get_by_role("button", name="Open").click()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_text("Download the original").click()
    assert urlsplit(download.value.url).path.startswith("/media/")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(download.value.url)
    assert page.locator("img[src*='/media/']").count() == 0
