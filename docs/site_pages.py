"""What `mkdocs build` does for this site beyond its own work.

nav       an entry with a `*` becomes every page of that name which exists
API       one page for each package, made from the tree, with all its public modules
log       every entry of LOG.md gets an anchor, so that the index by topic can point at it
network   the build fails where a page would make a browser ask another server
"""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]
LOG = "LOG.md"
_ENTRY = re.compile(r"^\*\*(.+?)\*\*", re.MULTILINE)
_ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>|url\([\"']?(?:https?:)?//"
)
_CANONICAL = re.compile(r"<link\b[^>]*\brel=[\"']?canonical")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that exist in the place of the nav's entries with a `*`."""
    folder = Path(config.docs_dir)
    pages = [path.relative_to(folder).as_posix() for path in folder.rglob("*.md")]
    config.nav = expanded(config.nav or [], sorted([*pages, *api_pages(folder.parent)], key=_stem))
    return config


def _stem(page: str) -> str:
    """A package comes before the packages in it."""
    return page.removesuffix(".md")


def expanded(nav: list[Any], pages: list[str]) -> list[Any]:
    """`["a.md", "b-*.md"]` → `["a.md", "b-one.md", "b-two.md"]`, at every depth."""
    entries: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and "*" in entry:
            entries += [page for page in pages if fnmatch(page, entry)]
        elif isinstance(entry, dict):
            entries += [
                {title: expanded(below, pages) if isinstance(below, list) else below} for title, below in entry.items()
            ]
        else:
            entries.append(entry)
    return entries


def api_pages(root: Path) -> dict[str, str]:
    """Page → its Markdown, for each package below `root`."""
    inits = sorted(init for package in PACKAGES for init in (root / package).rglob("__init__.py"))
    return {f"api/{_dotted(init.parent, root)}.md": _api_page(init.parent, root) for init in inits}


def _api_page(folder: Path, root: Path) -> str:
    package = _dotted(folder, root)
    modules = [_dotted(path.with_suffix(""), root) for path in sorted(folder.glob("*.py")) if path.name[0] != "_"]
    head = f"# {package}\n\n::: {package}\n    options:\n      members: false\n      show_root_heading: false\n"
    head += "      show_root_toc_entry: false\n"
    return "\n".join([head, *(f"::: {module}\n" for module in modules)])


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API's pages, which are in no folder."""
    for page, text in api_pages(Path(config.docs_dir).parent).items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Give the log's entries their anchors."""
    return with_anchors(markdown) if page.file.src_uri == LOG else markdown


def with_anchors(markdown: str) -> str:
    """`**FLAT, not HNSW.** …` gets the anchor `flat-not-hnsw` before it."""
    return _ENTRY.sub(lambda entry: f'<a id="{anchor(entry[1])}"></a>{entry[0]}', markdown)


def anchor(title: str) -> str:
    """The name of an entry's anchor: its letters and digits, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a page would fetch something from another server."""
    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in fetched_elsewhere(path.read_text(encoding="utf-8")):
                raise PluginError(f"{path} would be fetched from another server: {found}")


def fetched_elsewhere(text: str) -> list[str]:
    """Scripts, pictures, styles and frames of a page that lie on other servers."""
    return [found for found in _ELSEWHERE.findall(text) if not _CANONICAL.match(found)]
