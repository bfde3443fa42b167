"""The alerts and dashboard of contrib/ use existing metrics; Prometheus's own tool reads them in integration tests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.shown_metrics import shown_samples

CONTRIB = Path(__file__).parent.parent / "contrib"
RULES: list[dict[str, Any]] = yaml.safe_load(CONTRIB.joinpath("prometheus-rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads(CONTRIB.joinpath("grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]

SAMPLES = shown_samples() | {"up": set()}
OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus adds."""

_SELECTOR = re.compile(r"([a-z_]\w*)\{([^}]*)\}")


def _selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the metrics of a query, each with the labels that it selects."""
    for name, matchers in _SELECTOR.findall(query):
        yield name, set(re.findall(r"(\w+)\s*[=!]", matchers))


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in RULES), *QUERIES])
def test_queried_metrics_and_labels_exist(query: str) -> None:
    """Queries use only existing metrics and labels, functions and groupings."""
    selectors = list(_selectors(query))
    assert selectors
    for name, labels in selectors:
        assert labels <= SAMPLES[name] | OF_PROMETHEUS
    grouped = {label for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(", ")}
    assert grouped <= set().union(*(SAMPLES[name] for name, _ in selectors)) | OF_PROMETHEUS
    rest = re.sub(r"\[[^]]*\]|by \([^)]*\) ", "", _SELECTOR.sub("", query))
    names = re.findall(r"[a-z_]\w*\b(?! ?\()", rest)
    assert set(names) <= {"or"}, "a metric without a selector"


def test_labels_named_in_a_legend_or_an_annotation_exist() -> None:
    texts = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
    texts += [(rule["expr"], text) for rule in RULES for text in rule["annotations"].values()]
    for query, text in texts:
        known = set().union(*(SAMPLES[name] for name, _ in _selectors(query))) | OF_PROMETHEUS
        assert set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", text)) <= known, text


class TestRules:
    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_each_alert_has_summary_remedy_and_severity(self, rule: dict[str, Any]) -> None:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["annotations"]["description"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")

    def test_each_is_about_bley_alone(self) -> None:
        for rule in RULES:
            assert all("job" in labels for _, labels in _selectors(rule["expr"])), rule["alert"]

    def test_the_log_has_the_messages_that_they_quote(self) -> None:
        source = "".join(file.read_text() for file in (CONTRIB.parent / "src/bley").rglob("*.py"))
        quoted = {text for rule in RULES for text in re.findall(r'at "([^"]+)"', rule["annotations"]["description"])}
        assert len(quoted) >= 3
        assert [text for text in sorted(quoted) if text not in source] == []

    def test_names_are_unique(self) -> None:
        names = [rule["alert"] for rule in RULES]
        assert len(set(names)) == len(names)


class TestDashboard:
    def test_an_import_prompts_for_the_data_source(self) -> None:
        assert [(each["name"], each["pluginId"]) for each in DASHBOARD["__inputs"]] == [("DS_PROMETHEUS", "prometheus")]
        asked = [*PANELS, *(target for panel in PANELS for target in panel["targets"])]
        asked += DASHBOARD["templating"]["list"]
        assert all(each["datasource"] == {"type": "prometheus", "uid": "${DS_PROMETHEUS}"} for each in asked)

    def test_the_schema_has_a_version(self) -> None:
        assert DASHBOARD["schemaVersion"] >= 36
        assert DASHBOARD["id"] is None

    def test_panels_have_unique_ids_titles_and_queries(self) -> None:
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(panel["title"] for panel in DASHBOARD["panels"])
        for panel in PANELS:
            assert panel["description"].endswith(".")
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == list("ABCDEFGH"[: len(letters)])

    def test_panels_do_not_overlap(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in DASHBOARD["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_its_variables_exist(self) -> None:
        variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
        used = {name for query in QUERIES for name in re.findall(r"\$(\w+)", query)}
        assert used - variables == {"__rate_interval"}
        for each in DASHBOARD["templating"]["list"]:
            assert re.fullmatch(r"label_values\(bley_build_info, \w+\)", each["query"]["query"])

    def test_every_metric_is_used(self) -> None:
        """Every metric but the address space and the start times of processes is in an alert or a panel."""
        asked = {name for query in QUERIES for name, _ in _selectors(query)}
        shown = {re.sub("_(bucket|sum|count)$", "", name) for name in SAMPLES}
        missing = shown - {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
        assert missing == {"up", "process_virtual_memory_bytes", "process_start_time_seconds"}
