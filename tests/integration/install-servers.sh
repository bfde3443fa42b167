#!/bin/sh
# usage: install-servers.sh FOLDER
#
# Installs what the integration tests run: the mail servers, the databases, the greylisters whose
# data bley takes over or that it is compared with, what reads its log and metrics, promtool, which
# checks metrics, what builds and checks its Debian package, a browser, and Podman. All by apt but
# Exim, which Debian does not install beside Postfix, and promtool, which comes with a server: these
# are FOLDER/usr/sbin/exim4 and FOLDER/usr/bin/promtool. Needs Debian or Ubuntu, and root. Starts no
# service, not at the next boot either, removes no package, upgrades those only that another one
# asks for (Perl, say), and says nothing when there is nothing to do.
#
# What cannot be installed is no error here: one line says what is missing, the tests that need it
# are skipped, and in CI they fail.
set -eu

folder=$1
exim=$folder/usr/sbin/exim4
promtool=$folder/usr/bin/promtool

# Each package, or another|one, and what shows that it is there: one of these files, or a command.
table() {
    cat <<'PACKAGES'
postfix                     /usr/lib/postfix/sbin/master
postgresql                  /usr/lib/postgresql/*/bin/postgres
mariadb-server-core         /usr/sbin/mariadbd
mariadb-client-core         /usr/bin/mariadb
redis-server|valkey-server  /usr/bin/redis-server /usr/bin/valkey-server
postgrey                    /usr/sbin/postgrey
sqlgrey                     /usr/sbin/sqlgrey
gross                       /usr/sbin/grossd
logwatch                    /usr/sbin/logwatch
libdbd-sqlite3-perl         /usr/lib/*/perl5/*/DBD/SQLite.pm
libdbd-pg-perl              /usr/lib/*/perl5/*/DBD/Pg.pm
libdbd-mysql-perl           /usr/lib/*/perl5/*/DBD/mysql.pm
db5.3-util                  /usr/bin/db5.3_dump
sqlite3                     /usr/bin/sqlite3
openssl                     /usr/bin/openssl
zsh                         /usr/bin/zsh
fish                        /usr/bin/fish
groff-base                  /usr/bin/groff
mandoc                      /usr/bin/mandoc
fail2ban                    /usr/bin/fail2ban-regex
munin-node                  /usr/sbin/munin-run
debhelper                   /usr/bin/dh
build-essential             /usr/share/build-essential
python3-pip                 /usr/lib/python3/dist-packages/pip
python3-dev                 /usr/include/python3*/Python.h
lintian                     /usr/bin/lintian
chromium                    /usr/bin/chromium
chromium-driver             /usr/bin/chromedriver
exim4-daemon-light          exim_runs
prometheus                  promtool_runs
systemd                     /usr/lib/systemd/systemd /lib/systemd/systemd
debootstrap                 /usr/sbin/debootstrap
runc                        /usr/sbin/runc /usr/bin/runc
podman                      /usr/bin/podman
PACKAGES
}

# Without settings it only shows its version; without a library or its user not even that.
exim_runs() {
    "$exim" -C /dev/null -bV || /usr/sbin/exim4 -C /dev/null -bV
} >/dev/null 2>&1

promtool_runs() {
    "$promtool" --version || promtool --version
} >/dev/null 2>&1

is_there() {
    case $* in *_runs) "$@"; return ;; esac
    for file in "$@"; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

missing() {
    table | while read -r package signs; do
        # Unquoted: the shell finds the files.
        # shellcheck disable=SC2086
        is_there $signs || printf '%s\n' "$package"
    done
}

missing=$(missing)
[ -n "$missing" ] || exit 0

without() {
    echo "install-servers.sh: $1, so tests that need these packages do not run:" $(missing)
    exit 0
}

command -v apt-get >/dev/null || without 'there is no apt-get'
[ "$(id -u)" = 0 ] || without 'not root'

work=$(mktemp -d)
refusal=
trap 'rm -rf "$work" $refusal' EXIT
trap 'exit 1' HUP INT TERM
export DEBIAN_FRONTEND=noninteractive

# Asked by every package before it starts its service. An administrator's own file stays as it is.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    refusal=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$refusal"
    chmod 755 "$refusal"
fi

apt() {
    # The work folder is closed to the user _apt, to which downloads would else be left.
    apt-get -qq -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 "$@"
}

install_package() {
    apt install -y --no-install-recommends --no-remove "$1" || return
    [ ! -e "/etc/init.d/$1" ] || update-rc.d "$1" disable
}

install_postfix() {
    # Then it has no main.cf, and asks no questions.
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections &&
        install_package postfix
}

install_postgresql() {
    # Else it creates a cluster of the system's own, for a service that starts at the next boot.
    settings=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$settings" ]; then
        mkdir -p "${settings%/*}"
        printf '# by install-servers.sh of bley\ncreate_main_cluster = false\n' >"$settings"
    fi
    install_package postgresql
}

install_logwatch() {
    install_package logwatch || return
    # Else it mails root a report each day.
    chmod a-x /etc/cron.daily/00logwatch
}

# The libraries, but not exim4-base with its cron jobs and settings.
install_exim() {
    (cd "$work" && apt download exim4-daemon-light) &&
        dpkg -x "$work"/exim4-daemon-light_*.deb "$work/root" &&
        libraries=$(dpkg-deb -f "$work"/exim4-daemon-light_*.deb Depends | tr ',' '\n' |
            sed -n 's/^ *\(lib[^ ]*\).*/\1/p') &&
        for library in $libraries; do
            # Naming one that is installed would upgrade it.
            dpkg-query -W "$library" 2>/dev/null | grep -q . ||
                apt install -y --no-install-recommends --no-remove "$library" || return
        done &&
        # Its user is compiled in, and otherwise made by exim4-base.
        { getent passwd Debian-exim || useradd --system --user-group --no-create-home \
            --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim; } &&
        # Without the package's set-user-id bit: only root runs it here.
        install -D -m 755 "$work/root/usr/sbin/exim4" "$exim"
}

# A program without libraries of its own; the server and its web pages stay in the package.
install_promtool() {
    (cd "$work" && apt download prometheus) &&
        dpkg -x "$work"/prometheus_*.deb "$work/prometheus" &&
        install -D -m 755 "$work/prometheus/usr/bin/promtool" "$promtool"
}

# Its units are for containers that start at boot.
install_podman() {
    install_package podman || return
    for unit in podman.socket podman.service podman-restart.service podman-auto-update.service podman-auto-update.timer; do
        systemctl disable "$unit" || true
    done
}

# One that fails does not keep the others from being installed.
install_missing() {
    failed=
    for package in $(missing); do
        case $package in
            postfix) install_postfix ;;
            postgresql) install_postgresql ;;
            logwatch) install_logwatch ;;
            exim4-daemon-light) install_exim ;;
            prometheus) install_promtool ;;
            podman) install_podman ;;
            *\|*) install_package "${package%|*}" || install_package "${package#*|}" ;;
            *) install_package "$package" ;;
        esac || failed=1
    done
    [ -z "$failed" ]
}

echo "install-servers.sh: installing" $missing
# Debian's images come without package lists, and old lists name files that are gone.
install_missing >"$work/log" 2>&1 || { apt update && install_missing; } >"$work/log" 2>&1 || {
    cat "$work/log"
    without 'apt-get failed'
}
[ -z "$(missing)" ] || without 'what was installed does not run'
