"""Each module has a test file of its own name, or a line here that names its test file."""

import ast
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parent.parent
SOURCE, TESTS = PROJECT / "src" / "bley", PROJECT / "tests"

TESTED_IN = {
    "__main__": "integration/test_cli",
    "dns/c_ares": "integration/dns/test_resolver",
    "core/exemptions/entries": "unit/core/exemptions/test_list_files",
    "core/exemptions/lookup": "unit/core/exemptions/test_list_files",
    "core/history/conditions": "unit/core/history/test_search",
    "store/purging": "unit/store/test_batched",
    "store/redis_counts": "integration/test_history_contract",
    "store/redis_domain_counts": "integration/test_engine_contract",
    "store/sql_domain_counts": "integration/test_history_contract",
    "store/sql_list_counts": "integration/test_history_contract",
    "store/sql_counts": "integration/test_history_contract",
    "store/sql_delayed": "integration/test_history_contract",
    "store/redis_delayed": "integration/test_history_contract",
    "store/delayed_domains": "unit/web/test_dashboard_data",
    "store/sql_purge": "integration/test_engine_contract",
    "core/names/words": "unit/core/names/test_host_kind",
    "data/files": "unit/core/dnslists/test_known",
    "checks/lists/queried_list": "unit/checks/lists/test_watch",
    "checks/lists/tester": "unit/checks/lists/test_watch",
    "commands/ask": "integration/test_cli",
    "commands/check_config": "integration/test_check_config",
    **{
        f"commands/completion/{name}": "integration/commands/test_completion"
        for name in ("bash", "command", "fish", "words", "zsh")
    },
    "commands/doctor/command": "integration/commands/test_doctor",
    "commands/doctor/finding": "integration/commands/test_doctor",
    "commands/doctor/lists": "integration/commands/test_doctor",
    "commands/doctor/policy_place": "integration/commands/test_doctor_postfix",
    "commands/doctor/postfix": "integration/commands/test_doctor_postfix",
    "commands/doctor/postfix_others": "integration/commands/test_doctor_postfix",
    "commands/doctor/postfix_remedy": "integration/commands/test_doctor_postfix",
    "commands/doctor/programs": "integration/commands/test_doctor_postfix",
    "commands/doctor/start": "integration/commands/test_doctor",
    "commands/documented": "test_docs",
    "commands/help_": "integration/test_cli",
    "commands/ending": "integration/test_command_errors",
    "commands/explain": "integration/test_cli",
    "commands/export": "integration/test_import",
    "commands/forget": "integration/test_import",
    "commands/graph/command": "integration/test_graph_command",
    "commands/import_": "integration/test_import",
    "commands/list_figures": "integration/commands/test_lists",
    "commands/options": "integration/test_cli",
    "commands/record_selection": "integration/test_import",
    "commands/policy_client": "integration/test_postfix_chroot",
    "commands/serve": "integration/daemon/test_daemon",
    "commands/replay/command": "integration/commands/test_replay",
    "commands/report/command": "integration/commands/test_report",
    "commands/stats_comparison": "unit/commands/test_stats",
    "commands/stats_figures": "unit/commands/test_stats",
    "commands/stats_period": "unit/commands/test_stats",
    "commands/store_access": "integration/test_import",
    "commands/top/command": "integration/test_history_commands",
    "commands/web_password": "integration/test_web_access",
    "corrections/errors": "integration/commands/test_allow",
    "corrections/exemptions": "integration/commands/test_allow",
    "corrections/opened_engine": "integration/test_import",
    "corrections/records": "integration/commands/test_pass_",
    "web/silences": "unit/web/test_dashboard_data",
    "server/connection": "integration/server/test_listeners",
    "predecessors/errors": "unit/predecessors/test_bley2",
    "predecessors/postgrey": "integration/test_predecessors",
    "predecessors/record_converter": "integration/test_import",
    "service/nine_steps": "unit/service/test_service",
    "service/pending_request": "unit/service/test_service",
    "service/rule_set": "unit/service/test_service",
    "settings/fault_texts": "unit/settings/test_file",
    "settings/lists": "unit/settings/test_file",
    "settings/ini_file": "unit/settings/test_file",
    "settings/templates": "unit/settings/test_settings",
    "settings/values": "unit/settings/test_settings",
    "store/request_queue": "unit/store/test_batched",
    "store/dialects": "integration/test_engine_contract",
    "store/sqlite_dialect": "integration/test_engine_contract",
    "store/driver_errors": "unit/store/test_sql",
    "store/redis": "integration/test_engine_contract",
    "store/redis_keys": "integration/test_engine_contract",
    "store/redis_scripts": "integration/test_engine_contract",
    "store/refusals": "integration/test_engine_contract",
    "commands/explained_decision": "unit/commands/test_why",
    "store/sql_attempts": "integration/test_history_contract",
    "store/sql_exempted": "integration/test_history_contract",
    "store/stories": "unit/web/test_dashboard_data",
    "core/history/audit": "integration/test_history_contract",
    "store/sql_audit": "integration/test_history_contract",
    "store/sql_upgrade": "integration/test_engine_contract",
    "store/sql_domains": "integration/test_store_contract",
    "store/sql_marks": "integration/test_engine_contract",
    "store/sql_meta": "unit/store/test_sql",
    "store/sql_schema": "integration/test_engine_contract",
    "store/sql_statements": "integration/test_engine_contract",
    "store/trial": "integration/test_check_config",
    "daemon/dns_checks": "integration/daemon/test_instance",
    "daemon/start_check": "integration/test_check_config",
    "daemon/supervisor": "integration/test_workers",
    "web/action_previews": "integration/web/test_actions",
    "web/list_action": "integration/web/test_actions",
    "web/record_action": "integration/web/test_actions",
    "web/downloads": "unit/web/test_pages",
    "web/process_metrics": "integration/web/test_metrics",
    "web/monitored_daemon": "integration/web/test_health",
    "web/state_metrics": "integration/web/test_metrics",
    "web/tls": "integration/test_web_access",
    "daemon/worker": "integration/test_workers",
    **{f"commands/try_/{name}": "integration/commands/test_try_" for name in ("command", "dns", "html", "text")},
    "trial/problems": "unit/trial/test_mailboxes",
    "trial/facts": "unit/trial/test_reading",
    **{f"trial/{name}": "unit/trial/test_logs" for name in ("exim_log", "greylister_log", "log_dates", "postfix_log")},
    "trial/sessions": "unit/trial/test_reading",
    "trial/alternatives": "unit/trial/test_trial",
    "trial/page": "integration/commands/test_try_",
}
"""Modules without a test file of their own name, and the file whose tests fail when the module is wrong."""

MODULES = {str(path.relative_to(SOURCE).with_suffix("")): path for path in SOURCE.rglob("*.py")}
FILES = {
    ".".join(path.relative_to(root).with_suffix("").parts): path
    for root, folder in ((SOURCE.parent, SOURCE), (PROJECT, TESTS))
    for path in folder.rglob("*.py")
}
"""Files by their dotted names."""


def _own_tests(module: str) -> list[Path]:
    folder, _, name = module.rpartition("/")
    files = [TESTS / kind / folder / f"test_{name}.py" for kind in ("unit", "integration")]
    return [file for file in files if file.exists()]


@cache
def _imports(file: Path) -> frozenset[Path]:
    """Return the files of bley and of the tests that a file imports, or starts by their dotted name."""
    dotted = set[str]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            dotted.add(node.value)
        elif isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            dotted |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    if file == SOURCE / "cli.py":
        dotted |= {name for name in FILES if name.startswith("bley.commands.")}
    return frozenset(FILES[name] for name in dotted & FILES.keys())


def _reached(file: Path) -> set[Path]:
    """Return all files that a file imports, directly or indirectly."""
    reached, new = set[Path](), {file}
    while new:
        reached |= new
        new = {each for one in new for each in _imports(one)} - reached
    return reached


def test_each_module_has_a_test_file() -> None:
    """Packages have none: their `__init__` has no code."""
    modules = [name for name in MODULES if not name.endswith("__init__")]
    assert [name for name in modules if not _own_tests(name) and name not in TESTED_IN] == []


def test_no_line_is_left_over() -> None:
    """No line names a module that is gone, or has a test file of its own by now."""
    assert [name for name in TESTED_IN if name not in MODULES or _own_tests(name)] == []


def test_each_line_names_a_file_that_reaches_the_module() -> None:
    """A test that starts bley reaches all of it, so this finds only files that are gone."""
    tests = {name: TESTS / f"{test}.py" for name, test in TESTED_IN.items()}
    assert [name for name, test in tests.items() if not test.exists() or MODULES[name] not in _reached(test)] == []
