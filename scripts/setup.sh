# What scripts/test and scripts/demo share: finding Python, making environments, saying so.

say() { printf '%s\n' "lungcls: $*"; }

fail() {
    printf '%s\n' "lungcls: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# True when this machine installs packages with apt-get and we may do so.
can_apt() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1
}

# True when all the Debian packages given are installed. apt-get itself is asked, because
# newer releases give packages other names (libglib2.0-0t64).
apt_has() {
    plan=$(apt-get --simulate --no-upgrade --no-install-recommends install "$@" 2>/dev/null) &&
        ! printf '%s\n' "$plan" | grep -q '^Inst '
}

apt_install() {
    say "installing these Debian packages and what they need: $*"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-upgrade --no-install-recommends "$@"
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Set $python to a Python of at least 3.11; LUNGCLS_PYTHON names another one.
find_python() {
    if [ -n "${LUNGCLS_PYTHON:-}" ]; then
        set -- "$LUNGCLS_PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11 python
    fi
    for python in "$@"; do
        if is_new_enough "$python"; then
            python=$("$python" -c 'import sys; print(sys.executable)')
            return
        fi
    done
    fail "no Python 3.11 or newer found; install one, or name it with LUNGCLS_PYTHON=/path/to/python"
}

# make_environment FOLDER: a virtual environment there, made anew when its Python is gone.
make_environment() {
    if "$1/bin/python" -c 'import pip' >/dev/null 2>&1; then return; fi
    find_python
    say "making a virtual environment in $1 with $python"
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        can_apt || fail "this Python lacks venv; install python$version-venv and start again"
        apt_install "python$version-venv"
    fi
    "$python" -m venv --clear "$1"
}

# install_once FOLDER WHAT...: pip install there, unless the same was installed before.
install_once() {
    folder=$1
    shift
    wanted=$(cat pyproject.toml constraints.txt | cksum; printf '%s' "$*")
    if [ "$(cat "$folder/lungcls-installed" 2>/dev/null)" = "$wanted" ]; then return; fi
    say "installing into $folder: $*"
    "$folder/bin/python" -m pip install --constraint constraints.txt "$@"
    printf '%s' "$wanted" >"$folder/lungcls-installed"
}
