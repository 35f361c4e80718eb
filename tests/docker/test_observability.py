"""The Grafana board and its sources: every query asks for a number that the product exports."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ui.api import work_numbers
from ui.api.app import Numbers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker" / "observability"
BOARD: dict[str, Any] = json.loads((FOLDER / "grafana-board.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]


class _NoLibraries:
    def __iter__(self) -> Any:
        return iter(())


def exported() -> dict[str, set[str]]:
    """The names of all samples that /metrics may have, each with its labels."""
    numbers = Numbers(_NoLibraries())
    text = numbers.text().decode()
    names: dict[str, set[str]] = {}
    for registry in (numbers.registry, work_numbers._registry):
        for collector in registry._collector_to_names:
            labels = set(getattr(collector, "_labelnames", ()))
            for name in registry._collector_to_names[collector]:
                names[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    assert {family.name for family in text_string_to_metric_families(text)} <= set(names)
    return names


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_every_query_names_a_number_that_is_exported_and_labels_that_it_has(title: str, query: str) -> None:
    found = exported()
    asked = set(re.findall(r"\bllavero_\w+", query))
    assert asked or query == 'up{job="llavero"}'
    assert asked <= set(found), asked - set(found)
    labels = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
    labels |= set(re.findall(r"(\w+)\s*(?:=~|=|!=)", re.sub(r"up\{[^}]*\}", "", query)))
    for name in asked:
        assert labels <= found[name], (name, labels)


def test_every_number_of_ours_is_on_the_board() -> None:
    shown = " ".join(query for _, query in QUERIES)
    families = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in exported()}
    assert {name for name in families if name not in shown} == set()


def test_the_look_at_queries_can_fail() -> None:
    with pytest.raises(AssertionError):
        test_every_query_names_a_number_that_is_exported_and_labels_that_it_has("x", "rate(llavero_unicorns_total[5m])")
    with pytest.raises(AssertionError):
        test_every_query_names_a_number_that_is_exported_and_labels_that_it_has(
            "x", "sum by (colour) (llavero_library_files)"
        )


def test_board_and_sources_belong_together() -> None:
    sources = yaml.safe_load((FOLDER / "grafana-sources.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} <= {source["uid"] for source in sources}
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for source in sources:
        host, port = source["url"].removeprefix("http://").split(":")
        assert host in compose["services"], source
        assert port in (
            ROOT / "docker-compose.yml"
        ).read_text() or port in (FOLDER / "tempo.yml").read_text()  # fmt: skip
    mounted = {config["target"] for config in compose["services"]["grafana"]["configs"]}
    provided = yaml.safe_load((FOLDER / "grafana-boards.yml").read_text())["providers"][0]["options"]["path"]
    assert any(target.startswith(provided) for target in mounted)


def test_prometheus_asks_services_that_there_are_at_their_port_with_a_key_from_a_file() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    targets = [target for group in job["static_configs"] for target in group["targets"]]
    assert {target.partition(":")[0] for target in targets} == {"ui", "ui-lite", "ui-gpu", "api"}
    assert all(target.endswith(":8765") for target in targets) and job["metrics_path"] == "/metrics"
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    for target in targets:
        assert set(compose[target.partition(":")[0]]["networks"]) & set(compose["prometheus"]["networks"])
