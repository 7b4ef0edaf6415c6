#!/bin/sh
# Drives the public client libraries against a running Portico whose backend is the sample CPA (`portico sample`).
# Starts none itself, but for single tests: the caller says where Portico is, in PORTICO_URL. Arguments are the files to
# run; all unless there are any. More from the environment, where scripts/test sets it:
#
#   PORTICO_FETCH          h2: the libraries speak HTTP/2 where they are offered it
#   PORTICO_ADMIN_URL      its management endpoint
#   PORTICO_REDIRECT_URL   its listener that redirects to https
#   PORTICO_CERTIFICATES   folder of authority.pem, which is trusted, and of front.pem and front.key, which it signed
#   PORTICO_BINARY         the program, for tests that start their own
#   PORTICO_CHROMIUM       the browser (/usr/bin/chromium)
set -eu
cd "$(dirname "$0")"
: "${PORTICO_URL:?set PORTICO_URL to the base URL of Portico, such as http://127.0.0.1:8080}"
if ! command -v npm >/dev/null 2>&1; then
  echo "skipped: npm is not installed, so the client libraries cannot be fetched" >&2
  exit 77
fi
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
  npm ci --ignore-scripts --no-audit --no-fund
fi
export PORTICO_URL
# Not before: what fetched the libraries may need an authority of the machine's own.
if [ -n "${PORTICO_CERTIFICATES:-}" ]; then
  export NODE_EXTRA_CA_CERTS="$PORTICO_CERTIFICATES/authority.pem"
fi
if [ "${PORTICO_FETCH:-}" = h2 ]; then
  exec node --import ./h2_fetch.mjs --test --test-timeout=300000 "$@"
fi
exec node --test --test-timeout=300000 "$@"
