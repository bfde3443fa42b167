"""Writes what is generated in docs/, the manual pages and tables: `python -m docs`, or `make manual`."""

from pathlib import Path

from docs import commands_page, settings_page
from docs.tables import PAGES, with_tables


def main() -> None:
    """Write all pages."""
    folder = Path(__file__).parent
    for name in PAGES:
        page = folder / name
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    folder.joinpath("bley.1").write_text(commands_page.page(), encoding="utf-8")
    folder.joinpath("bley.conf.5").write_text(settings_page.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
