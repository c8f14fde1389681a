#!/bin/sh
# Installs tailrace as a service: a system user, /etc/tailrace, /var/lib/tailrace, the program with
# its packages, the command `tailrace`, the systemd unit. Run it again with a newer package to
# upgrade: configuration and data stay. The package has everything; nothing is downloaded.
set -eu

USER_NAME=tailrace
NODE_NEEDED="20.19 or newer of version 20, or 22"
# Where a service looks for programs: the default PATH of systemd.
SERVICE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

prefix=/opt/tailrace
root=
package=
action=install
purge=no
dry=no
work=

usage() {
  cat <<'TEXT'
usage: install.sh [OPTION...]
  --package FILE  the tarball of `npm pack`; default: the package or the checkout around this
                  script (a checkout is packed first, which needs npm)
  --prefix DIR    where the program goes (/opt/tailrace)
  --root DIR      put everything below DIR, as for an image; makes no user, starts nothing
  --dry-run       say what would be done and do nothing
  --uninstall     remove program, command and unit; configuration, data and user stay
  --purge         with --uninstall: remove configuration, data, logs and user as well
  --help          this text
Needs root, except with --root or --dry-run. Exit codes: 0 done, 1 a step failed, 2 usage.
TEXT
}

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
refuse() { printf 'install.sh: %s\n' "$*" >&2; usage >&2; exit 2; }

# Runs a command, or only says it.
run() {
  if [ "$dry" = yes ]; then say "would run: $*"; else "$@"; fi
}

while [ $# -gt 0 ]; do
  case $1 in
    --package | --prefix | --root)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      case $1 in
        --package) package=$2 ;;
        --prefix) prefix=$2 ;;
        --root) root=$2 ;;
      esac
      shift ;;
    --dry-run) dry=yes ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    --help | -h) usage; exit 0 ;;
    *) refuse "$1 means nothing here" ;;
  esac
  shift
done
case $prefix in
  /*[!/]*) prefix=${prefix%/} ;;
  *) refuse "--prefix must be an absolute path and not /" ;;
esac
# They end up in a unit file and in a sed expression.
case $prefix in *[!A-Za-z0-9/._-]*) refuse "--prefix may have letters, digits and / . _ - only" ;; esac
case $prefix in
  /home/* | /root/*) refuse "a service sees nothing below /home and /root: choose another --prefix" ;;
esac
case $root in
  "") ;;
  /*[!/]*) root=${root%/} ;;
  *) refuse "--root must be an absolute path and not /" ;;
esac
[ "$purge" = no ] || [ "$action" = uninstall ] || refuse "--purge goes with --uninstall"
if [ "$dry" = no ] && [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
  fail "needs root: run it with sudo, or with --root DIR for an image"
fi

etc=$root/etc/tailrace
state=$root/var/lib/tailrace
logs=$root/var/log/tailrace
program=$root$prefix
link=$root/usr/local/bin/tailrace
unit=$root/etc/systemd/system/tailrace.service

# Whether there is a systemd to talk to: not in containers, and not for an image.
has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
service_runs() { has_systemd && systemctl is-active --quiet tailrace; }

clean() { [ -z "$work" ] || rm -rf "$work"; }
trap clean EXIT
trap 'exit 1' HUP INT TERM

check_node() {
  node=$(PATH=$SERVICE_PATH command -v node || true)
  if [ -z "$node" ]; then
    fail "no node in $SERVICE_PATH: install Node.js $NODE_NEEDED for all users"
  fi
  # shellcheck disable=SC2016 # the text is JavaScript
  "$node" -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' \
    || fail "$node is $("$node" --version): tailrace needs Node.js $NODE_NEEDED"
}

# The package, as a folder with its packages. Sets $source.
open_package() {
  here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
  work=$(mktemp -d)
  if [ -z "$package" ] && [ "$dry" = no ] && [ -f "$here/package-lock.json" ]; then
    command -v npm >/dev/null || fail "packing the checkout needs npm: give --package FILE instead"
    say "packing $here"
    (cd "$here" && npm pack --silent --pack-destination "$work" >/dev/null) \
      || fail "npm pack failed in $here"
    for package in "$work"/*.tgz; do :; done
  fi
  if [ -n "$package" ]; then
    [ -r "$package" ] || fail "cannot read $package"
    tar -xzf "$package" -C "$work" --no-same-owner || fail "$package is no package"
    source=$work/package
  else
    source=$here # installed by npm
  fi
  for file in dist/engine/main.js config/systemd/tailrace.service node_modules/lmdb/package.json; do
    [ -e "$source/$file" ] || fail "the package has no $file: take one that \`npm pack\` made"
  done
  machine=$("$node" -p 'process.arch')
  [ -d "$source/node_modules/@lmdb/lmdb-linux-$machine" ] \
    || fail "the package was packed on another kind of machine, this one is $machine: pack it here"
}

check_place() {
  if [ -e "$program" ] && [ ! -f "$program/dist/engine/main.js" ]; then
    fail "$program is something else: move it away, or choose another --prefix"
  fi
  if [ -e "$link" ] && [ ! -L "$link" ]; then fail "$link is something else: move it away"; fi
}

make_user() {
  if [ -n "$root" ]; then
    say "--root: no user made; the unit needs a system user and group $USER_NAME"
    return
  fi
  getent group "$USER_NAME" >/dev/null || run groupadd --system "$USER_NAME"
  getent passwd "$USER_NAME" >/dev/null || run useradd --system --gid "$USER_NAME" \
    --home-dir /var/lib/tailrace --no-create-home --shell /usr/sbin/nologin "$USER_NAME"
}

# Gives a path to the service's user or group; an image has no such user yet.
own() { [ -n "$root" ] || run chown "$@"; }

make_directories() {
  run install -d -m 0755 "$etc"
  for directory in "$state" "$logs"; do
    run install -d -m 0750 "$directory"
    own "$USER_NAME:$USER_NAME" "$directory"
  done
}

place_program() {
  run install -d -m 0755 "$(dirname "$program")" "$(dirname "$link")" "$(dirname "$unit")"
  run rm -rf "$program.new" "$program.old"
  run cp -R "$source" "$program.new"
  run chmod -R u=rwX,go=rX "$program.new"
  run chmod 0755 "$program.new/dist/engine/main.js"
  [ -n "$root" ] || run chown -R 0:0 "$program.new"
  if [ -e "$program" ]; then run mv "$program" "$program.old"; fi
  run mv "$program.new" "$program"
  run rm -rf "$program.old"
  run ln -sfn "$prefix/dist/engine/main.js" "$link"
}

place_configuration() {
  if [ -e "$etc/gateway.conf" ]; then
    say "kept $etc/gateway.conf as it is"
    return
  fi
  # It may hold tokens: readable for the service, not for everybody.
  run install -m 0640 "$source/config/examples/service.conf" "$etc/gateway.conf"
  own "0:$USER_NAME" "$etc/gateway.conf"
}

place_unit() {
  unit_new=$work/tailrace.service
  sed "s#/opt/tailrace/#$prefix/#" "$source/config/systemd/tailrace.service" >"$unit_new"
  run install -m 0644 "$unit_new" "$unit"
  if has_systemd; then run systemctl daemon-reload; fi
}

install_all() {
  check_node
  check_place
  open_package
  version=$("$node" -p 'require(process.argv[1]).version' "$source/package.json")
  before=
  if [ -f "$program/package.json" ]; then
    before=$("$node" -p 'require(process.argv[1]).version' "$program/package.json")
  fi
  make_user
  make_directories
  place_program
  place_configuration
  place_unit
  [ "$dry" = no ] || { say "nothing was done"; return; }
  if [ -n "$before" ]; then say "tailrace $before was replaced by $version in $program"
  else say "tailrace $version is installed in $program"; fi
  next_steps
}

next_steps() {
  say "configuration: $etc/gateway.conf    data: $state    command: $link"
  if [ -n "$root" ]; then
    say "--root: nothing was enabled or started"
  elif ! has_systemd; then
    say "systemd does not run here (a container?), so nothing was enabled. To run it:"
    say "  setpriv --reuid $USER_NAME --regid $USER_NAME --clear-groups \\"
    say "    tailrace --configfile /etc/tailrace/gateway.conf"
  elif service_runs; then
    say "the old version still runs. To change to the new one: systemctl restart tailrace"
  else
    say "next: look at /etc/tailrace/gateway.conf, then"
    say "  systemctl enable --now tailrace"
    say "  curl 127.0.0.1:9464/readyz"
    say "  journalctl -u tailrace"
  fi
}

uninstall_all() {
  if has_systemd && [ -e "$unit" ]; then run systemctl disable --now tailrace; fi
  run rm -f "$unit"
  if has_systemd; then run systemctl daemon-reload; fi
  if [ "$(readlink "$link" || true)" = "$prefix/dist/engine/main.js" ]; then run rm -f "$link"; fi
  if [ -f "$program/dist/engine/main.js" ]; then run rm -rf "$program"; fi
  if [ "$purge" = yes ]; then
    run rm -rf "$etc" "$state" "$logs"
    if [ -z "$root" ] && getent passwd "$USER_NAME" >/dev/null; then run userdel "$USER_NAME"; fi
    if [ -z "$root" ] && getent group "$USER_NAME" >/dev/null; then run groupdel "$USER_NAME"; fi
  fi
  if [ "$dry" = yes ]; then say "nothing was done"
  elif [ "$purge" = yes ]; then say "tailrace, its configuration, data and user are removed"
  else say "tailrace is removed; $etc, $state, $logs and the user stay (--purge removes them)"; fi
}

"${action}_all"
