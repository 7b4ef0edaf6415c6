# Shared by the scripts beside it; sourced, never run. Sets `root` and goes there.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

if [[ -t 2 ]]; then bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'; else bold='' red='' plain=''; fi

say() { printf '%s\n' "$*" >&2; }
heading() { printf '%s%s%s\n' "$bold" "$*" "$plain" >&2; }
fail() {
  printf '%s%s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}

# Runs a command with its output in a file; shows the output only if it fails.
quietly() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null || {
    local status=$?
    cat "$log" >&2
    return "$status"
  }
}

# configure PRESET [CMAKE FLAG]...
configure() {
  local preset=$1
  shift
  quietly "build/$preset/logs/configure.log" cmake --preset "$preset" "$@" || {
    say "configuring the preset $preset failed; its log is above"
    return 1
  }
}

# build PRESET [TARGET]...: one line that moves on a terminal, a line for each tenth elsewhere; errors in full.
build() {
  local preset=$1
  shift
  if [[ -t 2 ]]; then
    NINJA_STATUS="building $preset [%f/%t] " ninja -C "build/$preset" -j "$jobs" "$@" >&2 </dev/null
  else
    local line tenth last=-1
    NINJA_STATUS='[%f/%t] ' ninja -C "build/$preset" -j "$jobs" "$@" 2>&1 </dev/null |
      while IFS= read -r line; do
        if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\  ]]; then
          tenth=$((10 * BASH_REMATCH[1] / BASH_REMATCH[2]))
          if ((tenth != last)); then say "building $preset ${line%%]*}]"; fi
          last=$tenth
        elif [[ $line != 'ninja: Entering directory'* && $line != 'ninja: no work to do.' ]]; then
          say "$line"
        fi
      done
    return "${PIPESTATUS[0]}"
  fi
}
jobs=${PORTICO_JOBS:-$(nproc)}

# Every file of the project, one a line, those not committed yet included.
project_files() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files --cached --others --exclude-standard "$@" | while IFS= read -r file; do
      if [[ -f $file ]]; then printf '%s\n' "$file"; fi
    done | sort -u
  else
    find . \( -name build -o -name node_modules -o -name .git \) -prune -o -type f -printf '%P\n' | sort
  fi
}
