#!/usr/bin/env bash
# Have a Chromium or Chrome on the PATH for the site tests.
#   present                        -> nothing to do
#   Debian or Ubuntu, in CI        -> install it with apt-get (as root, or with sudo without a password)
#   anything else                  -> say how; in CI that is a failure, elsewhere those tests are skipped
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done

give_up() {
  echo "site tests: $1" >&2
  echo "site tests: install Chromium or Chrome so that it is on the PATH (Debian: apt-get install chromium)." >&2
  if [ "${CI:-}" = true ]; then exit 1; fi
  echo "site tests: they will be skipped." >&2
  exit 0
}

[ "${CI:-}" = true ] || give_up "no Chromium or Chrome found."
command -v apt-get >/dev/null 2>&1 || give_up "no Chromium or Chrome found, and no apt-get to install one with."

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true >/dev/null 2>&1 || give_up "no Chromium or Chrome found, and no right to install one."
  as_root=(sudo -n)
fi

echo "site tests: installing Chromium" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  rm -f "$log"
  give_up "apt-get could not install Chromium."
fi
rm -f "$log"
