"""The domains of the largest providers: an entry of a list file for all mail of one would exempt spam too."""

from bley.core.names.domains import registered_domain

__all__ = ["is_large_provider", "is_shared"]

_IN_MANY_COUNTRIES = frozenset(("aol", "gmx", "hotmail", "live", "mail", "outlook", "yahoo", "yandex"))
"""The label before the public suffix, as in yahoo.co.uk."""

_MAILBOXES = """
126.com 163.com abv.bg alice.it arcor.de att.net azet.sk bigpond.com bk.ru bluewin.ch bol.com.br btinternet.com
centrum.cz comcast.net cox.net daum.net docomo.ne.jp earthlink.net email.cz fastmail.com fastmail.fm foxmail.com free.fr
freemail.hu freenet.de gmail.com google.com googlemail.com hanmail.net hey.com hushmail.com icloud.com inbox.ru
interia.pl kpnmail.nl laposte.net libero.it list.ru mac.com mailbox.org me.com msn.com nate.com naver.com neuf.fr o2.pl
onet.pl online.de orange.fr pm.me posteo.de proton.me protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com
rocketmail.com sbcglobal.net seznam.cz sfr.fr sina.cn sina.com skynet.be t-online.de telenet.be terra.com.br tiscali.it
tuta.com tuta.io tutamail.com tutanota.com ukr.net uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de
wp.pl xs4all.nl yahoodns.net yeah.net ymail.com ziggo.nl zoho.com
"""
_MASS_SENDERS = """
amazonses.com ccsend.com emailsrvr.com exacttarget.com hubspotemail.net kundenserver.de mailchimp.com mailgun.net
mailjet.com mandrillapp.com mcdlv.net mcsv.net messagelabs.com mimecast.com mtasv.net pphosted.com rsgsv.net
secureserver.net sendgrid.net sendinblue.com smtp2go.com sparkpostmail.com your-server.de
"""
_DOMAINS = frozenset((_MAILBOXES + _MASS_SENDERS).split())


def is_shared(domain: str) -> bool:
    """Return whether strangers of all kinds send under this domain, or it has no owner, as a public suffix."""
    return not registered_domain(domain) or is_large_provider(domain)


def is_large_provider(domain: str) -> bool:
    """Return whether this is a domain of a large provider, or is below one."""
    registered = registered_domain(domain)
    return registered in _DOMAINS or registered.partition(".")[0] in _IN_MANY_COUNTRIES
