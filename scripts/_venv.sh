# Sourced by demo and test: makes .venv in the project's folder and installs the project there, with the
# extra that $extra names, if any. Does nothing where that is already done.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/.installed-${extra:-plain}
if [ ! -x .venv/bin/python ]; then
    "${PYTHON:-python3}" -m venv .venv
fi
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
    echo "Installing sface-data and what it needs into .venv (once; some minutes on a slow line) ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable ".${extra:+[$extra]}"
    if [ "${extra:-}" = dev ]; then
        # Alone: it would bring the OpenCV that wants libGL, in place of the one that does not.
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "insightface>=2.0"
    fi
    touch "$stamp"
fi
