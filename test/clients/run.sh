#!/bin/sh
# Drives the public client libraries against a running Portico whose backend is the sample CPA (`portico sample`).
# Starts nothing itself: the caller says where Portico is, in PORTICO_URL.
set -eu
cd "$(dirname "$0")"
: "${PORTICO_URL:?set PORTICO_URL to the base URL of Portico, such as http://127.0.0.1:8080}"
if ! command -v npm >/dev/null 2>&1; then
  echo "skipped: npm is not installed, so the client libraries cannot be fetched" >&2
  exit 77
fi
if [ ! -d node_modules ]; then
  npm ci --ignore-scripts --no-audit --no-fund
fi
export PORTICO_URL
exec node --test --test-timeout=120000
