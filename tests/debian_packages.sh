#!/usr/bin/env bash
# Installs the Debian packages that the tests through real ports need, where that can be done without
# asking anybody: as root, on Debian. Elsewhere it says which are missing; the tests that need them
# are skipped, and say so.
set -euo pipefail

# The program that the tests run, and the package that has it.
needed="
ardour7-lua ardour
jackd jackd2
jack_lsp jackd2
klick klick
jack_midi_clock jack-midi-clock
pd puredata-core
ip iproute2
unshare util-linux
oscsend liblo-tools
"

missing=$(while read -r program package; do
  [[ -z $program ]] || command -v "$program" > /dev/null || echo "$package"
done <<< "$needed" | sort -u | tr '\n' ' ')

if [[ -z $missing ]]; then
  exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get > /dev/null; then
  echo "not installed: $missing(Debian: sudo apt install $missing); what needs them is skipped" >&2
  exit 0
fi
echo "installing $missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # several packages
if ! { apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
  $missing; } > "$log" 2>&1; then
  tail -n 20 "$log" >&2
  exit 1
fi
