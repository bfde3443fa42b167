"""Each DNS list, tested now as `bley lists --test` does."""

from datetime import timedelta
from itertools import chain

from bley.commands.doctor.finding import Finding, warning, well
from bley.commands.lists import test_lists
from bley.core.dnslists.resolver_fault import RESOLVER_REMEDY
from bley.settings.settings import Settings

__all__ = ["examine_lists"]


_LONGEST = timedelta(seconds=5)
"""The longest `check_timeout` of the queries."""


async def examine_lists(settings: Settings) -> list[Finding]:
    """Test all DNS lists of the settings."""
    settings = settings.model_copy(update={"check_timeout": min(settings.check_timeout, _LONGEST)})
    results, resolver_fault = await test_lists(chain.from_iterable(settings.dns_lists.values()), settings)
    findings = []
    if resolver_fault:
        why = "a resolver that alters answers makes lists useless"
        what = resolver_fault.removesuffix(f"; {RESOLVER_REMEDY}")
        findings.append(warning("resolver", what, why, f"{RESOLVER_REMEDY}: see docs/lists.md"))
    for name, words, is_well in results:
        what = f"{name}: {words}"
        why = "bley does not use the list until it is well"
        findings.append(well("lists", what) if is_well else warning("lists", what, why, f"bley lists --test {name}"))
    return findings
