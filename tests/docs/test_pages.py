"""The site: every page can be reached, every link leads somewhere, and a reader's browser asks nobody."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def module_of(file: Path) -> ModuleType:
    """A script beside the pages, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site() -> ModuleType:
    return module_of(DOCS / "site_pages.py")


def entries(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from entries(below if isinstance(below, list) else [below])


def broken_links(file: Path) -> list[str]:
    """Relative links that lead nowhere."""
    links = _LINK.findall(_FENCE.sub("", file.read_text(encoding="utf-8")))
    targets = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith(("#", "mailto:"))]
    return [target for target in targets if not (file.parent / target).exists()]


def test_every_page_is_in_the_nav_and_every_entry_of_the_nav_exists(site: ModuleType, pages: dict[str, str]) -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    made = site.api_pages(ROOT)
    found = list(entries(site.expanded(nav, sorted([*pages, *made]))))
    assert sorted(found) == sorted([*pages, *made])


def test_every_package_has_a_page_with_all_its_public_modules(site: ModuleType) -> None:
    text = "\n".join(site.api_pages(ROOT).values())
    files = [file for package in site.PACKAGES for file in (ROOT / package).rglob("*.py") if file.stem[0] != "_"]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    assert [module for module in modules if f"::: {module}\n" not in text] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_pages_at_the_top_lead_somewhere(name: str) -> None:
    assert broken_links(ROOT / name) == []


def test_links_of_the_documentation_lead_somewhere(pages: dict[str, str]) -> None:
    broken = {name: broken_links(DOCS / name) for name in pages}
    assert {name: links for name, links in broken.items() if links} == {}


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[here](page.md#top) [gone](gone.md) [out](https://example.org/x)\n```\n[no](link.md)\n```\n")
    assert broken_links(page) == ["gone.md"]


def test_every_entry_of_the_log_is_in_the_index_by_topic(site: ModuleType, pages: dict[str, str]) -> None:
    titles = re.findall(r"^\*\*(.+?)\*\*", pages["LOG.md"], re.MULTILINE)
    index = pages["log-by-topic.md"]
    assert [title for title in titles if f"(LOG.md#{site.anchor(title)})" not in index] == []


def test_no_two_entries_of_the_log_share_an_anchor(site: ModuleType, pages: dict[str, str]) -> None:
    anchors = re.findall(r'<a id="([^"]+)">', site.with_anchors(pages["LOG.md"]))
    assert len(anchors) == len(set(anchors)) > 30


def test_every_decision_has_its_four_parts_and_is_listed(pages: dict[str, str]) -> None:
    records = {name: text for name, text in pages.items() if re.match(r"decisions/\d{4}-", name)}
    assert len(records) >= 10
    for name, text in records.items():
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Evidence",
            "Consequences",
        ], name
        assert f"({Path(name).name})" in pages["decisions/index.md"]


def test_an_entry_with_a_star_becomes_the_pages_that_exist(site: ModuleType) -> None:
    nav = ["index.md", {"How-tos": ["howto/train.md", "howto/add-*.md"]}, {"Log": "LOG.md"}]
    pages = ["LOG.md", "howto/add-a-kit.md", "howto/add-a-tab.md", "howto/train.md", "index.md"]
    assert site.expanded(nav, pages)[1] == {"How-tos": ["howto/train.md", "howto/add-a-kit.md", "howto/add-a-tab.md"]}
    assert site.expanded(nav, [])[1] == {"How-tos": ["howto/train.md"]}


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/x.js"></script>',
        "<link rel=stylesheet href=//fonts.example/css>",
        '<img alt="a" src="http://example.org/a.png">',
        "body { background: url(https://example.org/a.png) }",
    ],
)
def test_what_another_server_would_be_asked_for_is_found(site: ModuleType, text: str) -> None:
    assert len(site.fetched_elsewhere(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">out</a>',
        '<img src="diagrams/a.svg">',
        '<link rel="canonical" href="https://a.b/">',
    ],
)
def test_links_to_follow_and_our_own_files_may_stay(site: ModuleType, text: str) -> None:
    assert site.fetched_elsewhere(text) == []


def test_docstrings_keep_their_trees_their_code_and_their_angle_brackets() -> None:
    as_markdown = module_of(DOCS / "plain_docstrings.py").as_markdown
    assert as_markdown("The text has `<image>` and <image>.") == "The text has `<image>` and &lt;image>."
    assert as_markdown("Error\n├── One\n└── Two") == "```text\nError\n├── One\n└── Two\n```"
    assert as_markdown("First.\n\n    <code>  here") == "First.\n\n    <code>  here"


@pytest.mark.parametrize("name", ["indexing.svg", "answering.svg", "training.svg"])
def test_the_diagrams_are_what_their_script_draws(name: str) -> None:
    draw = module_of(DOCS / "diagrams" / "draw.py")
    assert (DOCS / "diagrams" / name).read_text(encoding="utf-8") == draw.DIAGRAMS[name]()


@pytest.mark.slow
def test_the_site_builds_with_every_link_checked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "api" / "indexing.html").is_file()
