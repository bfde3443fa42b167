"""The domains of the largest providers: an entry of a list file for all mail of one would exempt spam too."""

from bley.core.names.domains import registered_domain

__all__ = ["is_shared"]

_IN_MANY_COUNTRIES = frozenset(("aol", "gmx", "hotmail", "live", "mail", "outlook", "yahoo", "yandex"))
"""The label before the public suffix, as in yahoo.co.uk."""

_MAILBOXES = """
126.com 163.com bluewin.ch comcast.net free.fr freenet.de gmail.com google.com googlemail.com icloud.com laposte.net
libero.it me.com msn.com naver.com onet.pl orange.fr posteo.de proton.me protonmail.com qq.com rambler.ru rediffmail.com
seznam.cz sfr.fr sina.com t-online.de tutanota.com ukr.net verizon.net wanadoo.fr web.de wp.pl yahoodns.net ymail.com
zoho.com
"""
_MASS_SENDERS = """
amazonses.com mailchimp.com mailgun.net mandrillapp.com mcdlv.net mcsv.net sendgrid.net sparkpostmail.com
"""
_DOMAINS = frozenset((_MAILBOXES + _MASS_SENDERS).split())


def is_shared(domain: str) -> bool:
    """Return whether strangers of all kinds send under this domain, or it has no owner, as a public suffix."""
    registered = registered_domain(domain)
    return not registered or registered in _DOMAINS or registered.partition(".")[0] in _IN_MANY_COUNTRIES
