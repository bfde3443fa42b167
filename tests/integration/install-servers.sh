#!/bin/sh
# usage: install-servers.sh FOLDER
#
# Installs what the integration tests run: Postfix by apt, and Exim, which Debian does not install
# beside Postfix, as FOLDER/usr/sbin/exim4. Needs Debian or Ubuntu, and root. Starts no service,
# removes and upgrades no package, and says nothing when there is nothing to do.
#
# What cannot be installed is no error here: one line says what is missing, the tests that need it
# are skipped, and in CI they fail.
set -eu

folder=$1
exim=$folder/usr/sbin/exim4

postfix_runs() {
    [ -x /usr/lib/postfix/sbin/master ]
}

# Without settings it only shows its version; without a library or its user not even that.
exim_runs() {
    "$exim" -C /dev/null -bV || /usr/sbin/exim4 -C /dev/null -bV
} >/dev/null 2>&1

missing=
postfix_runs || missing=postfix
exim_runs || missing="${missing:+$missing }exim4-daemon-light"
[ -n "$missing" ] || exit 0

without() {
    echo "install-servers.sh: $1, so tests that need these packages do not run: $missing"
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

install_postfix() {
    # Without a main.cf of the system nothing starts at the next boot either.
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections &&
        apt install -y --no-install-recommends --no-remove postfix
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

install_missing() {
    { postfix_runs || install_postfix; } && { exim_runs || install_exim; }
}

echo "install-servers.sh: installing $missing"
# Debian's images come without package lists, and old lists name files that are gone.
install_missing >"$work/log" 2>&1 || { apt update && install_missing; } >"$work/log" 2>&1 || {
    cat "$work/log"
    without 'apt-get failed'
}
exim_runs || without "$exim does not run"
