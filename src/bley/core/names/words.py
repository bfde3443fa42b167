"""Words in host names, as providers of many countries use them, and domains of hosters and providers.

A word matches a whole label, or a part of one between digits, hyphens and underscores: `dsl` in `dsl-123`, `adsl7` and
`x.dsl.example.net`, never in another word. So a word belongs here only if servers are hardly ever called so: `home`,
`user`, `client` and `net` do not.
"""

__all__ = [
    "GIVEN_DOMAINS",
    "LINE",
    "LINE_DOMAINS",
    "MAIL",
    "MAIL_PARTS",
    "RENTED",
    "SERVER",
    "STATIC",
    "TEMPORARY",
]

TEMPORARY = frozenset(
    {"dhcp", "dial", "dialer", "dialin", "dialpool", "dialup", "dip", "dyn", "dynadsl", "dyndsl", "dynip", "dynpool"}
    | {"dynamic", "dynamicip", "dynamicips", "dynamik", "dynamique", "dynamisch", "dynamisk", "dynamiczny"}
    | {"dinamic", "dinamica", "dinamico", "einwahl", "isdn", "modem", "modems", "rasdial", "roaming"}
)
"""The address is temporary: it cannot be static as well."""

LINE = frozenset(
    {"adsl", "adslplus", "bbdsl", "dsl", "gdsl", "hdsl", "internetdsl", "rdsl", "sdsl", "shdsl", "vdsl", "xdsl"}
    | {"cable", "cablelink", "cablemodem", "cmodem", "cmts", "catv", "docsis", "hfc", "hsd", "hsi", "kabel", "cpe"}
    | {"ftth", "fttb", "fttc", "fttx", "gpon", "fios", "fbx", "freebox", "livebox"}
    | {"bb", "bbtec", "broadband", "breitband", "bredband", "laajakaista", "bandaancha", "bandalarga"}
    | {"ipad", "ipbf", "ipbfp", "ipngn", "ipngnfx", "ipxg"}  # NTT: p1234-ipad56marunouchi.tokyo.ocn.ne.jp
    | {"mobile", "mobil", "movil", "cellular", "gprs", "gsm", "hsdpa", "hspa", "lte", "umts", "wwan"}
    | {"wimax", "wifi", "wlan", "wireless"}
    | {"pool", "pools", "ippool", "poolip", "ppp", "pppoe", "pppool", "cgn", "cgnat"}
    | {"abo", "abonent", "abonents", "acesso", "assinante", "cust", "custip", "res", "resid", "residential", "resnet"}
)
"""An access line: DSL, cable, fiber, mobile, wireless; a pool; a customer. Not `subscriber`: newsletters use it."""

STATIC = frozenset(
    {"static", "statics", "staticip", "staticips", "statisch", "statique", "estatico", "estatica", "statik"}
    | {"fix", "fixe", "fixed", "fixip", "fixedip", "dedicated", "dedi", "colo", "colocation", "coloc"}
)
"""The line, or the machine, keeps its address."""

MAIL = frozenset(
    {"exchange", "imap", "list", "lists", "mta", "mx", "mxout", "newsletter", "out", "outbound", "outgoing", "post"}
    | {"relay", "correio", "correo", "courriel", "courrier", "poczta", "posta"}
)
"""A mail server, or mail servers below the label: a8-37.mxout.example.com."""

MAIL_PARTS = ("mail", "smtp")
"""The same, as a part of any word: p3plsmtpa12-04.prod.phx3.secureserver.net, bosmailout02.eigbox.net."""

RENTED = frozenset({"cloudapp", "vds", "vps", "vserver"})
"""A rented machine. Below cloudapp.azure.com, customers choose the names: relay7.northeurope.cloudapp.azure.com."""

SERVER = frozenset({"hosted", "hosting", "server", "servers", "srv"}) | RENTED
"""A server of any kind, or servers below the label."""

_HOSTING_DOMAINS = frozenset(
    {"amazonaws.com"}  # EC2: ec2-192-0-2-1.compute-1.amazonaws.com; its mail service is amazonses.com
    | {"googleusercontent.com"}  # Compute Engine: 1.2.0.192.bc.googleusercontent.com
    | {"azure.com"}  # name.region.cloudapp.azure.com
    | {"your-server.de", "your-cloud.host"}  # Hetzner: static.192-0-2-1.clients.your-server.de
    | {"linode.com", "linodeusercontent.com"}  # 192-0-2-1.ip.linodeusercontent.com, li123-45.members.linode.com
    | {"vultr.com", "vultrusercontent.com"}  # 192.0.2.1.vultrusercontent.com
    | {"contaboserver.net", "contabo.host"}  # vmi123456.contaboserver.net
    | {"ovh.net", "kimsufi.com"}  # ns1234567.ip-192-0-2.eu, vps-0a1b2c3d.vps.ovh.net, ks1234.kimsufi.com
    | {"poneytelecom.eu", "scaleway.com", "dedibox.fr"}  # 192-0-2-1.rev.poneytelecom.eu
    | {"secureserver.net"}  # GoDaddy: ip-192-0-2-1.ip.secureserver.net; its relays say smtpout, plsmtpa
    | {"stratoserver.net", "onlinehome-server.com", "onlinehome-server.info"}  # h1234567.stratoserver.net, Ionos
    | {"ip-pool.com"}  # Host Europe: static-ip-192-0-2-1.inaddr.ip-pool.com
    | {"server4you.de", "startdedicated.com", "startdedicated.de"}  # PlusServer: euve12345.startdedicated.com
    | {"serverprofi24.net", "dedicatedpanel.com"}  # the same: euve12345.serverprofi24.net
    | {"hstgr.cloud", "time4vps.cloud", "ghst.net"}  # Hostinger: srv123456.hstgr.cloud; xvm-12-34.dc0.ghst.net: Gandi
    | {"colocrossing.com"}  # 192-0-2-1-host.colocrossing.com
    | {"hostwindsdns.com"}  # client-192-0-2-1.hostwindsdns.com
    | {"oraclecloud.com", "oraclevcn.com"}
    | {"hwclouds-dns.com"}  # Huawei: ecs-192-0-2-1.compute.hwclouds-dns.com
    | {"leaseweb.com", "leaseweb.net", "theplanet.com", "softlayer.com", "quadranet.com"}
    | {"ultrasrv.de", "yourvserver.net", "happysrv.de", "goodsrv.de"}  # netcup: v22012345678901234.yourvserver.net
    | {"timeweb.ru", "selectel.ru", "firstvds.ru", "fvds.ru", "fastvps-server.com", "reg.ru"}
    | {"upcloud.host", "transip.nl", "bhost.net"}  # 192-0-2-1.de-fra1.upcloud.host, 192-0-2-1.colo.transip.nl
)
"""Domains of hosters, in which rented machines have generated names until their owners choose others.

Not those of shared web servers, through which all mail of their customers goes: dd12345.kasserver.com.
"""

_DYNAMIC_DNS = frozenset(
    {"dyndns.biz", "dyndns.info", "dyndns.org", "dyndns.tv", "dyndns.ws", "dyndns-home.com", "dyndns-server.com"}
    | {"ath.cx", "dnsalias.com", "dnsalias.net", "dnsalias.org", "gotdns.com", "homedns.org", "homeip.net"}  # DynDNS
    | {"homelinux.com", "homelinux.net", "homelinux.org", "homeunix.com", "homeunix.net", "homeunix.org"}  # the same
    | {"ddns.net", "hopto.org", "myftp.biz", "myftp.org", "no-ip.biz", "no-ip.info", "no-ip.org", "noip.me"}  # No-IP
    | {"redirectme.net", "serveftp.com", "servehttp.com", "sytes.net", "zapto.org"}  # the same
    | {"ddnsfree.com", "ddnsgeek.com", "dynu.net", "dynuddns.com", "dynuddns.net", "freeddns.org", "giize.com"}  # Dynu
    | {"gleeze.com", "kozow.com", "mysynology.net", "ooguy.com", "theworkpc.com"}  # the same
    | {"afraid.org", "chickenkiller.com", "mooo.com", "strangled.net", "us.to"}  # FreeDNS
    | {"dns.army", "dns.navy", "dynv6.net", "v6.army", "v6.navy", "v6.rocks"}  # dynv6
    | {"linkpc.net", "publicvm.com"}  # DNSExit
    | {"cloudns.cl", "cloudns.eu", "cloudns.nz", "cloudns.org", "ddns-ip.net", "ip-ddns.com"}  # ClouDNS
    | {"ddnss.de", "ddnss.org", "dnshome.de", "goip.de", "selfhost.eu", "selfhost.me", "spdns.de", "spdns.org"}
    | {"dedyn.io", "duckdns.org", "dy.fi", "nsupdate.info", "now-dns.net", "now-dns.org", "tplinkdns.com"}
    | {"asuscomm.com", "myfritz.net", "myqnapcloud.com", "synology.me"}  # of routers and of storage
)
"""Domains of dynamic DNS, in which customers get names free of charge, mostly for an address that changes.

Source: publicsuffix.org, the sections of these services; the services themselves.
"""

GIVEN_DOMAINS = _HOSTING_DOMAINS | _DYNAMIC_DNS
"""Domains of others, in which a host has a name that is not in the domain of its owner."""

LINE_DOMAINS = frozenset(
    {"pppool.de", "t-dialin.net", "t-ipconnect.de"}  # Germany: freenet, Deutsche Telekom
    | {"shawcable.net"}  # Canada, Shaw: s0106 and the modem's hardware address; its mail servers are shaw.ca
    | {"bbtec.net"}  # Japan, SoftBank: softbank192000002001.bbtec.net
    | {"myvzw.com", "mycingular.net", "spcsdns.net"}  # United States, mobile: Verizon, AT&T, Sprint
    | {"btcentralplus.com"}  # United Kingdom, BT: host192-0-2-1.range192-0.btcentralplus.com
    | {"veloxzone.com.br"}  # Brazil, Oi: 19200002001.user.veloxzone.com.br
    | {"direcpc.com"}  # Hughes, satellite: dpc192000002001.direcpc.com
)
"""Domains that providers use for access lines only: their own mail servers are in others."""
