"""Signing in with a real browser at a provider that runs as a process. Run with `make e2e`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from identity_provider import page_with_sign_in, provider

from llava_model.kits import find

pytestmark = pytest.mark.e2e

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    if not find("pocket").is_installed():
        pytest.skip("the pocket kit is not installed: llavero kit install pocket")
    folder = tmp_path_factory.mktemp("signing-in")
    with provider() as issuer, page_with_sign_in(folder, issuer, folder / "library") as found:
        yield found


@pytest.fixture
def page(place: tuple[str, Path]) -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = chromium.new_context()
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        page = context.new_page()
        page.goto(place[0])
        yield page
        chromium.close()


def sign_in(page: Any, who: str) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.wait_for_url("**/oauth2/authorize*")
    page.locator("input[name=sub]").first.fill(who)
    page.get_by_role("button", name="Authorize").click()


def test_a_person_signs_in_adds_a_file_asks_and_signs_out(page: Any, place: tuple[str, Path], tmp_path: Path) -> None:
    assert page.get_by_text("Sign in to Llavero").is_visible()
    sign_in(page, "ada")
    page.get_by_text("Ask your pictures and documents").wait_for()
    page.get_by_text("Signed in as Ada <b>L</b>").wait_for()
    page.get_by_role("link", name="Add files").first.click()
    note = tmp_path / "pump.txt"
    note.write_text("The bilge pump needs 4.2 litres of oil every spring.\n")
    uploader = page.get_by_test_id("stFileUploader")
    uploader.wait_for()  # the chat, which may still be drawn, has an input for files, too
    uploader.locator("input[type=file]").set_input_files(str(note))
    page.get_by_role("button", name="Add to the library").click()
    page.get_by_text("1 file added").wait_for()
    page.get_by_role("link", name="Search").first.click()
    page.get_by_placeholder("a red bicycle").fill("oil for the pump")
    page.keyboard.press("Enter")
    page.get_by_text("pump.txt").first.wait_for()
    told = [json.loads(line) for line in place[1].read_text().splitlines()]
    did = [(line["who"], line["what"]) for line in told]
    assert ("ada@example.org", "add") in did and ("ada@example.org", "search") in did
    assert ("ada@example.org", "PUT /_stcore/upload_file") in did
    assert "pump" not in place[1].read_text()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/oauth2/end_session*")
    page.goto(place[0])
    page.get_by_text("Sign in to Llavero").wait_for()


def test_somebody_who_is_not_named_sees_why_and_can_come_as_somebody_else(page: Any) -> None:
    sign_in(page, "bob")
    page.get_by_text("may not use this library").wait_for()
    page.get_by_role("link", name="Sign in as somebody else").click()
    page.wait_for_url("**/oauth2/authorize*")
