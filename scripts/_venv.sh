# Sourced by the other scripts: makes a virtual environment of this checkout and installs into it.
# POSIX sh. Nothing outside the environment's folder is changed.

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# The first Python on the PATH that is new enough, or $PYTHON.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    say "Python 3.11 or later is needed, and none is on the PATH."
    say "Install one, or name it: PYTHON=/path/to/python3.12 $0"
    return 1
}

# make_venv FOLDER: FOLDER is a virtual environment, and $python is its Python.
make_venv() {
    folder=$1
    python=$folder/bin/python
    if ! "$python" -c 'import pip' >/dev/null 2>&1; then
        base=$(find_python) || exit 1
        rm -rf "$folder"
        if ! "$base" -m venv "$folder"; then
            rm -rf "$folder"
            say "$base cannot make a virtual environment (see above)."
            say "On Debian and Ubuntu its venv module is a package of its own: apt-get install python3-venv"
            exit 1
        fi
    fi
}

# use_venv FOLDER EXTRA: FOLDER has trunktrace[EXTRA] of this checkout, and $python is its Python.
use_venv() {
    make_venv "$1"
    extra=$2
    # Installed again only when the project's metadata changed: a second run starts at once.
    stamp=$folder/.trunktrace-$extra
    if ! cmp -s "$here/pyproject.toml" "$stamp"; then
        say "installing trunktrace[$extra] into $folder ..."
        "$python" -m pip install --quiet --disable-pip-version-check --editable "$here[$extra]" || {
            say "The installation failed (see above); nothing outside $folder was changed."
            exit 1
        }
        cp "$here/pyproject.toml" "$stamp"
    fi
}
